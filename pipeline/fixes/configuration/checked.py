"""Mends that are made only of what is there."""

from collections.abc import Callable, Mapping

from secdaemon.pipeline.fixes.configuration.model import Mend, Repair, Weakness

Find = Callable[[str], tuple[Weakness, ...]]


def checked(find: Find, mends: Mapping[str, Mend]) -> dict[str, Mend]:
    """Return the mends, each silent about a weakness that a text does not have.

    So mending what is mended already changes nothing.
    """
    return {check: _checked(find, mend) for check, mend in mends.items()}


def _checked(find: Find, mend: Mend) -> Mend:
    def mend_if_weak(text: str, weakness: Weakness) -> tuple[Repair, ...]:
        known = ((w.check, w.where) for w in find(text))
        return mend(text, weakness) if (weakness.check, weakness.where) in known else ()

    return mend_if_weak
