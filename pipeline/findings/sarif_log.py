"""A SARIF log sliced into its runs, their rules and their results, without decoding them."""

from typing import Any

import msgspec

from secdaemon.pipeline.findings.document import (
    Content,
    Document,
    decoded,
    raw_items,
    raw_members,
)

ABSENT = msgspec.Raw()


class Component(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is read of a tool's driver or extension."""

    rules: list[msgspec.Raw] = []
    name: msgspec.Raw = ABSENT
    version: msgspec.Raw = ABSENT
    semantic_version: msgspec.Raw = ABSENT


class Tool(msgspec.Struct, frozen=True, gc=False):
    """The components of a tool."""

    driver: Component = Component()
    extensions: list[Component] = []


class Run(msgspec.Struct, gc=False, rename="camel"):
    """What is read of a run."""

    results: list[msgspec.Raw] = []
    invocations: msgspec.Raw = ABSENT
    tool: Tool = Tool()
    taxonomies: msgspec.Raw = ABSENT
    properties: msgspec.Raw = ABSENT
    original_uri_base_ids: msgspec.Raw = ABSENT
    artifacts: msgspec.Raw = ABSENT


class Log(msgspec.Struct, gc=False):
    """The whole of it; its slices keep the bytes that they were cut from."""

    version: str
    runs: list[Run]


NOTHING = Run()
_LOG = msgspec.json.Decoder(Log)
_RUNS = msgspec.json.Decoder(list[Run])


def log_in(data: Content) -> Log | None:
    """The log of version 2 in UTF-8 bytes, in one pass; None where it takes a closer look."""
    try:
        log = _LOG.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return log if log.version.startswith("2.") else None


def log_of(document: Document) -> Log:
    """The log in a document that was recognised as one; an empty run for what is no object."""
    raw = document.members["runs"]
    try:
        runs = _RUNS.decode(raw)
    except msgspec.ValidationError:
        runs = [_run(raw_members(item)) for item in raw_items(raw)]
    return Log(str(document.value("version")), runs)


def value(raw: msgspec.Raw) -> Any:
    """What a slice holds, decoded; None for none."""
    return None if raw is ABSENT else decoded(raw)


def _run(found: dict[str, msgspec.Raw]) -> Run:
    """A run of which something is of another type, or what is no object."""
    tool = raw_members(found.get("tool"))
    extensions = [_component(raw_members(part)) for part in raw_items(tool.get("extensions"))]
    return Run(
        results=raw_items(found.get("results")),
        tool=Tool(_component(raw_members(tool.get("driver"))), extensions),
        invocations=found.get("invocations", ABSENT),
        taxonomies=found.get("taxonomies", ABSENT),
        properties=found.get("properties", ABSENT),
        original_uri_base_ids=found.get("originalUriBaseIds", ABSENT),
        artifacts=found.get("artifacts", ABSENT),
    )


def _component(found: dict[str, msgspec.Raw]) -> Component:
    return Component(
        rules=raw_items(found.get("rules")),
        name=found.get("name", ABSENT),
        version=found.get("version", ABSENT),
        semantic_version=found.get("semanticVersion", ABSENT),
    )
