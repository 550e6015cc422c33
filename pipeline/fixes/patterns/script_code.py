"""JavaScript and TypeScript as patterns see them: imported names, options and their values."""

import re
from collections.abc import Iterator
from itertools import pairwise

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import (
    arguments,
    around,
    inserted,
    items,
    quote_in,
    without,
    without_line,
)
from secdaemon.pipeline.routes.syntax import child, field, text_of, within

_MAX_DOTS = 8
_SPECIFIERS = ("import_specifier", "shorthand_property_identifier_pattern", "pair_pattern")
_REQUIRED = re.compile(r"""require\(\s*['"][^'"]*['"]\s*\)""")
_DECLARATIONS = ("import_statement", "lexical_declaration", "variable_declaration")


class Names:
    """The imported names of a text, by `import` and by a variable that `require` is assigned."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._origins: dict[str, str] = {}
        self._patterns: dict[str, Node] = {}
        """Module -> the braces that single names of it are imported in."""
        for node in within(code.root, "import_statement"):
            self._import(node)
        for node in within(code.root, "variable_declarator"):
            self._require(node)
        self.modules = frozenset(origin.partition("#")[0] for origin in self._origins.values())

    def of(self, node: Node | None) -> str:
        """Return what an expression stands for, such as `child_process.exec`.

        In a part of a file a name that is not imported stands for itself, since its import is not
        seen; a whole file's other names do so too, but for those of a module.
        """
        dotted = dotted_name(node)
        first, dot, rest = dotted.partition(".")
        origin = self._origins.get(first)
        return dotted if origin is None else origin.replace("#", ".") + dot + rest

    def has(self, *modules: str) -> bool:
        """Return whether one of the modules is imported."""
        return not self.modules.isdisjoint(modules)

    def is_bound(self, name: str) -> bool:
        """Return whether a name is imported."""
        return name in self._origins

    def adding(self, module: str, local: str) -> tuple[TextEdit, ...] | None:
        """Return the edit that imports a module of Node as `local`; () where it is there.

        () for a part of a file, too; None where the name means something else in this file.
        """
        if not self._code.whole or self._origins.get(local) == module:
            return ()
        taken = within(self._code.root, "variable_declarator", "required_parameter")
        if local in self._origins or any(_declares(node, local) for node in taken):
            return None
        children = self._code.root.children
        tops = [n for n in children if n.type in _DECLARATIONS and _is_import(n)]
        is_module = self._is_module(children, tops)
        quote = quote_in(self._code)
        source = f"{quote}{'node:' if 'node:' in _text(tops) else ''}{module}{quote}"
        end = ";" if not tops or text_of(tops[-1]).endswith(";") else ""
        line = (
            f"import * as {local} from {source}"
            if is_module
            else f"const {local} = require({source})"
        )
        if tops:
            return (inserted(self._code, tops[-1].end_byte, f"\n{line}{end}"),)
        return (self._at_head(children, f"{line};"),)

    def _is_module(self, children: list[Node], tops: list[Node]) -> bool:
        """Return whether the file is a module of ECMAScript, which has no `require`."""
        if self._code.grammar != "javascript" and not tops:
            return True
        return any(node.type in {"import_statement", "export_statement"} for node in children)

    def _at_head(self, children: list[Node], line: str) -> TextEdit:
        """Return the edit that puts a line below the directives and the head's own comment."""
        lead = None
        for node in children:
            if node.type == "expression_statement" and text_of(node)[:5] in {"'use ", '"use '}:
                lead = node
            elif node.type not in {"comment", "hash_bang_line"}:
                break
        if lead is not None:
            return inserted(self._code, lead.end_byte, f"\n\n{line}")
        shown = [node for node in children if node.type != "hash_bang_line"]
        for node, below in pairwise(shown):
            if node.type != "comment":
                break
            if below.start_point.row > node.end_point.row + 1:
                # A comment with an empty line below it is about the file.
                return inserted(self._code, below.start_byte, f"{line}\n\n")
        return inserted(self._code, shown[0].start_byte if shown else 0, f"{line}\n\n")

    def with_member(self, module: str, member: str) -> tuple[TextEdit, ...] | None:
        """Return the edit that adds a name to those imported from a module in braces; () if there.

        () for a part of a file, too; None where no braces import from that module.
        """
        known = f"{module}#{member}" in self._origins.values()
        if known or (not self._code.whole and module not in self._patterns):
            return ()
        braces = self._patterns.get(module)
        inside = items(braces) if braces is not None else []
        if not inside or member in self._origins:
            return None
        return (inserted(self._code, inside[-1].end_byte, f", {member}"),)

    def _import(self, node: Node) -> None:
        module = _module(field(node, "source"))
        clause = child(node, "import_clause")
        for each in items(clause) if clause is not None else ():
            if each.type == "identifier":
                self._origins[text_of(each)] = module
            elif each.type == "namespace_import":
                self._origins[text_of(child(each, "identifier"))] = module
            else:
                self._patterns[module] = each
                for one in within(each, "import_specifier"):
                    local = field(one, "alias") or field(one, "name")
                    self._origins[text_of(local)] = f"{module}#{text_of(field(one, 'name'))}"

    def _require(self, node: Node) -> None:
        name, value = field(node, "name"), field(node, "value")
        member = ""
        if value is not None and value.type == "member_expression":
            member = "#" + text_of(field(value, "property"))
            value = field(value, "object")
        if name is None or value is None or text_of(field(value, "function")) != "require":
            return
        module = _module(next(iter(arguments(value)), None))
        if name.type == "identifier":
            self._origins[text_of(name)] = module + member
        elif name.type == "object_pattern" and not member:
            self._patterns[module] = name
            for each in items(name):
                local = field(each, "value") or each
                self._origins[text_of(local)] = f"{module}#{text_of(field(each, 'key') or each)}"


def tidied(before: Code, after: Code) -> tuple[TextEdit, ...]:
    """Return the edit to `after` that takes out an import that only `before` used."""
    gone = _used(before) - _used(after)
    for node in after.root.children if gone else ():
        if _only_name(node) in gone:
            return (without_line(after, node),)
    for each in within(after.root, *_SPECIFIERS) if gone else ():
        name = text_of(field(each, "alias") or field(each, "value") or field(each, "name") or each)
        is_one = each.parent is not None and len(items(each.parent)) > 1
        if is_one and name in gone and _imports(each):
            return (without(after, each),)
    return ()


def _only_name(node: Node) -> str:
    """Return the name that a statement imports a module as, "" where it does more or less."""
    if node.type == "import_statement":
        names = within(node, "identifier")
        return text_of(names[0]) if len(names) == 1 and child(node, "import_clause") else ""
    held = items(node) if node.type in _DECLARATIONS else []
    name, value = (
        (field(held[0], "name"), field(held[0], "value")) if len(held) == 1 else (None,) * 2
    )
    is_plain = name is not None and name.type == "identifier"
    return text_of(name) if is_plain and re.fullmatch(_REQUIRED, text_of(value)) else ""


def _used(code: Code) -> frozenset[str]:
    """Return the names that stand anywhere but where they are imported."""
    kinds = ("identifier", "type_identifier", "shorthand_property_identifier")
    found = within(code.root, *kinds)
    return frozenset(
        text_of(node)
        for node in found
        if node.parent is None or not (_imports(node.parent) or _is_required(node))
    )


def _is_required(node: Node) -> bool:
    """Return whether a name is the one that a `require` is assigned to."""
    holder = node.parent
    if holder is None or holder.type != "variable_declarator" or field(holder, "name") != node:
        return False
    return re.fullmatch(_REQUIRED, text_of(field(holder, "value"))) is not None


def _imports(node: Node) -> bool:
    """Return whether a name in braces, or the braces, are of an import or a `require`."""
    if node.type == "import_specifier" or around(node, "import_statement") is not None:
        return True
    braces = node if node.type == "object_pattern" else around(node, "object_pattern")
    holder = braces.parent if braces is not None else None
    value = field(holder, "value") if holder is not None else None
    return value is not None and text_of(value).startswith("require(")


def dotted_name(node: Node | None) -> str:
    """Return `a.b.c` for names and members of names, "" for anything else."""
    parts: list[str] = []
    while node is not None and node.type == "member_expression" and len(parts) < _MAX_DOTS:
        parts.append(text_of(field(node, "property")))
        node = field(node, "object")
    if node is None or node.type not in {"identifier", "this"}:
        return ""
    return ".".join((text_of(node), *reversed(parts)))


def method_of(call: Node) -> str:
    """Return the last name of what is called."""
    called = called_by(call)
    if called is None:
        return ""
    return text_of(field(called, "property") if called.type == "member_expression" else called)


def owner_of(call: Node) -> str:
    """Return the text of what a method is called on."""
    called = called_by(call)
    return text_of(field(called, "object")) if called is not None else ""


def called_by(call: Node) -> Node | None:
    """Return what is called; the grammar takes `await f<T>()` for a call of `await f`."""
    called = field(call, "function")
    is_awaited = called is not None and called.type == "await_expression"
    return called.named_children[0] if called is not None and is_awaited else called


def pairs(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """Yield an object literal's own entries: name, entry, value."""
    for each in items(node):
        key, value = field(each, "key"), field(each, "value")
        if each.type == "pair" and key is not None and value is not None:
            yield text_of(key).strip("'\""), each, value


def value_in(node: Node, name: str) -> Node | None:
    """Return the value that an object literal has for a name."""
    return next((value for key, _, value in pairs(node) if key == name), None)


def has_spread(node: Node) -> bool:
    """Return whether an object literal or a list has entries that cannot be seen."""
    return any(each.type == "spread_element" for each in items(node))


def string_value(node: Node | None) -> str | None:
    """Return the text of a plain string; None for any other expression."""
    is_plain = node is not None and node.type in {"string", "template_string"}
    if node is None or not is_plain or any(c.type != "string_fragment" for c in items(node)):
        return None
    return text_of(node)[1:-1]


def _module(node: Node | None) -> str:
    return (string_value(node) or "").removeprefix("node:")


def _declares(node: Node, name: str) -> bool:
    target = field(node, "name") or field(node, "pattern")
    kinds = ("identifier", "shorthand_property_identifier_pattern")
    return target is not None and any(text_of(each) == name for each in within(target, *kinds))


def _is_import(node: Node) -> bool:
    return node.type == "import_statement" or "require(" in text_of(node)


def _text(nodes: list[Node]) -> str:
    return "".join(map(text_of, nodes))
