"""Spring MVC and WebFlux in Java and Kotlin: annotated controllers.

A controller's own mappings, those of its interfaces and its superclass, and a class-level prefix;
constants of other classes and `${property:default}` placeholders are followed.
"""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.routes.graph import Graph
from secdaemon.pipeline.routes.jvm_names import CLASSES, JvmNames
from secdaemon.pipeline.routes.model import Pattern, Route
from secdaemon.pipeline.routes.patterns import HOLE, spring
from secdaemon.pipeline.routes.syntax import (
    MAX_DEPTH,
    Ref,
    Sources,
    above,
    child,
    field,
    text_of,
    within,
)

_MAPPING = re.compile(r"(Get|Post|Put|Patch|Delete|Request)Mapping$")
_CONTROLLER = re.compile(r"(?:Rest)?Controller$|ControllerEndpoint$")
_METHODS = ("method_declaration", "function_declaration")
_PLACEHOLDER = re.compile(r"\$\{([\w.\-]+)(?::([^{}]*))?\}")
_VERBS = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|TRACE)\b")


def routes(sources: Sources, properties: dict[str, str]) -> list[Route]:
    """Return the routes of the annotated controllers; `properties` are the application's own."""
    if not any("Mapping" in t for p, t in sources.texts.items() if p.endswith((".java", ".kt"))):
        return []
    found = _Spring(sources, properties)
    graph = Graph("spring")
    graph.root("")
    for cls in found.controllers():
        for method, prefix, pattern, verbs in found.mapped(cls):
            graph.route("", prefix + pattern, verbs, method.handler())
    return graph.linked()


class _Annotation:
    """An annotation's name and its values by name; the bare one is called `value`."""

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        node = child(ref.node, "constructor_invocation", "user_type") or ref.node
        kind = field(node, "name") or child(node, "user_type") or node
        self.name = text_of(kind).partition("(")[0].rpartition(".")[2].strip("@ ")
        self.values: dict[str, list[Node]] = {}
        given = field(node, "arguments") or child(node, "value_arguments")
        for item in given.named_children if given is not None else []:
            key, value = _pair(item)
            if value is not None:
                self.values.setdefault(key, []).append(value)


def _pair(item: Node) -> tuple[str, Node | None]:
    if item.type == "element_value_pair":
        return text_of(field(item, "key")), field(item, "value")
    if item.type == "value_argument":
        named = any(each.type == "=" for each in item.children)
        children = item.named_children
        return (text_of(children[0]), children[-1]) if named else ("value", children[-1])
    return "value", item if item.type not in {"line_comment", "block_comment"} else None


class _Spring:
    def __init__(self, sources: Sources, properties: dict[str, str]) -> None:
        self._properties = properties
        self._names = JvmNames(sources, r"Mapping\b|Controller\b")

    def controllers(self) -> list[Ref]:
        """Return the classes that Spring asks."""
        return [
            cls
            for classes in self._names.classes.values()
            for cls in classes
            if any(_CONTROLLER.search(each.name) for each in _annotations(cls))
        ]

    def mapped(self, cls: Ref) -> Iterator[tuple[Ref, Pattern, Pattern, list[str]]]:
        """The mapped methods of a controller: (method, class's pattern, own pattern, verbs)."""
        prefixes, class_verbs = self._class_level(cls)
        for method in self._methods(cls):
            own = self._own(cls, method)
            for annotation in own:
                found = _MAPPING.search(annotation.name)
                if found is None:
                    continue
                verbs = [found[1].upper()] if found[1] != "Request" else _verbs(annotation)
                for prefix in prefixes:
                    for path in self._paths(annotation):
                        yield method, prefix, path, verbs or class_verbs

    def _class_level(self, cls: Ref, depth: int = 0) -> tuple[list[Pattern], list[str]]:
        for annotation in _annotations(cls):
            if annotation.name == "RequestMapping":
                return self._paths(annotation), _verbs(annotation)
            if annotation.name in {"RestController", "Controller"} and "path" in annotation.values:
                return self._paths(annotation), []
        for base in self._names.bases(cls) if depth < MAX_DEPTH else []:
            found = self._class_level(base, depth + 1)
            if found[0] != [()]:
                return found
        return [()], []

    def _methods(self, cls: Ref, depth: int = 0) -> list[Ref]:
        """Return a class's methods, and those of its superclass that it does not override."""
        own = [
            cls.at(node)
            for node in within(cls.node, *_METHODS)
            if next(above(node, *CLASSES), None) == cls.node
        ]
        names = {_named(method) for method in own}
        for base in self._names.bases(cls) if depth < MAX_DEPTH else []:
            inherited = self._methods(base, depth + 1)
            own += [each for each in inherited if _named(each) not in names and _has_body(each)]
        return own

    def _own(self, cls: Ref, method: Ref, depth: int = 0) -> list[_Annotation]:
        """Return a method's annotations, else those of the method that it implements."""
        found = _annotations(method)
        if any(_MAPPING.search(each.name) for each in found):
            return found
        for base in self._names.bases(cls) if depth < MAX_DEPTH else []:
            for other in self._methods_named(base, _named(method)):
                inherited = self._own(base, other, depth + 1)
                if any(_MAPPING.search(each.name) for each in inherited):
                    return inherited
        return []

    def _methods_named(self, cls: Ref, name: tuple[str, int]) -> list[Ref]:
        return [
            cls.at(node)
            for node in within(cls.node, *_METHODS)
            if _named(cls.at(node)) == name and next(above(node, *CLASSES), None) == cls.node
        ]

    def _paths(self, annotation: _Annotation) -> list[Pattern]:
        given = annotation.values.get("value") or annotation.values.get("path") or []
        made = [spring(text) for node in given for text in self._strings(annotation.ref.at(node))]
        return made or [()]

    def _strings(self, ref: Ref) -> list[str]:
        node = ref.node
        lists = {"element_value_array_initializer", "collection_literal"}
        if node.type in lists or text_of(node).startswith("arrayOf("):
            items = node if node.type in lists else child(node, "value_arguments") or node
            return [text for item in items.named_children for text in self._strings(ref.at(item))]
        if node.type == "value_argument" and node.named_child_count:
            return self._strings(ref.at(node.named_children[-1]))
        return [self._filled(self._names.string(ref))]

    def _filled(self, text: str) -> str:
        """Return a text with its placeholders' values."""
        return _PLACEHOLDER.sub(
            lambda m: self._properties.get(m[1], HOLE if m[2] is None else m[2]), text
        )


def _annotations(ref: Ref) -> list[_Annotation]:
    """Return what stands before a declaration; Kotlin's grammar may put it beside."""
    modifiers = child(ref.node, "modifiers")
    nodes = modifiers.children if modifiers is not None else []
    kinds = {"annotation", "marker_annotation"}
    return [_Annotation(ref.at(node)) for node in nodes if node.type in kinds]


def _verbs(annotation: _Annotation) -> list[str]:
    given = annotation.values.get("method", [])
    return [verb for node in given for verb in _VERBS.findall(text_of(node))]


def _named(method: Ref) -> tuple[str, int]:
    given = field(method.node, "parameters") or child(method.node, "function_value_parameters")
    count = sum(each.type.endswith("parameter") for each in given.children) if given else 0
    return text_of(field(method.node, "name")), count


def _has_body(method: Ref) -> bool:
    return (field(method.node, "body") or child(method.node, "function_body")) is not None
