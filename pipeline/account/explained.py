"""Where an example is from and who learned it, as `explain` tells it."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.findings.redact import neutralise
from secdaemon.pipeline.past.provenance import SeenIn

Split = Literal["train", "validation", "test"]
_SHORT = 12
_MESSAGE = 160
_RUNS = 20


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A run in whose data the example stands."""

    run: str
    state: str
    split: Split
    replayed: bool
    """Whether it stands there as one of Stage 1's."""
    learned: bool
    """Whether the run's adapter was trained on it."""
    revision: str | None = None
    """Of the published adapter."""
    model_url: str | None = None


class Stage1Use(msgspec.Struct, frozen=True, kw_only=True):
    """A Stage 1 result in whose data the example stands."""

    fingerprint: str
    split: Split
    created_at: str
    revision: str | None
    """Of the example's source."""
    runs: tuple[str, ...]
    """Those that built on it."""


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one example."""

    id: str
    weight: float
    metadata: dict[str, str]
    finding: Finding | None
    """As it was last seen; null for a public example, and where its run's folder is gone."""
    seen: SeenIn | None
    """The run and the artifact that it was last seen in."""
    archive: str | None
    """The artifact's zip."""
    gone: SeenIn | None
    """The first artifact without the finding, where the example is its developers' own fix."""
    runs: tuple[Use, ...]
    """Newest first."""
    stage1: tuple[Stage1Use, ...]


def told(found: Explained) -> Iterator[str]:
    """Yield it as lines for people."""
    rows = [*_example(found), *_finding(found), *_source(found)]
    for name, text in rows:
        yield f"{name:<10} {neutralise(' '.join(text.split()))}".rstrip()
    yield ""
    yield from _stage1(found.stage1)
    if found.stage1 and found.runs:
        yield ""
    yield from _runs(found)


def _example(found: Explained) -> Iterator[tuple[str, str]]:
    about = found.metadata
    words = [about.get(name, "") for name in ("category", "language", "cwe")]
    kind = ", ".join(word for word in words if word and word != "none")
    yield "example", f"{found.id}{f' ({kind})' if kind else ''}"
    told_by = {
        "history": "its developers' own fix",
        "public_fix": "a public fix",
        "advice": "advice, no fix",
    }
    approach = about.get("approach", "")
    answer = told_by.get(approach, approach.replace("_", " ")) or "not noted"
    quality = about.get("quality", "not noted")
    yield "answer", f"{answer}; quality {quality}, weight {found.weight:g}"
    if about.get("checks"):
        yield "checks", f"{about['checks']}; score {about.get('score', 'not noted')}"


def _finding(found: Explained) -> Iterator[tuple[str, str]]:
    finding = found.finding
    if finding is None:
        if about := found.metadata.get("finding"):
            yield "finding", f"{about}, which no folder of a run has any more"
        return
    yield "finding", f"{finding.tool} {finding.rule}, {finding.severity.value}"
    yield "", f"id {finding.id}"
    place = finding.path or finding.url or finding.target or ""
    line = f":{finding.line}" if finding.line and finding.path else ""
    package = finding.package
    if package is not None:
        place = f"{package.name} {package.version or ''} {f'in {place}' if place else ''}"
    if place:
        yield "", f"at {place}{line}"
    message = " ".join(finding.message.split())
    yield "", message if len(message) <= _MESSAGE else f"{message[: _MESSAGE - 1]}…"


def _source(found: Explained) -> Iterator[tuple[str, str]]:
    if found.seen is None:
        if found.stage1:
            source = found.metadata.get("source", "not noted")
            revisions = sorted({use.revision for use in found.stage1 if use.revision})
            at = f" at revision {', '.join(revisions)}" if revisions else ""
            yield "source", f"{source}{at}"
        return
    yield "artifact", f"{found.seen.name}, of run {found.seen.run}"
    yield "", f"sha256 {found.seen.sha256}"
    if found.archive:
        yield "", found.archive
    yield from _workflow("workflow", found.seen)
    if found.gone is not None:
        yield "gone in", f"{found.gone.name}, of run {found.gone.run}"
        yield from _workflow("", found.gone)


def _workflow(name: str, seen: SeenIn) -> Iterator[tuple[str, str]]:
    parts = []
    if seen.workflow_run_id is not None:
        attempt = seen.run_attempt or 1
        parts.append(f"{seen.repository or ''} run {seen.workflow_run_id}, attempt {attempt}")
    if seen.commit:
        parts.append(f"commit {seen.commit}")
    if parts:
        yield name, "; ".join(parts)
    elif name:
        yield name, "none: the artifact came without one"
    if seen.url:
        yield "", seen.url


def _stage1(uses: tuple[Stage1Use, ...]) -> Iterator[str]:
    if not uses:
        return
    yield "STAGE 1       SPLIT       RUNS  TRAINED"
    for use in uses:
        learned = "learned it" if use.split == "train" else "measured on it, never learned it"
        yield (
            f"{use.fingerprint[:_SHORT]:<12}  {use.split:<10}  {len(use.runs):>4}  "
            f"{use.created_at}: {learned}"
        )


def _runs(found: Explained) -> Iterator[str]:
    if not found.runs:
        yield "in the data of no run"
        return
    width = max(len(use.run) for use in found.runs)
    yield f"{'RUN':<{width}}  {'SPLIT':<10}  {'STATE':<14}  ADAPTER"
    for use in found.runs[:_RUNS]:
        yield f"{use.run:<{width}}  {use.split:<10}  {use.state:<14}  {_adapter(use)}"
        if use.model_url:
            yield f"{'':<{width}}  {neutralise(use.model_url)}"
    if len(found.runs) > _RUNS:
        yield f"and {len(found.runs) - _RUNS} older runs; --json has them all"
    yield ""
    yield _summary([use for use in found.runs if use.learned])


def _adapter(use: Use) -> str:
    if not use.learned:
        return "not trained" if use.split == "train" else "held out: never learned it"
    how = "learned it, replayed from Stage 1" if use.replayed else "learned it"
    return f"{how}; published as {use.revision[:_SHORT]}" if use.revision else how


def _summary(learned: list[Use]) -> str:
    if not learned:
        return "learned by no adapter of a run"
    published = sum(use.revision is not None for use in learned)
    said = f"{published} of them published" if len(learned) > 1 else "published"
    adapters = f"{len(learned)} adapter{'' if len(learned) == 1 else 's'}"
    return f"learned by {adapters}, {said if published else 'not published'}"
