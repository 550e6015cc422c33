"""What JavaScript and TypeScript modules take from one another and give."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.routes.syntax import child, field, text_of, within


def arguments(call: Node) -> list[Node]:
    """Return a call's arguments."""
    given = field(call, "arguments")
    return [e for e in given.named_children if e.type != "comment"] if given is not None else []


def literal_of(given: list[Node]) -> str:
    """Return the text of a first argument that is a plain string."""
    return text_of(given[0]).strip("'\"`") if given else ""


def exports_of(root: Node) -> Iterator[tuple[str, Node]]:
    """What a file exports: (name, value); `=` is `module.exports`, `default` the default."""
    for node in within(root, "export_statement", "assignment_expression"):
        if node.type == "assignment_expression":
            left, right = text_of(field(node, "left")), field(node, "right")
            if right is not None and left == "module.exports":
                yield "=", right
            elif right is not None and left.startswith(("exports.", "module.exports.")):
                yield left.rpartition(".")[2], right
        else:
            yield from _exported(node)


def _exported(node: Node) -> Iterator[tuple[str, Node]]:
    declared, value = field(node, "declaration"), field(node, "value")
    if child(node, "default") and (made := value or declared):
        yield "default", made
    elif declared is not None and declared.type == "lexical_declaration":
        for each in within(declared, "variable_declarator"):
            if each.parent == declared and (inner := field(each, "value")):
                yield text_of(field(each, "name")), inner
    elif declared is not None:
        yield text_of(field(declared, "name")), declared
    elif field(node, "source") is None:
        for each in within(node, "export_specifier"):
            if name := field(each, "name"):
                yield text_of(field(each, "alias") or name), name


def imports_of(root: Node) -> Iterator[tuple[str, str, str]]:
    """The names that a file takes from others: (name here, module, name there)."""
    for node in within(root, "import_statement", "export_statement", "variable_declarator"):
        if node.type == "variable_declarator":
            yield from _required(node)
            continue
        module = text_of(field(node, "source")).strip("'\"")
        prefix = "export " if node.type == "export_statement" else ""
        for each in within(node, "import_specifier", "export_specifier") if module else []:
            name = text_of(field(each, "name"))
            yield prefix + (text_of(field(each, "alias")) or name), module, name
        if prefix:
            if module and child(node, "*"):
                yield f"export * {module}", module, "*"
            continue
        clause = child(node, "import_clause")
        for each in clause.named_children if clause is not None else []:
            if each.type == "identifier":
                yield text_of(each), module, "default"
            elif each.type == "namespace_import":
                yield text_of(each.named_children[0]), module, "*"


def _required(node: Node) -> Iterator[tuple[str, str, str]]:
    """`const { a, b: c } = require("./x")`."""
    name, value = field(node, "name"), field(node, "value")
    if name is None or value is None or name.type != "object_pattern":
        return
    if text_of(field(value, "function")) != "require":
        return
    module = literal_of(arguments(value))
    for each in name.named_children:
        key = text_of(field(each, "key") or each)
        yield text_of(field(each, "value") or each), module, key
