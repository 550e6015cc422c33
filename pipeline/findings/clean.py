"""A finding as a parser made it, without what must not leave the parser."""

from typing import Any

import msgspec

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.findings.redact import Redactor

_UNTOUCHED = frozenset({"sources", "id", "tool", "severity", "category"})
_TEXTS = tuple(name for name in Finding.__struct_fields__ if name not in _UNTOUCHED)


def cleaned(finding: Finding, secrets: Redactor) -> Finding:
    """The finding with every text redacted and neutralised."""
    changes: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(finding, name)
        if value and (clean := _clean(value, secrets)) is not value:
            changes[name] = clean
    return msgspec.structs.replace(finding, **changes) if changes else finding


def _clean(value: Any, secrets: Redactor) -> Any:
    """The value with every string in it redacted, of the same type; itself if nothing changed.

    Enum members are strings too, and are left alone.
    """
    if type(value) is str:
        clean = secrets.redact(value)
        return value if clean == value else clean
    if isinstance(value, tuple):
        items = tuple(_clean(item, secrets) for item in value)
        return value if items == value else items
    if isinstance(value, dict):
        return {_clean(k, secrets): _clean(item, secrets) for k, item in value.items()}
    if isinstance(value, msgspec.Struct):
        parts = {name: _clean(getattr(value, name), secrets) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **parts)
    return value
