"""The report's second half: what training did, what the models score, the verdicts, provenance."""

from collections.abc import Iterator, Sequence

import msgspec

from secdaemon.pipeline.account.charts import Curve, interval_chart, loss_chart
from secdaemon.pipeline.account.manifest_model import Manifest
from secdaemon.pipeline.account.markup import Child, Html, join, tag
from secdaemon.pipeline.account.report_data import LossPoint, ReportData
from secdaemon.pipeline.account.report_parts import (
    DASH,
    badge,
    cell,
    facts,
    mono,
    plural,
    row_name,
    section,
    signed,
    sub,
    table,
)
from secdaemon.pipeline.interface import Metrics, RetentionResult, TrainingSummary


class _Measure(msgspec.Struct, frozen=True):
    """A row of the metrics: how it is called and written, and which way is better."""

    field: str
    name: str
    note: str
    form: str
    lower: bool


_MEASURES = (
    _Measure("loss", "Loss", "nats per assistant token", ".3f", lower=True),
    _Measure("perplexity", "Perplexity", "e to the loss", ".2f", lower=True),
    _Measure("token_accuracy", "Token accuracy", "likeliest token is right", ".1%", lower=False),
    _Measure("exact_match", "Exact match", "greedy answers, a few", ".1%", lower=False),
    _Measure("codebleu", "CodeBLEU", "greedy answers, a few", ".3f", lower=False),
)


def curves(data: ReportData) -> Html | None:
    """Return both loss curves; None where nothing is known."""
    stage1, stage2 = data.outputs.stage1, data.outputs.stage2
    if stage1 is None and not data.stage1_losses:
        return None
    reused = f"reused, made at {stage1.created_at}" if stage1 and stage1.reused else None
    legend = tag(
        "ul",
        tag("li", tag("span", class_="key raw"), "training, each iteration"),
        tag("li", tag("span", class_="key"), "training, smoothed"),
        tag("li", tag("span", class_="key ring"), "validation"),
        class_="legend",
    )
    return section(
        "Training",
        "Stage 2 starts from Stage 1's adapter, on this project's examples with some of Stage 1's "
        "replayed.",
        tag(
            "div",
            _curve(
                "stage1", "Stage 1", data.stage1_losses, stage1.training if stage1 else None, reused
            ),
            _curve(
                "stage2", "Stage 2", data.stage2_losses, stage2.training if stage2 else None, None
            ),
            class_="pair",
        ),
        legend,
    )


def _curve(
    name: str,
    title: str,
    points: Sequence[LossPoint],
    summary: TrainingSummary | None,
    note: str | None,
) -> Html:
    curve = Curve(
        train=tuple((p.iteration, p.train_loss) for p in points if p.train_loss is not None),
        valid=tuple((p.iteration, p.valid_loss) for p in points if p.valid_loss is not None),
    )
    known = bool(curve.train or curve.valid)
    return tag(
        "figure",
        tag("figcaption", title, sub(_effort(summary, note)), _validated(curve)),
        loss_chart(name, f"{title} loss", curve, name)
        if known
        else tag("p", "No curve yet.", class_="lead"),
    )


def _validated(curve: Curve) -> Html | None:
    if not curve.valid:
        return None
    first, last = curve.valid[0][1], curve.valid[-1][1]
    return sub("validation loss ", tag("b", f"{first:.3f}"), " to ", tag("b", f"{last:.3f}"))


def _effort(summary: TrainingSummary | None, note: str | None) -> str:
    parts = [note] if note else []
    if summary:
        parts.append(plural(summary.iterations, "iteration"))
        parts.append(plural(summary.tokens, "token"))
        parts.append(_duration(summary.seconds))
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def metrics(data: ReportData) -> Html | None:
    """Return all three models on both test splits; None where nothing is known."""
    stage1, stage2, judged = data.outputs.stage1, data.outputs.stage2, data.outputs.retention
    if stage1 is None:
        return None
    known = (stage1.base_metrics, stage1.metrics, judged.stage1_test if judged else None)
    new = (stage2.base_metrics, stage2.baseline, stage2.metrics) if stage2 else None
    return section(
        "What the models score",
        "Teacher-forced over the assistant's tokens. Under each number: the change against the "
        "column before it.",
        tag("h3", f"Stage 1 test split: public fixes, {plural(known[0].examples, 'example')}"),
        _comparison(known),
        tag("h3", f"Stage 2 test split: this project, {plural(new[0].examples, 'example')}")
        if new
        else None,
        _comparison(new) if new else None,
    )


def _comparison(models: tuple[Metrics, Metrics, Metrics | None]) -> Html:
    rows = [
        [row_name(measure.name, sub(measure.note)), *_values(models, measure)]
        for measure in _MEASURES
        if any(model and getattr(model, measure.field) is not None for model in models)
    ]
    return table(("Metric", "Base", "Stage 1", "Stage 2"), rows, numbers_from=1)


def _values(models: Sequence[Metrics | None], measure: _Measure) -> Iterator[Html]:
    """Yield each model's value with its change against the model before it."""
    before: float | None = None
    for model in models:
        value = None if model is None else getattr(model, measure.field)
        if value is None:
            yield cell(DASH, kind="num zero")
        else:
            change = None if before is None else _change(value - before, measure)
            yield cell(format(value, measure.form), change, kind="num")
        before = value


def _change(difference: float, measure: _Measure) -> Html:
    if measure.form.endswith("%"):
        text = signed(difference * 100, ".1f")
        unit = " points"
    else:
        text, unit = signed(difference, measure.form), ""
    if text.startswith("±"):
        return sub("unchanged")
    word = "better" if (difference < 0) is measure.lower else "worse"
    return tag("span", f"{text}{unit} {word}", class_=f"sub {word}")


def retention(data: ReportData) -> Html | None:
    """Return retention against its threshold; None where nothing is known."""
    judged = data.outputs.retention
    if judged is None:
        return None
    found = judged.retention
    return section(
        "Retention",
        "The share of Stage 1's gain over the base, on Stage 1's own test split, that is left "
        "after Stage 2: 1 is all of it, 0 none; above 1, Stage 2 went on improving.",
        _interval(found),
        tag("p", f"{found.reason[:1].upper()}{found.reason[1:]}."),
        facts(_retention_facts(found)),
    )


def _interval(found: RetentionResult) -> Html | None:
    if found.value is None:
        return None
    bounds = None
    if found.ci_low is not None and found.ci_high is not None:
        bounds = (found.ci_low, found.ci_high)
    return interval_chart(
        "retention",
        "Retention with its 95 % interval",
        found.value,
        bounds,
        found.threshold,
        passed=found.passed,
    )


def _retention_facts(found: RetentionResult) -> Iterator[tuple[str, Child]]:
    if found.ci_low is not None and found.ci_high is not None:
        yield "95 % interval", f"{found.ci_low:.3f} to {found.ci_high:.3f}"
    gain = found.gain
    if gain.value is not None:
        between = ""
        if gain.ci_low is not None and gain.ci_high is not None:
            between = f" ({gain.ci_low:.3f} to {gain.ci_high:.3f})"
        yield "Stage 1's gain", f"{gain.value:.3f} nats per token{between}"
    if found.token_accuracy_ratio is not None:
        ratio = f"{found.token_accuracy_ratio:.3f}"
        yield "Token accuracy", f"{ratio} of Stage 1's; it decides nothing"


def gates(data: ReportData) -> Html | None:
    """Return every gate with its verdict; None where nothing is known."""
    judged = data.outputs.retention
    if judged is None:
        return None
    rows = [
        [
            row_name(gate.name, sub("quality" if gate.quality else "must hold")),
            cell(badge("passed", "good") if gate.passed else badge("failed", "bad")),
            cell(gate.detail, kind="path"),
        ]
        for gate in judged.gates
    ]
    return section(
        "Gates",
        "Every one has to pass before a byte leaves. A person may release a run past a quality "
        "gate, past no other.",
        table(("Gate", "Verdict", "Detail"), rows),
    )


def provenance(data: ReportData) -> Html | None:
    """Return what makes the run again, from its manifest; None where nothing is known."""
    found = data.manifest
    if found is None:
        return None
    return section(
        "Provenance",
        join("From ", mono("run-manifest.json"), f", version {found.version}, {found.timestamp}."),
        facts(_provenance_facts(found)),
        tag(
            "details",
            tag("summary", "Settings"),
            facts(_settings_facts(found)),
        ),
    )


def _provenance_facts(found: Manifest) -> Iterator[tuple[str, Child]]:
    yield "Base model", join(found.base_model, sub(found.base_model_id))
    made = f"reused, made at {found.stage1.created_at}" if found.stage1.reused else "made here"
    yield "Stage 1", join(mono(found.stage1.fingerprint), sub(made))
    yield "Project examples", mono(found.data_fingerprints["project_examples"])
    for name, revision in found.data_revisions.items():
        yield f"Data: {name}", mono(revision)
    yield "Seeds", ", ".join(f"{name} {seed}" for name, seed in found.seeds.items())
    yield "Versions", ", ".join(f"{name} {version}" for name, version in found.libraries.items())
    yield (
        "Files",
        join(
            *(
                tag("span", mono(path), class_="sub")
                for path in (
                    found.stage1.adapters_path,
                    found.stage2.adapters_path,
                    found.final_model_path,
                )
            )
        ),
    )


def _settings_facts(found: Manifest) -> Iterator[tuple[str, Child]]:
    for section_name, values in msgspec.to_builtins(found.settings).items():
        for key, value in values.items():
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{section_name}.{key}", mono(text)
