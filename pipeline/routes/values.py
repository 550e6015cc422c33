"""What every language's names share: where a value comes from and what text it is, found once."""

from secdaemon.pipeline.routes.patterns import HOLE
from secdaemon.pipeline.routes.syntax import MAX_DEPTH, Ref, Sources

_MAX_TEXT = 500


class Values:
    """Origins and texts of expressions, remembered; a language says how one step is taken."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._from: dict[tuple[str, int, int], list[Ref]] = {}
        self._made: dict[tuple[str, int, int], str] = {}

    def origins(self, ref: Ref, depth: int = 0) -> list[Ref]:
        """Return the nodes that an expression's value is made by; itself where it is no name.

        They are calls, literals, functions, classes and parameters; none where a name is foreign.
        """
        if depth > MAX_DEPTH:
            return []
        if ref.key not in self._from:
            self._sources.spend()
            self._from[ref.key] = []
            self._from[ref.key] = self._origins(ref, depth)
        return self._from[ref.key]

    def string(self, ref: Ref, depth: int = 0) -> str:
        """Return an expression's text; a HOLE stands where the code does not say."""
        if depth > MAX_DEPTH:
            return HOLE
        if ref.key not in self._made:
            self._made[ref.key] = HOLE
            made = [self._string(found, depth) for found in self.origins(ref, depth)]
            known = len(set(made)) == 1 and len(made[0]) <= _MAX_TEXT
            self._made[ref.key] = made[0] if known else HOLE
        return self._made[ref.key]

    def forget(self) -> None:
        """Forget what was found, since a loop's variable is another now."""
        self._from.clear()
        self._made.clear()

    def _flat(self, refs: list[Ref], depth: int) -> list[Ref]:
        return [found for ref in refs for found in self.origins(ref, depth + 1)]

    def _origins(self, ref: Ref, depth: int) -> list[Ref]:
        """Return what an expression is made by, one step on."""
        raise NotImplementedError

    def _string(self, ref: Ref, depth: int) -> str:
        """Return the text of an expression that is no name."""
        raise NotImplementedError
