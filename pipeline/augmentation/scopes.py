"""Which names in a piece of code are variables of one function and nothing else, by tree-sitter.

Only such a name can be renamed without a change of meaning: each place where it stands as a word is
an identifier in the scope of a declaration that is shown, and none is a member, a call, a label, an
argument's name or text. Parameters count where no caller can name them.
"""

import re
from collections.abc import Iterator

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.surroundings import surroundings_of

_ECMASCRIPT_FUNCTIONS = (
    *("function_declaration", "function_expression", "arrow_function", "method_definition"),
    *("generator_function_declaration", "generator_function"),
)
_ECMASCRIPT_SCOPES = ("statement_block", "for_statement", "for_in_statement", "catch_clause")
_ECMASCRIPT_DECLARES = (
    *(("variable_declarator", "name"), ("for_in_statement", "left"), ("catch_clause", "parameter")),
    *(("formal_parameters", ""), ("arrow_function", "parameter")),
    *(("required_parameter", "pattern"), ("optional_parameter", "pattern")),
)


class _Language(msgspec.Struct, frozen=True, kw_only=True):
    functions: frozenset[str]
    scopes: frozenset[str] = frozenset()
    """Nodes, beside functions, that a variable does not outlive; none where it lives as long."""
    declares: frozenset[tuple[str, str]]
    """Parent and field of an identifier that is declared there."""
    lists: frozenset[tuple[str, str, str]] = frozenset()
    """The same for one in a list: the list, what it stands in, and its field there."""
    wrappers: frozenset[str] = frozenset()
    """What may stand between a declared identifier and its declaration."""
    reflects: re.Pattern[str] | None = None
    """Code that looks variables up by name."""


_ECMASCRIPT = _Language(
    functions=frozenset(_ECMASCRIPT_FUNCTIONS),
    scopes=frozenset(_ECMASCRIPT_SCOPES),
    declares=frozenset(_ECMASCRIPT_DECLARES),
    reflects=re.compile(r"\beval\s*\(|\bwith\s*\("),
)
_LANGUAGES = {
    "c": _Language(
        functions=frozenset(("function_definition",)),
        scopes=frozenset(("compound_statement", "for_statement")),
        declares=frozenset(
            (("declaration", "declarator"), ("parameter_declaration", "declarator"))
        ),
        wrappers=frozenset(("init_declarator", "pointer_declarator", "array_declarator")),
        reflects=re.compile(r"(?m)^\s*#"),
    ),
    "go": _Language(
        functions=frozenset(("function_declaration", "method_declaration", "func_literal")),
        scopes=frozenset(
            (
                *("block", "if_statement", "for_statement", "expression_switch_statement"),
                *("type_switch_statement", "expression_case", "communication_case", "default_case"),
            )
        ),
        declares=frozenset((("parameter_declaration", "name"), ("var_spec", "name"))),
        lists=frozenset(
            (
                ("expression_list", "short_var_declaration", "left"),
                ("expression_list", "range_clause", "left"),
            )
        ),
    ),
    "java": _Language(
        functions=frozenset(("method_declaration", "constructor_declaration", "lambda_expression")),
        scopes=frozenset(
            (
                *("block", "for_statement", "enhanced_for_statement", "catch_clause"),
                *("try_with_resources_statement", "switch_block"),
            )
        ),
        declares=frozenset(
            (
                *(("variable_declarator", "name"), ("formal_parameter", "name")),
                *(("enhanced_for_statement", "name"), ("resource", "name")),
                ("catch_formal_parameter", "name"),
            )
        ),
    ),
    "javascript": _ECMASCRIPT,
    "kotlin": _Language(
        functions=frozenset(("function_declaration", "lambda_literal", "anonymous_function")),
        scopes=frozenset(("block", "for_statement", "when_expression")),
        declares=frozenset((("variable_declaration", ""),)),
    ),
    "python": _Language(
        functions=frozenset(("function_definition",)),
        declares=frozenset(
            (
                *(("assignment", "left"), ("for_statement", "left")),
                *(("named_expression", "name"), ("as_pattern_target", "")),
            )
        ),
        lists=frozenset(
            (("pattern_list", "assignment", "left"), ("pattern_list", "for_statement", "left"))
        ),
        reflects=re.compile(r"\b(?:eval|exec|locals|globals|vars)\s*\(|\{\w+\s*=\s*[}:!]"),
    ),
    "typescript": _ECMASCRIPT,
}

_CLASSES = frozenset(
    (
        *("class_body", "class_definition", "class_declaration", "object_declaration", "class"),
        *("interface_body", "enum_body", "companion_object", "object_literal"),
    )
)
_OTHER_FIELDS = frozenset(("attribute", "field", "function", "key", "label", "property", "name"))
"""What stands in such a field is no variable, but where the language declares one there."""
_OTHER_PARENTS = frozenset(
    (
        *("aliased_import", "annotation", "break_statement", "class_parameter", "parameter"),
        *("continue_statement", "decorator", "default_parameter", "dictionary_splat_pattern"),
        *("dotted_name", "enum_constant", "enum_entry", "enumerator", "export_specifier"),
        *("function_declarator", "global_statement", "import", "import_clause", "label"),
        *("import_specifier", "inferred_parameters", "labeled_statement", "lambda_parameters"),
        *("list_splat_pattern", "marker_annotation", "method_reference", "namespace_import"),
        *("nested_identifier", "nonlocal_statement", "package_header", "parameters"),
        *("qualified_identifier", "rest_pattern", "scoped_identifier", "type", "typed_parameter"),
        *("typed_default_parameter", "user_type"),
    )
)
_SINGLE = re.compile(r"[a-z_][A-Za-z0-9_]{2,}")
"""Shorter names and constants are conventions."""
_SPARED = frozenset(
    (
        *("self", "cls", "this", "err", "ctx", "args", "kwargs", "argv", "argc"),
        *("req", "res", "next", "evt"),
    )
)
_PARAMETERS = frozenset(
    ("formal_parameter", "formal_parameters", "required_parameter", "optional_parameter")
)
_ANNOTATIONS = frozenset(("annotation", "marker_annotation"))
_INNER = frozenset(("navigation_expression", "infix_expression", "call_expression"))
"""Kotlin's, which have no fields: what is called or comes behind the first is no variable."""


def renamable(grammar: str, code: str) -> dict[str, list[int]]:
    """Return the names that can be renamed, each with the byte offsets where it stands.

    None of them where the language is not known well enough or the code is not grammatical.
    """
    language = _LANGUAGES.get(grammar)
    if language is None or (language.reflects and language.reflects.search(code)):
        return {}
    room = surroundings_of(grammar, code)
    if room is None:
        return {}
    shift = len(room[0].encode())
    found: dict[str, list[Node]] = {}
    for node in grammars.nodes(grammars.parse(grammar, code.join(room))):
        if node.type == "identifier" and node.text:
            found.setdefault(node.text.decode("utf-8", "replace"), []).append(node)
    return {
        name: [node.start_byte - shift for node in places]
        for name, places in found.items()
        if _SINGLE.fullmatch(name)
        and name not in _SPARED
        and len(places) == len(re.findall(rf"(?<!\w){name}(?!\w)", code))
        and _is_local(places, language)
    }


def _is_local(places: list[Node], language: _Language) -> bool:
    """Return whether all places are in the scope of a declaration of one and the same function."""
    scopes: list[tuple[int, Node]] = []
    for node in places:
        declared = _declaration(node, language)
        if declared is None:
            if _is_other(node):
                return False
        elif (scope := _scope(node, declared, language)) is None:
            return False
        else:
            scopes.append((node.start_byte, scope))
    functions = {_function(scope, language) for _, scope in scopes}
    if len(functions) != 1 or None in functions:
        return False
    return all(
        any(
            start <= node.start_byte and scope.start_byte <= node.start_byte < scope.end_byte
            for start, scope in scopes
        )
        for node in places
    )


def _declaration(node: Node, language: _Language) -> Node | None:
    """Return the node that declares the identifier, None where it is not declared here."""
    inner, parent = node, node.parent
    while parent is not None and parent.type in language.wrappers:
        if parent.child_by_field_name("declarator") != inner:
            return None
        inner, parent = parent, parent.parent
    if parent is None:
        return None
    if (parent.type, _field(parent, inner)) in language.declares:
        return parent
    above = parent.parent
    if above is not None and (parent.type, above.type, _field(above, parent)) in language.lists:
        return above
    return None


def _scope(node: Node, declared: Node, language: _Language) -> Node | None:
    """Return the node that a declared variable lives in; None where it is no local variable.

    A parameter whose name a framework may read, as an annotation says, is none.
    """
    is_parameter = declared.type in _PARAMETERS
    if is_parameter and any(
        n.type in {*_ANNOTATIONS, "decorator"} for n in grammars.nodes(declared)
    ):
        return None
    if any(child.type == "accessibility_modifier" for child in declared.children):
        return None
    for parent in _above(node):
        if parent.type in _CLASSES:
            return None
        if parent.type in language.functions:
            return None if is_parameter and _is_annotated(parent) else parent
        if parent.type in language.scopes:
            return parent
    return None


def _is_annotated(function: Node) -> bool:
    """Return whether a function has an annotation beside `Override`."""
    return any(
        found.type in _ANNOTATIONS and (found.text or b"") != b"@Override"
        for child in function.children
        if child.type == "modifiers"
        for found in child.children
    )


def _function(scope: Node, language: _Language) -> Node | None:
    """Return the outermost function around a scope, within the class that it stands in."""
    found = scope if scope.type in language.functions else None
    for parent in _above(scope):
        if parent.type in _CLASSES:
            break
        if parent.type in language.functions:
            found = parent
    return found


def _is_other(node: Node) -> bool:
    """Return whether an identifier that is not declared here is something else than a variable."""
    parent = node.parent
    if parent is None or parent.type in _OTHER_PARENTS:
        return True
    field = _field(parent, node)
    if field in _OTHER_FIELDS:
        return True
    place = parent.children.index(node)
    if parent.type == "value_argument":
        return any(child.type == "=" for child in parent.children[place:])
    if parent.type in _INNER and not field:
        return parent.type == "call_expression" or place > 0
    above = parent.parent if parent.type == "literal_element" else None
    return above is not None and _field(above, parent) == "key"


def _field(parent: Node, child: Node) -> str:
    place = parent.children.index(child)
    return parent.field_name_for_child(place) or ""


def _above(node: Node) -> Iterator[Node]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent
