"""Python as patterns see it: what its imported names mean, calls and their arguments."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import (
    arguments,
    around,
    begins_line,
    indent_of,
    inserted,
    items,
    without,
    without_line,
)
from secdaemon.pipeline.routes.syntax import field, text_of, within

_IMPORTS = ("import_statement", "import_from_statement")
_FUTURE = "future_import_statement"
_MAX_DOTS = 8


class Names:
    """The imported names of a text, wherever in it the import stands."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self.nodes = within(code.root, *_IMPORTS)
        self._origins = dict(pair for node in self.nodes for pair in _imported(node))
        self.modules = frozenset(
            part for origin in self._origins.values() for part in (origin, origin.partition(".")[0])
        )
        """Everything that is imported and the packages that it is in, by dotted name."""
        self._added: dict[str, tuple[TextEdit, ...] | None] = {}

    def of(self, node: Node | None) -> str:
        """Return the dotted name that an expression stands for, such as `os.path.join`.

        In a part of a file a name is taken for the module of that name, since its import is not
        seen; in a whole file a member of what is not imported is "". Single names stand for
        themselves, as `open` does.
        """
        dotted = dotted_name(node)
        first, dot, rest = dotted.partition(".")
        if first in self._origins:
            return self._origins[first] + dot + rest
        return dotted if not self._code.whole or "." not in dotted else ""

    def of_local(self, name: str) -> str:
        """Return the dotted name that a single name is imported as, "" where it is not."""
        return self._origins.get(name, "")

    def has(self, *modules: str) -> bool:
        """Return whether one of the modules, or something in it, is imported."""
        return not self.modules.isdisjoint(modules)

    def adding(self, module: str) -> tuple[TextEdit, ...] | None:
        """Return the edit that imports a top-level module; () where it is there or a part is read.

        None where the name means something else in this file.
        """
        if module not in self._added:
            self._added[module] = self._adding(module)
        return self._added[module]

    def _adding(self, module: str) -> tuple[TextEdit, ...] | None:
        if not self._code.whole or self._is_above(module):
            return ()
        if self._origins.get(module, module) != module or any(
            _binds(node, module) for node in self._named(module)
        ):
            return None
        return (self._import(module),)

    def _is_above(self, module: str) -> bool:
        """Return whether a module is imported for the whole file, and not for types alone."""
        return any(
            (module, module) in _imported(node)
            and around(node, "function_definition", "class_definition") is None
            and not _is_for_types(node)
            for node in self.nodes
        )

    def adding_member(self, module: str, member: str) -> tuple[TextEdit, ...] | None:
        """Return the edit that adds a name to `from module import …`; () if there, or in a part.

        None where there is no such import, or where it cannot simply be made longer.
        """
        if not self._code.whole or self._origins.get(member) == f"{module}.{member}":
            return ()
        for node in self.nodes:
            named = node.children_by_field_name("name")
            if text_of(field(node, "module_name")) == module and named:
                is_tall = begins_line(self._code, named[-1])
                joint = f",\n{indent_of(self._code, named[-1])}" if is_tall else ", "
                return (inserted(self._code, named[-1].end_byte, joint + member),)
        return None

    def asks_for(self, module: str) -> str:
        """Return the words that tell what to import, "" where the import is made or there."""
        is_there = self._code.whole or self._origins.get(module) == module
        return "" if is_there else f" The module needs `import {module}`."

    def _named(self, name: str) -> list[Node]:
        return [node for node in within(self._code.root, "identifier") if text_of(node) == name]

    def _import(self, module: str) -> TextEdit:
        """Return the new import, in the order of the alphabet among the first plain imports."""
        top = [node for node in self._code.root.children if node.type in _IMPORTS]
        block = list(_together(top))
        after = next(
            (n for n in block if n.type != _IMPORTS[0] or text_of(n) > f"import {module}"), None
        )
        if after is not None:
            return inserted(self._code, after.start_byte, f"import {module}\n")
        if block:
            return inserted(self._code, block[-1].end_byte, f"\nimport {module}")
        head = items(self._code.root)[:1]
        lead = [n for n in self._code.root.children if n.type == _FUTURE]
        if not lead and head and _is_docstring(head[0]):
            lead = head
        if lead:
            return inserted(self._code, lead[-1].end_byte, f"\n\nimport {module}")
        first = next((n for n in self._code.root.children if n.type != "comment"), None)
        at = first.start_byte if first is not None else 0
        return inserted(self._code, at, f"import {module}\n\n")


def _is_for_types(node: Node) -> bool:
    branch = around(node, "if_statement")
    return branch is not None and "TYPE_CHECKING" in text_of(field(branch, "condition"))


def tidied(before: Code, after: Code) -> tuple[TextEdit, ...]:
    """Return the edits to `after` that take out the imported names that only `before` used."""
    gone = _used(before) - _used(after)
    edits = []
    for node in within(after.root, *_IMPORTS):
        names = [name for name, _ in _imported(node)]
        unused = [at for at, name in enumerate(names) if name in gone]
        if not unused or node.parent != after.root:
            continue
        if len(unused) == len(names):
            edits.append(without_line(after, node))
        elif len(unused) == 1:
            edits.append(without(after, node.children_by_field_name("name")[unused[0]]))
    return tuple(edits)


def _used(code: Code) -> frozenset[str]:
    """Return the names that stand anywhere but in an import."""
    found = within(code.root, "identifier", "string_content")
    spoken = (node for node in found if node.type == "identifier")
    quoted = (text_of(node) for node in found if node.type == "string_content")
    names = (
        text_of(node)
        for node in spoken
        if around(node, *_IMPORTS) is None and not _is_attribute(node)
    )
    return frozenset((*names, *quoted))


def _is_attribute(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "attribute" and parent.children[-1] == node


def dotted_name(node: Node | None) -> str:
    """Return `a.b.c` for names and attributes of names, "" for anything else."""
    parts: list[str] = []
    while node is not None and node.type == "attribute" and len(parts) < _MAX_DOTS:
        parts.append(text_of(field(node, "attribute")))
        node = field(node, "object")
    if node is None or node.type != "identifier":
        return ""
    return ".".join((text_of(node), *reversed(parts)))


def method_of(call: Node) -> str:
    """Return the last name of what is called."""
    called = field(call, "function")
    if called is None:
        return ""
    return text_of(field(called, "attribute") if called.type == "attribute" else called)


def positional(call: Node) -> list[Node]:
    """Return a call's arguments that have no name."""
    return [node for node in arguments(call) if node.type != "keyword_argument"]


def keyword(call: Node, name: str) -> Node | None:
    """Return a call's argument of a name, name and value together."""
    found = (node for node in arguments(call) if node.type == "keyword_argument")
    return next((node for node in found if text_of(field(node, "name")) == name), None)


def keyword_value(call: Node, name: str) -> Node | None:
    """Return the value of a call's argument of a name."""
    found = keyword(call, name)
    return field(found, "value") if found is not None else None


def has_splat(call: Node) -> bool:
    """Return whether arguments are given that cannot be seen."""
    return any(node.type in {"list_splat", "dictionary_splat"} for node in arguments(call))


def string_value(node: Node | None) -> str | None:
    """Return the text of a plain string without escapes; None for any other expression."""
    if node is None or node.type != "string" or "f" in _prefix(node):
        return None
    inside = [each for each in node.named_children if each.type == "string_content"]
    is_plain = all(not each.named_children for each in inside)
    return "".join(map(text_of, inside)) if is_plain else None


def _prefix(node: Node) -> str:
    return text_of(node.children[0]).rstrip("'\"").lower() if node.children else ""


def _imported(node: Node) -> Iterator[tuple[str, str]]:
    module = field(node, "module_name")
    start = f"{text_of(module)}." if module is not None else ""
    for name in node.children_by_field_name("name"):
        if name.type == "aliased_import":
            yield text_of(field(name, "alias")), start + text_of(field(name, "name"))
        elif module is not None:
            yield text_of(name), start + text_of(name)
        else:
            first = text_of(name).partition(".")[0]
            yield first, first


def _binds(node: Node, name: str) -> bool:
    """Return whether an identifier is a variable's name, and none of an attribute or argument."""
    parent = node.parent
    if parent is None or parent.type in {"dotted_name", "aliased_import"}:
        return False
    for part in ("attribute", "name") if parent.type in {"attribute", "keyword_argument"} else ():
        if field(parent, part) == node:
            return False
    return True


def _together(nodes: list[Node]) -> Iterator[Node]:
    """Return the first nodes that stand in lines without a gap."""
    last: Node | None = None
    for node in nodes:
        if last is not None and node.start_point.row != last.end_point.row + 1:
            return
        yield node
        last = node


def _is_docstring(node: Node) -> bool:
    return node.type == "expression_statement" and [c.type for c in node.children] == ["string"]
