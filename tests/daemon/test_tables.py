"""What `status` prints holds no character that a terminal would obey."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.daemon.tables import (
    duration,
    plain,
    progress_text,
    retention_text,
    run_lines,
    status_lines,
)
from secdaemon.daemon.views import (
    DaemonView,
    FullRunView,
    PublishedView,
    RetentionView,
    SourceView,
    StatusView,
    UpstreamView,
)
from secdaemon.pipeline.findings.model import Counts, FileKind, FileReport
from secdaemon.pipeline.interface import ExampleCounts, Gate, Progress
from secdaemon.state.history import Changes
from secdaemon.state.machine import State, Step
from secdaemon.state.model import Event

HOSTILE = "a\x1b[31m\r\n\x07\u202eb\u200b\u061c\x9b2J\ufeff"
AT = "2026-01-02T03:04:05.678Z"


def a_run(text: str, **changes: object) -> FullRunView:
    """Return a run with foreign text wherever a stranger can put some."""
    fields: dict[str, object] = {
        "id": "20260102_030405",
        "state": State.HELD,
        "step": None,
        "source": SourceView(
            kind="inbox",
            name=text,
            sha256="0" * 64,
            size=1,
            repository=None,
            workflow_run_id=None,
            run_attempt=None,
            head_sha=text,
        ),
        "created_at": AT,
        "updated_at": AT,
        "attempts": 0,
        "reason": text,
        "progress": None,
        "findings": Counts(entered=4, kept=1, duplicate=1, suppressed=1, rejected=1),
        "examples": ExampleCounts(train=8, validation=1, test=1, replay=2),
        "stage1": None,
        "stage2": None,
        "retention": None,
        "published": None,
        "run_dir": f"/runs/{text}",
        "events": [Event(at=AT, source=None, target=State.RECEIVED, step=None, detail=text)],
        "files": (
            FileReport(path=text, kind=FileKind.UNREADABLE, error=text),
            FileReport(path=text, kind=FileKind.OK, tool=text, findings=4),
        ),
        "gates": (Gate(name="complete", passed=False, quality=False, detail=text),),
        "upstream": UpstreamView(url=text, branch=text, workflow=text, actor=text),
    }
    return FullRunView(**fields | changes)


def a_status(text: str, *runs: FullRunView) -> StatusView:
    """Return an overview with foreign text in it."""
    daemon = DaemonView(
        running=False, pid=None, paused=True, started_at=None, last_poll_at=None, problems=[text]
    )
    return StatusView(version="0", home=f"/{text}", inbox=f"/{text}", daemon=daemon, runs=[*runs])


def obeyed(line: str) -> list[str]:
    """Return the characters of a line that a terminal may obey or hide."""
    return [mark for mark in line if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(text=st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_plain_text_moves_no_cursor(text: str) -> None:
    """Control, format, bidirectional and lone surrogate characters are shown as question marks."""
    assert obeyed(plain(text)) == []
    assert len(plain(text)) == len(text)


@given(text=st.text(st.characters(categories=["L", "N", "P", "S"])) | st.just("ein schöner Name"))
def test_plain_text_stays_as_it_is(text: str) -> None:
    """Letters of any script, digits, signs and spaces are not touched."""
    assert plain(text) == text


def test_no_line_of_status_is_obeyed_by_a_terminal() -> None:
    """Names, reasons, problems, paths and details come from strangers."""
    run = a_run(HOSTILE)
    for lines in (status_lines(a_status(HOSTILE, run)), run_lines(run)):
        for line in lines:
            assert obeyed(line) == [], line


def test_the_overview_has_one_line_a_run() -> None:
    """The newest comes first as given; a long name is cut, an empty home says what to do."""
    runs = [a_run("x" * 300, id=f"run{number}") for number in range(3)]
    lines = list(status_lines(a_status("problem", *runs)))
    found = [line.split()[0] for line in lines if line.startswith("run")]
    assert found == ["run0", "run1", "run2"]
    assert any("not running" in line for line in lines)
    assert any("paused" in line for line in lines)
    assert list(status_lines(a_status("")))[-1].startswith("no runs yet")


def test_a_run_is_told_with_its_counts_and_history() -> None:
    """Counts, files, history and results stand in the text."""
    published = PublishedView(target="folder", model_url="/m", dataset_url="/d", revision="r")
    retention = RetentionView(value=0.95, ci_low=0.9, ci_high=1.0, threshold=0.9, passed=True)
    progress = Progress(iteration=3, iterations=9, loss=1.25, tokens_per_second=10, eta_seconds=75)
    text = "\n".join(
        run_lines(
            a_run(
                "fine",
                step=Step.STAGE2,
                published=published,
                retention=retention,
                progress=progress,
            )
        )
    )
    assert "4 in = 1 kept + 1 duplicate + 1 suppressed + 1 rejected" in text
    assert "  FAILED      complete     fine" in text
    assert "page       fine" in text
    assert "8 training (+ 2 replay), 1 validation, 1 test" in text
    assert "0.950 [0.900, 1.000], threshold 0.90: passed" in text
    assert "3/9, loss 1.250, 10 tokens/s, 1 min 15 s left" in text
    assert "in step stage2" in text
    assert "unreadable" in text


def test_files_tools_and_changes_are_told() -> None:
    """What was read of each file, what is left of each tool, and what is new since the run before."""
    files = (
        FileReport(path="a.json", kind=FileKind.OK, tool="t", findings=7, error="It fell over."),
        FileReport(path="b.json", kind=FileKind.EMPTY, tool="t"),
        FileReport(path="c.xml", kind=FileKind.UNSUPPORTED, tool="zap", error="Not read."),
        FileReport(path="d.md", kind=FileKind.NOT_A_SCAN),
    )
    changes = Changes(previous="p", new=1, fixed=2, unchanged=3, oldest="first")
    run = a_run("", files=files, changes=changes, tools={"semgrep": 3, "t": 4})
    lines = [line.split() for line in run_lines(run)]
    text = [" ".join(words) for words in lines]
    assert "tools semgrep 3, t 4 (kept)" in text
    assert (
        "changes 1 new, 2 fixed, 3 unchanged since run p; the oldest was first seen in run first"
        in text
    )
    assert "ok t a.json 7 findings; It fell over." in text
    assert "empty t b.json 0 findings" in text
    assert "unsupported zap c.xml Not read." in text
    assert "not a scan - d.md" in text


def test_an_undefined_retention_is_said_in_words() -> None:
    """A value that does not exist is not shown as a number."""
    undefined = RetentionView(value=None, ci_low=None, ci_high=None, threshold=0.9, passed=False)
    assert "undefined" in retention_text(a_run("", retention=undefined))
    assert retention_text(a_run("")) == "not measured"


def test_durations_and_progress_are_short() -> None:
    """Two units at most; what is not known is left out."""
    assert [duration(n) for n in (0.4, 59.6, 61, 3_600, 90_061)] == [
        "0 s",
        "1 min 00 s",
        "1 min 01 s",
        "1 h 00 min",
        "25 h 01 min",
    ]
    assert progress_text(Progress(iteration=1, iterations=2)) == "1/2"
