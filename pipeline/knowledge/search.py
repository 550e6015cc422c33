"""Hybrid search: findings ranked by their words and by their vectors, and the two ranks fused.

Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): the sum over both rankings of
1 / (60 + rank). It needs no scale that bm25 and a cosine could share.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.knowledge.entries import Entry
from secdaemon.pipeline.knowledge.index import Index
from secdaemon.pipeline.knowledge.static_model import StaticModel
from secdaemon.pipeline.knowledge.words import (
    COLUMNS,
    WEIGHTS,
    Document,
    document_of,
    match_of,
    text_of,
)

FUSION = 60
"""The constant of the paper: high ranks of one list do not outweigh agreement of both."""
POOL = 100
"""Findings of each ranking that are fused."""


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A finding like another one."""

    entry: Entry
    """As its newest run has it."""
    runs: tuple[str, ...]
    """Those that had the finding, oldest first."""
    score: float
    """Of the fusion, as a share of what the first place in every ranking gives: 0 to 1."""
    words: float | None
    """bm25 as a share of what the finding itself scores; None where it is not in the index, or has
    no words in common."""
    cosine: float | None
    """Of the vectors; None without an embedding model."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What findings are compared with."""

    document: Document
    text: str
    finding: str
    """Its own id; it is no neighbour of itself."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings may be neighbours."""

    runs: tuple[str, ...] | None = None
    """Those that one of these runs had; None for all."""
    teaching: bool = False
    """Whether findings are left out that any run has measured a model with."""
    wanted: Callable[[Entry], bool] = lambda _: True


class NoSuchFindingError(PermanentError):
    """No finding of the index, or more than one, has an id that begins so."""


def query_of(finding: Finding, code: str) -> Query:
    """Return the query of a finding and the code that is shown of it."""
    return Query(
        document=document_of(finding, code), text=text_of(finding, code), finding=finding.id
    )


def find(index: Index, name: str) -> Entry:
    """Return the finding of an id, or of how one begins.

    Raises:
        NoSuchFindingError: there is none, or more than one.
        PipelineError: the index cannot be used.
    """
    wanted = name.strip().lower().removeprefix("finding-")
    found: list[str] = index.ask(
        lambda db: [
            row["finding"]
            for row in db.execute(
                "SELECT DISTINCT finding FROM entries WHERE substr(finding, 1, ?) = ? "
                "ORDER BY finding LIMIT 4",
                (len(wanted), wanted),
            )
        ]
    )
    if wanted in found:
        found = [wanted]
    if not wanted or not found:
        msg = f"no finding {name}: its id, or how it begins, stands in a run's findings.jsonl"
        raise NoSuchFindingError(msg)
    if len(found) > 1:
        some = ", ".join(found[:3])
        msg = f"more than one finding begins with {name}: {some}{', …' if found[3:] else ''}"
        raise NoSuchFindingError(msg)
    return index.ask(lambda db: _entry(db, _newest(db, found[0])))


def query_for(index: Index, entry: Entry) -> Query:
    """Return the query of a finding that is in the index."""

    def read(db: sqlite3.Connection) -> Query:
        number = _newest(db, entry.finding)
        row = db.execute("SELECT * FROM words WHERE rowid = ?", (number,)).fetchone()
        text = db.execute("SELECT text FROM entries WHERE id = ?", (number,)).fetchone()["text"]
        document = Document(**{name: row[name] for name in COLUMNS})
        return Query(document=document, text=text, finding=entry.finding)

    return index.ask(read)


def neighbours(
    index: Index, query: Query, limit: int, scope: Scope | None = None
) -> tuple[Neighbour, ...]:
    """Return the findings most like a query, best first; the same index gives the same ones.

    Raises:
        PipelineError: the index cannot be used.
    """
    within = scope or Scope()
    return index.ask(lambda db: tuple(_neighbours(db, index.model, query, within, limit)))


def _neighbours(
    db: sqlite3.Connection, model: StaticModel | None, query: Query, scope: Scope, limit: int
) -> Iterator[Neighbour]:
    finding_of = _eligible(db, query.finding, scope)
    own, by_words = _by_words(db, query, finding_of)
    by_vectors = {} if model is None else _by_vectors(db, model, query, finding_of)
    rankings = [by_words] if model is None else [by_words, by_vectors]
    scores: dict[str, float] = {}
    for ranking in rankings:
        for place, finding in enumerate(list(ranking)[:POOL], 1):
            scores[finding] = scores.get(finding, 0) + 1 / (FUSION + place)
    for finding in sorted(scores, key=lambda finding: (-scores[finding], finding)):
        if limit == 0:
            return
        entry = _entry(db, _newest(db, finding, scope.runs))
        if not scope.wanted(entry):
            continue
        limit -= 1
        score = by_words.get(finding)
        yield Neighbour(
            entry=entry,
            runs=_runs(db, finding),
            score=scores[finding] * (FUSION + 1) / len(rankings),
            words=min(1.0, score / own) if own and score is not None else None,
            cosine=by_vectors.get(finding),
        )


def _eligible(db: sqlite3.Connection, own: str, scope: Scope) -> Mapping[int, str]:
    """Return the entries that may be neighbours: number -> finding."""
    rows = db.execute(
        "SELECT id, finding FROM entries WHERE finding != :own "
        "AND (NOT :teaching OR finding NOT IN (SELECT finding FROM held_out)) "
        "AND (:runs IS NULL OR id IN "
        "(SELECT entry FROM sightings WHERE run IN (SELECT value FROM json_each(:runs))))",
        {
            "own": own,
            "teaching": scope.teaching,
            "runs": None if scope.runs is None else msgspec.json.encode(scope.runs).decode(),
        },
    )
    return {row["id"]: row["finding"] for row in rows}


def _by_words(
    db: sqlite3.Connection, query: Query, finding_of: Mapping[int, str]
) -> tuple[float | None, dict[str, float]]:
    """Return bm25 of the finding itself, and of the others, best first; more is more alike."""
    match = match_of(query.document)
    if match is None:
        return None, {}
    rows = db.execute(
        "SELECT words.rowid AS id, finding, -bm25(words, ?, ?, ?, ?) AS score "
        "FROM words JOIN entries ON entries.id = words.rowid WHERE words MATCH ?",
        (*WEIGHTS, match),
    ).fetchall()
    own = max((row["score"] for row in rows if row["finding"] == query.finding), default=None)
    scored = ((finding_of.get(row["id"]), row["score"]) for row in rows)
    return own, _ranked((finding, score) for finding, score in scored if finding is not None)


def _by_vectors(
    db: sqlite3.Connection, model: StaticModel, query: Query, finding_of: Mapping[int, str]
) -> dict[str, float]:
    """Return the cosines of all findings, best first: exact, since all are looked at."""
    rows = [
        row
        for row in db.execute("SELECT id, vector FROM entries WHERE vector IS NOT NULL ORDER BY id")
        if row["id"] in finding_of
    ]
    if not rows:
        return {}
    matrix = np.frombuffer(b"".join(row["vector"] for row in rows), dtype="<f4")
    cosines = matrix.reshape(len(rows), model.size) @ model.embed([query.text])[0]
    return _ranked(
        (finding_of[row["id"]], round(float(cosine), 6))
        for row, cosine in zip(rows, cosines, strict=True)
    )


def _ranked(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return each finding's best score, the highest first, equal ones by id."""
    best: dict[str, float] = {}
    for finding, score in scores:
        if score > best.get(finding, -np.inf):
            best[finding] = score
    return dict(sorted(best.items(), key=lambda item: (-item[1], item[0])))


def _newest(db: sqlite3.Connection, finding: str, runs: Sequence[str] | None = None) -> int:
    """Return the entry of a finding in its newest run, of these where they are named.

    What a later run has learned of it goes before what its own run could say.
    """
    rows = db.execute(
        "SELECT entry, run, seen FROM sightings JOIN entries ON entries.id = entry "
        "WHERE finding = ?",
        (finding,),
    ).fetchall()
    of_these = [row for row in rows if runs is None or row["run"] in runs]
    return int(max(of_these, key=lambda row: (row["seen"], row["run"], row["entry"]))["entry"])


def _runs(db: sqlite3.Connection, finding: str) -> tuple[str, ...]:
    rows = db.execute(
        "SELECT DISTINCT seen FROM sightings JOIN entries ON entries.id = entry "
        "WHERE finding = ? ORDER BY seen",
        (finding,),
    )
    return tuple(row["seen"] for row in rows)


def _entry(db: sqlite3.Connection, number: int) -> Entry:
    row = db.execute("SELECT document FROM entries WHERE id = ?", (number,)).fetchone()
    return msgspec.json.decode(row["document"], type=Entry)
