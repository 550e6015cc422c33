"""One look at the list of a repository's workflow runs: what is new, and what is thought of it."""

import logging

import msgspec

from secdaemon.daemon.github.answers import FormError, WorkflowRun, run_of, runs_of
from secdaemon.daemon.github.client import Answer, Client
from secdaemon.daemon.github.manners import Kind, TroubleError
from secdaemon.daemon.github.session import Session
from secdaemon.daemon.github.trust import TRUSTED, Verdict, judge
from secdaemon.daemon.github.trust import Kind as Thought
from secdaemon.state.polls import (
    Decision,
    Entry,
    Listing,
    Page,
    decided,
    entries,
    forget_page,
    ignore,
    keep_page,
    pages,
    record_listing,
)

log = logging.getLogger(__name__)

PER_PAGE = 100
MOST_PAGES = 100
"""Of new runs in one poll: 10,000 runs."""
FEW_PAGES = 10
"""Of a first poll, and of a look for old runs that ran again: 1,000 runs."""
DEEP_SECONDS = 3600.0
"""How often more than the newest runs are looked at: GitHub runs a run again for 30 days, and it
keeps its place in the list."""
PENDING_RUNS = 50
"""Unfinished runs that have left the first page are asked for one by one, so many in a poll."""
LONGEST_ETAG = 512


class Looked(msgspec.Struct, frozen=True):
    """What a look says of the repository itself; empty where nothing has changed."""

    full_name: str | None = None
    """As GitHub writes it now."""
    number: int | None = None
    """What its runs say it is numbered."""


class _Seen(msgspec.Struct):
    """What a look has read so far."""

    runs: dict[tuple[int, int], WorkflowRun] = {}
    pages: list[Page] = []
    ids: set[int] = set()
    """What stands on the pages read, those that have not changed included."""
    read_deep: bool = False


def look(at: Session, *, deep: bool) -> Looked:
    """Read the list until what is known begins, and store what is thought of every new run.

    Nothing is stored before the list was read whole, so that a poll that breaks off is begun again
    by the next one.

    Raises:
        TroubleError: GitHub does not answer as it should.
    """
    store, watch, now = at.store, at.watch, at.around.now()
    deep |= watch.deep_at is None or not watch.deep_at <= now < watch.deep_at + DEEP_SECONDS
    seen = _read(at, deep=deep)
    before = entries(store, watch.watch, Decision.PENDING)
    runs = list(seen.runs.values())
    known = decided(store, watch.watch, {run.id for run in runs})
    first = watch.horizon is None
    found = _first(at, runs) if first else _later(at, runs, known)
    found += _replaced(before, {run.id: run.run_attempt for run in runs})
    number = _repository_id(runs)
    # Another repository's pages are read again each time, so that it is said each time.
    ours = number is None or at.number in {None, number}
    record_listing(
        store,
        watch.watch,
        Listing(
            entries=tuple(found),
            pages=tuple(seen.pages) if ours else (),
            horizon=_horizon(found, runs) if first else None,
            repository_id=at.watched.id or number,
            deep_at=now if seen.read_deep or first else None,
        ),
    )
    _look_after(at, [e for e in before if e.id not in seen.ids])
    names = {run.repository.full_name for run in runs if run.repository}
    return Looked(names.pop() if len(names) == 1 else None, number)


def _read(at: Session, *, deep: bool) -> _Seen:
    """Read pages: of a first poll until enough is trusted, else until the known begins."""
    kept = pages(at.store, at.watch.watch)
    first = at.watch.horizon is None
    seen = _Seen()
    url: str | None = f"/repos/{at.watched.name}/actions/runs?per_page={PER_PAGE}"
    asked: set[str] = set()
    reached = False
    while url and url not in asked:
        asked.add(url)
        page, found = _page(at.client, url, kept.get(url))
        seen.runs.update((run.key, run) for run in found or () if run.key not in seen.runs)
        if found is not None:
            seen.pages.append(page)
        seen.ids.update(page.ids)
        if first:
            reached = _trusted(at, seen) >= at.watched.backfill
        elif not reached:
            reached = not found or bool(decided(at.store, at.watch.watch, [found[-1].id]))
        url = page.following
        if len(asked) >= (FEW_PAGES if first or reached else MOST_PAGES):
            break
        if reached and (first or not deep):
            break
    else:
        reached = True
    if not reached and not first:
        most = MOST_PAGES * PER_PAGE
        log.warning("%s: more than %d new runs; the rest is left out", at.watched.name, most)
    seen.read_deep = deep
    return seen


def _page(client: Client, url: str, known: Page | None) -> tuple[Page, list[WorkflowRun] | None]:
    """Return one page and its runs; None where it has not changed, and they are known already."""
    answer = client.get(url, "the workflow runs", known.etag if known else None)
    if answer.status == 304:  # noqa: PLR2004 - HTTP
        if known is None:
            expected = "an answer to a request without conditions"
            raise client.form_trouble(expected)
        return known, None
    try:
        runs = runs_of(answer.body)
    except FormError as error:
        raise client.form_trouble(str(error)) from None
    ids = tuple(run.id for run in runs)
    return Page(url=url, etag=_etag(answer), following=answer.following, ids=ids), runs


def _etag(answer: Answer) -> str:
    etag = answer.headers.get("etag", "")
    return etag if len(etag) <= LONGEST_ETAG and etag.isprintable() else ""


def _trusted(at: Session, seen: _Seen) -> int:
    return sum(judge(run, at.watched, at.number) == TRUSTED for run in seen.runs.values())


def _first(at: Session, runs: list[WorkflowRun]) -> list[Entry]:
    """Return what a first poll decides: the newest trusted runs are taken, older ones are not."""
    found = []
    left = backfill = at.watched.backfill
    for run in sorted(runs, key=lambda run: (run.ran_at, run.key), reverse=True):
        verdict = judge(run, at.watched, at.number)
        if verdict == TRUSTED:
            left -= 1
            if left < 0:
                why = f"older than what the first poll takes in (backfill: {backfill})"
                verdict = Verdict(Thought.IGNORED, why)
        found.append(_entry(run, verdict))
    return found


def _later(
    at: Session, runs: list[WorkflowRun], known: dict[tuple[int, int], Decision]
) -> list[Entry]:
    """Return what a later poll decides of the attempts that are new or were not completed."""
    found = []
    for run in runs:
        if known.get(run.key, Decision.PENDING) is not Decision.PENDING:
            continue
        verdict = judge(run, at.watched, at.number)
        if verdict == TRUSTED and run.key not in known and run.ran_at < (at.watch.horizon or ""):
            verdict = Verdict(Thought.IGNORED, "it ran before the first poll")
        found.append(_entry(run, verdict))
    return found


def _entry(run: WorkflowRun, verdict: Verdict) -> Entry:
    states = {
        Thought.TRUSTED: Decision.WANTED,
        Thought.NOT_YET: Decision.PENDING,
        Thought.IGNORED: Decision.IGNORED,
    }
    trusted = verdict.kind is not Thought.IGNORED
    return Entry(
        id=run.id,
        attempt=run.run_attempt,
        state=states[verdict.kind],
        reason=verdict.reason,
        ran_at=run.ran_at,
        about=msgspec.json.encode(run).decode() if trusted else "{}",
    )


def _replaced(pending: list[Entry], attempts: dict[int, int]) -> list[Entry]:
    """Return the unfinished attempts that a newer one took the place of."""
    return [
        msgspec.structs.replace(
            entry, state=Decision.IGNORED, reason=f"attempt {newest} took its place"
        )
        for entry in pending
        if (newest := attempts.get(entry.id, entry.attempt)) > entry.attempt
    ]


def _horizon(found: list[Entry], runs: list[WorkflowRun]) -> str:
    """Return since when runs are wanted: that of the oldest one taken, else of the newest there."""
    wanted = [entry.ran_at for entry in found if entry.state is Decision.WANTED]
    return min(wanted, default=max((run.ran_at for run in runs), default=""))


def _repository_id(runs: list[WorkflowRun]) -> int | None:
    numbers = {run.repository.id for run in runs if run.repository}
    return numbers.pop() if len(numbers) == 1 else None


def _look_after(at: Session, pending: list[Entry]) -> None:
    """Ask for the unfinished runs that the pages read do not have, conditionally, one by one."""
    store, watch = at.store, at.watch
    kept = pages(store, watch.watch)
    for entry in pending[:PENDING_RUNS]:
        url = f"/repos/{at.watched.name}/actions/runs/{entry.id}"
        known = kept.get(url)
        try:
            answer = at.client.get(url, f"workflow run {entry.id}", known.etag if known else None)
        except TroubleError as error:
            if error.trouble.kind not in {Kind.MISSING, Kind.GONE}:
                raise
            ignore(store, watch.watch, entry, "it was deleted on GitHub")
            forget_page(store, watch.watch, url)
            continue
        if answer.status == 304:  # noqa: PLR2004 - HTTP
            continue
        run = _single(at.client, answer)
        judged = _entry(run, judge(run, at.watched, at.number))
        found = (*_replaced([entry], {run.id: run.run_attempt}), judged)
        record_listing(
            store,
            watch.watch,
            Listing(entries=found, pages=(), horizon=None, repository_id=None, deep_at=None),
        )
        if judged.state is Decision.PENDING:
            keep_page(store, watch.watch, Page(url=url, etag=_etag(answer)))
        else:
            forget_page(store, watch.watch, url)


def _single(client: Client, answer: Answer) -> WorkflowRun:
    try:
        return run_of(answer.body)
    except FormError as error:
        raise client.form_trouble(str(error)) from None
