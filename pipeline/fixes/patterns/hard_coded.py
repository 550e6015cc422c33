"""Secrets that stand in the code: read from the environment instead.

The variable of the environment is called what the code calls the value. The old value stays in the
history, which no edit can change; the reason says so.
"""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns import go_code, python_code, script_code
from secdaemon.pipeline.fixes.patterns.instances import GO, PYTHON, SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import arguments, calls, quote_in, replaced, words_in
from secdaemon.pipeline.routes.syntax import field, text_of, within

_NAMED = re.compile(
    r"(?:[a-z0-9]+-)*(secret|(secret|api|private|access|signing|encryption|auth)-?key|apikey"
    r"|password|passwd|passphrase|token|client-secret)"
)
_VALUE = re.compile(r"[^\s<>{}]{6,}|<secret:[^>\s]+>")
_GUESSED = re.compile(r"[0-9!@#$%^&*+=]|\A<secret:")
"""What tells a secret from a word such as `reset-password`, the name of a page."""
_NO_VALUE = re.compile(r"https?://|/|\.{1,2}/|(password|token|secret|bearer)\Z", re.IGNORECASE)
_BROWSER = re.compile(
    r"\b(document|window|localStorage)\.|from ['\"](react|vue|svelte|@angular|firebase)|</\w+>"
    r"|import\.meta\.env|authDomain|\benvironment\s*="
)
"""Where there is no environment, and where what is called a key may be public."""
_MAX_NAME = 40
_KEYED = {
    "crypto.createHmac": "HMAC_KEY",
    "jsonwebtoken.sign": "JWT_SECRET",
    "jsonwebtoken.verify": "JWT_SECRET",
    "jwt.sign": "JWT_SECRET",
    "jwt.verify": "JWT_SECRET",
}
"""Functions whose second argument is a key, and what the key is called."""


def _python(code: Code) -> Iterator[Instance]:
    names = python_code.Names(code)
    added = names.adding("os")
    for node in within(code.root, "assignment", "keyword_argument"):
        target, value = field(node, "left") or field(node, "name"), field(node, "right")
        value = value or field(node, "value")
        if target is None or value is None or field(node, "type") is not None:
            continue
        called = text_of(target).rpartition(".")[2]
        if target.type == "subscript":
            called = python_code.string_value(field(target, "subscript")) or ""
        name = _name(called, python_code.string_value(value))
        if name is not None:
            quote = quote_in(code)
            edit = replaced(code, value, f"os.environ[{quote}{name}{quote}]")
            yield _instance(node, edit, added, name, names.asks_for("os"))


def _script(code: Code) -> Iterator[Instance]:
    if _BROWSER.search(code.text) or code.grammar == "tsx":
        return
    names = script_code.Names(code)
    for node in within(code.root, "variable_declarator", "pair", "assignment_expression"):
        target = field(node, "name") or field(node, "key") or field(node, "left")
        value = field(node, "right") or field(node, "value")
        if target is None or value is None or field(node, "type") is not None:
            continue
        called = text_of(target).rpartition(".")[2].strip("'\"")
        name = _name(called, script_code.string_value(value))
        if name is not None and not _is_compared(code, called):
            yield _instance(node, replaced(code, value, _variable(code, name)), (), name)
    for call in calls(code):
        origin, given = names.of(field(call, "function")), arguments(call)
        name = _KEYED.get(origin)
        if name is not None and len(given) > 1 and script_code.string_value(given[1]):
            yield _instance(call, replaced(code, given[1], _variable(code, name)), (), name)


def _variable(code: Code, name: str) -> str:
    """Return the variable; TypeScript takes it for text that may be missing."""
    return f"process.env.{name}" + ("" if code.grammar == "javascript" else " as string")


def _go(code: Code) -> Iterator[Instance]:
    names = go_code.Names(code)
    added = names.adding("os")
    needs = "" if code.whole else " The file needs the import `os`."
    for node in within(code.root, "short_var_declaration", "var_spec", "keyed_element"):
        target = field(node, "left") or field(node, "name") or field(node, "key")
        value = _only(field(node, "right") or field(node, "value"))
        if target is None or value is None:
            continue
        name = _name(text_of(target), go_code.string_value(value))
        if name is not None and not _is_compared(code, text_of(target)):
            yield _instance(node, replaced(code, value, f'os.Getenv("{name}")'), added, name, needs)


def _is_compared(code: Code, name: str) -> bool:
    """Return whether what a caller gives is compared with a value, or checked by it as a key.

    A variable that is not set would be equal to nothing at all, and let everybody in.
    """
    called = rf"(?<![\w$.]){re.escape(name)}\b"
    return bool(
        re.search(rf"[!=]==?\s*{called}|{called}\s*[!=]==?|Compare\w*\([^)]*{called}", code.text)
        or (code.grammar == "go" and re.search(rf"\[\]byte\({called}", code.text))
    )


def _only(node: Node | None) -> Node | None:
    if node is None or node.type not in {"expression_list", "literal_element"}:
        return node
    return node.named_children[0] if node.named_child_count == 1 else None


def _name(called: str, value: str | None) -> str | None:
    """Return the environment's name for a secret; None where the two do not look like one."""
    words = words_in(called).strip("-")
    if value is None or len(called) > _MAX_NAME or not _NAMED.fullmatch(words):
        return None
    if not _VALUE.fullmatch(value) or _NO_VALUE.match(value) or not _GUESSED.search(value):
        return None
    return words.replace("-", "_").upper()


def _instance(
    node: Node, edit: TextEdit, added: tuple[TextEdit, ...] | None, name: str, needs: str = ""
) -> Instance:
    reason = (
        f"The value comes from the environment variable `{name}`; the old one stays in the "
        f"history, so it has to be revoked as well.{needs}"
    )
    return Instance(node, (edit, *added) if added is not None else (), reason)


_RULES = (
    r"b10[5-7]|g101|.*(hard-?coded|hardcode|jwt-secret|hmac-key|(api|private|access)-key|secret-key"
    r"|password|credential|secrets?-)"
)
_CWES = (259, 321, 798, 547, 522)
PATTERNS = (
    pattern("python-hard-coded", _RULES, _CWES, PYTHON, _python),
    pattern("script-hard-coded", _RULES, _CWES, SCRIPTS, _script),
    pattern("go-hard-coded", _RULES, _CWES, GO, _go),
)
