"""What the model card tells of the models side by side."""

import msgspec

from secdaemon.pipeline.account.card_results import categories, gains
from secdaemon.pipeline.evaluation.model import (
    Comparison,
    Gain,
    Matrix,
    Row,
    Specialisation,
    SplitResult,
    Transfer,
)
from secdaemon.pipeline.interface import Interval, Metrics

KNOWN = Interval(value=0.125, ci_low=0.1, ci_high=0.15)
NONE = Interval(value=None, ci_low=None, ci_high=None)
SCORED = Metrics(examples=3, loss=1.5, perplexity=4.5, token_accuracy=0.25)
UNSCORED = msgspec.structs.replace(SCORED, loss=None)
GAIN = Gain(
    model="stage2",
    over="stage1",
    loss=KNOWN,
    token_accuracy=Interval(value=-0.01, ci_low=None, ci_high=None),
    edited_loss=NONE,
    edited_token_accuracy=NONE,
)
ROW = Row(
    by="category",
    value="web|x",
    examples=3,
    models={"base": UNSCORED, "stage2": SCORED},
    generated={},
)
SPLIT = SplitResult(
    examples=3,
    models={"base": UNSCORED, "stage2": SCORED},
    generated={},
    gains=(GAIN,),
    rows=(ROW, msgspec.structs.replace(ROW, by="tool", value="semgrep")),
    weighted={},
)
RESULTS = Comparison(
    champion_run=None,
    splits={"stage2": SPLIT},
    matrix=Matrix(
        models=(), splits=(), token_accuracy=(), loss=(), edited_token_accuracy=(), edited_loss=()
    ),
    transfer=Transfer(backward=None, forward=None),
    specialisation=Specialisation(
        stage1=None, stage2=None, sequential=None, overall=None, categories={}, smallest=None
    ),
)


def test_gains_come_with_their_intervals() -> None:
    """A number without an interval stands alone, one that is not defined says so."""
    line = gains(RESULTS).splitlines()[-1]
    assert line == (
        "| this project | Stage 2 over Stage 1 | +0.125 (+0.100 to +0.150) | undefined | -1.0% |"
    )


def test_categories_stand_with_every_model() -> None:
    """Only categories, foreign text escaped, and what was not scored is called that."""
    lines = categories(RESULTS).splitlines()
    assert lines[-1] == r"| web\|x | 3 | not measured | 1.500, 25.0% |"
    assert "semgrep" not in categories(RESULTS)


def test_an_empty_split_is_said() -> None:
    """Without a scored example there is a sentence instead of a table."""
    empty = msgspec.structs.replace(RESULTS, splits={})
    assert "No example" in categories(empty)
