"""Python: functions whose safe sister does the same for data that comes from outside."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import PYTHON, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.python_code import (
    Names,
    has_splat,
    keyword,
    method_of,
    positional,
)
from secdaemon.pipeline.fixes.patterns.syntax import (
    appended,
    arguments,
    around,
    calls,
    replaced,
    words_in,
)
from secdaemon.pipeline.routes.syntax import field, text_of, within

_DATA = re.compile(
    r"(?<![a-z])(data|json|dict|list|tuple|settings|config|payload|literal|raw|row|headers)s?(?![a-z])"
)
_CODE = re.compile(
    r"(?<![a-z])(expr(ession)?|formula|code|command|cmd|source|script|math)(?![a-z])"
)
_HTML = re.compile(
    r"(?<![a-z])(html|markup|svg|icon|body|content|rows?|cells?|items|link|links|join|render\w*|form"
    r"|widget|field|input|button|table|attrs?|style|css)(?![a-z])"
)
"""What values are called that are markup themselves."""
_PARSERS = frozenset(("XML", "XMLParser", "ParseError", "fromstring", "iterparse", "parse"))


def _evaluated(code: Code) -> Iterator[Instance]:
    """Yield `eval` of what is called data, where literals alone are expected."""
    names = Names(code)
    for call in calls(code):
        called, given = field(call, "function"), arguments(call)
        if called is None or text_of(called) != "eval" or called.type != "identifier":
            continue
        about = words_in(text_of(field(call, "arguments"))).strip("-")
        added = names.adding("ast")
        is_bytes = about.endswith(("-data", "-content", "-body"))
        is_data = (
            not is_bytes and len(given) == 1 and _DATA.search(about) and not _CODE.search(about)
        )
        if not is_data or given[0].type == "string" or added is None:
            yield Instance(call, (), "")
            continue
        reason = (
            "`ast.literal_eval` reads numbers, strings, lists and dictionaries and runs nothing."
            f"{names.asks_for('ast')}"
        )
        yield Instance(call, (replaced(code, called, "ast.literal_eval"), *added), reason)


def _archives(code: Code) -> Iterator[Instance]:
    """Yield the extraction of a tar archive without a filter."""
    names = Names(code)
    opened = _tar_names(code, names)
    reason = (
        '`filter="data"` refuses members that lie outside the folder, links that lead out of it '
        "and device files; Python has it from 3.12 on, and in the security releases since 2023."
    )
    for call in calls(code):
        called, given = field(call, "function"), field(call, "arguments")
        if called is None or given is None or method_of(call) not in {"extractall", "extract"}:
            continue
        owner = text_of(field(called, "object"))
        if (
            (_scope(call), owner) not in opened
            or keyword(call, "filter") is not None
            or has_splat(call)
        ):
            continue
        yield Instance(call, (appended(code, given, ['filter="data"']),), reason)


def _scope(node: Node) -> int:
    """Return where the function around a node begins, 0 for none."""
    function = around(node, "function_definition")
    return function.start_byte if function is not None else 0


def _tar_names(code: Code, names: Names) -> frozenset[tuple[int, str]]:
    """Return the variables that hold an open tar archive, with where their functions begin."""
    found = set()
    for call in calls(code):
        if names.of(field(call, "function")) not in {"tarfile.open", "tarfile.TarFile"}:
            continue
        holder = around(call, "as_pattern", "assignment")
        if holder is None or holder not in {call.parent, around(call, "as_pattern")}:
            continue
        target = field(holder, "alias") or field(holder, "left")
        found.add((_scope(call), text_of(target)))
    return frozenset(found)


def _markup(code: Code) -> Iterator[Instance]:
    """Yield `Markup(f"<b>{name}</b>")`, which marks the value as safe together with the text."""
    names = Names(code)
    for call in calls(code):
        called, given = field(call, "function"), arguments(call)
        origin = names.of(called).rpartition(".")[2]
        if called is None or origin != "Markup" or len(given) != 1 or has_splat(call):
            continue
        made = _formatted(given[0])
        if made is None:
            continue
        literal, values = made
        reason = (
            "`Markup(…).format(…)` escapes each value for HTML, while the text around them stays "
            "markup."
        )
        new = f"{text_of(called)}({literal}).format({', '.join(values)})"
        yield Instance(call, (replaced(code, call, new),), reason)


def _formatted(node: Node) -> tuple[str, list[str]] | None:
    """Return an f-string as a literal with `{}` and its values; None where it is not so simple."""
    if node.type != "string" or text_of(node.children[0]).lower() not in {'f"', "f'"}:
        return None
    values, literal = [], ""
    for part in node.children[1:-1]:
        if part.type != "interpolation":
            literal += text_of(part)
            continue
        value = field(part, "expression")
        if value is None or [c.type for c in part.named_children] != [value.type]:
            return None
        values.append(text_of(value))
        literal += "{}"
    if "<script" in literal.lower() or any(_HTML.search(words_in(value)) for value in values):
        return None
    quote = text_of(node.children[0])[1:]
    return (f"{quote}{literal}{quote}", values) if values else None


def _xml(code: Code) -> Iterator[Instance]:
    """Yield the import of `xml.etree.ElementTree` or `minidom`, and each call of a parser of it."""
    if not code.whole:
        return
    for node in within(code.root, "import_statement", "import_from_statement"):
        known = _xml_import(node)
        if known is None:
            continue
        alias, new = known
        uses = [
            used
            for used in within(code.root, "attribute")
            if text_of(field(used, "object")) == alias
        ]
        others = [
            each
            for each in within(code.root, "identifier")
            if text_of(each) == alias
            and each.parent is not None
            and each.parent not in uses
            and around(each, node.type) is None
        ]
        allowed = _PARSERS if alias != "minidom" else frozenset(("parse", "parseString"))
        is_parser = not others and all(text_of(field(u, "attribute")) in allowed for u in uses)
        edits = (replaced(code, node, new),) if uses and is_parser else ()
        reason = (
            "The parsers of `defusedxml` refuse entity expansion and external entities, and are "
            "called as before; the package `defusedxml` has to be installed."
        )
        for shown in (node, *uses):
            yield Instance(shown, edits, reason)


def _xml_import(node: Node) -> tuple[str, str] | None:
    """Return the name that an import of an XML parser binds, and the import of the hardened one."""
    return {
        "import xml.etree.ElementTree as ET": ("ET", "import defusedxml.ElementTree as ET"),
        "import xml.etree.cElementTree as ET": ("ET", "import defusedxml.ElementTree as ET"),
        "from xml.etree import ElementTree": (
            "ElementTree",
            "from defusedxml import ElementTree",
        ),
        "from xml.etree import ElementTree as ET": (
            "ET",
            "from defusedxml import ElementTree as ET",
        ),
        "from xml.dom import minidom": ("minidom", "from defusedxml import minidom"),
    }.get(text_of(node))


def _world_writable(code: Code) -> Iterator[Instance]:
    """Yield `os.chmod` that lets everybody write."""
    names = Names(code)
    for call in calls(code):
        given = positional(call)
        if names.of(field(call, "function")) != "os.chmod" or len(given) != 2:  # noqa: PLR2004
            continue
        new = {"0o777": "0o700", "0o666": "0o600"}.get(text_of(given[1]))
        if new is not None:
            reason = f"With `{new}` nobody but the owner can read or replace the file."
            yield Instance(call, (replaced(code, given[1], new),), reason)


PATTERNS = (
    pattern("python-eval", r"b307|.*(eval|code-inject)", (94, 95), PYTHON, _evaluated),
    pattern("python-tar", r"b202|.*(tar|zip-?slip)", (22,), PYTHON, _archives),
    pattern("python-markup", r"b704|.*(markup|xss|escap)", (79,), PYTHON, _markup),
    pattern("python-xml", r"b31[3-9]|b40[5-9]|.*(xxe|xml)", (611, 776), PYTHON, _xml),
    pattern(
        "python-chmod",
        r"b103|.*(chmod|file-permission|permissive)",
        (732,),
        PYTHON,
        _world_writable,
    ),
)
