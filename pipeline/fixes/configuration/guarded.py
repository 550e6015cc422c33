"""Mends that are asked only where there is something to mend, and kept only where they do it."""

from collections.abc import Callable, Mapping

from secdaemon.pipeline.fixes.configuration.model import Mend, Repair, Weakness

Find = Callable[[str], tuple[Weakness, ...]]


def guarded(find: Find, mends: Mapping[str, Mend]) -> dict[str, Mend]:
    """Return the mends, with no repair of a weakness that the text does not have.

    Nor is there one that leaves the weakness, as where a list has the same thing twice, or one that
    brings another.
    """
    return {check: _guarded(find, mend) for check, mend in mends.items()}


def _guarded(find: Find, mend: Mend) -> Mend:
    def checked(text: str, weakness: Weakness) -> tuple[Repair, ...]:
        at = (weakness.check, weakness.where)
        known = _places(find(text))
        if at not in known:
            return ()
        left = known - {at}
        return tuple(way for way in mend(text, weakness) if _places(find(way.after)) <= left)

    return checked


def _places(found: tuple[Weakness, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((weakness.check, weakness.where) for weakness in found)
