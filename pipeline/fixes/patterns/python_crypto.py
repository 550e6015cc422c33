"""Python: hashes that are broken, numbers that can be guessed, comparisons that tell by time."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import PYTHON, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import bindings
from secdaemon.pipeline.fixes.patterns.python_code import (
    Names,
    has_splat,
    keyword,
    keyword_value,
    method_of,
    positional,
    string_value,
)
from secdaemon.pipeline.fixes.patterns.syntax import (
    NO_SECRET,
    PASSWORDS,
    SECRET_WORDS,
    appended,
    around,
    begins_line,
    between,
    calls,
    indent_of,
    items,
    replaced,
    words_in,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of, within

_BROKEN = frozenset(("md5", "sha1", "md4"))
_FIXED = re.compile(
    r"(?<![a-z])(md-?[45]|sha-?1|git|blob|websocket|sec-websocket|totp|hotp|digest-auth|ha[12]|pwned"
    r"|hibp|torrent|oauth|uuid|unpack|checksum|expected)"
    r"(sum|s|hash|digest)?(?![a-z])"
)
"""What says which digest, or how long a one, others want."""
_KEYS = re.compile(
    r"(?<![a-z])(iv|nonce|aes|des3?|blowfish|rc4|arc4|ciphers?|fernet|encrypt|decrypt)(?![a-z])"
)
"""What a digest is the key of, whose length is given then."""
_KEY = re.compile(r"(?<![a-z])key(?![a-z])")
_STATEMENTS = ("expression_statement", "return_statement")
_DRAWS = frozenset(
    ("choice", "choices", "getrandbits", "randint", "random", "randrange", "sample", "uniform")
)
_REPEATED = re.compile(
    r"random\.seed\(|^\s*(import|from) (torch|tensorflow|nltk|numpy|transformers)", re.MULTILINE
)
"""Where the same numbers are wanted again, and where tokens are words."""
_WAITS = frozenset(("sleep", "delay", "wait", "sleep_ms"))
_DIGESTS = frozenset(("digest", "hexdigest"))


def _hashes(code: Code) -> Iterator[Instance]:
    """Yield MD5 and SHA-1 of `hashlib`; mended unless a password is hashed."""
    names = Names(code)
    for call in calls(code):
        called = field(call, "function")
        module, _, name = names.of(called).rpartition(".")
        if called is None or module != "hashlib" or _has_no_security(call):
            continue
        first = next(iter(positional(call)), None)
        given = (string_value(first) or "").lower().replace("-", "")
        if name not in _BROKEN and not (name == "new" and given in _BROKEN):
            continue
        yield _hash(code, call, (called, first if name == "new" else None))


def _has_no_security(call: Node) -> bool:
    return text_of(keyword_value(call, "usedforsecurity")) == "False"


def _hash(code: Code, call: Node, named: tuple[Node, Node | None]) -> Instance:
    called, algorithm = named
    statement = around(call, *_STATEMENTS) or call
    function = around(call, "function_definition")
    name = text_of(field(function, "name")) if function is not None else ""
    about = words_in(text_of(statement), name)
    given = field(call, "arguments")
    if PASSWORDS.search(about) or has_splat(call) or given is None:
        return Instance(call, (), "")
    if NO_SECRET.search(about) and keyword(call, "usedforsecurity") is None:
        edit = appended(code, given, ["usedforsecurity=False"])
        reason = (
            "The digest only names a value here, so `usedforsecurity=False` says that nothing "
            "relies on it, and stored digests stay valid."
        )
        return Instance(call, (edit,), reason)
    is_key = bool(_KEY.search(about)) and "-hexdigest" not in about
    is_long = is_key or _KEYS.search(words_in(text_of(function or statement)))
    if is_long or _FIXED.search(words_in(_without(statement, called, algorithm), name)):
        return Instance(call, (), "")
    if algorithm is not None:
        quote = text_of(algorithm)[-1]
        edit = replaced(code, algorithm, f"{quote}sha256{quote}")
    elif called.type == "attribute":
        edit = replaced(code, called, f"{text_of(field(called, 'object'))}.sha256")
    else:
        return Instance(call, (), "")
    old = "SHA-1" if "sha1" in text_of(call).lower().replace("-", "") else "MD5"
    reason = f"Two inputs with one {old} digest can be made; for SHA-256 nobody knows how."
    return Instance(call, (edit,), reason)


def _without(statement: Node, called: Node, algorithm: Node | None) -> str:
    """Return what a statement says beside the name of the digest that it calls."""
    text = text_of(statement).replace(text_of(called), "", 1)
    return text.replace(text_of(algorithm), "", 1) if algorithm is not None else text


def _guessable(code: Code) -> Iterator[Instance]:
    """Yield draws from `random` whose value is called a token, a code, a password or the like."""
    names = Names(code)
    if _REPEATED.search(code.text):
        return
    for call in calls(code):
        called = field(call, "function")
        module, _, name = names.of(called).rpartition(".")
        if called is None or module != "random" or name not in _DRAWS or not _is_secret(call):
            continue
        added = names.adding("secrets")
        if added is None or has_splat(call):
            yield Instance(call, (), "")
            continue
        new = {"choice": "secrets.choice", "getrandbits": "secrets.randbits"}.get(
            name, f"secrets.SystemRandom().{name}"
        )
        if name == "randrange" and len(items(field(call, "arguments") or call)) == 1:
            new = "secrets.randbelow"
        reason = (
            f"{inline(new)} draws from the operating system's generator; what `random` gives next "
            f"can be computed from what it gave before.{names.asks_for('secrets')}"
        )
        yield Instance(call, (replaced(code, called, new), *added), reason)


def _is_secret(call: Node) -> bool:
    """Return whether what the value becomes, or the function that makes it, is called a secret."""
    function = around(call, "function_definition")
    user = around(call, "call")
    if user is not None and method_of(user) in _WAITS:
        return False
    assigned = around(call, "assignment", "keyword_argument", "pair")
    target = None
    if assigned is not None:
        target = next((n for p in ("left", "name", "key") if (n := field(assigned, p))), None)
    called = text_of(field(function, "name")) if function is not None else ""
    return bool(SECRET_WORDS.search(words_in(text_of(target), called)))


def _timing(code: Code) -> Iterator[Instance]:
    """Yield digests that are compared by `==` and `!=`."""
    names = Names(code)
    added = names.adding("hmac")
    for node in within(code.root, "comparison_operator"):
        sides = [each for each in node.children if each.is_named]
        operator = text_of(field(node, "operators"))
        if len(sides) != 2 or operator not in {"==", "!="} or added is None:  # noqa: PLR2004
            continue
        made = [side for side in sides if _is_keyed(side, names, code)]
        if not made or any(side.type in {"string", "none", "integer"} for side in sides):
            continue
        new = f"hmac.compare_digest({', '.join(map(text_of, sides))})"
        missing = [side for side in sides if side not in made and _may_miss(code, side)]
        if missing and missing[0].type != "identifier":
            # The value would have to be asked for twice.
            yield Instance(node, (), "")
            continue
        if operator == "!=":
            new = f"not {new}"
        if missing:
            name, is_ = text_of(missing[0]), ("is", "or") if operator == "!=" else ("is not", "and")
            new = f"({name} {is_[0]} None {is_[1]} {new})"
        if operator == "!=" and node.parent is not None and node.parent.type == "not_operator":
            continue
        reason = (
            "`hmac.compare_digest` takes equally long wherever the two differ, so that a "
            f"signature cannot be guessed byte by byte.{names.asks_for('hmac')}"
        )
        yield Instance(node, (replaced(code, node, new), *added), reason)


def _may_miss(code: Code, side: Node) -> bool:
    """Return whether a value may be None, which `==` takes and `compare_digest` does not."""
    made = bindings(code, side).only(text_of(side)) if side.type == "identifier" else side
    if made is not None and made.type == "call":
        return method_of(made) == "get" and len(positional(made)) == 1
    function = around(side, "function_definition")
    listed = field(function, "parameters") if function is not None else None
    return any(
        re.search(rf"\b{re.escape(text_of(side))}\b.*(None|Optional)", text_of(each))
        for each in (items(listed) if listed is not None else ())
    )


def _is_keyed(side: Node, names: Names, code: Code) -> bool:
    """Return whether an expression is an HMAC, made here or assigned once in the same function."""
    if side.type == "identifier":
        made = bindings(code, side).only(text_of(side))
        return made is not None and made.type == "call" and _is_mac(made, names)
    return side.type == "call" and _is_mac(side, names)


def _is_mac(call: Node, names: Names) -> bool:
    if method_of(call) not in _DIGESTS:
        return False
    made = [names.of(field(each, "function")) for each in within(call, "call")]
    return "hmac.new" in made or "hmac.HMAC" in made


_NO_FILE = re.compile(
    r"\b(mkdir|makedirs|mkfifo|mknod|bind|symlink|link|copytree|rename|replace|listen)\(|Popen|\.sock"
)
"""What needs a name that nothing has yet."""


def _temporary_names(code: Code) -> Iterator[Instance]:
    """Yield `x = tempfile.mktemp(…)`, a name that another process can take first."""
    names = Names(code)
    for call in calls(code):
        called, parent = field(call, "function"), call.parent
        if called is None or names.of(called) != "tempfile.mktemp":
            continue
        edits = _made_file(code, called, parent) if called.type == "attribute" else ()
        added = names.adding("os")
        reason = (
            "`mkstemp` creates the file as it names it, readable by its owner alone; after "
            f"`mktemp` another process can take the name first.{names.asks_for('os')}"
        )
        yield Instance(call, (*edits, *added) if edits and added is not None else (), reason)


def _made_file(code: Code, called: Node, parent: Node | None) -> tuple[TextEdit, ...]:
    statement = parent.parent if parent is not None else None
    target = field(parent, "left") if parent is not None and parent.type == "assignment" else None
    if statement is None or target is None or target.type != "identifier":
        return ()
    if statement.type != "expression_statement" or field(parent or called, "type") is not None:
        return ()
    function = around(statement, "function_definition")
    is_taken = re.search(r"\bdescriptor\b", code.text) or _NO_FILE.search(
        text_of(function or code.root)
    )
    if is_taken or not begins_line(code, statement):
        return ()
    indent = indent_of(code, statement)
    return (
        between(code, target.start_byte, target.start_byte, "descriptor, "),
        replaced(code, called, f"{text_of(field(called, 'object'))}.mkstemp"),
        between(code, statement.end_byte, statement.end_byte, f"\n{indent}os.close(descriptor)"),
    )


PATTERNS = (
    pattern(
        "python-hashes",
        r"b303|b324|.*(md5|sha-?1(?!\d)|hash|broken-crypto|weak-crypto|sensitive-data-hashing)",
        (327, 328),
        PYTHON,
        _hashes,
    ),
    pattern("python-random", r"b311|.*random", (330, 331, 338), PYTHON, _guessable),
    pattern("python-timing", r".*(timing|constant-time)", (208, 203, 385), PYTHON, _timing),
    pattern(
        "python-mktemp",
        r"b306|.*(mktemp|tempfile|temp(orary)?-file)",
        (377, 379),
        PYTHON,
        _temporary_names,
    ),
)
