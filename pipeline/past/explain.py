"""`explain`: from an example back to its finding, artifact and workflow run, and on to adapters.

What was learned from stands in the folders of runs and of Stage 1 results; they are looked through
for one id, and a folder that is gone is passed over.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from secdaemon.pipeline.account.explained import Explained, Split, Stage1Use, Use
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.layout import RunFolder, StageFolder
from secdaemon.pipeline.past.corpus import entries_of_example
from secdaemon.pipeline.past.known_findings import Entry
from secdaemon.pipeline.past.provenance import RunFacts, SeenIn
from secdaemon.pipeline.splitting.splits import REPLAY_MARK
from secdaemon.pipeline.stage1_record import read_record

_FILES: tuple[tuple[str, Split], ...] = (
    ("train", "train"),
    ("valid", "validation"),
    ("test", "test"),
)
_NAMED = 5


class UnknownExampleError(Exception):
    """No example has the id, or several ids begin so; the message says which."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What `explain` asks a worker."""

    example: str
    """An example's id, or how it begins, with or without `finding-`."""
    as_json: bool
    home: str
    stage1_dir: str
    runs: tuple[RunFacts, ...]
    """All of the home, newest first."""


class _Hit(msgspec.Struct, frozen=True):
    """An example in a run's data."""

    example: Example
    run: RunFacts
    split: Split


def answer(asked: Question) -> Explained:
    """Return what is known of an example.

    Raises:
        UnknownExampleError: there is none, or there are several.
    """
    example = _the_one(asked)
    hits = [hit for run in asked.runs for hit in _hits(run, example.id, exact=True)]
    entry = _entry(asked.runs, example)
    seen = entry.seen if entry else _seen(asked.runs, example, hits)
    archives = {run.seen.run: run.archive for run in asked.runs}
    stage1 = tuple(_stage1_uses(asked, example.id))
    return Explained(
        id=example.id,
        weight=example.weight,
        metadata=dict(sorted(example.metadata.items())),
        finding=entry.finding if entry else _finding(asked.runs, example, seen),
        seen=seen,
        archive=archives.get(seen.run) if seen else None,
        gone=entry.gone if entry else None,
        runs=tuple(_use(hit) for hit in hits),
        stage1=stage1,
    )


def _the_one(asked: Question) -> Example:
    """Return the example that is meant; one whose id is exactly the one asked for comes first."""
    for begin in (asked.example, f"finding-{asked.example}"):
        found: dict[str, Example] = {}
        for run in asked.runs:
            for hit in _hits(run, begin):
                found.setdefault(hit.example.id, hit.example)
        for folder in _stage1_folders(asked):
            for example, _ in _stage_examples(folder, begin):
                found.setdefault(example.id, example)
        if begin in found:
            return found[begin]
        if len(found) > 1:
            ids = sorted(found)
            more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
            msg = f"{asked.example} is the beginning of {', '.join(ids[:_NAMED])}{more}"
            raise UnknownExampleError(msg)
        if found:
            return next(iter(found.values()))
    msg = (
        f"no example {asked.example} in the data of any run or Stage 1 result of {asked.home}; "
        "a run's dataset/train.jsonl has the ids"
    )
    raise UnknownExampleError(msg)


def _hits(run: RunFacts, begin: str, *, exact: bool = False) -> Iterator[_Hit]:
    """Yield the examples of a run's data whose id begins so: the project's own, and replayed ones.

    Of a model that was trained again while it was healed, that training's data count.
    """
    if run.run_dir is None:
        return
    folder = RunFolder(Path(run.run_dir))
    trained = folder.stage2
    if run.retraining:
        trained = StageFolder(folder.healing / f"retraining-{run.retraining}")
    seen = set()
    for data in (folder.project_data, trained.data):
        for name, split in _FILES:
            for example in _read(data / f"{name}.jsonl", begin):
                if example.id not in seen and (not exact or example.id == begin):
                    seen.add(example.id)
                    yield _Hit(example, run, split)


def _read(path: Path, begin: str) -> Iterator[Example]:
    """Yield the examples of a file whose id begins so; the id is the first field of a line."""
    wanted = b'{"id":' + msgspec.json.encode(begin)[:-1]
    try:
        content = path.read_bytes()
    except OSError:
        return
    at = 0 if content.startswith(wanted) else content.find(b"\n" + wanted) + 1
    while at or content.startswith(wanted):
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        try:
            yield msgspec.json.decode(content[at:end], type=Example)
        except msgspec.DecodeError:
            return
        at = content.find(b"\n" + wanted, end) + 1
        if not at:
            return


def _use(hit: _Hit) -> Use:
    run = hit.run
    learned = hit.split == "train" and run.is_trained
    return Use(
        run=run.seen.run,
        state=run.state,
        split=hit.split,
        replayed=REPLAY_MARK in hit.example.metadata,
        learned=learned,
        revision=run.revision if learned else None,
        model_url=run.model_url if learned else None,
    )


def _entry(runs: tuple[RunFacts, ...], example: Example) -> Entry | None:
    """Return what the newest corpus with the example says of its finding."""
    for run in runs:
        if run.run_dir is not None:
            found = next(entries_of_example(Path(run.run_dir), example.id), None)
            if found is not None:
                return found
    return None


def _seen(runs: tuple[RunFacts, ...], example: Example, hits: list[_Hit]) -> SeenIn | None:
    """Return the newest run of the example's artifact, without a corpus that would tell."""
    if "finding" not in example.metadata:
        return None
    artifact = example.metadata.get("source_artifact")
    own = [run.seen for run in runs if run.seen.sha256 == artifact]
    return next(iter((*own, *(hit.run.seen for hit in hits[-1:]))), None)


def _finding(runs: tuple[RunFacts, ...], example: Example, seen: SeenIn | None) -> Finding | None:
    """Return the finding from the run that it was seen in."""
    wanted = example.metadata.get("finding", "")
    run = next((run for run in runs if seen and run.seen.run == seen.run), None)
    if not wanted or run is None or run.run_dir is None:
        return None
    try:
        lines = RunFolder(Path(run.run_dir)).findings.read_bytes().splitlines()
    except OSError:
        return None
    return next(
        (
            msgspec.json.decode(line, type=Finding)
            for line in lines
            if line.startswith(b'{"id":"' + wanted.encode() + b'"')
        ),
        None,
    )


def _stage1_folders(asked: Question) -> Iterator[Path]:
    """Yield the Stage 1 results, and the copies that runs have of those that are gone."""
    there = set()
    for folder in sorted(Path(asked.stage1_dir).glob("[!.]*")):
        if (folder / "training-data").is_dir():
            there.add(folder.name)
            yield folder
    for run in asked.runs:
        if run.run_dir is not None and run.stage1 and run.stage1 not in there:
            there.add(run.stage1)
            yield RunFolder(Path(run.run_dir)).stage1.root


def _stage_examples(folder: Path, begin: str) -> Iterator[tuple[Example, Split]]:
    for name, split in _FILES:
        for example in _read(StageFolder(folder).data / f"{name}.jsonl", begin):
            yield example, split


def _stage1_uses(asked: Question, wanted: str) -> Iterator[Stage1Use]:
    for folder in _stage1_folders(asked):
        record = read_record(folder)
        if record is None:
            continue
        output = record.output
        for example, split in _stage_examples(folder, wanted):
            if example.id == wanted:
                yield Stage1Use(
                    fingerprint=output.fingerprint,
                    split=split,
                    created_at=output.created_at,
                    revision=output.revisions.get(example.metadata.get("source", "")),
                    runs=tuple(r.seen.run for r in asked.runs if r.stage1 == output.fingerprint),
                )
