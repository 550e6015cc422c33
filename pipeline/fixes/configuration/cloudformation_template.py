"""A CloudFormation template in JSON or YAML: its resources and what their properties say.

Intrinsic functions, short tags and long keys alike, are never evaluated: what one of them decides
is unknown, and what is unknown is no weakness.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from secdaemon.pipeline.fixes.configuration import documents
from secdaemon.pipeline.fixes.configuration.documents import ROOT
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place

UNKNOWN: Literal["unknown"] = "unknown"


class Resource(msgspec.Struct, frozen=True, eq=False):
    """A resource: its logical name, its type, its entry."""

    name: str
    kind: str
    key: Node
    node: Node

    @property
    def place(self) -> Place:
        """The place of its properties."""
        return (*ROOT, "Resources", self.name, "Properties")

    def at(self, *path: str) -> Node | Literal["unknown"] | None:
        """Return a property; None where it is missing, UNKNOWN where a function decides it."""
        found: Node | None = self.node.get("Properties")
        for step in path:
            if found is None or found.is_null:
                return None
            if found.kind != "mapping" or is_function(found) or found.entry("<<"):
                return UNKNOWN
            found = found.get(step)
        if found is None or found.is_null:
            return None
        return UNKNOWN if found.kind == "alias" or is_function(found) else found

    def has(self, *names: str) -> bool:
        """Return whether it has one of these properties, whatever they say."""
        return any(self.at(name) is not None for name in names)


def is_function(node: Node) -> bool:
    """Return whether a value is an intrinsic function's."""
    if node.tag is not None and node.tag.startswith("!"):
        return True
    return any(key.value == "Ref" or key.value.startswith("Fn::") for key, _ in node.pairs)


def truth(node: Node) -> bool | None:
    """Return what a boolean says, quoted or not; None where it is none."""
    word = node.value.lower() if node.kind == "scalar" else ""
    return {"true": True, "false": False}.get(word)


def read_resources(text: str) -> tuple[Resource, ...]:
    """Return the resources of a template, () where the text is none."""
    if "AWS::" not in text:
        return ()
    root = documents.root_of(text)
    listed = root.get("Resources") if root else None
    return tuple(_resources(listed)) if listed is not None else ()


def of_type(resources: tuple[Resource, ...], *kinds: str) -> Iterator[Resource]:
    """Yield the resources of these types."""
    return (resource for resource in resources if resource.kind in kinds)


def _resources(listed: Node) -> Iterator[Resource]:
    for key, node in listed.pairs:
        kind = node.get("Type")
        if kind is not None and kind.kind == "scalar" and kind.value.startswith("AWS::"):
            yield Resource(key.value, kind.value, key, node)
