"""The project's corpus: what its findings up to a run teach, carried from run to run.

`corpus.jsonl` in the run directory has a line for each scan that was ever made, with the last time
it was, one for each file that ever held a secret, and one for each finding: the latest that is
known of it, where it was last seen, and its examples as they were built. A finding is valid from
the artifact that reports it until a newer one holds the same scan again (`scans.Looked.again`) and
does not report it any more. Then it is gone: its advice is dropped, and the fix that its developers
made, where that can be learned, stays for good. A run reads the last corpus of its project and the
findings of the runs parsed since, so that its work does not grow with their number.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.context import revision
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.belonging import LeftOut
from secdaemon.pipeline.fixes.history import learned
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.interface import Job
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.past.known_findings import Artifact, Entry, Gone, KnownFindings, Line
from secdaemon.pipeline.past.provenance import EarlierRun, SeenIn, source_of

MAX_VALID = 5_000
"""Findings of earlier runs that are kept; those seen last stay."""
MAX_LEARNED = 2_000
"""Fixes learned from history that are kept; the newest stay."""
MAX_TRIED = 500
"""Findings whose history one run looks into."""

LOST = "earlier runs whose findings are gone with their folder"
OVER_LIMIT = f"earlier findings beyond the newest {MAX_VALID:,}"
LEARNED_OVER_LIMIT = f"learned fixes beyond the newest {MAX_LEARNED:,}"
_GONE = "earlier findings that are gone, fix not learned: {}"

MakeLearned = Callable[[Finding, Fix], Example | None]
"""A finding that is gone and its fix -> its example; None where the fix is not good enough."""
MakePlain = Callable[[Finding], tuple[Example, ...]]
"""A finding of another artifact -> its examples, from what the scan says alone."""


class Accumulated(msgspec.Struct, frozen=True):
    """What Stage 2 may learn from, the run's own examples first, and what was left out and why."""

    examples: tuple[Example, ...]
    left_out: dict[str, int]


def merge(  # noqa: PLR0917 - what a run found, and how examples are made
    job: Job,
    findings: Sequence[Finding],
    suppressed: Sequence[Finding],
    examples: Sequence[Example],
    make_learned: MakeLearned,
    make_plain: MakePlain,
) -> Accumulated:
    """Write the run's corpus, and return the examples that its Stage 2 may learn from.

    The same job and the same examples give the same bytes, however often it is killed before.

    Args:
        job: of the run whose data are built.
        findings: all that it keeps.
        suppressed: what its scanners suppressed.
        examples: its own, each with its finding's id in the metadata.
        make_learned: how a learned fix becomes an example.
        make_plain: how a finding of a run that ended before it built its data becomes examples.

    Raises:
        OSError: the corpus cannot be written.
    """
    known = KnownFindings()
    for earlier in job.earlier:
        _take_earlier(known, earlier)
    previous = job.previous.parse
    own = Artifact(
        seen=seen_in(job),
        kept=findings,
        suppressed=suppressed,
        files=previous.files if previous else (),
    )
    known.advance(own, own=True)
    _learn(known, Path(job.source_dir) if job.source_dir else None, make_learned)
    _complete(known, findings, examples, make_plain)
    _bound(known, {finding.id for finding in findings})
    encoder = msgspec.json.Encoder(order="deterministic")
    content = b"".join(encoder.encode(line) + b"\n" for line in known.lines())
    write_file(RunFolder(Path(job.run_dir)).corpus, content)
    if job.settings.stage2.corpus == "run":
        return Accumulated(tuple(examples), {})
    return Accumulated(_together(known, examples), dict(sorted(known.left_out.items())))


def earlier_entries(run_dir: Path) -> tuple[Entry, ...]:
    """Return the findings of a run's corpus, those that are gone last.

    Raises:
        OSError: there is none, or it cannot be read.
        msgspec.DecodeError: it is none.
    """
    lines = _read_corpus(RunFolder(run_dir).corpus)
    return tuple(line for line in lines if isinstance(line, Entry))


def entries_of_example(run_dir: Path, example: str) -> Iterator[Entry]:
    """Yield the finding of a run's corpus that has the example; nothing where there is none."""
    wanted = b'{"id":' + msgspec.json.encode(example)
    try:
        lines = RunFolder(run_dir).corpus.read_bytes().splitlines()
        for line in lines:
            if wanted in line:
                found = msgspec.json.decode(line, type=Line)
                if isinstance(found, Entry) and any(e.id == example for e in found.examples or ()):
                    yield found
    except (OSError, msgspec.DecodeError):
        return


def _read_corpus(path: Path) -> list[Line]:
    return msgspec.json.Decoder(Line).decode_lines(path.read_bytes())


def _take_earlier(known: KnownFindings, earlier: EarlierRun) -> None:
    """Take in an earlier run: its corpus, else what its scans found; what is lost is counted."""
    folder = RunFolder(Path(earlier.run_dir))
    try:
        if folder.corpus.is_file():
            known.load(_read_corpus(folder.corpus))
            return
        decoder = msgspec.json.Decoder(Finding)
        artifact = Artifact(
            seen=earlier.seen,
            kept=decoder.decode_lines(folder.findings.read_bytes()),
            suppressed=decoder.decode_lines(folder.suppressed.read_bytes()),
            files=earlier.files,
        )
    except (OSError, msgspec.DecodeError):
        known.left_out[LOST] += 1
        return
    known.advance(artifact)


def seen_in(job: Job) -> SeenIn:
    """Return where a run's own findings are seen.

    What names no commit was scanned in the checkout that was handed over with it, as it stands.
    """
    origin = job.origin
    commit = origin.head_sha
    if commit is None and job.source_dir:
        head = revision(Path(job.source_dir), None)
        commit = None if head == "HEAD" else head
    return SeenIn(
        run=job.run_id,
        at=job.scanned_at or job.now,
        name=origin.name,
        sha256=origin.sha256,
        repository=origin.repository,
        workflow_run_id=origin.workflow_run_id,
        run_attempt=origin.run_attempt,
        url=origin.url,
        commit=commit,
    )


def _learn(known: KnownFindings, source_dir: Path | None, make: MakeLearned) -> None:
    """Make the developers' own fixes of what is gone into examples, and count what is none."""
    tried = 0
    for each in known.gone:
        entry = each.entry
        if entry.finding.id in known.valid:
            continue  # another artifact has it again
        tried += 1
        found = _fix(known, each, source_dir, tried)
        example = None if isinstance(found, LeftOut) else make(entry.finding, found)
        if example is None:
            why = found.reason if isinstance(found, LeftOut) else "it is not good enough"
            known.left_out[_GONE.format(why)] += 1
            continue
        known.learned[entry.finding.id] = Entry(
            finding=entry.finding,
            seen=entry.seen,
            scans=entry.scans,
            examples=(_learned_example(example, entry, each.seen.commit),),
            gone=each.seen,
        )


def _fix(known: KnownFindings, each: Gone, source_dir: Path | None, tried: int) -> Fix | LeftOut:
    finding, commit = each.entry.finding, each.entry.seen.commit
    if source_dir is None:
        return LeftOut("there is no checkout")
    if tried > MAX_TRIED:
        return LeftOut(f"more than {MAX_TRIED} went at once")
    if finding.path in known.secret_paths:
        return LeftOut("a secret was found in its file")
    others = [
        other.entry.finding
        for other in known.gone
        if other is not each
        and other.entry.finding.path == finding.path
        and (other.entry.seen.commit, other.seen) == (commit, each.seen)
    ]
    return learned(finding, commit, each.seen.commit, source_dir, others, each.present)


def _learned_example(example: Example, entry: Entry, commit: str | None) -> Example:
    """Return the example under an id that the finding's own can never have, with its source.

    What was learned from one commit stays in one split.
    """
    about = {"finding": entry.finding.id, **({"fix_commit": commit} if commit else {})}
    return msgspec.structs.replace(
        example,
        id=f"learned-{entry.finding.id}",
        metadata={**example.metadata, **source_of(entry.seen), **about},
    )


def _complete(
    known: KnownFindings, findings: Sequence[Finding], examples: Sequence[Example], make: MakePlain
) -> None:
    """Give every finding its examples: the run's own, and what a run that ended early left open."""
    own: dict[str, list[Example]] = {finding.id: [] for finding in findings}
    for example in examples:
        own.setdefault(example.metadata.get("finding", ""), []).append(example)
    for key, entry in known.valid.items():
        if key in own:
            made = tuple(own[key])
        elif entry.examples is None:
            source = source_of(entry.seen)
            made = tuple(
                msgspec.structs.replace(each, metadata={**each.metadata, **source})
                for each in make(entry.finding)
            )
        else:
            continue
        known.valid[key] = msgspec.structs.replace(entry, examples=made)


def _bound(known: KnownFindings, own: set[str]) -> None:
    """Drop what was seen longest ago, beyond the limits; never a finding of the run itself."""
    earlier = [key for key in known.valid if key not in own]
    _drop(known, known.valid, earlier, MAX_VALID, OVER_LIMIT)
    _drop(known, known.learned, list(known.learned), MAX_LEARNED, LEARNED_OVER_LIMIT)


def _drop(
    known: KnownFindings, entries: dict[str, Entry], keys: list[str], limit: int, why: str
) -> None:
    if len(keys) <= limit:
        return
    oldest_first = sorted(keys, key=lambda key: (entries[key].seen.at, key))
    for key in oldest_first[: len(keys) - limit]:
        del entries[key]
        known.left_out[why] += 1


def _together(known: KnownFindings, own: Sequence[Example]) -> tuple[Example, ...]:
    """Return the run's own examples and then all others, each id once."""
    found = {example.id: example for example in own}
    for entries in (known.valid, known.learned):
        for _, entry in sorted(entries.items()):
            for example in entry.examples or ():
                found.setdefault(example.id, example)
    return tuple(found.values())
