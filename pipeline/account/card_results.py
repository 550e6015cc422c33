"""What the model card tells of the comparison: gains with their intervals, and by category."""

from secdaemon.pipeline.account.markdown import plain, table
from secdaemon.pipeline.evaluation.model import Comparison, SplitResult
from secdaemon.pipeline.interface import Interval, Metrics

_NAMES = {
    "base": "Base",
    "stage1": "Stage 1",
    "stage2": "Stage 2",
    "healed": "This adapter (healed)",
    "champion": "Last published",
}


def gains(results: Comparison) -> str:
    """Return a table of what each model gained over another, with 95 % intervals."""
    rows = [
        (
            "public fixes" if stage == "stage1" else "this project",
            f"{_NAMES[gain.model]} over {_NAMES[gain.over]}",
            _interval(gain.loss, ".3f"),
            _interval(gain.edited_loss, ".3f"),
            _interval(gain.token_accuracy, ".1%"),
        )
        for stage, split in results.splits.items()
        for gain in split.gains
    ]
    columns = ("Test split", "Model", "Loss", "Loss on edited tokens", "Token accuracy")
    return (
        "Lower loss (nats per token) and higher accuracy, paired over the same examples; 95 % "
        "bootstrap intervals over groups of related examples. Edited tokens are those that an "
        "answer does not copy from the code it is asked about.\n\n" + table(columns, rows)
    )


def categories(results: Comparison) -> str:
    """Return a table of the project's test split by category, every model beside the others."""
    split: SplitResult | None = results.splits.get("stage2")
    rows = [row for row in split.rows if row.by == "category"] if split else []
    if split is None or not rows:
        return "No example of the project's test split was scored."
    models = [name for name in _NAMES if name in split.models]
    lines = [
        (
            plain(row.value or "not said"),
            str(row.examples),
            *(_score(row.models.get(name)) for name in models),
        )
        for row in rows
    ]
    columns = ("Category", "Examples", *(_NAMES[name] for name in models))
    return "Loss and token accuracy on this project's test split.\n\n" + table(columns, lines)


def _score(metrics: Metrics | None) -> str:
    if metrics is None or metrics.loss is None or metrics.token_accuracy is None:
        return "not measured"
    return f"{metrics.loss:.3f}, {metrics.token_accuracy:.1%}"


def _interval(found: Interval, form: str) -> str:
    if found.value is None:
        return "undefined"
    value = format(found.value, f"+{form}")
    if found.ci_low is None or found.ci_high is None:
        return value
    return f"{value} ({format(found.ci_low, f'+{form}')} to {format(found.ci_high, f'+{form}')})"
