"""A document that is written in JSON or in YAML, read and changed alike.

Places, values and what each function does are those of `yaml_edit`.
"""

from collections.abc import Callable, Sequence

from secdaemon.pipeline.fixes.configuration import json_text, yaml_edit
from secdaemon.pipeline.fixes.configuration.yaml_document import Document, Node, read_yaml
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, Value

ROOT: Place = ("0",)


def is_json(text: str) -> bool:
    """Return whether a text is written in JSON rather than in YAML."""
    return text.lstrip().startswith("{")


def read(text: str) -> Document | None:
    """Return the nodes of a text, None where it cannot be relied on."""
    return json_text.read_json(text) if is_json(text) else read_yaml(text)


def root_of(text: str) -> Node | None:
    """Return the root of a text that is one document, a mapping; None for any other text."""
    document = read(text)
    if document is None or len(document.roots) != 1 or document.roots[0].kind != "mapping":
        return None
    return document.roots[0]


def put(
    text: str, place: Place, value: Value, *, after: Sequence[str] = (), before: Sequence[str] = ()
) -> str | None:
    """Set what a key has; the mappings to it are made where they are missing."""
    write = json_text.put_json if is_json(text) else yaml_edit.put
    return write(text, place, value, after=after, before=before)


def rewrite(text: str, place: Place, change: Callable[[str], str]) -> str | None:
    """Change the characters of a value as they stand in the text, quotes included."""
    write = json_text.rewrite_json if is_json(text) else yaml_edit.rewrite
    return write(text, place, change)


def remove(text: str, place: Place) -> str | None:
    """Take an entry or an item away."""
    return (json_text.remove_json if is_json(text) else yaml_edit.remove)(text, place)
