"""What a report is made of, and what follows from it: how far the run is, and its verdict."""

from typing import Literal

import msgspec

from secdaemon.pipeline.account.manifest_model import Manifest
from secdaemon.pipeline.evaluation.model import Comparison
from secdaemon.pipeline.findings.model import Severity
from secdaemon.pipeline.interface import Job, Outputs

Tone = Literal["good", "bad", "wait"]

STEPS = (
    ("unpack", "unpacked"),
    ("parse", "parsed"),
    ("build_dataset", "dataset_built"),
    ("stage1", "stage1_ready"),
    ("stage2", "stage2_trained"),
    ("retention", "retained"),
    ("publish", "published"),
)
"""Each step and the state that it leads to."""

_BAD = frozenset({"held", "rejected", "failed"})


class LossPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A line of losses.jsonl: the mean over `tokens` tokens, in nats."""

    iteration: int
    tokens: int
    train_loss: float | None = None
    valid_loss: float | None = None


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many kept findings a tool has of a severity."""

    tool: str
    severity: Severity
    count: int


class ReportData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a report shows; what is not known yet is None or empty."""

    job: Job
    outputs: Outputs
    stage1_losses: tuple[LossPoint, ...] = ()
    stage2_losses: tuple[LossPoint, ...] = ()
    findings: tuple[Tally, ...] = ()
    comparison: Comparison | None = None
    manifest: Manifest | None = None
    state: str | None = None
    """The run's state, where the caller knows it."""
    reason: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """Where the run stands: a word, whether that is well, and a sentence."""

    state: str
    tone: Tone
    sentence: str


def reached(outputs: Outputs) -> str:
    """Return the state that the outputs tell of; `held` where a gate said no."""
    judged = outputs.retention
    if outputs.publish is None and judged and not all(gate.passed for gate in judged.gates):
        return "held"
    done = [state for step, state in STEPS if getattr(outputs, step) is not None]
    return done[-1] if done else "received"


def verdict_of(data: ReportData) -> Verdict:
    """Return the run's verdict, by its own state or else by its outputs."""
    state = data.state or reached(data.outputs)
    tone: Tone = "bad" if state in _BAD else "wait"
    if state in {"published", "retained"}:
        tone = "good"
    return Verdict(state, tone, _sentence(state, data))


def _sentence(state: str, data: ReportData) -> str:
    judged, published = data.outputs.retention, data.outputs.publish
    failed = [gate for gate in judged.gates if not gate.passed] if judged else []
    because = data.reason or "; ".join(gate.detail for gate in failed)
    match state:
        case "published" if published is not None:
            place = " in the publish folder" if published.target == "folder" else ""
            past = " A person released it past a gate that said no." if failed else ""
            return f"The model and its data are published{place}: {published.model_url}.{past}"
        case "retained":
            return "The model passed every gate. It is kept here and not published."
        case "held":
            return f"Trained, but not published: {because or 'a gate said no'}."
        case "received":
            return "The artifact is in; nothing has been read from it yet."
        case "skipped" | "superseded" | "rejected" | "failed" | "cancelled":
            return f"{because}." if because else f"The run was {state}."
        case _:
            return "The run is on its way."
