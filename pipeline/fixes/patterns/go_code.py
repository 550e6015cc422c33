"""Go as patterns see it: imported packages, and composite literals by their fields."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import (
    appended,
    between,
    inserted,
    items,
    replaced,
    without_line,
)
from secdaemon.pipeline.routes.syntax import field, text_of, within

_MEMBERS = ("selector_expression", "qualified_type")


class Names:
    """The imported packages of a text."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self.specs = within(code.root, "import_spec")
        self._paths = {_local(spec): _path(spec) for spec in self.specs}
        self._taken: frozenset[str] | None = None

    def of(self, node: Node | None) -> str:
        """Return what a member of a package is, such as `crypto/md5.Sum`; "" for anything else.

        In a part of a file a package's name stands for its path, since no import is seen.
        """
        if node is None or node.type not in _MEMBERS:
            return ""
        package, member = _member(node)
        if package in self._paths:
            return f"{self._paths[package]}.{member}"
        is_name = package.isidentifier() and not self._code.whole
        return f"{package}.{member}" if is_name else ""

    def has(self, *paths: str) -> bool:
        """Return whether a package is imported whose path is one of these or lies below one."""
        return any(
            path == known or path.startswith(f"{known}/")
            for path in map(_path, self.specs)
            for known in paths
        )

    def spec(self, path: str) -> Node | None:
        """Return the import of a package."""
        return next((spec for spec in self.specs if _path(spec) == path), None)

    def adding(self, path: str) -> tuple[TextEdit, ...] | None:
        """Return the edit that imports a package under its own name; () where it is, or in a part.

        None where the name means something else in this file, or where there is no import yet.
        """
        local = path.rpartition("/")[2]
        if not self._code.whole or self._paths.get(local) == path:
            return ()
        if self._taken is None:
            self._taken = frozenset(map(text_of, within(self._code.root, "identifier")))
        if local in self._paths or local in self._taken or not self.specs:
            return None
        first = self.specs[0]
        group = first.parent
        if group is None or group.type != "import_spec_list":
            both = sorted((text_of(first), f'"{path}"'))
            return (replaced(self._code, first, f"(\n\t{both[0]}\n\t{both[1]}\n)"),)
        after = next((s for s in _together(items(group)) if _path(s) > path), None)
        if after is not None:
            return (inserted(self._code, after.start_byte, f'"{path}"\n\t'),)
        last = list(_together(items(group)))[-1]
        return (inserted(self._code, last.end_byte, f'\n\t"{path}"'),)

    def uses(self, path: str) -> list[Node]:
        """Return the members of a package that the text uses."""
        local = next((name for name, known in self._paths.items() if known == path), "")
        return [each for each in within(self._code.root, *_MEMBERS) if _member(each)[0] == local]


def string_value(node: Node | None) -> str | None:
    """Return the text of a literal without escapes; None for any other expression."""
    if node is None or node.type not in {"interpreted_string_literal", "raw_string_literal"}:
        return None
    text = text_of(node)
    return None if "\\" in text else text[1:-1]


def fields(literal: Node) -> dict[str, Node] | None:
    """Return a composite literal's values by field; None where they have no names."""
    body = field(literal, "body")
    found: dict[str, Node] = {}
    for each in items(body) if body is not None else ():
        key, value = field(each, "key"), field(each, "value")
        if each.type != "keyed_element" or key is None or value is None:
            return None
        found[text_of(key)] = value
    return found


def with_fields(code: Code, body: Node, added: dict[str, str]) -> tuple[TextEdit, ...]:
    """Return the edits that add fields to a composite literal, laid out as gofmt does."""
    known = items(body)
    rows = [each.start_point.row for each in known]
    lines = range(body.start_point.row + 1, body.start_point.row + 1 + len(known))
    if not known or rows != list(lines) or known[-1].end_point.row != rows[-1]:
        return (appended(code, body, [f"{name}: {value}" for name, value in added.items()]),)
    names = [(text_of(field(each, "key")), each) for each in known]
    width = max(map(len, (*(name for name, _ in names), *added)))
    fitted = (
        between(code, key.end_byte, value.start_byte, ":" + " " * (width - len(name) + 1))
        for name, each in names
        if (key := field(each, "key")) is not None and (value := field(each, "value")) is not None
    )
    moved = [edit for edit in fitted if code.text[edit.start : edit.end] != edit.text]
    new = [f"{name}:{' ' * (width - len(name) + 1)}{value}" for name, value in added.items()]
    return (*moved, appended(code, body, new))


def literals(code: Code, names: Names, *types: str) -> Iterator[Node]:
    """Yield the composite literals of some types, such as `net/http.Cookie`."""
    short = {each.rpartition("/")[2] for each in types}
    for node in within(code.root, "composite_literal"):
        origin = names.of(field(node, "type"))
        if origin in types or (not code.whole and origin in short):
            yield node


def tidied(before: Code, after: Code) -> tuple[TextEdit, ...]:
    """Return the edits to `after` that take out the imports that only `before` used.

    Go compiles no file with an import that is not used.
    """
    old, new = Names(before), Names(after)
    edits = []
    for spec in new.specs:
        path = _path(spec)
        if _local(spec) in {"_", "."} or new.uses(path) or not old.uses(path):
            continue
        gone = spec
        if spec.parent is not None and spec.parent.type == "import_declaration":
            gone = spec.parent
        edits.append(without_line(after, gone))
    return tuple(edits)


def reordered(code: Code, spec: Node, path: Node, new: str) -> tuple[TextEdit, ...]:
    """Return the edits that give an import another path, in the order that gofmt wants."""
    text = text_of(spec).replace(text_of(path), new)
    group = spec.parent
    if group is None or group.type != "import_spec_list":
        return (replaced(code, spec, text),)
    known = group.named_children
    runs = [list(_together(known[at:])) for at in range(len(known))]
    block = next(run for run in runs if spec in run)
    if any(each.type == "comment" for each in block):
        return (replaced(code, spec, text),)
    said = sorted(
        (text if each == spec else text_of(each) for each in block),
        key=lambda each: each[each.find('"') :],
    )
    return tuple(replaced(code, e, t) for e, t in zip(block, said, strict=True) if text_of(e) != t)


def _path(spec: Node) -> str:
    return text_of(field(spec, "path")).strip('"`')


def _local(spec: Node) -> str:
    name = field(spec, "name")
    if name is not None:
        return text_of(name)
    parts = _path(spec).split("/")
    is_version = len(parts) > 1 and parts[-1][:1] == "v" and parts[-1][1:].isdecimal()
    return parts[-2] if is_version else parts[-1]


def _member(node: Node) -> tuple[str, str]:
    if node.type == "qualified_type":
        return text_of(field(node, "package")), text_of(field(node, "name"))
    return text_of(field(node, "operand")), text_of(field(node, "field"))


def _together(specs: list[Node]) -> Iterator[Node]:
    """Yield the first specs that stand in lines without a gap."""
    last: Node | None = None
    for spec in specs:
        if last is not None and spec.start_point.row != last.end_point.row + 1:
            return
        yield spec
        last = spec
