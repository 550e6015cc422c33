"""What is known of a run's findings: each with the fix that was answered, from the run's folder."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from secdaemon.pipeline.evaluation.blocks import answer_of, question_blocks
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.knowledge.words import Document, document_of, text_of
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.past.known_findings import Entry as Known
from secdaemon.pipeline.questions import place_of

HELD_OUT = ("valid", "test")
"""The splits whose answers no model may be shown."""
_SPLITS = ("train", *HELD_OUT)
_QUALITIES = ("high", "medium", "low")
_Row = TypeVar("_Row", bound=msgspec.Struct)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a run, with the best of its examples; texts are redacted already."""

    finding: str
    """Its id."""
    tool: str
    rule: str
    severity: str
    place: str
    category: str = ""
    cwe: str = ""
    language: str = ""
    approach: str = ""
    """"" where the run has no example of the finding."""
    quality: str = ""
    code: str = ""
    """What is shown in the question, without its fence."""
    question: str = ""
    answer: str = ""


class Indexed(msgspec.Struct, frozen=True, kw_only=True):
    """An entry and what it is found by."""

    entry: Entry
    document: Document
    text: str
    """What an embedding model reads."""

    @property
    def key(self) -> str:
        """Equal for what is the same in two runs."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Sighting(msgspec.Struct, frozen=True):
    """A finding with its fix, and the run that had the finding last, as far as the teller knows."""

    run: str
    indexed: Indexed


class Contents(msgspec.Struct, frozen=True):
    """What a run's folder holds for the index."""

    sightings: tuple[Sighting, ...]
    held_out: frozenset[str]
    """Ids of findings with an example that the run measured with."""


def stamp_of(folder: Path) -> str:
    """Return what changes with every change of the files, without reading them; "" for none."""
    told = []
    for path in _files(folder):
        try:
            seen = path.stat()
        except OSError:
            continue
        told.append(f"{path.name} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}")
    return "\n".join(told)


def digest_of(folder: Path) -> str:
    """Return the hash of the files' contents, those that are not there included."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(hashlib.sha256(_bytes(path)).digest())
    return digest.hexdigest()


def contents_of(folder: Path, run_id: str) -> Contents:
    """Return what a run tells: its findings in their order, then those whose fix it has learned.

    Lines that cannot be read are passed over.
    """
    run = RunFolder(folder)
    splits = {name: tuple(_rows(run.project_data / f"{name}.jsonl", Example)) for name in _SPLITS}
    answered: dict[str, list[Example]] = {}
    for name in _SPLITS:
        for example in splits[name]:
            answered.setdefault(_finding_of(example), []).append(example)
    held_out = {_finding_of(example) for name in HELD_OUT for example in splits[name]}
    findings = {found.id: found for found in _rows(run.findings, Finding) if found.id}
    own = (
        Sighting(run_id, _indexed(finding, answered.get(id_, ())))
        for id_, finding in findings.items()
    )
    learned = (
        Sighting(line.seen.run, _indexed(line.finding, line.examples))
        for line in _rows(run.corpus, Known)
        if line.gone is not None and line.finding.id and line.examples
    )
    return Contents((*own, *learned), frozenset(held_out - {""}))


def _indexed(finding: Finding, examples: Iterable[Example]) -> Indexed:
    example = min(examples, key=_rank, default=None)
    shown = question_blocks(example) if example else ()
    code = shown[0].code if shown else finding.snippet or ""
    about = example.metadata if example else {}
    entry = Entry(
        finding=finding.id,
        tool=finding.tool,
        rule=finding.rule,
        severity=finding.severity.value,
        place=place_of(finding),
        category=about.get("category", ""),
        cwe=about.get("cwe", finding.cwes[0] if finding.cwes else ""),
        language=about.get("language", ""),
        approach=about.get("approach", ""),
        quality=about.get("quality", ""),
        code=code,
        question=example.messages[-2].content if example else "",
        answer=answer_of(example) if example else "",
    )
    return Indexed(entry=entry, document=document_of(finding, code), text=text_of(finding, code))


def _rank(example: Example) -> tuple[int, bool, str]:
    """Order a finding's examples: best quality first, as written before augmented, then by id."""
    quality = example.metadata.get("quality", "")
    place = _QUALITIES.index(quality) if quality in _QUALITIES else len(_QUALITIES)
    return place, "augmented" in example.metadata, example.id


def _finding_of(example: Example) -> str:
    """Return the id of the finding that a conversation is about, "" where it is about none."""
    has_turns = len(example.messages) > 1
    return example.metadata.get("finding", "") if has_turns else ""


def _rows(path: Path, kind: type[_Row]) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(kind)
    for line in _bytes(path).splitlines():
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _files(folder: Path) -> tuple[Path, ...]:
    run = RunFolder(folder)
    return (run.findings, run.corpus, *(run.project_data / f"{name}.jsonl" for name in _SPLITS))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
