"""The report's part on all models side by side: what they score, gain, forget and write."""

from collections.abc import Iterator

from secdaemon.pipeline.account.markup import Child, Html, join, tag
from secdaemon.pipeline.account.report_data import ReportData
from secdaemon.pipeline.account.report_parts import (
    DASH,
    cell,
    count,
    facts,
    plural,
    row_name,
    section,
    signed,
    sub,
    table,
)
from secdaemon.pipeline.evaluation.model import (
    By,
    Comparison,
    Gain,
    Generated,
    Rate,
    Row,
    Specialisation,
    SplitResult,
    Stage,
)
from secdaemon.pipeline.interface import Interval, Metrics

_NAMES = {
    "base": "Base",
    "stage1": "Stage 1",
    "stage2": "Stage 2",
    "healed": "Healed",
    "champion": "Published before",
}
_SPLITS: dict[Stage, str] = {"stage1": "Stage 1 test split", "stage2": "Stage 2 test split"}
_GROUPINGS: dict[By, str] = {
    "category": "category",
    "tool": "tool",
    "cwe": "weakness",
    "language": "language",
}
_SHOWN = 12
"""Rows of one grouping; evaluation_results.json has them all."""


def side_by_side(data: ReportData) -> Html | None:
    """Return every model on both test splits; None where nothing is known."""
    found = data.comparison
    if found is None:
        return None
    return section(
        "Models side by side",
        "Token accuracy with the loss, in nats per token, under it. Edited tokens are those that "
        "an answer does not copy from the code it is asked about: only they can show learning. "
        "Gains are paired, with 95 % intervals clustered by group; below 0 a model is worse.",
        _matrix(found),
        *_gains(found),
        *_written(found),
        *_groups(found),
        tag("h3", "Scores against the plan"),
        facts(_specialisation(found.specialisation)),
    )


def _matrix(found: Comparison) -> Html:
    columns = ("Model", "Stage 1 split", "edited", "Stage 2 split", "edited")
    rows = [
        [
            row_name(_model(name, found)),
            *(one for stage in _SPLITS for one in _pair(found.splits[stage].models.get(name))),
        ]
        for name in found.matrix.models
    ]
    return table(columns, rows, numbers_from=1)


def _pair(metrics: Metrics | None) -> tuple[Html, Html]:
    """Return the cells of one model on one split: all tokens, then the edited ones."""
    if metrics is None:
        return _unknown(), _unknown()
    return (
        _score(metrics.token_accuracy, metrics.loss),
        _score(metrics.edited_token_accuracy, metrics.edited_loss),
    )


def _score(accuracy: float | None, loss: float | None) -> Html:
    if accuracy is None:
        return _unknown()
    return cell(f"{accuracy:.1%}", sub("not finite" if loss is None else f"{loss:.3f}"), kind="num")


def _unknown() -> Html:
    return cell(DASH, kind="num zero")


def _model(name: str, found: Comparison) -> Child:
    shown = _NAMES.get(name, name)
    if name == "champion" and found.champion_run:
        return join(shown, sub(f"run {found.champion_run}"))
    return shown


def _gains(found: Comparison) -> Iterator[Html]:
    columns = ("Gain in loss, nats per token", "all tokens", "edited tokens")
    for stage, name in _SPLITS.items():
        gains = found.splits[stage].gains
        if gains:
            yield tag("h3", f"Gains on the {name}")
            yield table(columns, [_gain_row(gain, found) for gain in gains], numbers_from=1)


def _gain_row(gain: Gain, found: Comparison) -> list[Html]:
    backward = found.transfer.backward
    note = (
        sub("backward transfer: what learning the project did to it") if gain == backward else None
    )
    name = f"{_NAMES.get(gain.model, gain.model)} over {_NAMES.get(gain.over, gain.over)}"
    return [
        row_name(name, note),
        _gain_cell(gain.loss, gain.token_accuracy),
        _gain_cell(gain.edited_loss, gain.edited_token_accuracy),
    ]


def _gain_cell(loss: Interval, accuracy: Interval) -> Html:
    if loss.value is None:
        return _unknown()
    between = None
    if loss.ci_low is not None and loss.ci_high is not None:
        between = sub(f"{signed(loss.ci_low, '.3f')} to {signed(loss.ci_high, '.3f')}")
    points = None
    if accuracy.value is not None:
        points = sub(f"accuracy {signed(accuracy.value * 100, '.1f')} points")
    return cell(signed(loss.value, ".3f"), between, points, kind="num")


def _written(found: Comparison) -> Iterator[Html]:
    """Yield what the models wrote, greedily, for a few test examples of each split."""
    for stage, name in _SPLITS.items():
        split = found.splits[stage]
        models = [model for model, of in split.generated.items() if of.examples]
        if not models:
            continue
        examples = plural(split.generated[models[0]].examples, "answer")
        yield tag("h3", f"Written answers on the {name}: {examples} of each model")
        rows = [
            [row_name(title), *cells]
            for title, cells in _written_rows([split.generated[model] for model in models])
        ]
        yield table(
            ("Answer", *(_NAMES.get(model, model) for model in models)), rows, numbers_from=1
        )


def _written_rows(models: list[Generated]) -> Iterator[tuple[str, list[Html]]]:
    yield "Exact", [_rate(Rate(one.exact, one.examples)) for one in models]
    yield (
        "Exact but for white space",
        [_rate(Rate(one.exact_normalised, one.examples)) for one in models],
    )
    if any(one.codebleu_of for one in models):
        yield (
            "CodeBLEU",
            [
                _unknown()
                if one.codebleu is None
                else cell(f"{one.codebleu:.3f}", sub(f"of {one.codebleu_of}"), kind="num")
                for one in models
            ],
        )
        yield "Parses", [_rate(one.parses) for one in models]
    names = [name for one in models for name in one.checks]
    for name in dict.fromkeys(names):
        found = [one.checks.get(name, Rate(0, 0)) for one in models]
        yield name.replace("_", " ").capitalize(), [_rate(rate) for rate in found]
    if any(one.cut for one in models):
        yield "Cut short", [_rate(Rate(one.cut, one.examples)) for one in models]


def _rate(rate: Rate) -> Html:
    return cell(f"{rate.passed} of {rate.of}", kind="num") if rate.of else _unknown()


def _groups(found: Comparison) -> Iterator[Html]:
    """Yield one folded table a grouping and split that has more than one group."""
    for stage, name in _SPLITS.items():
        split = found.splits[stage]
        for by, word in _GROUPINGS.items():
            rows = [row for row in split.rows if row.by == by]
            if len(rows) > 1:
                yield tag(
                    "details",
                    tag("summary", f"{name} by {word}"),
                    _group_table(split, word, rows),
                )


def _group_table(split: SplitResult, word: str, rows: list[Row]) -> Html:
    models = list(split.models)
    shown = [
        [
            row_name(row.value or "not named"),
            count(row.examples),
            *(_score(row.models[m].token_accuracy, row.models[m].loss) for m in models),
        ]
        for row in rows[:_SHOWN]
    ]
    if word == "category":
        overall = [split.weighted.get(model) for model in models]
        shown.append(
            [
                row_name("All, weighted"),
                _unknown(),
                *(_unknown() if v is None else cell(f"{v:.1%}", kind="num") for v in overall),
            ]
        )
    names = (_NAMES.get(model, model) for model in models)
    more = len(rows) - _SHOWN
    return join(
        table((word.capitalize(), "Examples", *names), shown, numbers_from=1),
        sub(f"and {more} more in evaluation_results.json") if more > 0 else None,
    )


def _specialisation(found: Specialisation) -> Iterator[tuple[str, Child]]:
    yield from (
        (name, f"{value:.1%}")
        for name, value in (
            ("Stage 1 on its own split", found.stage1),
            ("Final model on Stage 2's split", found.stage2),
            ("Final model on Stage 1's split", found.sequential),
            ("All categories, weighted", found.overall),
        )
        if value is not None
    )
    if found.smallest is not None:
        name = found.smallest or "not named"
        yield "Weakest category", f"{name}, {found.categories[found.smallest]:.1%}"
