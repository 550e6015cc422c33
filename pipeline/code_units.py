"""Which nodes of a language's syntax tree are units that code is shown by, and their names.

The node types are those of the grammars in `evaluation/grammars.py`.
"""

from collections.abc import Mapping

from tree_sitter import Node

_C = {"function_definition": "function", "struct_specifier": "type"}
_ECMASCRIPT = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "method_definition": "method",
    "class_declaration": "class",
    "class_static_block": "block",
    "field_definition": "field",
}
_TYPESCRIPT = _ECMASCRIPT | {
    "public_field_definition": "field",
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "type_alias_declaration": "type",
    "enum_declaration": "enum",
}
_MARKUP = {"element": "element", "script_element": "element", "style_element": "element"}
_JVM = {
    "class_declaration": "class",
    "interface_declaration": "interface",
    "enum_declaration": "enum",
    "method_declaration": "method",
    "constructor_declaration": "constructor",
    "field_declaration": "field",
}

KINDS: Mapping[str, Mapping[str, str]] = {
    "c": _C,
    "cpp": _C | {"class_specifier": "class"},
    "csharp": _JVM | {"property_declaration": "property", "struct_declaration": "type"},
    "css": {"rule_set": "rule"},
    "go": {
        "function_declaration": "function",
        "method_declaration": "method",
        "type_declaration": "type",
        "const_declaration": "declaration",
        "var_declaration": "declaration",
    },
    "groovy": _JVM | {"function_definition": "function", "function_declaration": "function"},
    "html": _MARKUP,
    "java": _JVM
    | {
        "compact_constructor_declaration": "constructor",
        "record_declaration": "class",
        "annotation_type_declaration": "interface",
        "static_initializer": "block",
    },
    "javascript": _ECMASCRIPT,
    "json": {"object": "object"},
    "kotlin": {
        "function_declaration": "function",
        "secondary_constructor": "constructor",
        "anonymous_initializer": "block",
        "class_declaration": "class",
        "object_declaration": "object",
        "companion_object": "object",
        "property_declaration": "property",
    },
    "objective-c": _C
    | {"method_definition": "method", "class_implementation": "class", "class_interface": "class"},
    "php": {
        "function_definition": "function",
        "method_declaration": "method",
        "class_declaration": "class",
        "trait_declaration": "class",
    },
    "python": {"function_definition": "function", "class_definition": "class"},
    "ruby": {"method": "method", "singleton_method": "method", "class": "class"},
    "rust": {"function_item": "function", "impl_item": "type", "struct_item": "type"},
    "scala": {
        "function_definition": "function",
        "class_definition": "class",
        "object_definition": "object",
        "trait_definition": "class",
    },
    "shell": {"function_definition": "function"},
    "swift": {
        "function_declaration": "function",
        "init_declaration": "constructor",
        "class_declaration": "class",
        "protocol_declaration": "interface",
    },
    "terraform": {"block": "block"},
    "toml": {"table": "table", "table_array_element": "table"},
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "xml": _MARKUP,
}

_WRAPPERS = frozenset(("decorated_definition", "export_statement", "template_declaration"))
"""A unit's parent that belongs to it whole."""
_LOCAL = frozenset(("property_declaration", "var_declaration", "const_declaration"))
"""Units as members and at the top of a file only; inside a function they are statements."""
_BODIES = ("source_file", "class_body", "enum_class_body")
_CODE_BLOCKS = {
    "groovy": ("method_invocation", ("closure",)),
    "kotlin": ("call_expression", ("annotated_lambda",)),
}
"""The calls of a build script that configure by a block behind them."""
_STATEMENTS = frozenset(("expression_statement", "lexical_declaration", "variable_declaration"))
_YAML_ROOMS = frozenset(
    (
        *("jobs", "stages", "services", "volumes", "networks", "secrets", "configs"),
        *("Resources", "Outputs", "paths", "webhooks", "components", "schemas", "responses"),
        *("securitySchemes", "parameters", "definitions"),
    )
)
"""Keys whose entries are each a thing of their own; OpenAPI, compose, workflows, CloudFormation."""
_METHODS = frozenset(("get", "put", "post", "delete", "options", "head", "patch", "trace"))
_TAGS = frozenset(("STag", "EmptyElemTag", "start_tag", "self_closing_tag"))
_NAMES = _TAGS | {"identifier", "type_identifier", "function_declarator"}
_NAMED_WITHIN = frozenset(
    (
        *("abstract_class_declaration", "class_declaration", "class_definition"),
        *("function_declaration", "function_definition", "method_invocation", "call_expression"),
        *("lexical_declaration", "variable_declaration", "variable_declarator"),
        *("const_spec", "var_spec", "type_spec", "navigation_expression"),
    )
)
"""What a unit without a name of its own is called after."""
_MAX_WITHIN = 6
_MAX_NAME = 80


def kind_of(grammar: str, node: Node, parents: list[Node], script: bool) -> str | None:
    """Return what kind of unit a node is, None where it is none.

    `parents` are the nodes around it, the outermost first; `script` says that the file is a build
    script, whose blocks are calls.
    """
    if grammar == "yaml":
        return _yaml_kind(node, parents)
    if script and (kind := _script_kind(grammar, node)):
        return kind
    if grammar in {"javascript", "typescript", "tsx"} and node.type in _STATEMENTS:
        return "statement" if parents and parents[-1].type in {"program", *_WRAPPERS} else None
    if node.type in _LOCAL and (not parents or parents[-1].type not in _BODIES):
        return None
    return KINDS.get(grammar, {}).get(node.type)


def unit_in(grammar: str, node: Node, parents: list[Node], script: bool) -> tuple[str, Node] | None:
    """Return the kind of unit that a node is, or is wrapped around, and the unit."""
    if node.type not in _WRAPPERS:
        kind = kind_of(grammar, node, parents, script)
        return (kind, node) if kind else None
    within = ((kind_of(grammar, c, [*parents, node], script), c) for c in node.named_children)
    return next(((kind, child) for kind, child in within if kind), None)


def whole(node: Node, parents: list[Node]) -> Node:
    """Return the node with its decorators, its `export`, or the key that it is the value of."""
    for parent in reversed(parents):
        is_keyed = node.type == "object" and parent.type == "pair"
        if parent.type not in _WRAPPERS and not is_keyed:
            break
        node = parent
    return node


def name_of(node: Node) -> str:
    """Return the unit's own name, "" where it has none."""
    within: Node | None = node
    for _ in range(_MAX_WITHIN):
        if within is None:
            break
        for field in ("name", "key"):
            if found := within.child_by_field_name(field):
                return _text(found)
        children = within.named_children[:4]
        if named := next((child for child in children if child.type in _NAMES), None):
            return _text(_innermost(named))
        inner = (child for child in children if child.type in _NAMED_WITHIN)
        within = next(inner, None) or within.child_by_field_name("declarator")
    return ""


def _innermost(node: Node) -> Node:
    """Return the identifier of a tag, a type or a C declarator."""
    for _ in range(_MAX_WITHIN):
        is_tag = node.type in _TAGS
        inner = node.named_child(0) if is_tag else node.child_by_field_name("declarator")
        if inner is None:
            break
        node = inner
    return node


def body_of(node: Node) -> Node | None:
    """Return the part of a unit behind its head, None where it is not told apart."""
    for parent in (node, *node.named_children):
        if body := parent.child_by_field_name("body"):
            return body
    found = (c for c in node.named_children if c.type.endswith("body") or c.type == "content")
    return next(found, None)


def _text(node: Node) -> str:
    words = (node.text or b"").decode("utf-8", "replace").split() or [""]
    return " ".join(words)[:_MAX_NAME].strip("\"'")


def _script_kind(grammar: str, node: Node) -> str | None:
    call, blocks = _CODE_BLOCKS.get(grammar, ("", ()))
    if node.type != call:
        return None
    return "block" if any(child.type in blocks for child in node.children) else None


def _yaml_kind(node: Node, parents: list[Node]) -> str | None:
    """Return the kind: a mapping in a list, an entry of a known room, a key of the document.

    So a step, a container, a job, a service, an operation of an API; not the `with`, `env` or
    `securityContext` inside, which says nothing alone.
    """
    if node.type == "block_sequence_item":
        inner = [child.type for block in node.named_children for child in block.named_children]
        return "item" if "block_mapping" in inner else None
    if node.type == "document":
        return "document"
    if node.type != "block_mapping_pair" or node.end_point.row == node.start_point.row:
        return None
    pairs = [parent for parent in parents if parent.type == "block_mapping_pair"]
    is_top = not any(p.type in {"block_mapping_pair", "block_sequence_item"} for p in parents)
    room = name_of(pairs[-1]) if pairs else ""
    if is_top or room in _YAML_ROOMS:
        return "key" if is_top else "entry"
    above = name_of(pairs[-2]) if len(pairs) > 1 else ""
    return "operation" if above == "paths" and name_of(node) in _METHODS else None
