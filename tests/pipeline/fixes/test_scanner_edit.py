"""A scanner's own edit is applied where it fits, and nowhere else."""

import msgspec
import pytest

from secdaemon.pipeline.findings.model import Edit, Finding, Severity
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.scanner_edit import fixes_for


def finding(
    *edits: Edit, line: int = 3, column: int | None = 5, snippet: str | None = None
) -> Finding:
    """Return a finding in src/app.py with edits."""
    return Finding(
        id="f",
        tool="semgrep",
        rule="r",
        severity=Severity.HIGH,
        message="m",
        path="src/app.py",
        line=line,
        column=column,
        snippet=snippet,
        edits=edits,
    )


def edit(
    text: str,
    line: int = 3,
    start: int | None = 5,
    end: int | None = 20,
    end_line: int | None = None,
) -> Edit:
    """Return an edit in src/app.py."""
    return Edit(
        path="src/app.py",
        start_line=line,
        start_column=start,
        end_line=end_line or line,
        end_column=end,
        text=text,
    )


def edited(found: Finding, text: str, *, whole: bool = True) -> str | None:
    """Return the text with the scanner's edits, None where there is no fix."""
    at = found.line if whole else 1
    flagged = Flagged(path="src/app.py", text=text, line=at, end_line=at, whole=whole)
    fixes = fixes_for(found, flagged)
    assert all(fix.approach == "scanner_fix" and fix.before == text for fix in fixes)
    return fixes[0].after if fixes else None


def on_snippet(*edits: Edit, snippet: str, line: int = 3) -> str | None:
    """Return a scan's snippet, which begins at the flagged line, with the edits."""
    return edited(finding(*edits, line=line, snippet=snippet), snippet, whole=False)


def test_on_the_snippet() -> None:
    """The columns of a whole line are replaced in the scan's snippet."""
    assert on_snippet(edit("run(clean(x))", end=11), snippet="    run(x)  # go") == (
        "    run(clean(x))  # go"
    )


def test_on_a_snippet_that_is_the_region_alone() -> None:
    """A snippet as long as the region is replaced as a whole."""
    assert on_snippet(edit("run(clean(x))", end=11), snippet="run(x)") == "run(clean(x))"


def test_on_the_file() -> None:
    """Lines and columns are those of the file, whatever the finding's own line is."""
    text = "\n".join(f"line({n})" for n in range(1, 60))
    edits = (edit("LINE", line=40, start=1, end=5), edit("(end)", line=41, start=5, end=None))
    assert edited(finding(*edits, line=40), text) == text.replace(
        "line(40)\nline(41)", "LINE(40)\nline(end)"
    )


def test_several_lines_at_once() -> None:
    """An edit over three lines leaves what stands before and behind it."""
    snippet = "a = [\n  1,\n] + b"
    assert on_snippet(edit("[2]", start=5, end=2, end_line=5), snippet=snippet) == "a = [2] + b"


@pytest.mark.parametrize(
    "edits",
    [
        (),
        (edit("run(x)", start=5, end=11),),
        (edit("  run( x )", start=1, end=11),),
        (edit("x", line=9, start=1, end=2),),
        (edit("x", start=40, end=41),),
        (edit("x", start=5, end=9), edit("y", start=7, end=11)),
        (Edit(path="other.py", start_line=3, text="x"),),
    ],
)
def test_edits_that_do_not_fit_are_not_applied(edits: tuple[Edit, ...]) -> None:
    """No change, white space alone, a place outside, an overlap, another file: none is applied."""
    assert on_snippet(*edits, snippet="    run(x)") is None
    assert edited(finding(*edits), "import os\n\n    run(x)\n") is None


@pytest.mark.parametrize("hidden", ["<secret:api-key:12345678>", "<email>"])
def test_not_on_a_line_whose_columns_have_moved(hidden: str) -> None:
    """Where something was hidden, the scanner's columns point elsewhere."""
    snippet = f'    run("{hidden}", x)'
    assert on_snippet(edit("clean(x)", start=20, end=21), snippet=snippet) is None
    text = f"import os\n\n{snippet}\nend()"
    assert edited(finding(edit("clean(x)", start=20, end=21)), text) is None
    assert edited(finding(edit("done()", line=4, start=1, end=6)), text) is not None


@pytest.mark.parametrize(
    ("text", "good"), [("run(clean(x))", True), ("run(clean(x)", False), ("if:", False)]
)
def test_a_fix_that_does_not_parse_is_none(text: str, good: bool) -> None:
    """An edit that leaves a new error of grammar is not used, on code or on a snippet."""
    code = "def f(x):\n    # run\n    run(x)"
    assert (edited(finding(edit(text, end=11)), code) is not None) is good
    assert (on_snippet(edit(text, end=11), snippet="    run(x)") is not None) is good


def test_whole_lines_at_the_end_of_the_text() -> None:
    """A region that ends before the next line's first column ends with the last line."""
    removal = edit("", line=3, start=1, end=1, end_line=4)
    assert edited(finding(removal), "def f():\n    a()\n    run(x)") == "def f():\n    a()\n"


@pytest.mark.parametrize(("user", "good"), [("non-root", False), ("web", True), ("10001", True)])
def test_a_user_that_nothing_makes_is_none(user: str, good: bool) -> None:
    """With it no container starts: Semgrep's rules name one that is still to be made."""
    text = 'FROM alpine:3\nRUN adduser -D web\nCMD ["run"]\n'
    change = Edit(path="Dockerfile", start_line=3, text=f'USER {user}\nCMD ["run"]')
    at = msgspec.structs.replace(finding(change), path="Dockerfile")
    flagged = Flagged(path="Dockerfile", text=text, line=3, end_line=3, whole=True)
    assert bool(fixes_for(at, flagged)) is good
