"""Whether a whole file can be read by the parser of its format."""

import json
import tomllib
from xml.parsers import expat

from secdaemon.pipeline.fixes.languages import language_of

_MAX_CHARS = 512 * 1024


def reads(path: str, text: str) -> bool | None:
    """Return whether the format's own parser reads the file, None where it has none or is huge.

    Nothing is resolved: YAML's aliases and tags stay what they are, XML's entities are an error.
    """
    reader = _READERS.get(language_of(path))
    return reader(text) if reader is not None and len(text) <= _MAX_CHARS else None


def _json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True


def _yaml(text: str) -> bool:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for _ in yaml.parse(text, Loader=loader):
            pass
    except (yaml.YAMLError, RecursionError, ValueError):
        return False
    return True


def _xml(text: str) -> bool:
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _no_entities
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, _EntityError):
        return False
    return True


class _EntityError(Exception):
    """The document declares an entity, which nobody's configuration needs."""


def _no_entities(*_: object) -> None:
    raise _EntityError


_READERS = {"json": _json, "toml": _toml, "xml": _xml, "yaml": _yaml}
