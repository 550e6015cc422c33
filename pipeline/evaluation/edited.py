"""Which tokens of an answer are edited: not copied from the code in its question.

A fix repeats most of the code that it fixes, and repeating is what a model can do untrained. So the
answer is aligned with the question's code and only what the alignment leaves over is called edited.

The alignment: the most tokens of the answer that can be paired with equal tokens of the code, both
in their order, in runs of at least `RUN` neighbours on either side (or of the whole code, where
that is shorter). Of several such alignments the one that pairs later tokens of the answer wins. A
token is **copied** when it is paired, with one exception: where a run begins right behind another
one but further on in the code, its first token is edited, because going on there and not with the
next token of the code is what a deletion consists of. Every other token is **edited**: prose,
fences and info strings, inserted and replaced code, code that moved to another place, chance
resemblances shorter than `RUN`, the end of the turn, and all of an answer to a question without
code.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secdaemon.pipeline.evaluation.blocks import question_blocks
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.training.tokens import Tokens

RUN = 4
"""Tokens that must agree in a row: three in a row (`) {` and a line break) agree by chance."""

_BORDER = -1
"""Stands between two blocks of code; no token has this id."""
_UP, _LEFT, _RUN, _EXTENDED = 0, 1, 2, 4
"""A cell's best: skip the answer's token, the code's, or end a run here, which may extend one."""


def edited_mask(tokenizer: Any, example: Example, tokens: Tokens) -> NDArray[np.bool_]:
    """Return for each token of the answer, `tokens.ids[tokens.offset:]`, whether it is edited.

    The result is shared and cannot be written to: every model of a run is scored on the same
    examples, and the alignment depends on none of them.
    """
    code: list[int] = []
    for block in question_blocks(example):
        # With the line break before it, as it stands behind the fence: tokens span line breaks.
        ids = tokenizer.encode(f"\n{block.code}\n", add_special_tokens=False)
        code += [*([_BORDER] if code else []), *ids]
    return _remembered(tuple(code), tokens.ids[tokens.offset :])


@lru_cache(maxsize=1024)
def _remembered(code: tuple[int, ...], answer: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = edited(code, answer)
    mask.flags.writeable = False
    return mask


def edited(code: Sequence[int], answer: Sequence[int], run: int = RUN) -> NDArray[np.bool_]:
    """Return for each token of `answer` whether it is edited against `code`, as defined above.

    Takes time and memory (one byte) for each pair of a token of the code and one of the answer.

    Args:
        code: token ids of the question's code.
        answer: token ids of the answer.
        run: the fewest neighbours that count as copied, at least 1.
    """
    mask = np.ones(len(answer), np.bool_)
    run = min(run, len(code))
    if not run or len(answer) < run:
        return mask
    places = _paired(code, _choices(np.array(code), np.array(answer), run), len(answer), run)
    for at, place in enumerate(places):
        if place is None:
            continue
        before = places[at - 1] if at else None
        mask[at] = before is not None and place != before + 1
    return mask


def _choices(code: NDArray[np.int64], answer: NDArray[np.int64], run: int) -> NDArray[np.uint8]:
    """Return the choice of each cell, (answer + 1, code + 1), row and column 0 being nothing.

    `best` of a cell is the most tokens paired among the first ones of both sides; `ending` the same
    where the last two are paired with each other, at the end of a run that is long enough.
    """
    width = len(code) + 1
    choices = np.full((len(answer) + 1, width), _UP, np.uint8)
    best = [np.zeros(width, np.int32)]
    ending = np.full(width, -1, np.int32)
    same = np.zeros(width, np.int32)
    for row, token in enumerate(answer, 1):
        same = np.concatenate(([0], np.where(code == token, same[:-1] + 1, 0)))
        extended = np.concatenate(([-1], np.where(ending[:-1] >= 0, ending[:-1] + 1, -1)))
        extended[same <= run] = -1
        begun = np.full(width, -1, np.int32)
        if row >= run:
            begun[run:] = best[-run][: width - run] + run
            begun[same < run] = -1
        ending = np.maximum(extended, begun)
        best_row = np.maximum.accumulate(np.maximum(best[-1], ending))
        choices[row][1:][best_row[1:] == best_row[:-1]] = _LEFT
        choices[row][best_row == ending] = _RUN
        choices[row][(extended >= begun) & (extended >= 0)] |= _EXTENDED
        best = [*best, best_row][-run:]
    return choices


def _paired(
    code: Sequence[int], choices: NDArray[np.uint8], length: int, run: int
) -> list[int | None]:
    """Return for each token of the answer its place in the code, None where it has none."""
    places: list[int | None] = [None] * length
    row, column = length, len(code)
    while row and column:
        choice = int(choices[row, column])
        if choice & ~_EXTENDED == _RUN:
            while choices[row, column] & _EXTENDED:
                row, column = row - 1, column - 1
                places[row] = column
            for _ in range(run):
                row, column = row - 1, column - 1
                places[row] = column
        elif choice & ~_EXTENDED == _UP:
            row -= 1
        else:
            column -= 1
    return places
