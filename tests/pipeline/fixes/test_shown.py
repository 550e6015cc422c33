"""What an example shows of a fix: the same excerpt on both sides, with nothing secret in it."""

import string

import yaml
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.redact import Redactor
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.fixes.shown import Excerpt, Unit, excerpt

LINES = [f"    call_{n}()" for n in range(1, 101)]


def fix(before: str, after: str, path: str = "src/app.py") -> Fix:
    """Return a fix of some text."""
    return Fix(approach="code_pattern", path=path, before=before, after=after, reason="Why.")


def changed(*places: int, unit: Unit | None = None, leaks: dict[int, str] | None = None) -> Excerpt:
    """Return the excerpt of a hundred lines, some of which are called otherwise."""
    after = [
        line.replace("call", "safe") if n in places else line for n, line in enumerate(LINES, 1)
    ]
    shown = excerpt(
        fix("\n".join(LINES), "\n".join(after)), unit or Unit(), Redactor(), leaks or {}
    )
    assert shown is not None
    return shown


def test_a_small_file_is_shown_whole() -> None:
    """Its end is no row of its own."""
    shown = excerpt(fix("a = 1\nb = 2\n", "a = 1\nb = 3\n"), Unit(), Redactor(), {})
    assert shown is not None
    assert (shown.before.text, shown.after) == ("a = 1\nb = 2", "a = 1\nb = 3")
    assert shown.before.numbers == (1, 2)


def test_a_change_is_shown_with_three_lines_around() -> None:
    """What is not near a change is not shown."""
    shown = changed(50)
    assert shown.before.text == "\n".join(LINES[46:53])
    assert shown.after == shown.before.text.replace("call_50", "safe_50")
    assert shown.before.numbers == tuple(range(47, 54))


def test_lines_between_two_places_are_a_comment_on_both_sides() -> None:
    """It says how many there are, and is indented as what follows; two lines are shown instead."""
    unit = Unit(lines=frozenset(range(60, 69)), kind="function", name="f")
    shown = changed(50, 68, unit=unit)
    between = "    # 6 lines left out"
    assert shown.before.text.split("\n")[7] == between
    assert shown.after.split("\n")[7] == between
    assert shown.before.kind == "function"
    assert "call_66()" in shown.before.text
    assert shown.before.numbers[7] == 0


def test_a_unit_that_does_not_change_is_not_shown() -> None:
    """A scanner may flag a line for what the whole document lacks."""
    unit = Unit(lines=frozenset(range(70, 76)), kind="item")
    assert "call_72" not in changed(50, unit=unit).before.text


def test_yaml_keeps_the_keys_above() -> None:
    """What is cut out of a document is a document, with every line at its place in it."""
    steps = "".join(f"      - run: make {n}\n" for n in range(100))
    before = f"on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n{steps}"
    shown = excerpt(
        fix(before, before.replace("make 80", "make all"), "a.yml"), Unit(), Redactor(), {}
    )
    assert shown is not None
    assert yaml.safe_load(shown.after)["jobs"]["a"]["steps"][3] == {"run": "make all"}
    assert yaml.safe_load(shown.before.text)["jobs"]["a"]["steps"][3] == {"run": "make 80"}


def test_what_is_inserted_before_and_behind_everything_is_shown() -> None:
    """An import at the top and a line at the end are part of the answer alone."""
    before = "\n".join(LINES)
    shown = excerpt(fix(before, f"import os\n{before}\nend()"), Unit(), Redactor(), {})
    assert shown is not None
    assert shown.after.startswith("import os\n")
    assert shown.after.endswith("\nend()")
    assert "import os" not in shown.before.text


def test_a_change_that_is_too_large_is_not_shown() -> None:
    """Nobody can learn from a file that is turned over."""
    before = "\n".join(LINES)
    assert excerpt(fix(before, before.replace("call", "safe")), Unit(), Redactor(), {}) is None


def test_a_unit_gives_way_to_the_change() -> None:
    """Where both are too much the change is shown alone."""
    shown = changed(2, 90, unit=Unit(lines=frozenset(range(20, 79)), kind="function"))
    assert "call_40" not in shown.before.text
    assert "85 lines left out" not in shown.before.text


def test_leaked_lines_are_hidden_on_both_sides() -> None:
    """A line that a secret scanner reports does not stand beside the fix either."""
    mark = "<secret:key:00000001>"
    shown = changed(50, leaks={48: mark})
    assert "call_48" not in shown.before.text + shown.after
    assert shown.after.count(mark) == 1


def test_a_fix_that_repeats_a_leaked_value_is_not_shown() -> None:
    """No rule knows the value; only the scanner's line tells."""
    leaks = {1: "<secret:key:00000001>"}
    kept = fix('key = "mellon-mellon"', 'key = decode("mellon-mellon")')
    moved = fix('key = "mellon-mellon"', 'key = os.environ["KEY"]')
    assert excerpt(kept, Unit(), Redactor(), leaks) is None
    shown = excerpt(moved, Unit(), Redactor(), leaks)
    assert shown is not None
    assert "mellon" not in shown.before.text + shown.after


def test_a_snippet_has_the_numbers_of_its_file() -> None:
    """The scan's first line stands where the scan says."""
    shown = excerpt(fix("a = 1\nb = 2", "a = 1\nb = 3"), Unit(), Redactor(), {}, 40)
    assert shown is not None
    assert shown.before.numbers == (40, 41)


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=8), max_size=30), st.data())
def test_the_two_sides_differ_by_the_change_alone(lines: list[str], data: st.DataObject) -> None:
    """What is shown before is in the old text line by line, what is shown after in the new one."""
    after = [data.draw(st.sampled_from((line, f"{line}_", f"{line}\nnew_line"))) for line in lines]
    old, new = "\n".join(lines), "\n".join(after)
    shown = excerpt(fix(old, new), Unit(), Redactor(), {})
    if shown is None:
        assert old.split() == new.split() or not lines
        return
    assert shown.before.text.split("\n") == old.split("\n")
    assert shown.after == new


def test_an_alias_is_shown_with_its_anchor() -> None:
    """Without it the excerpt would be no document."""
    filler = "".join(f"k{n}: {n}\n" for n in range(80))
    before = f"all: &all b\n{filler}own:\n  a: *all\n  c: d\n"
    shown = excerpt(fix(before, before.replace("c: d", "c: e"), "a.yaml"), Unit(), Redactor(), {})
    assert shown is not None
    assert yaml.safe_load(shown.after)["own"] == {"a": "b", "c": "e"}
    assert "k40" not in shown.after
