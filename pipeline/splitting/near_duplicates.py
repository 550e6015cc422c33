"""Texts that are almost the same: MinHash signatures, and the pairs that they bind.

Alike are texts whose sets of `SHINGLE` tokens in a row have a Jaccard index of `THRESHOLD` or more.
A signature is 128 minima (rensa's RMinHash, a seeded permutation each); the share of equal minima
estimates the index with a standard error of 0.032 at 0.85. Pairs are found by locality-sensitive
hashing in 32 bands of 4 minima, which misses one at 0.85 with a probability of 6e-11. They count
from an estimate of `BOUND_FROM` on, under which one at 0.85 falls once in a million times; where
the texts are at hand, their sets are compared and decide.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from numpy.typing import NDArray

THRESHOLD = 0.85
BOUND_FROM = 0.7
SHINGLE = 5
SIGNATURE_BYTES = 512
MOST_REFUSED = 20_000
"""Likely pairs that are compared in vain; they cost up to a millisecond each."""

_PERMUTATIONS = 128
_BANDS = 32
_SEED = 7
_TOKEN = re.compile(r"\w+|[^\w\s]")


def shingles(text: str) -> list[str]:
    """Return every SHINGLE tokens in a row, the whole text's tokens where there are fewer."""
    tokens = _TOKEN.findall(text)
    count = max(1, len(tokens) - SHINGLE + 1) if tokens else 0
    return [" ".join(tokens[n : n + SHINGLE]) for n in range(count)]


def are_alike(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Return whether two texts are almost the same, by their sets of shingles."""
    return bool(mine) and len(mine & theirs) >= THRESHOLD * len(mine | theirs)


def signature(text: str) -> bytes:
    """Return the text's signature, SIGNATURE_BYTES long; `b""` for a text without a token."""
    import numpy as np
    from rensa import RMinHash

    found = shingles(text)
    if not found:
        return b""
    minima = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    minima.update(found)
    return np.asarray(minima.digest(), dtype="<u4").tobytes()


def is_like_any(one: bytes, others: bytes) -> bool:
    """Return whether a signature is likely almost the same as one of others that are joined."""
    import numpy as np

    mine = np.frombuffer(one, "<u4")
    theirs = np.frombuffer(others, "<u4").reshape(-1, _PERMUTATIONS)
    return bool(len(mine)) and bool(((theirs == mine).mean(axis=1) >= BOUND_FROM).any())


def _equal(values: "NDArray[Any]") -> Iterator[list[int]]:
    """Yield the indices of equal values, of two or more each."""
    import numpy as np

    if not len(values):
        return
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        yield order[start : start + size].tolist()


class Binder:
    """Joins the places of signatures that are almost the same."""

    def __init__(
        self,
        root: Callable[[int], int],
        join: Callable[[int, int], None],
        confirm: Callable[[int, int], bool] | None = None,
    ) -> None:
        """Take how components are named and joined, and what decides about a likely pair."""
        self._root, self._join, self._confirm = root, join, confirm
        self._refused: set[tuple[int, int]] = set()

    def bind(self, signatures: bytes | bytearray, places: Sequence[int]) -> None:
        """Join all likely pairs among signatures that stand one behind the other, at `places`."""
        import numpy as np

        matrix = np.frombuffer(signatures, "<u4").reshape(len(places), _PERMUTATIONS)
        width = _PERMUTATIONS // _BANDS
        for first in range(0, _PERMUTATIONS, width):
            band = np.ascontiguousarray(matrix[:, first : first + width])
            for bucket in _equal(band.view(f"V{4 * width}").ravel()):
                self._bind_bucket(matrix, places, bucket)

    def bind_equal(self, values: "array[int]", places: Sequence[int]) -> None:
        """Join the places of equal values, unsigned numbers of 64 bits."""
        import numpy as np

        for bucket in _equal(np.frombuffer(values, np.uint64)):
            for other in bucket[1:]:
                self._join(places[bucket[0]], places[other])

    def _bind_bucket(
        self, matrix: "NDArray[np.uint32]", places: Sequence[int], bucket: list[int]
    ) -> None:
        """Join what is alike in one bucket; what belongs together is not compared again."""
        waiting: dict[int, list[int]] = {}
        for row in bucket:
            waiting.setdefault(self._root(places[row]), []).append(row)
        while len(waiting) > 1:
            queue = waiting.pop(next(iter(waiting)))
            while queue and waiting:
                row = queue.pop()
                others = [(group, other) for group, rows in waiting.items() for other in rows]
                shares = (matrix[[other for _, other in others]] == matrix[row]).mean(axis=1)
                for at in (shares >= BOUND_FROM).nonzero()[0].tolist():
                    group, other = others[at]
                    if group in waiting and self._is_bound(places[row], places[other]):
                        self._join(places[row], places[other])
                        queue += waiting.pop(group)

    def _is_bound(self, one: int, other: int) -> bool:
        """Return whether a likely pair counts; after too many refusals each does, which is safe."""
        pair = (one, other) if one < other else (other, one)
        if self._confirm is None or len(self._refused) >= MOST_REFUSED:
            return True
        if pair in self._refused:
            return False
        if self._confirm(one, other):
            return True
        self._refused.add(pair)
        return False
