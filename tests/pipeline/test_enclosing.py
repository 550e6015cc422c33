"""The unit around a finding in every language, read from a checkout of small trees of our own."""

import re
import subprocess
from ast import literal_eval
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.context import MAX_CHARS, WINDOW, Context, code_around
from secdaemon.pipeline.enclosing import MAX_PARSED, unit_around


class Sample(msgspec.Struct, frozen=True):
    """A file: what it is called, and which unit holds the line with FLAGGED in it.

    The unit's first and last line hold BEGIN and END; so the text says itself what is expected.
    Where `broken` replaces the flagged text, the unit is not grammatical any more.
    """

    path: str
    kind: str
    name: str
    text: str
    broken: str


def samples() -> list[Sample]:
    """Return the samples of the text file beside this one."""
    text = Path(__file__).with_name("enclosing_samples.txt").read_text(encoding="utf-8")
    found = re.findall(
        r"^=== (.+) \| (.+) \| (.*) \| (.+)\n((?:(?!=== ).*\n)+)", text, re.MULTILINE
    )
    return [
        Sample(path, kind, name, code, literal_eval(no)) for path, kind, name, no, code in found
    ]


SAMPLES = samples()
BY_PATH = pytest.mark.parametrize("sample", SAMPLES, ids=[sample.path for sample in SAMPLES])


def git(folder: Path, *arguments: str) -> None:
    """Run git with a fixed identity."""
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def shown(folder: Path, path: str, content: bytes, line: int) -> Context | None:
    """Return what is shown of a file that is committed with this content."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return code_around(folder, None, path, line)


def line_of(text: str, word: str) -> int:
    """Return the number of the first line that holds a word."""
    return next(n for n, line in enumerate(text.split("\n"), 1) if word in line)


def rows_of(sample: Sample) -> list[str]:
    """Return the unit's lines as the sample marks them."""
    lines = sample.text.split("\n")
    return lines[line_of(sample.text, "BEGIN") - 1 : line_of(sample.text, "END")]


def agrees(code: Context, text: str) -> bool:
    """Return whether every row is the line of the file that its number says."""
    lines = text.split("\n")
    rows = code.text.split("\n")
    pairs = zip(rows, code.numbers, strict=True)
    return all(number == 0 or lines[number - 1] == row for row, number in pairs)


@BY_PATH
def test_the_enclosing_unit(sample: Sample, tmp_path: Path) -> None:
    """The function, member, item, element, stage or block is shown whole, and nothing else."""
    line = line_of(sample.text, "FLAGGED")
    code = shown(tmp_path, sample.path, sample.text.encode(), line)
    assert code is not None
    assert (code.kind, code.name) == (sample.kind, sample.name)
    assert code.text.split("\n") == rows_of(sample)
    assert agrees(code, sample.text)
    assert code.first_line == line_of(sample.text, "BEGIN")


@BY_PATH
def test_the_first_and_the_last_line(sample: Sample, tmp_path: Path) -> None:
    """The ends of a file are shown as any other line, at their own numbers."""
    last = len(sample.text.rstrip("\n").split("\n"))
    for line in (1, last):
        code = shown(tmp_path, sample.path, sample.text.encode(), line)
        assert code is not None
        assert code.row_of(line) is not None
        assert agrees(code, sample.text)


@BY_PATH
def test_a_statement_of_the_file_itself(sample: Sample, tmp_path: Path) -> None:
    """A line that lies in no unit, or in a large one alone, is shown with its neighbours."""
    word = next(
        w for w in ("top", "TOP", "permissions", "version", "kind", "ARG") if w in sample.text
    )
    line = line_of(sample.text, word)
    code = shown(tmp_path, sample.path, sample.text.encode(), line)
    assert code is not None
    assert code.row_of(line) is not None
    assert code.text.count("\n") > 1
    assert agrees(code, sample.text)


@BY_PATH
def test_a_syntax_error_gives_a_window(sample: Sample, tmp_path: Path) -> None:
    """Where the unit is not grammatical, lines around the finding are shown as before."""
    text = sample.text.replace("FLAGGED", sample.broken)
    if sample.path.endswith("Dockerfile"):
        line = line_of(text, "THIS IS")
    else:
        text = text.replace(f'"{sample.broken}"', sample.broken)
        text = text.replace(f"'{sample.broken}'", sample.broken)
        line = line_of(text, "FLAGGED")
    code = shown(tmp_path, sample.path, text.encode(), line)
    assert code is not None
    assert code.kind == WINDOW
    assert code.row_of(line) is not None
    assert agrees(code, text)


@BY_PATH
@pytest.mark.parametrize("change", ["crlf", "tabs", "latin-1", "mark"])
def test_other_bytes_are_the_same_unit(sample: Sample, change: str, tmp_path: Path) -> None:
    """Line ends, tabs, bytes that are no UTF-8 and a byte order mark move nothing."""
    text = sample.text
    if change == "tabs" and not sample.path.endswith((".yml", ".yaml")):
        text = text.replace("    ", "\t").replace("  ", "\t")
    if change == "latin-1":
        text = text.replace("FLAGGED", "FLAGGED\xfc")
    content = text.encode("latin-1")
    if change == "crlf":
        content = content.replace(b"\n", b"\r\n")
    if change == "mark":
        content = b"\xef\xbb\xbf" + content
    code = shown(tmp_path, sample.path, content, line_of(text, "FLAGGED"))
    assert code is not None
    assert (code.kind, code.name) == (sample.kind, sample.name)
    assert (code.first_line, code.last_line) == (line_of(text, "BEGIN"), line_of(text, "END"))
    assert agrees(code, text.replace("\xfc", "�"))
    assert "\r" not in code.text


@BY_PATH
def test_a_very_long_line(sample: Sample, tmp_path: Path) -> None:
    """Beside one, the flagged line is shown within bounds; flagged itself, it is too much."""
    line = line_of(sample.text, "FLAGGED")
    lines = sample.text.split("\n")
    beside = [*lines[: line - 1], lines[line - 1], *lines[line:-1], "x" * 100_000]
    code = shown(tmp_path, sample.path, "\n".join(beside).encode(), line)
    assert code is not None
    assert code.row_of(line) is not None
    assert len(code.text) <= MAX_CHARS
    flagged = sample.text.replace("FLAGGED", "FLAGGED" * 20_000)
    assert shown(tmp_path, sample.path, flagged.encode(), line) is None


def test_a_long_function_keeps_its_head(tmp_path: Path) -> None:
    """The signature, a comment for what is left out, and the window that stays in the function."""
    body = "".join(f"    step({n})\n" for n in range(200))
    text = f"import os\n\n\n@route('/')\ndef handle(\n    request,\n):\n{body}\n\ndef other():\n    pass\n"
    code = shown(tmp_path, "app.py", text.encode(), line_of(text, "step(100)"))
    assert code is not None
    rows = code.text.split("\n")
    assert rows[:5] == [
        "@route('/')",
        "def handle(",
        "    request,",
        "):",
        "    # 88 lines left out",
    ]
    assert rows[-1] == "    # 81 lines left out"
    assert (code.kind, code.name) == ("function", "handle")
    assert agrees(code, text)
    end = shown(tmp_path, "app.py", text.encode(), line_of(text, "step(199)"))
    assert end is not None
    assert end.text.endswith("step(199)")


def test_a_long_function_shows_the_block_in_it(tmp_path: Path) -> None:
    """In place of a window that cuts it, the largest block that fits stands behind the head."""
    routes = "".join(
        f'    get("/{n}") {{\n' + "".join(f"        step{n}({m})\n" for m in range(9)) + "    }\n"
        for n in range(20)
    )
    text = f"fun Application.module() {{\n{routes}}}\n"
    code = shown(tmp_path, "App.kt", text.encode(), line_of(text, "step10(8)"))
    assert code is not None
    rows = code.text.split("\n")
    assert rows[0] == "fun Application.module() {"
    assert rows[2] == '    get("/10") {'
    assert rows[-2] == "    }"
    assert agrees(code, text)


def test_a_long_stage_shows_its_base_image(tmp_path: Path) -> None:
    """The instruction is whole, with its continuation lines, and `FROM` says what it runs on."""
    copies = "".join(f"COPY a{n} b\n" for n in range(70))
    run = "RUN a && \\\n" + "".join(f"    step{n} && \\\n" for n in range(20)) + "    end\n"
    text = f"FROM alpine:3 AS last\n{copies}{run}{copies}"
    code = shown(tmp_path, "Dockerfile", text.encode(), line_of(text, "step19"))
    assert code is not None
    rows = code.text.split("\n")
    assert rows[:3] == ["FROM alpine:3 AS last", "# 70 lines left out", "RUN a && \\"]
    assert rows[-2:] == ["    end", "# 70 lines left out"]
    assert agrees(code, text)


def test_a_range_is_shown_whole_or_by_its_first_line(tmp_path: Path) -> None:
    """A unit holds all flagged lines; where they are the whole file, the first one counts."""
    text = (
        "def a():\n    one()\n    two()\n    end()\n\n\ndef b():\n    one()\n    two()\n"
        + "x = 1\n" * 90
    )
    assert shown(tmp_path, "a.py", text.encode(), 1) is not None
    inside = code_around(tmp_path, None, "a.py", 2, end_line=4)
    assert inside is not None
    assert (inside.name, inside.last_line) == ("a", 4)
    over = code_around(tmp_path, None, "a.py", 2, end_line=95)
    assert over is not None
    assert over.name == "a"


@pytest.mark.parametrize(
    ("path", "line"),
    [("a.py", 3), ("a.xyz", 1), ("go.mod", 1), ("README", 1)],
)
def test_no_unit(path: str, line: int) -> None:
    """An unknown language and a blank line between functions have none."""
    assert unit_around(path, ("def f():", "    pass", "", "x = 1", ""), line, line) is None


def test_a_file_too_large_to_parse_has_no_unit(tmp_path: Path) -> None:
    """Above the limit there is a window, with the right numbers."""
    text = "def f():\n    one()\n    two()\n" + "# filler\n" * (MAX_PARSED // 9)
    code = shown(tmp_path, "large.py", text.encode(), 2)
    assert code is not None
    assert code.kind == WINDOW
    assert agrees(code, text)


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    """A form feed or a separator within a line moves no number, as for scanners and git."""
    text = "# a\x0c\n# b\x85\u2028\n\n\ndef f():\n    one()\n    two()\n"
    code = shown(tmp_path, "a.py", text.encode(), 6)
    assert code is not None
    assert code.text == "def f():\n    one()\n    two()"
    window = code_around(tmp_path, None, "a.py", 1)
    assert window is not None
    assert window.numbers == tuple(range(1, 8))
    assert window.altered == {1, 2}
    old = shown(tmp_path, "old.py", b"a = 1\rb = 2\r", 2)
    assert old is not None
    assert old.text == "a = 1\nb = 2"


def test_the_same_every_time() -> None:
    """A unit depends on the text and the lines alone."""
    for sample in SAMPLES:
        lines = tuple(sample.text.split("\n"))
        found = [[unit_around(sample.path, lines, n + 1, n + 1) for n in range(len(lines))]] * 2
        assert found[0] == found[1]


@given(
    st.sampled_from([sample.path for sample in SAMPLES] + ["a.css", "a.html", "a.toml", "a.tf"]),
    st.text(alphabet="ab:\"'{}[]()<>/-#=@\\ \t\n&;,é", max_size=300),
    st.integers(1, 20),
    st.integers(0, 5),
)
def test_any_text_gives_a_unit_that_holds_the_lines_or_none(
    path: str, text: str, line: int, more: int
) -> None:
    """Nothing raises; what is found holds the flagged lines and lies in the file."""
    lines = tuple(text.split("\n"))
    first = min(line, len(lines))
    last = min(first + more, len(lines))
    unit = unit_around(path, lines, first, last)
    while last > first and not lines[last - 1].strip():
        last -= 1
    if unit is not None:
        assert 1 <= unit.first <= first <= last <= unit.last <= len(lines)
        if unit.part:
            assert unit.first <= unit.part[0] <= first <= last <= unit.part[1] <= unit.last
