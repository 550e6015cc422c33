"""Pairs of vulnerable and fixed code as Stage 1 examples."""

import hashlib
import re
from collections.abc import Iterator

from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.fixes.advice import known_weaknesses
from secdaemon.pipeline.fixes.changes import describe
from secdaemon.pipeline.fixes.languages import NONE, title_of
from secdaemon.pipeline.fixes.quote import fenced, inline
from secdaemon.pipeline.public.changed_units import Alignment
from secdaemon.pipeline.public.code_pairs import CodePair

TASK = "vulnerability_analysis"

TRANSFORM_VERSION = 2
"""Raised with every change to what an example of the same row looks like."""

NO_CODE = "no code"
NOT_CODE = "not code"
TEST_CODE = "test code"
IDENTICAL = "identical sides"
TOO_SHORT = "too short"
TOO_LONG = "too long"
DUPLICATE = "duplicate"
REASONS = (NO_CODE, NOT_CODE, TEST_CODE, IDENTICAL, TOO_SHORT, TOO_LONG, DUPLICATE)
"""Why a pair is left out, in the order in which the reasons are looked for."""

_MIN_CHARS = 30
"""Of each side without white space: less than a statement or two teaches nothing."""
_MAX_LINE = 1_000
"""A longer line is minified or generated."""
_CONTEXTS = (20, 8, 3)
"""Lines kept around each change when functions are too long, from the most to the least."""
_TEST_PATH = re.compile(
    r"(^|/)(tests?|specs?|__tests__|testdata|fixtures)/|(^|/)test_[^/]*$"
    r"|(_test|_spec|\.test|\.spec|Tests?)\.\w+$"
)


def unusable(pair: CodePair) -> str | None:
    """Return why a pair cannot be learnt from, None where it can (but for its length)."""
    before, after = ("".join(text.split()) for text in (pair.before, pair.after))
    if not before or not after:
        return NO_CODE
    if pair.language == NONE or "\0" in pair.before + pair.after:
        return NOT_CODE
    if max(map(len, (pair.before + "\n" + pair.after).splitlines())) > _MAX_LINE:
        return NOT_CODE
    if _TEST_PATH.search(pair.path):
        return TEST_CODE
    if before == after:
        return IDENTICAL
    return TOO_SHORT if min(len(before), len(after)) < _MIN_CHARS else None


def example_of_pair(pair: CodePair, max_chars: int) -> Example | None:
    """Return the example of a usable pair; None where even its changed lines are too long.

    A file that is too long is cut to the functions that change, or where those are too long, to the
    lines around what changes. `max_chars` bounds the question and the answer together.
    """
    for before, after, is_cut in _sides(pair, max_chars):
        if len(before) + len(after) > max_chars:
            continue
        example = _example(pair, before, after, cut=is_cut)
        if sum(len(turn.content) for turn in example.messages[1:]) <= max_chars:
            return example
    return None


def _sides(pair: CodePair, max_chars: int) -> Iterator[tuple[str, str, bool]]:
    """Yield both sides, and whether they are cut: whole, by units, by ever smaller windows."""
    if len(pair.before) + len(pair.after) <= max_chars:
        yield pair.before, pair.after, False
    alignment = Alignment(pair.before, pair.after, pair.language)
    if units := alignment.units():
        yield *units, True
    for context in _CONTEXTS:
        yield *alignment.windows(context), True


def _example(pair: CodePair, before: str, after: str, *, cut: bool) -> Example:
    name = title_of(pair.language)
    what = f"part of a {name} file" if cut or pair.path else f"{name} code"
    question = (
        f"Find the security weakness in this {what}, name it, and give the fixed code.\n\n"
        f"{fenced(before, pair.language)}"
    )
    answer = "\n\n".join(
        (
            f"**Weakness:** {_weakness(pair)}",
            f"**Fix:** {_fix(pair, before, after)}",
            fenced(after, pair.language),
        )
    )
    digest = hashlib.sha256(f"{question}\0{answer}".encode()).hexdigest()
    return Example(
        id=f"{pair.source}-{digest[:24]}",
        messages=conversation(question, answer),
        group=pair.group,
        metadata={
            "source": pair.source,
            "task": TASK,
            "cwe": pair.cwe,
            "category": "code",
            "language": pair.language,
            "approach": "public_fix",
            "quality": "high" if pair.title else "medium",
        },
    )


def _weakness(pair: CodePair) -> str:
    known = known_weaknesses().get(pair.cwe)
    name = known.name if known else inline(pair.cwe_name) if pair.cwe_name else ""
    named = ", ".join(part for part in (pair.cwe, name) if part) or "not classified by a CWE"
    return f"{named}. {pair.title}".strip()


def _fix(pair: CodePair, before: str, after: str) -> str:
    return pair.fix or f"In this code {describe(before, after)}."
