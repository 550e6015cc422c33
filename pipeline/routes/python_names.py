"""Where a Python expression's value comes from, across imports, without running anything."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.routes.patterns import HOLE
from secdaemon.pipeline.routes.syntax import (
    MAX_DEPTH,
    Code,
    Ref,
    Sources,
    above,
    child,
    field,
    text_of,
    within,
)
from secdaemon.pipeline.routes.values import Values

_SCOPES = ("function_definition", "lambda")
_ENVIRONMENT = ("getenv", "environ.get", "config.get", "env", "config")


class PythonNames(Values):
    """Names of all Python files of a commit, resolved on demand."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._modules: dict[str, list[str]] = {}
        for path in sources.texts:
            if path.endswith(".py"):
                dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                parts = dotted.split(".")
                for start in range(len(parts)):
                    self._modules.setdefault(".".join(parts[start:]), []).append(path)
        self._bound: dict[str, dict[tuple[int, str], list[Ref]]] = {}
        self.rounds: dict[int, Ref] = {}
        """What a loop, by its node's id, has in hand in the round at hand."""
        self._imported: dict[str, dict[str, list[tuple[str, str]]]] = {}

    def _origins(self, ref: Ref, depth: int) -> list[Ref]:
        node = ref.node
        if node.type in {"parenthesized_expression", "await"} and node.named_child_count == 1:
            return self.origins(ref.at(node.named_children[0]), depth + 1)
        if node.type == "identifier" and not _is_parameter(node):
            return self._flat(self._lookup(ref, text_of(node)), depth)
        if node.type == "attribute":
            return self._attribute(ref, depth)
        if node.type == "call":
            return self._returned(ref, depth) or [ref]
        return [ref]

    def _string(self, ref: Ref, depth: int) -> str:
        node = ref.node
        if node.type == "string":
            return "".join(self._piece(ref.at(part), depth) for part in node.named_children)
        if node.type == "concatenated_string":
            return "".join(self._string(ref.at(part), depth) for part in node.named_children)
        if node.type == "binary_operator" and text_of(field(node, "operator")) == "+":
            sides = (field(node, "left"), field(node, "right"))
            return "".join(self.string(ref.at(side), depth + 1) for side in sides if side)
        if node.type == "call" and text_of(field(node, "function")).endswith(_ENVIRONMENT):
            given = arguments(node)[0]
            return self.string(ref.at(given[1]), depth + 1) if len(given) > 1 else HOLE
        if node.type == "boolean_operator":
            right = field(node, "right")
            return self.string(ref.at(right), depth + 1) if right else HOLE
        return HOLE

    def _piece(self, ref: Ref, depth: int) -> str:
        if ref.node.type == "interpolation":
            inner = field(ref.node, "expression")
            return self.string(ref.at(inner), depth + 1) if inner else HOLE
        return text_of(ref.node) if ref.node.type == "string_content" else ""

    def strings(self, ref: Ref) -> list[str]:
        """Return the texts of a list, tuple or set."""
        return [
            self.string(found.at(item))
            for found in self.origins(ref)
            if found.node.type in {"list", "tuple", "set"}
            for item in found.node.named_children
        ]

    def member(self, owner: Ref, name: str, depth: int = 0) -> list[Ref]:
        """Return what a class has under a name, its bases' too."""
        if depth > MAX_DEPTH or owner.node.type != "class_definition":
            return []
        found = self._bindings(owner.code).get((owner.node.id, name), [])
        if found:
            return found
        bases = field(owner.node, "superclasses")
        return [
            ref
            for base in (bases.named_children if bases else [])
            for cls in self.origins(owner.at(base), depth + 1)
            for ref in self.member(cls, name, depth + 1)
        ]

    def _attribute(self, ref: Ref, depth: int) -> list[Ref]:
        owner, name = field(ref.node, "object"), text_of(field(ref.node, "attribute"))
        if owner is None:
            return []
        if text_of(owner) == "self":
            cls = next(above(ref.node, "class_definition"), None)
            return self._flat(self.member(ref.at(cls), name), depth) if cls else []
        module = self._module_of(ref, text_of(owner))
        if module:
            return self._flat(self._exported(module, name), depth)
        made = []
        for found in self.origins(ref.at(owner), depth + 1):
            node = found.node
            if node.type == "module":
                made += self._exported(found.code.path, name)
            for owned in self._classes(found, depth):
                made += self.member(owned, name)
        return self._flat(made, depth)

    def _classes(self, ref: Ref, depth: int) -> list[Ref]:
        """Return a class, or the class that a call makes one of."""
        if ref.node.type == "class_definition":
            return [ref]
        function = field(ref.node, "function") if ref.node.type == "call" else None
        found = self.origins(ref.at(function), depth + 1) if function else []
        return [cls for cls in found if cls.node.type == "class_definition"]

    def _returned(self, ref: Ref, depth: int) -> list[Ref]:
        """Return what a call of one of the project's own functions gives back."""
        function = field(ref.node, "function")
        made = []
        for found in self.origins(ref.at(function), depth + 1) if function else []:
            if found.node.type == "function_definition":
                for statement in within(found.node, "return_statement"):
                    made += [found.at(value) for value in statement.named_children]
        return self._flat(made, depth)

    def _lookup(self, ref: Ref, name: str) -> list[Ref]:
        bound = self._bindings(ref.code)
        for loop in above(ref.node, "for_statement") if self.rounds else []:
            item = self.rounds.get(loop.id)
            for known, value in _taken(loop, item.node) if item else []:
                if known == name and item:
                    return [item.at(value)]
        for scope in above(ref.node, *_SCOPES):
            if found := bound.get((scope.id, name)):
                return found
        for cls in above(ref.node, "class_definition"):
            if found := bound.get((cls.id, name)):
                return found
        return self._exported(ref.code.path, name)

    def _exported(self, path: str, name: str, depth: int = 0) -> list[Ref]:
        """Return what a module has under a name, re-exported names and submodules too."""
        code = self._sources.code(path)
        found = self._bindings(code).get((code.root.id, name))
        if found:
            return found
        if depth > MAX_DEPTH:
            return []
        imports = self._imports(code)
        for owner, member in imports.get(name, []):
            found = self._exported(owner, member, depth + 1) if member else [self._file(owner)]
            if found:
                return found
        for owner, _ in imports.get("*", []):
            if found := self._exported(owner, name, depth + 1):
                return found
        if path.endswith("__init__.py"):
            below = path.removesuffix("__init__.py") + name
            for other in (f"{below}.py", f"{below}/__init__.py"):
                if other in self._sources.texts:
                    return [self._file(other)]
        return []

    def _file(self, path: str) -> Ref:
        code = self._sources.code(path)
        return Ref(code, code.root)

    def _imports(self, code: Code) -> dict[str, list[tuple[str, str]]]:
        """Return where imported names are: name -> (file, name there or nothing for the file)."""
        if code.path not in self._imported:
            names: dict[str, list[tuple[str, str]]] = {}
            for node in within(code.root, "import_from_statement", "import_statement"):
                for known, place in self._import(code, node):
                    names.setdefault(known, []).append(place)
            self._imported[code.path] = names
        return self._imported[code.path]

    def _import(self, code: Code, node: Node) -> Iterator[tuple[str, tuple[str, str]]]:
        module = text_of(field(node, "module_name"))
        owner = self._path(code, module) if module else None
        for item in node.children_by_field_name("name"):
            name = text_of(field(item, "name") or item)
            known = text_of(field(item, "alias")) or name
            joined = f"{module}{'' if module.endswith('.') else '.'}{name}" if module else name
            if owner and owner != code.path and module:
                yield known, (owner, name)
            if (path := self._path(code, joined)) and path != owner:
                yield known, (path, "")
        if owner and owner != code.path and child(node, "wildcard_import"):
            yield "*", (owner, "")

    def _module_of(self, ref: Ref, dotted: str) -> str | None:
        """Return the file that `import a.b` makes known as `a.b`."""
        found = self._imports(ref.code).get(dotted, []) if "." in dotted else []
        return next((path for path, name in found if not name), None)

    def _path(self, code: Code, module: str) -> str | None:
        """Return a module's file, None where it is foreign or could be one of several."""
        dots = len(module) - len(module.lstrip("."))
        if not dots:
            found = self._modules.get(module, [])
            near = [path for path in found if _beside(path, module, code.path)]
            return found[0] if len(found) == 1 else near[0] if len(near) == 1 else None
        folder = code.path.split("/")[:-dots]
        base = "/".join([*folder, *(p for p in module.strip(".").split(".") if p)])
        names = (f"{base}.py", f"{base}/__init__.py".lstrip("/"))
        return next((name for name in names if name in self._sources.texts), None)

    def _bindings(self, code: Code) -> dict[tuple[int, str], list[Ref]]:
        """Return what names are bound to, by the function, class or module that binds them."""
        if code.path not in self._bound:
            bound: dict[tuple[int, str], list[Ref]] = {}
            for owner, name, node in _bound_in(code.root):
                bound.setdefault((owner.id, name), []).append(Ref(code, node))
            self._bound[code.path] = bound
        return self._bound[code.path]


def _is_parameter(node: Node) -> bool:
    return node.parent is not None and node.parent.type in {"parameters", "lambda_parameters"}


def _beside(path: str, module: str, user: str) -> bool:
    """Say whether a module's root is a folder that its user lies in."""
    root = path.removesuffix(".py").removesuffix("/__init__")
    root = root[: len(root) - len(module)]
    return user.startswith(root) and bool(root)


def _bound_in(root: Node) -> Iterator[tuple[Node, str, Node]]:
    """The names that a file binds: (scope, name, what to)."""
    for node in within(
        root,
        "function_definition",
        "class_definition",
        "assignment",
        "for_statement",
        "parameters",
        "with_item",
        "named_expression",
    ):
        scope = next(above(node, *_SCOPES, "class_definition"), root)
        if node.type in {"function_definition", "class_definition"}:
            yield scope, text_of(field(node, "name")), node
        elif node.type == "parameters":
            for each in node.named_children:
                name = field(each, "name") or (each if each.type == "identifier" else None)
                name = name or next((c for c in each.children if c.type == "identifier"), None)
                yield scope, text_of(name), each
        elif node.type == "for_statement":
            yield from _loop(scope, node)
        elif node.type == "assignment":
            yield from _assigned(scope, node)


def _assigned(scope: Node, node: Node) -> Iterator[tuple[Node, str, Node]]:
    left, right = field(node, "left"), field(node, "right")
    if left is None or right is None:
        return
    while right.type == "assignment":
        inner = field(right, "right")
        if inner is None:
            return
        right = inner
    if left.type == "identifier":
        yield scope, text_of(left), right
    elif left.type == "attribute" and text_of(field(left, "object")) == "self":
        cls = next(above(node, "class_definition"), None)
        if cls is not None:
            yield cls, text_of(field(left, "attribute")), right


def _loop(scope: Node, node: Node) -> Iterator[tuple[Node, str, Node]]:
    right = field(node, "right")
    if right is not None and right.type in {"list", "tuple", "set"}:
        for item in right.named_children:
            yield from ((scope, name, value) for name, value in _taken(node, item))


def _taken(loop: Node, item: Node) -> list[tuple[str, Node]]:
    """Return what a loop's variables are for one item."""
    left = field(loop, "left")
    if left is None:
        return []
    if left.type == "identifier":
        return [(text_of(left), item)]
    if left.type in {"pattern_list", "tuple_pattern"} and item.type in {"tuple", "list"}:
        pairs = zip(left.named_children, item.named_children, strict=False)
        return [(text_of(name), value) for name, value in pairs]
    return []


def arguments(call: Node) -> tuple[list[Node], dict[str, Node]]:
    """Return a call's arguments, by position and by name."""
    given = field(call, "arguments")
    positional: list[Node] = []
    named: dict[str, Node] = {}
    for item in given.named_children if given is not None else []:
        if item.type == "keyword_argument":
            value = field(item, "value")
            if value is not None:
                named[text_of(field(item, "name"))] = value
        elif item.type != "comment":
            positional.append(item)
    return positional, named
