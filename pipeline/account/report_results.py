"""The report's second half: what training did, what the models score, the verdicts, provenance."""

from collections.abc import Iterator, Sequence

import msgspec

from secdaemon.pipeline.account.charts import Curve, loss_chart
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
from secdaemon.pipeline.interface import Metrics, TrainingSummary
from secdaemon.pipeline.training.tokens import TOO_BIG


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
    _Measure("edited_loss", "Edited loss", "nats per token not copied", ".3f", lower=True),
    _Measure(
        "edited_token_accuracy", "Edited accuracy", "of the tokens not copied", ".1%", lower=False
    ),
    _Measure("exact_match", "Exact match", "greedy answers, a few", ".1%", lower=False),
    _Measure("codebleu", "CodeBLEU", "greedy answers, a few", ".3f", lower=False),
)

_PUBLISHED_BEFORE = "Published before"


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
        parts.extend(_decided(summary))
    return ", ".join(parts)


def _decided(summary: TrainingSummary) -> Iterator[str]:
    """Yield what the training decided by itself, and why."""
    if summary.capped_from is not None:
        yield f"not {summary.capped_from}, as training.max_epochs allows no more"
    if summary.stopped_early:
        yield "stopped early, as validation got no better"
    if summary.best_iteration not in (None, summary.iterations):
        yield f"the adapter of iteration {summary.best_iteration} is kept, the best in validation"
    found = summary.preflight
    if found is None:
        return
    yield f"{found.peak_bytes / 1e9:.2g} GB of memory for the longest batch"
    if found.unaided_bytes is not None:
        cures = ["gradient checkpointing"] if found.grad_checkpoint else []
        if left_out := summary.left_out.get(TOO_BIG):
            cures.append(
                f"{plural(left_out, 'example')} over {found.max_seq_length} tokens left out"
            )
        yield f"{' and '.join(cures)} instead of {found.unaided_bytes / 1e9:.2g} GB"


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
    known = _columns(
        stage1.base_metrics,
        stage1.metrics,
        judged.stage1_test if judged else None,
        judged.healed.stage1_test if judged and judged.healed else None,
        judged.champion.stage1_test if judged and judged.champion else None,
    )
    new = stage2 and _columns(
        stage2.base_metrics,
        stage2.baseline,
        stage2.metrics,
        judged.healed.stage2_test if judged and judged.healed else None,
        judged.champion.stage2_test if judged and judged.champion else None,
    )
    return section(
        "What the models score",
        "Teacher-forced over the assistant's tokens. Under each number: the change against the "
        "column before it.",
        tag(
            "h3",
            f"Stage 1 test split: public fixes, {plural(stage1.base_metrics.examples, 'example')}",
        ),
        _comparison(known),
        tag(
            "h3", f"Stage 2 test split: this project, {plural(stage2.baseline.examples, 'example')}"
        )
        if stage2
        else None,
        _comparison(new) if new else None,
    )


def _columns(
    base: Metrics,
    stage1: Metrics,
    stage2: Metrics | None,
    healed: Metrics | None,
    champion: Metrics | None,
) -> dict[str, Metrics | None]:
    """Return the models of one split by their columns' names; what there is not has none."""
    columns: dict[str, Metrics | None] = {"Base": base, "Stage 1": stage1, "Stage 2": stage2}
    if healed is not None:
        columns["Healed"] = healed
    if champion is not None:
        columns[_PUBLISHED_BEFORE] = champion
    return columns


def _comparison(models: dict[str, Metrics | None]) -> Html:
    rows = [
        [row_name(measure.name, sub(measure.note)), *_values(models, measure)]
        for measure in _MEASURES
        if any(model and getattr(model, measure.field) is not None for model in models.values())
    ]
    return table(("Metric", *models), rows, numbers_from=1)


def _values(models: dict[str, Metrics | None], measure: _Measure) -> Iterator[Html]:
    """Yield each model's value with its change against the model before it."""
    before: float | None = None
    for name, model in models.items():
        if name == _PUBLISHED_BEFORE:
            before = None
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


def gates(data: ReportData) -> Html | None:
    """Return every gate with its verdict; None where nothing is known."""
    judged, sent = data.outputs.retention, data.outputs.publish
    if judged is None:
        return None
    rows = [
        [
            row_name(gate.name, sub("quality" if gate.quality else "must hold")),
            cell(badge("passed", "good") if gate.passed else badge("failed", "bad")),
            cell(gate.detail, kind="path"),
        ]
        for gate in (*judged.gates, *(sent.gates if sent else ()))
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
