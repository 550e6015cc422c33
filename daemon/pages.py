"""The dashboard's pages: what `status` shows, as documents that run nothing and load nothing.

Text from outside gets into them by `markup` alone. They refresh themselves by a meta element, so
that they need no script.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

import msgspec

from secdaemon.daemon.run_page import place, run_body
from secdaemon.daemon.tables import poll_text, progress_text, retention_text, trains_next
from secdaemon.daemon.views import DaemonView, FullRunView, PollView, RunView, StatusView
from secdaemon.pipeline import account
from secdaemon.pipeline.account.markup import Child, Html, join, page, style, tag
from secdaemon.pipeline.account.report_parts import DASH, badge, facts, mono, section, sub
from secdaemon.state.machine import State, rule_from

REFRESH_SECONDS = 5
SHORT = 12
"""Characters of a fingerprint that are shown, as in `status`."""
_GOOD = frozenset({State.PUBLISHED, State.RETAINED})
_BAD = frozenset({State.HELD, State.REJECTED, State.FAILED})


class Paging(msgspec.Struct, frozen=True):
    """Which page of how many, counted from 1, and how many runs there are on all of them."""

    number: int
    pages: int
    runs: int


class Moment(msgspec.Struct, frozen=True):
    """How the reader wants the page: still, or renewed every few seconds."""

    path: str
    still: bool


@cache
def sheet() -> str:
    """Return the style sheet: the report's, and what only the dashboard needs."""
    folder = resources.files(account)
    names = ("report.css", "dashboard.css")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


@cache
def policy() -> str:
    """Return the content security policy that lets our own style sheet in and nothing else."""
    digest = base64.b64encode(hashlib.sha256(sheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def overview(
    view: StatusView,
    polls: Sequence[PollView],
    waits: Sequence[str],
    paging: Paging,
    moment: Moment,
) -> str:
    """Return the page of the daemon and one page of its runs.

    Args:
        view: with the runs of this page only.
        polls: each watched workflow of GitHub's.
        waits: what training waits for, as sentences; it stands beside each run whose turn it is.
        paging: which page this is.
        moment: whether it refreshes itself.
    """
    body = (
        tag(
            "header",
            tag("p", "secdaemon", class_="overline"),
            tag("div", tag("h1", "Runs"), _daemon_badge(view.daemon), class_="title"),
            _daemon(view, polls),
            _problems(view.daemon.problems),
        ),
        _runs(view.runs, waits),
        _pages(paging),
        _foot(f"secdaemon {view.version}", moment),
    )
    return _document("Runs - secdaemon", body, None if moment.still else REFRESH_SECONDS)


def one_run(run: FullRunView, waits: Sequence[str], moment: Moment, *, report: bool) -> str:
    """Return the page of one run; it refreshes itself while the run can get further.

    `report` says whether the run has a report to link to.
    """
    ended = rule_from(run.state) is None
    body = (
        tag("nav", tag("a", "All runs", href="/"), class_="back"),
        run_body(run, state(run, waits), report=report),
        None if ended else _foot("", moment),
    )
    refresh = None if ended or moment.still else REFRESH_SECONDS
    return _document(f"Run {run.id} - secdaemon", body, refresh)


def notice(title: str, text: str) -> str:
    """Return a page that says why there is none."""
    body = (
        tag("nav", tag("a", "All runs", href="/"), class_="back"),
        tag("h1", title),
        tag("p", text, class_="verdict"),
    )
    return _document(f"{title} - secdaemon", body, None)


def _document(title: str, body: Sequence[Child], refresh: int | None) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy()),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("meta", http_equiv="refresh", content=str(refresh)) if refresh else None,
        tag("title", title),
        style(sheet()),
    )
    return page(head, tag("body", tag("main", *body, class_="board")))


def _daemon_badge(daemon: DaemonView) -> Html:
    if daemon.paused:
        return badge("paused", "wait")
    if daemon.running and daemon.problems:
        return badge("running, with problems", "bad")
    if daemon.running:
        return badge("running", "good")
    return badge("not running", "wait")


def _daemon(view: StatusView, polls: Sequence[PollView]) -> Html:
    daemon = view.daemon
    if daemon.running:
        text: Child = f"process {daemon.pid}, since {clock(daemon.started_at)}"
    else:
        text = join(
            "start it with ", mono("secdaemon run"), " or ", mono("secdaemon agent install")
        )
    pairs: list[tuple[str, Child]] = [("Daemon", text)]
    if daemon.paused:
        pairs.append(("Paused", join(mono("secdaemon resume"), " goes on")))
    pairs.append(("Inbox", mono(view.inbox)))
    pairs.extend((poll.name, _poll(poll)) for poll in polls)
    return facts(pairs)


def _poll(poll: PollView) -> Html:
    place = f"{poll.workflow.rpartition('/')[2]} {poll.branch}"
    return join(poll_text(poll), sub(place))


def _problems(problems: Sequence[str]) -> Html | None:
    if not problems:
        return None
    return section(
        "Problems",
        "What keeps the daemon from its work, or a run from going on.",
        tag("ul", *(tag("li", text) for text in problems), class_="problems"),
    )


def _runs(runs: Sequence[RunView], waits: Sequence[str]) -> Html:
    if not runs:
        text = "No runs yet: drop a zip of scan outputs into the inbox."
        return tag("section", tag("p", text, class_="lead"))
    columns = ("Run", "State", "Findings", "Examples", "Result")
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in columns)))
    rows = [tag("tr", *_cells(run, waits)) for run in runs]
    return tag("section", tag("table", head, tag("tbody", *rows), class_="runs"))


def _cells(run: RunView, waits: Sequence[str]) -> Iterator[Html]:
    link = tag("a", run.id, href=f"/run/{run.id}")
    yield tag(
        "th", link, sub(run.source.name), sub(f"{run.source.kind}, {clock(run.created_at)}"),
        scope="row",
    )  # fmt: skip
    yield tag("td", state(run, waits), data_label="State")
    for name, told in (
        ("Findings", _findings(run)),
        ("Examples", _examples(run)),
        ("Result", _result(run)),
    ):
        parts = tuple(told)
        kind = None if parts else "none"
        yield tag("td", *(parts or (DASH,)), data_label=name, class_=kind)


def state(run: RunView, waits: Sequence[str]) -> Html:
    """Return where a run stands: its state, and its step with its progress or its reason."""
    tone = "good" if run.state in _GOOD else "bad" if run.state in _BAD else "wait"
    return join(badge(run.state.value.replace("_", " "), tone), *_doing(run, waits))


def _doing(run: RunView, waits: Sequence[str]) -> Iterator[Html]:
    if run.step:
        tries = f", attempt {run.attempts}" if run.attempts > 1 else ""
        yield sub(f"in step {run.step.replace('_', ' ')}{tries}")
        if run.progress:
            done, whole = run.progress.iteration, run.progress.iterations
            name = f"{run.step}: {done} of {whole}"
            yield tag("progress", value=done, max=whole or 1, aria_label=name)
            yield sub(progress_text(run.progress))
    elif waits and trains_next(run):
        yield sub("; ".join(waits))
    if run.reason:
        yield sub(run.reason)


def _findings(run: RunView) -> Iterator[Child]:
    if (found := run.findings) is None:
        return
    yield tag("span", tag("b", f"{found.kept:,}"), " kept")
    yield sub(
        f"of {found.entered:,}: {found.duplicate:,} duplicate, "
        f"{found.suppressed:,} suppressed, {found.rejected:,} rejected"
    )


def _examples(run: RunView) -> Iterator[Child]:
    if (found := run.examples) is None:
        return
    yield tag("span", tag("b", f"{found.train:,}"), " training")
    replay = f"{found.replay:,} replayed, " if found.replay else ""
    yield sub(f"{replay}{found.validation:,} validation, {found.test:,} test")
    if run.stage1:
        how = "reused" if run.stage1.reused else "trained here"
        yield sub("Stage 1 ", mono(run.stage1.fingerprint[:SHORT]), f" {how}")


def _result(run: RunView) -> Iterator[Child]:
    if run.retention:
        yield tag("span", f"retention {retention_text(run)}")
    if run.published:
        yield sub(place(run.published.model_url))


def clock(at: str | None) -> str:
    """Return a time of the store's to the minute, in UTC."""
    return f"{at[:10]} {at[11:16]} UTC" if at else DASH


def _pages(paging: Paging) -> Html | None:
    if paging.pages <= 1:
        return None
    links = [
        tag("a", text, href=f"/?page={number}")
        for text, number in (("Newer", paging.number - 1), ("Older", paging.number + 1))
        if 1 <= number <= paging.pages
    ]
    words = f"page {paging.number} of {paging.pages}, {paging.runs:,} runs"
    return tag("nav", *links, tag("span", words, aria_current="page"), class_="pages")


def _foot(made: str, moment: Moment) -> Html:
    mark = "&" if "?" in moment.path else "?"
    if moment.still:
        words, link = "It stands still: ", tag("a", "refresh by itself", href=moment.path)
    else:
        words = f"Refreshed every {REFRESH_SECONDS} seconds: "
        link = tag("a", "stand still", href=f"{moment.path}{mark}still")
    return tag("footer", f"{made}. " if made else None, words, link)
