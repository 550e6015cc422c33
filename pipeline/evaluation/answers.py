"""What a generated answer is worth, by itself and summed up over many."""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.evaluation.blocks import answer_of, blocks, language_in, question_blocks
from secdaemon.pipeline.evaluation.checks import NAMES, check
from secdaemon.pipeline.evaluation.codebleu import codebleu
from secdaemon.pipeline.evaluation.model import Generated, Generation, Rate
from secdaemon.pipeline.examples import Example


def judge(example: Example, text: str, *, exact: bool, cut: bool) -> Generation:
    """Return the generation of an example with everything that can be told of it."""
    reference = answer_of(example)
    wanted, given = blocks(reference), blocks(text)
    generation = Generation(
        id=example.id,
        text=text,
        exact=exact,
        exact_normalised=reference.split() == text.split(),
        cut=cut,
        checks=check(example, text),
    )
    if not wanted:
        return generation
    language = language_in(example, wanted[0])
    code = given[0].code if given else ""
    return msgspec.structs.replace(
        generation,
        language=language,
        codebleu=codebleu(wanted[0].code, code, language),
        parses=_parses(example, wanted[0].code, code, language),
    )


def _parses(example: Example, reference: str, code: str, language: str) -> bool | None:
    grammar = grammars.grammar_of(language, reference)
    if grammar is None:
        return None
    known = (reference, *(block.code for block in question_blocks(example)[:1]))
    allowed = max(grammars.errors(grammars.parse(grammar, one)) for one in known)
    return bool(code.strip()) and grammars.errors(grammars.parse(grammar, code)) <= allowed


def summary(generations: Sequence[Generation]) -> Generated:
    """Return the sums; every generation counts once in each."""
    values = [one.codebleu.value for one in generations if one.codebleu]
    parses = [one.parses for one in generations if one.parses is not None]
    without = Counter(one.language or "unknown" for one in generations if _unread(one))
    found = {
        name: [one.checks[name] for one in generations if name in one.checks] for name in NAMES
    }
    return Generated(
        examples=len(generations),
        exact=sum(one.exact for one in generations),
        exact_normalised=sum(one.exact_normalised for one in generations),
        cut=sum(one.cut for one in generations),
        codebleu=math.fsum(values) / len(values) if values else None,
        codebleu_of=len(values),
        without_grammar=dict(sorted(without.items())),
        parses=Rate(sum(parses), len(parses)),
        checks={name: Rate(sum(marks), len(marks)) for name, marks in found.items() if marks},
    )


def _unread(one: Generation) -> bool:
    return one.language is not None and one.codebleu is None
