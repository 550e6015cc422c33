"""JavaScript and TypeScript as patterns see them: imported names, options and their values."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import arguments, inserted, items, quote_in
from secdaemon.pipeline.routes.syntax import child, field, text_of, within

_MAX_DOTS = 8
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
        tops = [n for n in self._code.root.children if n.type in _DECLARATIONS and _is_import(n)]
        is_module = any(node.type == "import_statement" for node in tops)
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
        directive = next(iter(self._code.root.children), None)
        if directive is not None and text_of(directive).strip("'\"; ") == "use strict":
            return (inserted(self._code, directive.end_byte, f"\n\n{line};"),)
        first = next((n for n in self._code.root.children if n.type != "hash_bang_line"), None)
        return (inserted(self._code, first.start_byte if first else 0, f"{line};\n\n"),)

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
    called = field(call, "function")
    if called is None:
        return ""
    return text_of(field(called, "property") if called.type == "member_expression" else called)


def owner_of(call: Node) -> str:
    """Return the text of what a method is called on."""
    called = field(call, "function")
    return text_of(field(called, "object")) if called is not None else ""


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
