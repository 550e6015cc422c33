"""Whether any test answer is given away: the check that every build of a data set must pass.

It judges what was written, and shares no code with `splits`, `outlines` and `near_duplicates`: it
compares sets of shingles themselves, exactly, where the splitter estimates. Two texts are almost
the same where the Jaccard index of their shingles (`SHINGLE` tokens in a row) is `THRESHOLD` or
more; such a pair always has a shingle in common among the `prefix` smallest of each, since at most
(1 - THRESHOLD) of a set can be missing in the other (prefix filtering, Bayardo et al. 2007).
"""

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.examples import Example, Splits
from secdaemon.pipeline.interface import PermanentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Shingles = NDArray[np.uint64]

VERSION = 1
"""Raised with every change to what counts as a leak."""
THRESHOLD = 0.85
SHINGLE = 5
VERDICTS = "leak-free.txt"
_VERDICTS_KEPT = 100
LEAST_CODE = 40
"""Characters, white space aside: shorter code is everybody's."""

_FENCE = re.compile(r"(?ms)^(?P<fence>`{3,})[^`\n]*$\n(?P<code>.*?)\n^(?P=fence)$")
_WORD = re.compile(r"\w+|[^\w\s]")
_SPACE = re.compile(r"\s+")
_SAME = {
    "finding": "the same finding",
    "advisory": "the same advisory",
    "fix_commit": "the same fixing commit",
}


class Leak(msgspec.Struct, frozen=True):
    """Two examples of different splits that are not independent of each other."""

    one: str
    one_split: str
    other: str
    other_split: str
    what: str

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return (
            f"examples {self.one} ({self.one_split}) and {self.other} ({self.other_split}) "
            f"have {self.what}"
        )


def check(splits: Splits) -> None:
    """Require that nothing stands in two splits.

    Raises:
        PermanentError: something does; the two examples are named.
    """
    refuse(leaks({"test": splits.test, "validation": splits.valid, "training": splits.train}))


def check_replay(replayed: Iterable[Example], project: Splits) -> None:
    """Require that no replayed Stage 1 example gives an answer of a held-out split away.

    Raises:
        PermanentError: one does; the two examples are named.
    """
    held = {"test": project.test, "validation": project.valid}
    refuse(leaks({**held, "replay": replayed}, among=("replay",)))


def check_files(folder: Path, verdicts: Path) -> None:
    """Require of a folder's train.jsonl, valid.jsonl and test.jsonl what `check` does, as a stream.

    What passed is noted in a file of `verdicts`, where that folder is there, under the hash of the
    bytes: the same bytes are not judged twice.

    Raises:
        PermanentError: something stands in two splits; the two examples are named.
    """
    paths = {"test": folder / "test.jsonl", "validation": folder / "valid.jsonl"}
    paths["training"] = folder / "train.jsonl"
    digest = hashlib.sha256(f"{VERSION}\0".encode())
    for path in paths.values():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    noted = verdicts / VERDICTS
    passed = noted.read_text("utf-8").split() if noted.exists() else []
    if digest.hexdigest() in passed:
        return
    refuse(leaks({name: _lines(path) for name, path in paths.items()}))
    if verdicts.is_dir():
        kept = [*passed, digest.hexdigest()][-_VERDICTS_KEPT:]
        write_file(noted, "\n".join(kept) + "\n")


def _lines(path: Path) -> Iterator[Example]:
    decoder = msgspec.json.Decoder(Example)
    with path.open("rb") as file:
        yield from map(decoder.decode, file)


def refuse(found: Iterator[Leak]) -> None:
    """Raise a `PermanentError` for the first leak, if there is one."""
    if leak := next(found, None):
        msg = f"the data set leaks: {leak.sentence}; nothing was trained, please report this"
        raise PermanentError(msg)


def leaks(
    splits: Mapping[str, Iterable[Example]], among: Iterable[str] | None = None
) -> Iterator[Leak]:
    """Yield the leaks between splits; each split is read once, in the order given.

    What is kept are digests and shingles of all splits but the last: name the largest last, and
    memory is that of what is held out.

    Args:
        splits: examples by the split's name.
        among: the splits whose examples are compared with those before; all, if None.
    """
    compared = set(splits if among is None else among)
    names = list(splits)
    kept = _Kept()
    for name, examples in splits.items():
        is_last = name == names[-1]
        standing: list[tuple[str, _Marks]] = []
        for example in examples:
            marks = _Marks(example)
            if name in compared:
                yield from kept.shared(example.id, name, marks)
            if not is_last:
                standing.append((example.id, marks))
        kept.add(name, standing)


class _Marks:
    """What tells an example: exact keys, and the shingles of its code."""

    def __init__(self, example: Example) -> None:
        turns = [turn.content for turn in example.messages if turn.role in ("user", "assistant")]
        blocks = [found["code"] for text in turns for found in _FENCE.finditer(text)]
        codes = [code for code in blocks if len(_SPACE.sub("", code)) >= LEAST_CODE]
        self.keys = {("the same group", example.group)}
        self.keys |= {
            (what, value) for name, what in _SAME.items() if (value := example.metadata.get(name))
        }
        self.keys |= {("the same text", _squeezed(text)) for text in turns}
        self.keys |= {("the same code", _squeezed(code)) for code in codes}
        self.shingles = _shingles("\n".join(codes or turns))


def _squeezed(text: str) -> str:
    """Return a text's digest without its white space."""
    return hashlib.sha256(_SPACE.sub("", text).encode("utf-8", "replace")).hexdigest()


def _shingles(text: str) -> "Shingles":
    """Return the hashes of all shingles of a text, sorted, each once."""
    import numpy as np

    words = [zlib.crc32(word.encode("utf-8", "replace")) for word in _WORD.findall(text)]
    hashes = np.array(words, np.uint64)
    count = max(1, len(words) - SHINGLE + 1)
    sums = np.zeros(count if words else 0, np.uint64)
    for place in range(min(SHINGLE, len(words))):
        # An odd multiplier, modulo 2^64, then a mix, so that the smallest are a fair sample.
        sums = sums * np.uint64(0x9E3779B97F4A7C15) + hashes[place : place + count]
    sums ^= sums >> np.uint64(29)
    sums *= np.uint64(0xBF58476D1CE4E5B9)
    sums ^= sums >> np.uint64(32)
    return np.unique(sums)


def _prefix(shingles: "Shingles") -> "Shingles":
    """Return the smallest shingles: whatever is almost the same has one of them in its own."""
    return shingles[: len(shingles) - ceil(THRESHOLD * len(shingles)) + 1]


class _Kept:
    """The examples of the splits read so far."""

    def __init__(self) -> None:
        self._examples: list[tuple[str, str]] = []
        self._shingles: list[Shingles] = []
        self._by_key: dict[tuple[str, str], int] = {}
        self._hashes: Shingles | None = None
        self._owners: NDArray[np.int64] | None = None

    def add(self, split: str, standing: list[tuple[str, _Marks]]) -> None:
        """Keep the examples of one split."""
        import numpy as np

        for name, marks in standing:
            for key in sorted(marks.keys):
                self._by_key.setdefault(key, len(self._examples))
            self._examples.append((name, split))
            self._shingles.append(marks.shingles)
        prefixes = [_prefix(shingles) for shingles in self._shingles]
        if not prefixes:
            return
        hashes = np.concatenate(prefixes)
        owners = np.repeat(np.arange(len(prefixes)), [len(prefix) for prefix in prefixes])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]

    def shared(self, name: str, split: str, marks: _Marks) -> Iterator[Leak]:
        """Yield what an example has in common with those that are kept."""
        for what, value in sorted(marks.keys):
            if (what, value) in self._by_key:
                yield self._leak(name, split, self._by_key[what, value], what)
        for other, index in self._alike(marks.shingles):
            yield self._leak(name, split, other, f"{index:.0%} the same code")

    def _leak(self, name: str, split: str, other: int, what: str) -> Leak:
        return Leak(name, split, *self._examples[other], what)

    def _alike(self, mine: "Shingles") -> Iterator[tuple[int, float]]:
        """Yield (place, Jaccard index) of the kept examples that are almost the same."""
        import numpy as np

        if self._hashes is None or self._owners is None or not len(mine):
            return
        prefix = _prefix(mine)
        starts = np.searchsorted(self._hashes, prefix, "left")
        ends = np.searchsorted(self._hashes, prefix, "right")
        found = [self._owners[a:b] for a, b in zip(starts, ends, strict=True) if a < b]
        for other in np.unique(np.concatenate(found)) if found else ():
            theirs = self._shingles[other]
            if min(len(mine), len(theirs)) < THRESHOLD * max(len(mine), len(theirs)):
                continue
            both = len(np.intersect1d(mine, theirs, assume_unique=True))
            index = both / (len(mine) + len(theirs) - both)
            if index >= THRESHOLD:
                yield int(other), index
