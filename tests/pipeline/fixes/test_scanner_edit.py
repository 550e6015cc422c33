"""A scanner's own edit is applied where it fits, and nowhere else."""

import msgspec
import pytest

from secdaemon.pipeline.context import Context, window_of
from secdaemon.pipeline.findings.model import Edit, Finding, Severity
from secdaemon.pipeline.fixes.scanner_edit import apply_edits


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


def test_on_the_snippet() -> None:
    """The columns of a whole line are replaced in the scan's snippet."""
    applied = apply_edits(finding(edit("run(clean(x))", end=11), snippet="    run(x)  # go"), None)
    assert applied is not None
    assert applied.after == "    run(clean(x))  # go"


def test_on_a_snippet_that_is_the_region_alone() -> None:
    """A snippet as long as the region is replaced as a whole."""
    applied = apply_edits(finding(edit("run(clean(x))", end=11), snippet="run(x)"), None)
    assert applied is not None
    assert applied.after == "run(clean(x))"


def test_on_the_code_around() -> None:
    """Line numbers are those of the file, the window begins where context says."""
    code = window_of("\n".join(f"line {n}" for n in range(28, 60)), 28)
    applied = apply_edits(
        finding(
            edit("LINE", line=40, start=1, end=5), edit("end", line=41, start=6, end=None), line=40
        ),
        code,
    )
    assert applied is not None
    assert "LINE 40\nline end\nline 42" in applied.after


def test_several_lines_at_once() -> None:
    """An edit over three lines leaves what stands before and behind it."""
    snippet = "a = [\n  1,\n] + b"
    applied = apply_edits(finding(edit("[2]", start=5, end=2, end_line=5), snippet=snippet), None)
    assert applied is not None
    assert applied.after == "a = [2] + b"


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
    assert apply_edits(finding(*edits, snippet="    run(x)"), None) is None


def test_code_that_does_not_show_the_snippet_is_not_edited() -> None:
    """Where the checkout has moved on, the scan's own snippet is edited."""
    found = finding(edit("run(clean(x))", end=11), snippet="    run(x)")
    applied = apply_edits(found, window_of("something\nelse\nentirely\n", 1))
    assert applied is not None
    assert applied.before == "    run(x)"


@pytest.mark.parametrize("hidden", ["<secret:api-key:12345678>", "<email>"])
def test_not_on_a_line_whose_columns_have_moved(hidden: str) -> None:
    """Where something was hidden, the scanner's columns point elsewhere."""
    snippet = f'    run("{hidden}", x)'
    assert apply_edits(finding(edit("clean(x)", start=20, end=21), snippet=snippet), None) is None
    code = window_of(f"import os\n\n{snippet}\nend()", 1)
    assert apply_edits(finding(edit("clean(x)", start=20, end=21)), code) is None
    assert apply_edits(finding(edit("done()", line=4, start=1, end=6)), code) is not None


def test_not_on_a_line_that_was_changed_when_it_was_cleaned() -> None:
    """A home folder that was hidden leaves no mark, and moves the columns all the same."""
    code = Context(text="a = 1\n\n    run('~/x')", numbers=(1, 2, 3), altered=frozenset((3,)))
    assert apply_edits(finding(edit("x", start=9, end=12)), code) is None
    same = msgspec.structs.replace(code, altered=frozenset())
    assert apply_edits(finding(edit("x", start=9, end=14)), same) is not None


def test_over_a_cut() -> None:
    """Rows stand where the numbers say; an edit that reaches over a cut does not fit."""
    text = "def f():\n    # 7 lines left out\n    run(x)\n    end()"
    code = Context(text=text, numbers=(1, 0, 9, 10))
    found = finding(edit("run(clean(x))", line=9, start=5, end=11), line=9)
    applied = apply_edits(found, code)
    assert applied is not None
    assert applied.after == text.replace("run(x)", "run(clean(x))")
    reaching = finding(edit("run()", line=1, start=5, end=6, end_line=9), line=9)
    assert apply_edits(reaching, code) is None


@pytest.mark.parametrize(
    ("text", "good"), [("run(clean(x))", True), ("run(clean(x)", False), ("if:", False)]
)
def test_a_fix_that_does_not_parse_is_none(text: str, good: bool) -> None:
    """An edit that leaves a new error of grammar is not used, on code or on a snippet."""
    code = window_of("def f(x):\n    # run\n    run(x)", 1)
    assert (apply_edits(finding(edit(text, end=11)), code) is not None) is good
    on_snippet = apply_edits(finding(edit(text, end=11), snippet="    run(x)"), None)
    assert (on_snippet is not None) is good


def test_whole_lines_at_the_end_of_what_is_shown() -> None:
    """A region that ends before the next line's first column ends with the last shown line."""
    code = Context(text="def f():\n    a()\n    run(x)", numbers=(1, 2, 3), kind="function")
    removal = edit("", line=3, start=1, end=1, end_line=4)
    applied = apply_edits(finding(removal), code)
    assert applied is not None
    assert applied.after == "def f():\n    a()\n"
