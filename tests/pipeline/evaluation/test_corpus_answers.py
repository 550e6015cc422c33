"""Real fix pairs: references pass their own checks, echoes do not, copied tokens are the most."""

from pathlib import Path

import pytest

from secdaemon.pipeline.evaluation.answers import judge, summary
from secdaemon.pipeline.evaluation.blocks import answer_of, question_blocks
from secdaemon.pipeline.evaluation.edited import edited_mask
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.fixes.quote import fenced
from secdaemon.pipeline.public.data import load
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.tokens import prepare

PAIRS = Path(__file__).parents[4] / "shared" / "corpus" / "stage1" / "crossvul_shape.jsonl"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not PAIRS.exists(), reason="the corpus is not beside the project"),
]


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    """Return Stage 1 examples of real pairs."""
    return load((str(PAIRS),), 60).examples


def test_a_reference_is_worth_everything(examples: tuple[Example, ...]) -> None:
    """Every reference parses, passes its checks and equals itself."""
    found = summary([judge(one, answer_of(one), exact=True, cut=False) for one in examples])
    assert found.codebleu_of == found.parses.of == len(examples)
    assert found.codebleu == pytest.approx(1.0)
    assert found.parses.passed == found.parses.of
    assert all(rate.passed == rate.of for rate in found.checks.values())


def test_an_echo_passes_no_check_of_the_fix(examples: tuple[Example, ...]) -> None:
    """The question's code as an answer is much like the reference, and yet fixes nothing."""
    echoes = []
    for example in examples:
        (shown,) = question_blocks(example)
        text = fenced(shown.code, shown.language)
        echoes.append(judge(example, text, exact=False, cut=False))
    found = summary(echoes)
    assert found.codebleu is not None
    assert found.codebleu > 0.6
    assert found.checks["changes_code"].passed == 0
    assert found.checks["weakness_gone"].passed == 0
    assert found.checks["has_fix"].passed == 0
    assert found.checks["keeps_code"].passed == found.checks["keeps_code"].of


def test_most_of_a_real_fix_is_copied(examples: tuple[Example, ...], base: Path) -> None:
    """Over real pairs more tokens are copied than edited, and every answer has edited ones."""
    _, tokenizer = load_base(base)
    by_id = {example.id: example for example in examples}
    prepared = prepare(tokenizer, examples, 2048).examples
    masks = [edited_mask(tokenizer, by_id[one.id], one) for one in prepared]
    edited = sum(int(mask.sum()) for mask in masks)
    assert 0.1 < edited / sum(map(len, masks)) < 0.5
    assert all(mask.any() for mask in masks)
