"""Java and Kotlin: files whose names come from elsewhere, kept inside the folder they belong to."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    call_of,
    calls_of,
    declaration_around,
    declared,
    function_of,
    letters_of,
    named,
    parts_of,
    room_of,
    says,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import after, before, statement_of, step_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import begins_line, replaced
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import child, text_of

_CHECKED = re.compile(
    r"(?i)canonical(?:File|Path)|toRealPath|normalize\(|\.startsWith\(|getFileName\(\)"
    r"|FilenameUtils\.getName|\.\.[\"'/\\]"
)
_HARMLESS = re.compile(r"(?i)uuid|\.toString\(\)\s*$|\.sha\w*|hash|timestamp|^\d+$")
_NAME_ONLY = re.compile(r"(?i)(?:^|[^y\w])file(?:\([^()]*\))?\.(?:name|getName\(\))$")
_ENTRY = re.compile(r"(?i)(?:entry|header|\bze)\.(?:name|getName\(\))$")
_PLAIN = re.compile(r"[\w.()\"/!?\[\]' -]+")
_CHECKED_EXCEPTIONS = re.compile(r"\b(?:IOException|Exception|Throwable)\b")


def _places(code: Code) -> Iterator[Instance]:
    yield from _files(code)
    yield from _paths(code)


def _files(code: Code) -> Iterator[Instance]:
    """`File(folder, name)` that is opened without a look at where it leads."""
    named: set[int] = set()
    for call in calls_of(code, "File"):
        if call.receiver is not None or len(call.arguments) != 2:  # noqa: PLR2004
            continue
        folder, name = (argument.value for argument in call.arguments)
        if not _comes_from_elsewhere(name) or says(room_of(code, call.node), _CHECKED):
            continue
        if not _PLAIN.fullmatch(text_of(folder)):
            continue
        block = statement_of(call.node)
        room = block.parent.start_byte if block is not None and block.parent is not None else 0
        # Two files of one block would get one name.
        is_second = room in named and declaration_around(call.node) is None
        named.add(room)
        edits = () if is_second else _file_edits(code, call, folder)
        yield Instance(call.node, edits, _reason(folder, name))


def _paths(code: Code) -> Iterator[Instance]:
    """`folder.resolve(name)` and `Paths.get(folder, name)`."""
    for call in calls_of(code, "resolve", "get", "of"):
        made = _joined(call)
        if made is None or says(room_of(code, call.node), _CHECKED):
            continue
        folder, name = made
        if call.name == "resolve" and not _is_path(code, folder):
            continue
        if not _comes_from_elsewhere(name) or not _PLAIN.fullmatch(text_of(folder)):
            continue
        further = call_of(call.node.parent) or call_of(_up(call.node))
        is_last = further is None or further.name != "resolve" or further.receiver != call.node
        edits = _path_edits(code, call, folder) if is_last else ()
        yield Instance(call.node, edits, _reason(folder, name))


def _up(node: Node) -> Node | None:
    return node.parent.parent if node.parent is not None else None


def _is_path(code: Code, folder: Node) -> bool:
    """Whether a file's folder is a `Path`, as far as the file says: addresses resolve as well."""
    name = re.escape(text_of(folder).removeprefix("this."))
    kinds = r"(?:URI|URL|HttpUrl|Uri|ClassLoader)"
    is_other = re.search(rf"\b{kinds}\??\s+{name}\b|\b{name}\s*:\s*{kinds}\b", code.text)
    is_seen = re.search(r"\bjava\.nio\.file\b|\bPaths?\b", code.text)
    return is_other is None and (is_seen is not None or not code.whole)


def _joined(call: Call) -> tuple[Node, Node] | None:
    """Return the folder and the name that a path is made of."""
    if call.name == "resolve" and call.receiver is not None and len(call.arguments) == 1:
        is_path = re.search(r"(?i)(?:path|dir|directory|folder|root|base|upload\w*)$", call.on)
        return (call.receiver, call.arguments[0].value) if is_path else None
    is_made = f"{call.on}.{call.name}" in {"Paths.get", "Path.of"}
    if is_made and len(call.arguments) == 2:  # noqa: PLR2004
        return call.arguments[0].value, call.arguments[1].value
    return None


def _reason(folder: Node, name: Node) -> str:
    return (
        f"The file has to lie inside {inline(text_of(folder), 60)}, so a name such as `../../x` in "
        f"{inline(text_of(name), 60)} is refused before anything is read or written."
    )


def _comes_from_elsewhere(name: Node) -> bool:
    """Whether a file's name is no constant, no made-up name and no name without a folder."""
    text = text_of(name)
    parts = parts_of(name)
    if letters_of(name) is not None or re.fullmatch(r"[A-Z][A-Z0-9_]*", text):
        return False
    if parts is not None:
        values = [part.text for part in parts if not part.is_letters]
        return len(values) == 1 and _is_foreign(values[0])
    return _PLAIN.fullmatch(text) is not None and _is_foreign(text)


def _is_foreign(text: str) -> bool:
    if _ENTRY.search(text):
        return True
    return not _HARMLESS.search(text) and not _NAME_ONLY.search(text)


def _file_edits(code: Code, call: Call, folder: Node) -> tuple[TextEdit, ...]:
    declaration = declaration_around(call.node)
    found = declared(code, declaration) if declaration is not None else None
    if declaration is not None and found is not None and statement_of(call.node) == declaration:
        if declaration.type == "resource" or not begins_line(code, declaration):
            return ()
        return (after(code, declaration, _file_check(code, call, found[0], folder)),)
    statement = statement_of(call.node)
    if statement is None or not begins_line(code, statement):
        return ()
    name = "file"
    if name in named(room_of(code, call.node)):
        return ()
    made = text_of(call.node)
    first = f"val {name} = {made}" if code.grammar == "kotlin" else f"File {name} = {made};"
    lines = [first, *_file_check(code, call, name, folder)]
    return (before(code, statement, lines), replaced(code, call.node, name))


def _file_check(code: Code, call: Call, name: str, folder: Node) -> list[str]:
    base = text_of(folder)
    if code.grammar == "kotlin":
        return [
            f'require({name}.canonicalFile.startsWith(File({base}, "").canonicalFile)) {{',
            f'{step_of(code)}"File outside of its folder"',
            "}",
        ]
    function = function_of(call.node)
    throws = child(function, "throws") if function is not None else None
    if _CHECKED_EXCEPTIONS.search(text_of(throws)):
        whole, root = (
            f"{name}.getCanonicalFile().toPath()",
            (f'new File({base}, "").getCanonicalFile().toPath()'),
        )
    else:
        whole, root = (
            f"{name}.toPath().toAbsolutePath().normalize()",
            (f'new File({base}, "").toPath().toAbsolutePath().normalize()'),
        )
    return [
        f"if (!{whole}.startsWith({root})) {{",
        f'{step_of(code)}throw new SecurityException("File outside of its folder");',
        "}",
    ]


def _path_edits(code: Code, call: Call, folder: Node) -> tuple[TextEdit, ...]:
    declaration = declaration_around(call.node)
    found = declared(code, declaration) if declaration is not None else None
    statement = statement_of(call.node)
    if statement is None or not begins_line(code, statement) or statement.type == "resource":
        return ()
    base = (
        text_of(folder) if call.name == "resolve" else f"{call.on}.{call.name}({text_of(folder)})"
    )
    whole = f"{text_of(call.node)}.normalize()"
    if declaration is not None and found is not None:
        check = _path_check(code, found[0], base)
        return (replaced(code, call.node, whole), after(code, declaration, check))
    name = "path"
    if name in named(room_of(code, call.node)):
        return ()
    first = f"val {name} = {whole}" if code.grammar == "kotlin" else f"Path {name} = {whole};"
    lines = [first, *_path_check(code, name, base)]
    return (before(code, statement, lines), replaced(code, call.node, name))


def _path_check(code: Code, name: str, base: str) -> list[str]:
    if code.grammar == "kotlin":
        return [
            f"require({name}.startsWith({base}.normalize())) {{",
            f'{step_of(code)}"Path outside of its folder"',
            "}",
        ]
    return [
        f"if (!{name}.startsWith({base}.normalize())) {{",
        f'{step_of(code)}throw new SecurityException("Path outside of its folder");',
        "}",
    ]


_RULES = (
    r"path-?travers|directory-?travers|zip-?slip|file-?inclusion|path-?(inject|manip|join)"
    r"|tainted-(file|path)|.*(tainted-)?file-path|httpservlet-path|arbitrary-file|.*zip.*(slip|entry)"
)

PATTERNS = (pattern("jvm-path-inside", _RULES, (22, 23, 36, 73), JVM, _places),)
