"""Java and Kotlin: AES without a nonce, or with one that never changes, as AES-GCM.

Only where a file seals in one function and opens in one other, so that both change together: the
nonce that the provider makes goes in front of what is sealed, and is read from there.
"""

import re
from collections.abc import Iterator

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    calls_of,
    declaration_around,
    declared,
    function_of,
    inside,
    letters_of,
    name_of,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import asks_for, before, importing, statement_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import appended, begins_line, between, replaced
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import child, field, text_of

_WEAK = re.compile(r"AES|AES/ECB/(?:PKCS5Padding|PKCS7Padding)|AES/CBC/(?:PKCS5|PKCS7)Padding")
_ZEROS = re.compile(r"(?:new )?IvParameterSpec\((?:ByteArray\(16\)|new byte ?\[16\])\)")
_NONCE, _TAG = 12, 128
"""Bytes of the nonce that the JDK makes, bits of the tag (NIST SP 800-38D)."""
_MAX_CIPHERS = 20
_SPEC, _BUFFER = "javax.crypto.spec.GCMParameterSpec", "java.nio.ByteBuffer"


class _Side(msgspec.Struct, frozen=True):
    """A function that seals or opens: its cipher's making, start and end."""

    name: str
    made: Call
    init: Call
    done: Call
    function: Node


def _ciphers(code: Code) -> Iterator[Instance]:
    made = [c for c in calls_of(code, "getInstance") if c.on.rpartition(".")[2] == "Cipher"]
    if len(made) > _MAX_CIPHERS:
        return
    weak = [call for call in made if _WEAK.fullmatch(letters_of(call.given(0)) or "")]
    sides = [side for call in weak if (side := _side(code, call)) is not None]
    modes = [_mode(side.init) for side in sides]
    edits: tuple[TextEdit, ...] = ()
    if len(made) == len(sides) and sorted(modes) == ["DECRYPT_MODE", "ENCRYPT_MODE"]:
        sealing, opening = sorted(sides, key=lambda side: _mode(side.init), reverse=True)
        edits = _edits(code, sealing, opening)
    for call in weak:
        old = letters_of(call.given(0)) or ""
        if old.startswith("AES/CBC") and not any(side.made.node == call.node for side in sides):
            continue
        yield Instance(
            call.node,
            edits,
            f"AES-GCM with a new nonce for each message takes the place of {inline(old)}, under "
            "which equal texts look equal and a changed one is not noticed. What is stored already "
            f"has to be read the old way once and sealed anew.{asks_for(code, *_imports(code))}",
        )


def _imports(code: Code) -> tuple[str, ...]:
    return (_SPEC,) if code.grammar == "kotlin" else (_BUFFER, _SPEC)


def _mode(init: Call) -> str:
    return text_of(init.given(0)).rpartition(".")[2]


def _side(code: Code, made: Call) -> _Side | None:
    """Return the function around a cipher where nothing else is done with it."""
    declaration, function = declaration_around(made.node), function_of(made.node)
    found = declared(code, declaration) if declaration is not None else None
    if function is None or found is None:
        return None
    name = found[0]
    inits = _of(code, function, name, "init")
    ends = _of(code, function, name, "doFinal")
    named = [node for node in inside(function, "identifier") if text_of(node) == name]
    if len(inits) != 1 or len(ends) != 1 or len(named) != 3 or len(ends[0].arguments) != 1:  # noqa: PLR2004
        return None
    init = inits[0]
    has_zeros = len(init.arguments) == 3 and _ZEROS.fullmatch(text_of(init.given(2)))  # noqa: PLR2004
    is_cbc = "/CBC/" in (letters_of(made.given(0)) or "")
    is_plain = len(init.arguments) == 2 and not is_cbc  # noqa: PLR2004
    return _Side(name, made, init, ends[0], function) if has_zeros or is_plain else None


def _of(code: Code, function: Node, name: str, method: str) -> list[Call]:
    return [
        call
        for call in calls_of(code, method)
        if call.on == name and function_of(call.node) == function
    ]


def _edits(code: Code, sealing: _Side, opening: _Side) -> tuple[TextEdit, ...]:
    added = importing(code, *_imports(code))
    sealed, opened = _sealed(code, sealing), _opened(code, opening)
    if added is None or sealed is None or opened is None:
        return ()
    algorithms = [
        replaced(code, side.made.arguments[0].value, '"AES/GCM/NoPadding"')
        for side in (sealing, opening)
    ]
    return (*algorithms, *sealed, *opened, *added)


def _without_zeros(code: Code, init: Call) -> list[TextEdit]:
    if len(init.arguments) == 2:  # noqa: PLR2004
        return []
    end = init.arguments[1].value.end_byte
    return [between(code, end, init.arguments[2].value.end_byte, "")]


def _sealed(code: Code, side: _Side) -> list[TextEdit] | None:
    """Return the edits that put the nonce before what is sealed."""
    done = side.done.node
    edits = _without_zeros(code, side.init)
    if code.grammar == "kotlin":
        parent = done.parent
        is_called = parent is not None and parent.type == "navigation_expression"
        joined = f"{side.name}.iv + {text_of(done)}"
        return [*edits, replaced(code, done, f"({joined})" if is_called else joined)]
    statement = statement_of(done)
    if statement is None or not begins_line(code, statement) or _has(side, "sealed", "nonce"):
        return None
    lines = [f"byte[] nonce = {side.name}.getIV();", f"byte[] sealed = {text_of(done)};"]
    joined = "ByteBuffer.allocate(nonce.length + sealed.length).put(nonce).put(sealed).array()"
    return [*edits, before(code, statement, lines), replaced(code, done, joined)]


def _has(side: _Side, *names: str) -> bool:
    return any(text_of(node) in names for node in inside(side.function, "identifier"))


def _opened(code: Code, side: _Side) -> list[TextEdit] | None:
    """Return the edits that read the nonce from the front of what is sealed."""
    given = side.done.arguments[0].value
    statement = statement_of(side.init.node)
    if statement is None or side.init.listed is None or not begins_line(code, statement):
        return None
    edits = _without_zeros(code, side.init)
    name = name_of(given)
    if not name:
        name = "sealed"
        if _has(side, name) or not _is_early(side, given):
            return None
        first = f"val {name} = " if code.grammar == "kotlin" else f"byte[] {name} = "
        end = ";" if code.grammar == "java" else ""
        edits.append(before(code, statement, [f"{first}{text_of(given)}{end}"]))
    elif not _is_early(side, given):
        return None
    new = "" if code.grammar == "kotlin" else "new "
    size = "size" if code.grammar == "kotlin" else "length"
    spec = f"{new}GCMParameterSpec({_TAG}, {name}, 0, {_NONCE})"
    if len(side.init.arguments) == 2:  # noqa: PLR2004
        edits.append(appended(code, side.init.listed, [spec]))
    else:
        end_byte = side.init.arguments[1].value.end_byte
        edits = [e for e in edits if e.text] + [
            between(code, end_byte, side.init.arguments[2].value.end_byte, f", {spec}")
        ]
    edits.append(replaced(code, given, f"{name}, {_NONCE}, {name}.{size} - {_NONCE}"))
    return edits


def _is_early(side: _Side, given: Node) -> bool:
    """Whether all names in an expression mean something before the cipher is started."""
    late = {
        text_of(child(node, "identifier") or field(node, "name"))
        for node in inside(side.function, "variable_declaration", "variable_declarator")
        if node.start_byte > side.init.node.start_byte
    }
    names = {text_of(n) for n in (given, *inside(given, "identifier")) if n.type == "identifier"}
    return not late & names


PATTERNS = (
    pattern(
        "jvm-cipher-gcm",
        r".*(ecb|aes-?ecb|cbc-padding|static-iv|weak-iv|hardcoded-iv|constant-iv|zero-iv)|ecb-(cipher|mode)"
        r"|insecure-cipher|weak-cipher|cipher-(mode|ecb)|block-mode",
        (327, 329, 323, 1204),
        JVM,
        _ciphers,
    ),
)
