"""Where a JavaScript or TypeScript expression's value comes from, across modules."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.routes.patterns import HOLE
from secdaemon.pipeline.routes.script_modules import (
    arguments,
    exports_of,
    imports_of,
    literal_of,
)
from secdaemon.pipeline.routes.syntax import (
    MAX_DEPTH,
    Code,
    Ref,
    Sources,
    above,
    field,
    text_of,
    within,
)
from secdaemon.pipeline.routes.values import Values

FUNCTIONS = ("arrow_function", "function_expression", "function_declaration", "method_definition")
ENDINGS = ("js", "mjs", "cjs", "jsx", "ts", "mts", "cts")
_BARE = {"as_expression", "non_null_expression", "satisfies_expression", "parenthesized_expression"}
_BARE |= {"await_expression"}
_MEMBERS = (
    "method_definition",
    "field_definition",
    "public_field_definition",
    "assignment_expression",
)
_CLASSES = ("class_declaration", "class")
_GIVING = {"resolve", "get"}
_JOINS = {"path.join", "path.posix.join", "posix.join", "join", "urljoin"}


class ScriptNames(Values):
    """Names of all scripts of a commit, resolved on demand."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._bound: dict[str, dict[tuple[int, str], list[Ref]]] = {}
        self._exports: dict[str, dict[str, Ref]] = {}
        self._imports: dict[str, dict[str, tuple[str, str]]] = {}
        self._paths = [p for p in sources.texts if p.rpartition(".")[2] in ENDINGS]
        self.assumed: dict[tuple[str, int, int], Ref] = {}
        """What a loop's variable is in the round at hand."""

    def _origins(self, ref: Ref, depth: int) -> list[Ref]:
        node = ref.node
        if ref.key in self.assumed:
            return self.origins(self.assumed[ref.key], depth + 1)
        if node.type in _BARE and node.named_child_count:
            return self.origins(ref.at(node.named_children[0]), depth + 1)
        if node.type in {"identifier", "shorthand_property_identifier"} and not _binds(node):
            return self._flat(self._lookup(ref, text_of(node), depth), depth)
        if node.type == "assignment_expression" and (right := field(node, "right")):
            return self.origins(ref.at(right), depth + 1)
        further = {"member_expression": self._member, "call_expression": self._call}
        return further[node.type](ref, depth) if node.type in further else [ref]

    def _string(self, ref: Ref, depth: int) -> str:
        node = ref.node
        if node.type in {"string", "template_string"}:
            return "".join(self._piece(ref.at(part), depth) for part in node.named_children)
        operator, right = text_of(field(node, "operator")), field(node, "right")
        left = field(node, "left")
        if node.type == "binary_expression" and left is not None and right is not None:
            if operator == "+":
                ends = (self.string(ref.at(side), depth + 1) for side in (left, right))
                return "".join(ends)
            if operator in {"||", "??"}:
                return self.string(ref.at(right), depth + 1)
        if node.type == "call_expression" and text_of(field(node, "function")) in _JOINS:
            return "/".join(self.string(ref.at(each), depth + 1) for each in arguments(node))
        return HOLE

    def _piece(self, ref: Ref, depth: int) -> str:
        if ref.node.type == "template_substitution" and ref.node.named_child_count:
            return self.string(ref.at(ref.node.named_children[0]), depth + 1)
        text = text_of(ref.node)
        return text[1:] if ref.node.type == "escape_sequence" else text

    def _lookup(self, ref: Ref, name: str, depth: int) -> list[Ref]:
        bound = self._bindings(ref.code)
        for scope in above(ref.node, *FUNCTIONS):
            if found := bound.get((scope.id, name)):
                return found
        if found := bound.get((ref.code.root.id, name)):
            return found
        path, exported = self._imported(ref.code).get(name, ("", ""))
        return self._export(path, exported, depth + 1) if path else []

    def _call(self, ref: Ref, depth: int) -> list[Ref]:
        function = field(ref.node, "function")
        if function is None:
            return [ref]
        if text_of(function) in {"require", "import"}:
            path = self._path(ref.code.path, literal_of(arguments(ref.node)))
            return self._flat(self._export(path, "=", depth), depth) if path else [ref]
        if text_of(field(function, "property")) in {"bind", "freeze"}:
            inner = field(function, "object")
            if text_of(inner) == "Object":
                return self._flat([ref.at(each) for each in arguments(ref.node)[:1]], depth)
            return self.origins(ref.at(inner), depth + 1) if inner else []
        made = []
        for found in self.origins(ref.at(function), depth + 1):
            made += [found.at(value) for value in _returned(found.node)]
        values = self._flat(made, depth)
        if values and all(each.node.type in FUNCTIONS for each in values):
            # A wrapper such as `catchAsync(fn)`: what is wrapped says more than what wraps it.
            given = arguments(ref.node)[-1:]
            wrapped = self._flat([ref.at(each) for each in given], depth)
            values = [each for each in wrapped if each.node.type in FUNCTIONS] or values
        return values or [ref]

    def _member(self, ref: Ref, depth: int) -> list[Ref]:
        owner, name = field(ref.node, "object"), text_of(field(ref.node, "property"))
        if owner is None:
            return []
        if owner.type == "this":
            cls = next(above(ref.node, "class_declaration", "class"), None)
            return self._flat(self.of_class(ref.at(cls), name), depth) if cls else []
        made: list[Ref] = []
        for found in self.origins(ref.at(owner), depth + 1):
            made += self._within(found, name, depth)
        return self._flat(made, depth)

    def _within(self, found: Ref, name: str, depth: int) -> list[Ref]:
        """Return what an object, enum, class, instance or module has under a name."""
        node = found.node
        if node.type == "program":
            return self._export(found.code.path, name, depth + 1)
        if node.type == "object":
            return [found.at(value) for key, value in pairs_of(node) if key == name]
        if node.type == "enum_declaration":
            named = within(node, "enum_assignment")
            values = [
                field(each, "value") for each in named if text_of(field(each, "name")) == name
            ]
            return [found.at(value) for value in values if value]
        if node.type in {"class_declaration", "class"}:
            return self.of_class(found, name)
        if node.type == "new_expression" and (made := field(node, "constructor")):
            classes = self.origins(found.at(made), depth + 1)
            return [ref for cls in classes for ref in self.of_class(cls, name)]
        return self._injected(found, name, depth)

    def _injected(self, found: Ref, name: str, depth: int) -> list[Ref]:
        """Return a member of what an injector gives: `container.resolve(Users)` is a Users."""
        given = arguments(found.node)
        if len(given) != 1 or text_of(field(found.node, "function", "property")) not in _GIVING:
            return []
        classes = self.origins(found.at(given[0]), depth + 1)
        known = [cls for cls in classes if cls.node.type in _CLASSES]
        return [ref for cls in known for ref in self.of_class(cls, name)]

    def of_class(self, cls: Ref, name: str) -> list[Ref]:
        """Return a class's methods and fields of a name, set in its constructor too."""
        return self._bindings(cls.code).get((cls.node.id, name), [])

    def _export(self, path: str, name: str, depth: int) -> list[Ref]:
        """Return what a module exports; `=` is all of it, as `require` gives it."""
        exports, code = self._exported(path), self._sources.code(path)
        if name in exports:
            return [exports[name]]
        if name in {"=", "*"}:
            return [Ref(code, code.root)]
        if "=" in exports:
            if name == "default":
                return [exports["="]]
            owners = self.origins(exports["="], depth + 1)
            return [ref for owner in owners for ref in self._within(owner, name, depth + 1)]
        return self._passed_on(code, name, depth) if depth <= MAX_DEPTH else []

    def _passed_on(self, code: Code, name: str, depth: int) -> list[Ref]:
        """Return what `export { name } from` and `export * from` give under a name."""
        imported = self._imported(code)
        if f"export {name}" in imported:
            other, exported = imported[f"export {name}"]
            return self._export(other, exported, depth + 1)
        for known, (other, _) in imported.items():
            if known.startswith("export *") and (found := self._export(other, name, depth + 1)):
                return found
        return []

    def _exported(self, path: str) -> dict[str, Ref]:
        if path not in self._exports:
            code = self._sources.code(path)
            found = dict(exports_of(code.root))
            self._exports[path] = {name: Ref(code, node) for name, node in found.items()}
        return self._exports[path]

    def _imported(self, code: Code) -> dict[str, tuple[str, str]]:
        if code.path not in self._imports:
            self._imports[code.path] = {
                known: (path, name)
                for known, module, name in imports_of(code.root)
                if (path := self._path(code.path, module)) and path != code.path
            }
        return self._imports[code.path]

    def _path(self, user: str, module: str) -> str | None:
        """Return a module's file: beside its user, or the only one that an alias can mean."""
        if module.startswith("."):
            parts = user.split("/")[:-1]
            for part in module.split("/"):
                if part == "..":
                    parts = parts[:-1]
                elif part not in {"", "."}:
                    parts.append(part)
            return self._file("/".join(parts))
        head, _, rest = module.partition("/")
        base = rest if head.strip("@~#") in {"", "app", "src"} else module
        if not base or (not rest and not head.startswith("#")):
            return None
        ends = tuple(f"/{name}" for name in _names(base))
        found = [path for path in self._paths if f"/{path}".endswith(ends)]
        return found[0] if len(found) == 1 else None

    def _file(self, base: str) -> str | None:
        return next((name for name in _names(base) if name in self._sources.texts), None)

    def _bindings(self, code: Code) -> dict[tuple[int, str], list[Ref]]:
        if code.path not in self._bound:
            bound: dict[tuple[int, str], list[Ref]] = {}
            for owner, name, node in _bound_in(code.root):
                bound.setdefault((owner.id, name), []).append(Ref(code, node))
            self._bound[code.path] = bound
        return self._bound[code.path]


def _names(base: str) -> list[str]:
    bare = base
    for ending in ("js", "mjs", "cjs"):
        bare = bare.removesuffix(f".{ending}")
    endings = ("ts", "js", "mjs", "cjs", "mts", "cts", "jsx")
    names = [base, *(f"{bare}.{each}" for each in endings), *(f"{base}.{e}" for e in endings)]
    names += [f"{base}/index.{each}".lstrip("/") for each in endings]
    return [name for name in names if name.rpartition(".")[2] in ENDINGS]


def _binds(node: Node) -> bool:
    """Say whether an identifier is a parameter or a variable that is being made."""
    parent = node.parent
    kinds = {"formal_parameters", "required_parameter", "optional_parameter", "array_pattern"}
    if parent is None:
        return False
    if parent.type == "arrow_function" and field(parent, "parameter") == node:
        return True
    if parent.type == "for_in_statement" and field(parent, "left") == node:
        return True
    return parent.type in kinds and field(parent, "value") != node


def _bound_in(root: Node) -> Iterator[tuple[Node, str, Node]]:
    """The names that a file binds: (scope, name, what to)."""
    kinds = {*FUNCTIONS, "class_declaration", "class", "enum_declaration", "variable_declarator"}
    for node in within(root, *kinds, *_MEMBERS, "for_in_statement"):
        scope = next(above(node, *FUNCTIONS), root)
        if node.type == "variable_declarator":
            yield from _declared(scope, node)
        elif node.type in _MEMBERS:
            yield from _member_of(node)
        elif node.type == "for_in_statement":
            yield from ((scope, known, each) for known, each in _apart(field(node, "left")))
        else:
            yield scope, text_of(field(node, "name")), node
        if node.type in FUNCTIONS:
            for known, each in parameters(node):
                yield node, known, each
                pattern = field(each, "pattern") or each
                if pattern.type in {"array_pattern", "object_pattern"}:
                    yield from ((node, inner, part) for inner, part in _apart(pattern))


def _member_of(node: Node) -> Iterator[tuple[Node, str, Node]]:
    """A class's method or field, and what its constructor sets `this.x` to."""
    cls = next(above(node, "class_declaration", "class"), None)
    name, value = field(node, "name") or field(node, "property"), field(node, "value")
    if node.type == "assignment_expression":
        left = field(node, "left")
        if text_of(field(left, "object") if left is not None else None) != "this":
            return
        name, value = field(left, "property") if left is not None else None, field(node, "right")
        if text_of(value).startswith(f"this.{text_of(name)}.bind("):
            return
    if node.type == "method_definition":
        value = node
    if cls is not None and value is not None:
        yield cls, text_of(name), value


def parameters(function: Node) -> list[tuple[str, Node]]:
    """Return a function's parameters: (name, node that stands for it)."""
    given = field(function, "parameters")
    if given is None:
        alone = field(function, "parameter")
        return [(text_of(alone), alone)] if alone is not None else []
    found = []
    for each in given.named_children:
        name = field(each, "pattern") or field(each, "left") or each
        found.append((text_of(name), each))
    return found


def _apart(node: Node | None) -> list[tuple[str, Node]]:
    """Return the names that a pattern binds, itself where it is a name."""
    kinds = {"identifier", "shorthand_property_identifier_pattern"}
    if node is None:
        return []
    if node.type == "identifier":
        return [(text_of(node), node)]
    return [(text_of(each), each) for each in within(node, *kinds)]


def _declared(scope: Node, node: Node) -> Iterator[tuple[Node, str, Node]]:
    name, value = field(node, "name"), field(node, "value")
    if name is None or value is None:
        return
    if name.type == "identifier":
        yield scope, text_of(name), value
    elif name.type == "object_pattern" and value.type == "object":
        for key, inner in pairs_of(value):
            yield scope, key, inner


def pairs_of(node: Node) -> list[tuple[str, Node]]:
    """Return an object literal's members."""
    found = []
    for each in node.named_children:
        value = field(each, "value")
        if each.type == "pair" and value is not None:
            found.append((text_of(field(each, "key")).strip("'\""), value))
        elif each.type == "shorthand_property_identifier":
            found.append((text_of(each), each))
        elif each.type == "method_definition":
            found.append((text_of(field(each, "name")), each))
    return found


def _returned(function: Node) -> list[Node]:
    """Return the expressions that a function itself gives back."""
    body = field(function, "body")
    if function.type not in FUNCTIONS or body is None:
        return []
    if body.type != "statement_block":
        return [body]
    return [
        value
        for each in within(body, "return_statement")
        if next(above(each, *FUNCTIONS), None) == function
        for value in each.named_children[:1]
    ]
