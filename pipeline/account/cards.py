"""The model's and the data set's README.md: front matter for the Hub, then plain text for people.

Front matter: https://huggingface.co/docs/hub/model-cards and https://huggingface.co/docs/hub/
datasets-cards. Everything is taken from the manifest; text that came from outside stands escaped.
"""

import json
import math
import re
from typing import Any

import msgspec

from secdaemon.config.schema import EMBEDDED_BASE_ID
from secdaemon.pipeline.account.card_contents import contents
from secdaemon.pipeline.account.healed import attempt_name
from secdaemon.pipeline.account.manifest_model import Compared, DatasetStats, Manifest
from secdaemon.pipeline.account.markdown import document, listed, plain, table
from secdaemon.pipeline.evaluation.model import Comparison
from secdaemon.pipeline.interface import HealingAttempt, Metrics

DATA_FILES = {"train": "train.jsonl", "validation": "valid.jsonl", "test": "test.jsonl"}
"""The Hub's name of a split -> its file in the data set repository."""

HUB_SOURCES = {"crossvul": "hitoshura25/crossvul", "cvefixes": "hitoshura25/cvefixes"}
LICENSES = {"allenai/OLMo-2": "apache-2.0", EMBEDDED_BASE_ID: "apache-2.0"}
"""What is known of base models' licences, by the beginning of their ids."""

_PAGE = re.compile(r"https?://[A-Za-z0-9._:/-]+")
"""A workflow run's page; the one link of foreign origin in a card."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (math.inf, "n>100K"))
_METRICS = (
    ("loss", "Loss (nats per assistant token)", ".3f"),
    ("perplexity", "Perplexity", ".2f"),
    ("token_accuracy", "Token accuracy", ".1%"),
    ("edited_loss", "Loss on edited tokens", ".3f"),
    ("edited_token_accuracy", "Token accuracy on edited tokens", ".1%"),
    ("exact_match", "Exact match (greedy)", ".1%"),
    ("codebleu", "CodeBLEU (greedy)", ".3f"),
)
_SPLITS = (
    ("stage1_test", "Public fixes (Stage 1 test split)"),
    ("stage2_test", "This project (Stage 2 test split)"),
)

_LIMITS = (
    (
        "The examples were made by a program from scanner output and were not reviewed by people. "
        "Scanners are wrong at times, and what they are wrong about was learnt too."
    ),
    (
        "Answers may name a wrong weakness, a wrong version or a fix that does not compile. Review "
        "them as you would a stranger's patch."
    ),
    (
        "Scores are teacher-forced over the reference answers; they say little about how often a "
        "freely written fix is right."
    ),
)


class Partner(msgspec.Struct, frozen=True):
    """The other repository of a run, at the revision that belongs to this one."""

    url: str
    revision: str


def model_card(
    manifest: Manifest, dataset: Partner | None = None, results: Comparison | None = None
) -> str:
    """Return the model repository's README.md.

    `dataset` is what it was trained on, if published; `results` all models side by side, if known.
    """
    return document(
        _model_front_matter(manifest),
        "# Security analyst adapter",
        _model_summary(manifest),
        "## What it was trained on",
        _trained_on(manifest) + _partner("The project's examples", dataset),
        "## What it learnt",
        *(_results(title, getattr(manifest.metrics, name)) for name, title in _SPLITS),
        "## Retention",
        _retention(manifest) + _healing(manifest),
        "## Checks",
        _gates(manifest),
        "## Limits",
        _limits(manifest),
        "## How to load it",
        _loading(manifest),
        "## Provenance",
        _provenance(manifest),
    )


def adapter_card(base_id: str) -> str:
    """Return the README.md of an adapter that was trained alone, by `secdaemon finetune`."""
    fields = {
        "base_model": base_id,
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        **_license(base_id),
        "tags": ["lora", "mlx", "peft", "security"],
    }
    return document(
        fields,
        "# Adapter",
        f"A LoRA adapter for {plain(base_id)}, trained with `secdaemon finetune`. The PEFT form is "
        "at the root, the MLX form under `mlx/`. Nothing is known here of its data or its scores.",
    )


def dataset_card(manifest: Manifest, model: Partner | None = None) -> str:
    """Return the data set repository's README.md, beside the files of `DATA_FILES`.

    `model` is what was trained on it, if published.
    """
    splits = manifest.stage2.dataset_stats.splits
    total = splits.train + splits.validation + splits.test
    files = ((name, file, getattr(splits, name)) for name, file in DATA_FILES.items())
    return document(
        _dataset_front_matter(total),
        "# Security findings as conversations",
        f"{total} conversations (system, user, assistant), made from the kept results of "
        f"{listed(manifest.findings_by_tool)}. The program that made them is `secdaemon`; nobody "
        "reviewed them one by one. Texts were redacted before they were stored: what looked like a "
        "secret, an e-mail address or a home folder is a placeholder.",
        table(("Split", "File", "Examples"), [(n, f"`{f}`", str(c)) for n, f, c in files]),
        "Examples that share a group, a text or a piece of code stand in one split. Replayed "
        "Stage 1 examples are no "
        f"part of this data set; the model also saw {_replay(manifest)} of them, from "
        f"{listed(manifest.stage1.dataset_stats.sources)}."
        + _partner("The model trained on it", model),
        *contents(manifest),
        "## Columns",
        "`messages` is the conversation; `group` binds examples that must stay in one split; "
        "`weight` is how often the sampler draws the row relative to others; `metadata` says where "
        "the row came from.",
        "## Licence",
        "Scanner messages and code belong to their owners. No licence beyond that of the scanned "
        "repository and of the scanners' rules is given here.",
        "## Provenance",
        _provenance(manifest),
    )


def _partner(what: str, partner: Partner | None) -> str:
    if partner is None:
        return ""
    return f"\n\n{what}: {plain(partner.url)} at revision `{partner.revision}`."


def _model_front_matter(manifest: Manifest) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "base_model": manifest.base_model_id,
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        **_license(manifest.base_model_id),
        "language": ["en", "code"],
        "tags": ["lora", "mlx", "peft", "security", "vulnerability", "sequential-fine-tuning"],
    }
    known = [HUB_SOURCES.get(name, name) for name in manifest.stage1.dataset_stats.sources]
    datasets = [name for name in known if _HUB_ID.fullmatch(name)]
    if datasets:
        fields["datasets"] = datasets
    results = [
        result
        for name, title in _SPLITS
        if (result := _index_entry(name, title, getattr(manifest.metrics, name).final))
    ]
    if results:
        fields["model-index"] = [{"name": _model_name(manifest), "results": results}]
    return fields


def _license(base_id: str) -> dict[str, str]:
    """Return the base model's licence where it is known, which the adapter carries on."""
    for start, name in LICENSES.items():
        if base_id.startswith(start):
            return {"license": name}
    return {"license": "other", "license_name": "license-of-the-base-model"}


def _model_name(manifest: Manifest) -> str:
    return f"webauthn-security-sequential-{manifest.run_id}"


def _index_entry(name: str, title: str, metrics: Metrics | None) -> dict[str, Any] | None:
    """Return a model-index result of what was measured, None where nothing was."""
    measured = [
        {"type": key, "name": label, "value": getattr(metrics, key)}
        for key, label, _ in _METRICS
        if metrics is not None and getattr(metrics, key) is not None
    ]
    if not measured:
        return None
    return {
        "task": {"type": "text-generation", "name": "Security analysis"},
        "dataset": {"type": name, "name": title, "split": "test"},
        "metrics": measured,
    }


def _dataset_front_matter(total: int) -> dict[str, Any]:
    return {
        "license": "other",
        "license_name": "license-of-the-scanned-repository",
        "language": ["en", "code"],
        "task_categories": ["text-generation"],
        "tags": ["security", "vulnerability", "static-analysis"],
        "size_categories": [next(name for limit, name in _SIZES if total < limit)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": path} for name, path in DATA_FILES.items()],
            }
        ],
    }


def _model_summary(manifest: Manifest) -> str:
    method = manifest.stage2.training_params.method
    how = f", with {listed(method)} against forgetting the first stage" if method else ""
    return (
        f"A LoRA adapter for {plain(manifest.base_model_id)}, trained by `secdaemon` in two "
        f"stages: first on public vulnerability fixes, then on one project's own scan findings{how}"
        ".\n"
    )


def _trained_on(manifest: Manifest) -> str:
    rows = [
        _stage_row("Stage 1", manifest.stage1.dataset_stats, manifest.stage1.training.iterations),
        _stage_row("Stage 2", manifest.stage2.dataset_stats, manifest.stage2.training.iterations),
    ]
    columns = ("Stage", "Sources", "Own", "Replayed", "Validation", "Test", "Iterations")
    found = manifest.findings
    return table(columns, rows) + (
        f"\n\nThe findings: {found.entered} results came in, {found.kept} were kept, "
        f"{found.duplicate} were duplicates, {found.suppressed} suppressed, {found.rejected} "
        "unusable."
    )


def _stage_row(name: str, stats: DatasetStats, iterations: int) -> tuple[str, ...]:
    counts = (
        stats.splits.train,
        stats.stage1_replay_examples,
        stats.splits.validation,
        stats.splits.test,
        iterations,
    )
    return (name, listed(stats.sources), *map(str, counts))


def _results(title: str, models: Compared) -> str:
    columns: dict[str, Metrics | None] = {"Base": models.base, "Stage 1": models.stage1}
    if models.healed is None:
        columns["Stage 2 (this adapter)"] = models.stage2
    else:
        columns |= {"Stage 2 as trained": models.stage2, "This adapter": models.healed}
    if models.champion is not None:
        columns["Published before"] = models.champion
    rows = [
        (label, *(_number(model, key, form) for model in columns.values()))
        for key, label, form in _METRICS
    ]
    compared = table(("Metric", *columns), rows)
    return f"### {title}, {models.base.examples} examples\n\n{compared}"


def _number(metrics: Metrics | None, key: str, form: str) -> str:
    value = None if metrics is None else getattr(metrics, key)
    return "not measured" if value is None else format(value, form)


def _retention(manifest: Manifest) -> str:
    found = manifest.retention
    if found is None:
        return "Not measured yet.\n"
    if found.value is None:
        value = "Undefined"
    elif found.ci_low is None or found.ci_high is None:
        value = f"{found.value:.3f}"
    else:
        value = f"{found.value:.3f} (95 % interval {found.ci_low:.3f} to {found.ci_high:.3f})"
    return (
        f"**{value}**, against a threshold of {found.threshold:.2f}. Retention is the share of "
        "Stage 1's gain over the base model, in loss per assistant token on Stage 1's own test "
        "split, that is left after Stage 2: 1 is all of it, 0 none, and above 1 Stage 2 went on "
        "improving. The interval is a paired bootstrap over groups of related examples.\n\n"
        f"The verdict: {plain(found.reason)}."
    )


def _healing(manifest: Manifest) -> str:
    """Return what was tried against forgetting; nothing where nothing had to be."""
    if not manifest.healing:
        return ""
    columns = ("Tried", "Replay", "Rate", "Retention", "Improvement", "Result")
    remedy = manifest.remedy or ""
    return f"\n\n{plain(remedy[:1].upper())}{plain(remedy[1:])}.\n\n" + table(
        columns, [_attempt_row(attempt) for attempt in manifest.healing]
    )


def _attempt_row(attempt: HealingAttempt) -> tuple[str, ...]:
    result = "passed" if attempt.passed else "not passed"
    measured = (attempt.retention, attempt.improvement)
    return (
        attempt_name(attempt),
        f"{attempt.replay_ratio:.0%}",
        f"{attempt.learning_rate:.3g}",
        *("not measured" if value is None else f"{value:.3f}" for value in measured),
        f"{result}, this adapter" if attempt.chosen else result,
    )


def _gates(manifest: Manifest) -> str:
    if not manifest.gates:
        return "None has run yet.\n"
    rows = [
        (plain(gate.name), "passed" if gate.passed else "FAILED", plain(gate.detail))
        for gate in manifest.gates
    ]
    return table(("Check", "Result", "Detail"), rows)


def _limits(manifest: Manifest) -> str:
    trained = manifest.stage2.dataset_stats.total_train_examples
    tested = manifest.stage2.dataset_stats.splits.test
    lines = [
        f"Stage 2 saw {trained} examples and was tested on {tested}: read the numbers as a trend.",
        *_LIMITS,
    ]
    if manifest.base_model_id == EMBEDDED_BASE_ID:
        lines.insert(
            0,
            "The base is secdaemon's embedded tiny model, well under a million parameters: it "
            "demonstrates the pipeline and is of no use for security work.",
        )
    return "\n".join(f"- {line}" for line in lines)


def _loading(manifest: Manifest) -> str:
    embedded = manifest.base_model_id == EMBEDDED_BASE_ID
    base = json.dumps("path/to/embedded-tiny" if embedded else manifest.base_model_id)
    note = (
        "The embedded model is on no hub: `secdaemon demo` lays it out as a folder."
        if embedded
        else "On another form of the base, such as an unquantised one, its answers differ somewhat."
    )
    return (
        f"It was trained on {plain(manifest.base_model)}. {note}\n\n"
        "With mlx-lm, in a local copy of this repository:\n\n"
        "```python\nfrom mlx_lm import generate, load\n\n"
        f'model, tokenizer = load({base}, adapter_path="mlx")\n```\n\n'
        "With PEFT:\n\n"
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        f"base = AutoModelForCausalLM.from_pretrained({base})\n"
        'model = PeftModel.from_pretrained(base, ".")\n```'
    )


def _provenance(manifest: Manifest) -> str:
    source, artifact = manifest.source, manifest.artifact
    run = source.workflow_run_id
    facts = {
        "Run": manifest.run_id,
        "Made at": manifest.timestamp,
        "Artifact": artifact.name,
        "Artifact SHA-256": artifact.sha256,
        "Trust": "from a trusted workflow run" if artifact.kind == "github" else "given by hand",
        "Repository": source.repository,
        "Branch": source.branch,
        "Commit": source.commit,
        "Workflow": source.workflow,
        "Workflow run": f"{run}, attempt {source.run_attempt}" if run is not None else None,
        "Started by": source.actor,
        "Stage 1 fingerprint": manifest.stage1.fingerprint
        + (" (reused)" if manifest.stage1.reused else ""),
        "Project examples' fingerprint": manifest.data_fingerprints["project_examples"],
        **{f"Revision of {name}": value for name, value in manifest.data_revisions.items()},
    }
    rows = [(plain(name), plain(value)) for name, value in facts.items() if value is not None]
    if source.url is not None and _PAGE.fullmatch(source.url):
        rows.append(("Page", f"<{source.url}>"))
    return table(("What", "Value"), rows) + (
        "\n\nSettings, seeds and library versions that make it again stand in `run-manifest.json`."
    )


def _replay(manifest: Manifest) -> int:
    return manifest.stage2.dataset_stats.stage1_replay_examples
