"""`secdaemon similar`: what is asked, and the neighbours of a finding as text and as JSON."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from secdaemon.config.schema import Models
from secdaemon.pipeline.findings.redact import neutralise
from secdaemon.pipeline.interface import Report
from secdaemon.pipeline.knowledge.entries import Entry
from secdaemon.pipeline.knowledge.index import Index
from secdaemon.pipeline.knowledge.search import Neighbour, find, neighbours, query_for
from secdaemon.pipeline.knowledge.static_model import StaticModel, embedding_folder
from secdaemon.pipeline.past.provenance import PastRun

_ID = 12
"""Characters of an id that are shown; `similar` takes them."""
_NARROWEST = 80
_HEADS = ("SCORE", "COSINE", "WORDS", "FINDING", "TOOL", "SEVERITY", "FIX", "RUNS")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What `similar` asks."""

    finding: str
    limit: int
    as_json: bool
    file: str
    """The knowledge base."""
    runs: tuple[PastRun, ...]
    models: Models


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What `similar --json` prints."""

    finding: Entry
    mode: str
    """`hybrid`, or `words` where there is no embedding model."""
    neighbours: tuple[Neighbour, ...]


def answer(question: Question, report: Report) -> Answer:
    """Return the findings most like the one that is asked for.

    Raises:
        NoSuchFindingError: no finding, or more than one, has this id.
        PipelineError: the knowledge base or the embedding model cannot be used.
    """
    folder = embedding_folder(question.models)
    model = None if folder is None else StaticModel(folder)
    with Index(Path(question.file), question.runs, model, report) as index:
        entry = find(index, question.finding)
        found = neighbours(index, query_for(index, entry), question.limit)
    return Answer(finding=entry, mode="words" if model is None else "hybrid", neighbours=found)


def told(found: Answer) -> Iterator[str]:
    """Yield an answer as lines for a terminal; a neighbour's rule is told where it is another."""
    width = max(_NARROWEST, shutil.get_terminal_size((120, 24)).columns)
    own = found.finding
    yield _line(f"finding  {own.finding[:_ID]}  {own.tool}  {own.severity}  {own.rule}")
    yield _line(f"place    {own.place}")
    yield f"fix      {_fix(own)}"
    yield ""
    if not found.neighbours:
        yield "nothing like it in this home"
        return
    hybrid = found.mode == "hybrid"
    scores = "{0:<5}  {1:<6}  {2:<5}" if hybrid else "{2:<5}"
    row = f"{scores}  {{3:<12}}  {{4:<12}}  {{5:<8}}  {{6:<26}}  {{7}}"
    yield row.format(*_HEADS)
    for one in found.neighbours:
        entry = one.entry
        cells = (*map(_number, (one.score, one.cosine, one.words)), entry.finding[:_ID])
        about = (entry.tool[:12], entry.severity[:8], _fix(entry)[:26])
        yield _cut(_line(row.format(*cells, *about, _runs(one.runs))), width)
        rule = "" if entry.rule == own.rule else f"{entry.rule} at "
        yield _line(f"       {rule}{entry.place}")


def _fix(entry: Entry) -> str:
    """Return how a finding was answered, in a few words."""
    return f"{entry.approach} ({entry.quality})" if entry.approach else "none yet"


def _runs(runs: tuple[str, ...]) -> str:
    more = f" and {len(runs) - 1} before" if runs[1:] else ""
    return f"{runs[-1]}{more}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(text: str) -> str:
    """Return one line without what acts on a terminal: a run's files may have been edited."""
    return " ".join(neutralise(text).splitlines()).rstrip()


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
