"""Evaluation: every example counts, batches change nothing, results are kept."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from secdaemon.config import schema
from secdaemon.pipeline.examples import Example, Turn
from secdaemon.pipeline.fixes.quote import fenced
from secdaemon.pipeline.interface import Progress, StopRequested
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.evaluate import Evaluation, evaluate, known_evaluation, score
from secdaemon.pipeline.training.scores import Score, metrics
from secdaemon.pipeline.training.tokens import prepare
from secdaemon.pipeline.training.train import TrainSpec, train

MakeExamples = Callable[..., tuple[Example, ...]]
Make = Callable[..., TrainSpec]


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


@pytest.fixture
def measure(
    base: Path, make_spec: Make, evaluation: schema.Evaluation, tmp_path: Path
) -> Callable[..., Evaluation]:
    """Return evaluation with small settings; arguments replace the settings they name."""

    def run(
        examples: tuple[Example, ...],
        adapter: Path | None = None,
        report: Callable[[Progress], None] = unheard,
        **changes: int,
    ) -> Evaluation:
        return evaluate(
            base,
            adapter,
            examples,
            evaluation=msgspec.structs.replace(evaluation, **changes),
            training=make_spec(tmp_path).training,
            seed=5,
            out=tmp_path / "evaluation",
            report=report,
        )

    return run


def test_batches_score_as_one_by_one(base: Path, make_examples: MakeExamples) -> None:
    """Seven examples in batches of three give seven scores, those of the examples alone."""
    model, tokenizer = load_base(base)
    tokens = prepare(tokenizer, make_examples(7), 128).examples
    together = score(model, tokens, 3, unheard)
    alone = [score(model, [one], 1, unheard)[0] for one in tokens]
    assert [row.id for row in together] == [f"e{n}" for n in range(7)]
    for one, other in zip(together, alone, strict=True):
        assert one.loss_sum == pytest.approx(other.loss_sum, rel=1e-4)
        assert (one.correct, one.tokens) == (other.correct, other.tokens)


def test_scores_cover_the_answer_alone(base: Path, make_examples: MakeExamples) -> None:
    """A score counts the assistant's tokens and the end of the turn."""
    model, tokenizer = load_base(base)
    tokens = prepare(tokenizer, make_examples(4), 128).examples
    for row, example in zip(score(model, tokens, 4, unheard), tokens, strict=True):
        assert row.tokens == len(example.ids) - example.offset
        assert 0 <= row.correct <= row.tokens


def test_edited_tokens_are_scored_apart(base: Path, make_examples: MakeExamples) -> None:
    """Their loss and hits are those of the marked tokens, a part of all."""
    model, tokenizer = load_base(base)
    tokens = prepare(tokenizer, make_examples(5), 128).examples
    lengths = [len(one.ids) - one.offset for one in tokens]
    every = [np.ones(length, np.bool_) for length in lengths]
    last = [np.arange(length) == length - 1 for length in lengths]
    none = [np.zeros(length, np.bool_) for length in lengths]
    for row in score(model, tokens, 2, unheard, edited=every):
        assert row.edited_loss_sum == row.loss_sum
        assert (row.edited_correct, row.edited_tokens) == (row.correct, row.tokens)
    for row in score(model, tokens, 2, unheard, edited=last):
        assert row.edited_tokens == 1
        assert row.edited_loss_sum is not None
        assert row.loss_sum is not None
        assert 0 < row.edited_loss_sum < row.loss_sum
    for row in score(model, tokens, 2, unheard, edited=none):
        assert (row.edited_loss_sum, row.edited_correct, row.edited_tokens) == (0.0, 0, 0)


def test_a_question_with_code_has_copied_tokens(measure: Callable[..., Evaluation]) -> None:
    """Evaluation tells copied tokens from edited ones, and judges what was written."""
    code = fenced("a = 1\nb = eval(a)\nc = b", "python")
    fixed = fenced("a = 1\nb = int(a)\nc = b", "python")
    example = Example(id="a", messages=(Turn("user", code), Turn("assistant", fixed)), group="a")
    result = measure((example,))
    assert 0 < result.scores[0].edited_tokens < result.scores[0].tokens
    assert result.metrics.edited_loss is not None
    assert result.generations[0].language == "python"
    assert result.metrics.codebleu is not None


def test_the_results_stand_in_files(
    measure: Callable[..., Evaluation], make_examples: MakeExamples, tmp_path: Path
) -> None:
    """Metrics, scores and generations are written, one line an example."""
    result = measure(make_examples(7))
    out = tmp_path / "evaluation"
    written = msgspec.json.decode((out / "evaluation_results.json").read_bytes())
    assert written["metrics"] == msgspec.to_builtins(result.metrics)
    assert written["scored"] == 7
    assert len((out / "scores.jsonl").read_text().splitlines()) == 7
    assert len((out / "generations.jsonl").read_text().splitlines()) == 2
    assert written["generated"]["examples"] == len(result.generations) == 2
    assert written["generated"]["parses"] == {"passed": 0, "of": 0}
    assert result.metrics.edited_loss == result.metrics.loss
    assert result.metrics == metrics(result.scores, [False, False])


def test_examples_are_conserved(
    measure: Callable[..., Evaluation], make_examples: MakeExamples
) -> None:
    """Scored, left out and not sampled examples add up to the split."""
    long = Example(
        id="long", messages=(Turn("user", "x " * 500), Turn("assistant", "y")), group="g"
    )
    result = measure((*make_examples(7), long), max_examples=5)
    assert (result.total, result.left_out, result.not_sampled) == (8, {"too long": 1}, 2)
    assert len(result.scores) == result.metrics.examples == 5


def test_known_results_are_read_again(
    measure: Callable[..., Evaluation], make_examples: MakeExamples, trained: Path
) -> None:
    """The same question is answered from the files; another one is not."""
    seen: list[Progress] = []
    first = measure(make_examples(4))
    assert measure(make_examples(4), report=seen.append) == first
    assert seen == []
    other = measure(make_examples(4), adapter=trained / "adapters", report=seen.append)
    assert seen
    assert other.metrics.loss != first.metrics.loss


@pytest.mark.parametrize("name", ["scores.jsonl", "generations.jsonl", "evaluation_results.json"])
def test_a_damaged_file_is_made_again(
    measure: Callable[..., Evaluation], make_examples: MakeExamples, tmp_path: Path, name: str
) -> None:
    """Scores and generations that are not those of the results are not believed."""
    first = measure(make_examples(3))
    (tmp_path / "evaluation" / name).write_text("")
    assert known_evaluation(tmp_path / "evaluation") is None
    assert measure(make_examples(3)) == first
    assert known_evaluation(tmp_path / "evaluation") == first


def test_a_stop_leaves_no_results(
    measure: Callable[..., Evaluation], make_examples: MakeExamples, tmp_path: Path
) -> None:
    """A stop request comes through between two batches."""

    def report(_: Progress) -> None:
        msg = "asked to stop"
        raise StopRequested(msg)

    with pytest.raises(StopRequested):
        measure(make_examples(7), report=report)
    assert not (tmp_path / "evaluation").exists()


def test_a_stop_while_answers_are_written_leaves_no_results(
    measure: Callable[..., Evaluation], make_examples: MakeExamples, tmp_path: Path
) -> None:
    """A stop request comes through between two tokens, and starting again ends as ever."""
    heard: list[Progress] = []

    def report(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 5:  # three batches are scored, two tokens written
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        measure(make_examples(7), report=report)
    assert not (tmp_path / "evaluation").exists()
    assert len(measure(make_examples(7)).generations) == 2


def test_an_empty_split_has_no_numbers(measure: Callable[..., Evaluation]) -> None:
    """Without examples there are no metrics, and no error."""
    result = measure(())
    assert result.metrics == metrics(())
    assert result.metrics.examples == 0
    assert result.metrics.loss is None


@pytest.mark.slow
def test_a_memorised_example_matches_exactly(
    measure: Callable[..., Evaluation], make_spec: Make, tmp_path: Path
) -> None:
    """What training has burnt in is generated token for token, and nothing else is."""
    known, unknown = (
        Example(
            id=name,
            messages=(Turn("user", f"Say {name}"), Turn("assistant", f"{name} is safe.")),
            group=name,
        )
        for name in ("alpha", "omega")
    )
    spec = make_spec(
        tmp_path / "run",
        train=(known,),
        valid=(),
        iterations=90,
        learning_rate=1e-3,
        warmup_ratio=0.0,
        dropout=0.0,
        target_modules=("o_proj", "down_proj"),
    )
    train(spec, unheard)
    result = measure((known, unknown), adapter=spec.folder / "adapters")
    assert result.metrics.exact_match == 0.5
    assert result.scores[0].correct == result.scores[0].tokens


def test_metrics_of_numbers_that_are_not_finite() -> None:
    """One loss that is not finite leaves the whole split without a loss."""
    rows = [
        Score(id="a", group="a", loss_sum=2.0, correct=1, tokens=2),
        Score(id="b", group="b", loss_sum=None, correct=1, tokens=2),
    ]
    assert metrics(rows[:1]).loss == 1.0
    assert metrics(rows).loss is None
    assert metrics(rows).perplexity is None
    assert metrics(rows).token_accuracy == 0.5
