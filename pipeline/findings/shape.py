"""Reading foreign JSON whose shape nobody vouches for.

Each function takes any decoded value and returns it as the type that its name says, or that type's
empty value (`None` for scalars) where the value is something else. None of them raises.
"""

from typing import Any

MAX_TEXT = 20_000
"""Characters kept of one text; scanners paste whole advisories, and some whole files."""
_MAX_LINE = 2**31


def text(value: Any) -> str | None:
    """The string without surrounding white space, cut at MAX_TEXT; None where it is empty."""
    if not isinstance(value, str):
        return None
    return value.strip()[:MAX_TEXT] or None


def code(value: Any) -> str | None:
    """The string with its indentation, cut at MAX_TEXT; None where it is only white space."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value[:MAX_TEXT].rstrip()


def word(value: Any) -> str | None:
    """A string, or a number as its decimal string: ids and versions come as both."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < _MAX_LINE else None
    return text(value)


def mapping(value: Any) -> dict[str, Any]:
    """The object."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The list."""
    return value if isinstance(value, list) else []


def mappings(value: Any) -> list[dict[str, Any]]:
    """The objects in a list, others left out."""
    return [item for item in sequence(value) if isinstance(item, dict)]


def words(value: Any) -> tuple[str, ...]:
    """The strings of a list, or a lone string as a list of one: Semgrep writes both."""
    items = value if isinstance(value, list) else [value]
    return unique(found for item in items if (found := word(item)))


def unique(items: Any) -> tuple[str, ...]:
    """The items in their order, without repetition."""
    return tuple(dict.fromkeys(items))


def line(value: Any) -> int | None:
    """A positive line or column number; tools write 0, -1 and null for "none"."""
    if (
        isinstance(value, str)
        and value.isascii()
        and value.isdigit()
        and len(value) < len("2147483648")
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < _MAX_LINE else None


def index(value: Any) -> int | None:
    """A position in a list; SARIF writes -1 for "none"."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MAX_LINE:
        return None
    return value


def at(items: list[Any], position: Any) -> dict[str, Any]:
    """The object at a position of a list; empty where there is none."""
    found = index(position)
    if found is None or found >= len(items):
        return {}
    return mapping(items[found])


def number(value: Any) -> float | None:
    """A finite number, also one written as a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float(_MAX_LINE) else None
