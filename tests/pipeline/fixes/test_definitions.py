"""What a cut-out change brings along from elsewhere in its file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.fixes.belonging import Belonging, LeftOut, applied
from secdaemon.pipeline.fixes.definitions import needed
from secdaemon.pipeline.fixes.diffs import hunks_of
from secdaemon.pipeline.fixes.history import cut

SERVER = """\
const express = require("express");
const fs = require("fs");
const app = express();

app.get("/file", (req, res) => {
  const name = req.query.name;
  res.send(fs.readFileSync("/data/" + name));
});

app.get("/other", (req, res) => {
  res.send("<p>" + req.query.q + "</p>");
});
"""
INSIDE = """
function inside(root, name) {
  const full = path.resolve(root, name);
  if (!full.startsWith(root + path.sep)) {
    throw new Error("outside");
  }
  return full;
}
"""
PATH, ESCAPE = 'const path = require("path");\n', 'const escapeHtml = require("escape-html");\n'
FILES = 'const fs = require("fs");\n'
READ = ('fs.readFileSync("/data/" + name)', 'fs.readFileSync(inside("/data", name))')
SAID = ('"<p>" + req.query.q', '"<p>" + escapeHtml(req.query.q)')
BOTH = (
    SERVER.replace(FILES, FILES + PATH + ESCAPE)
    .replace("const app = express();\n", "const app = express();\n" + INSIDE)
    .replace(*READ)
    .replace(*SAID)
)
TASKS = """\
import os
import subprocess


def remove(name):
    os.system("rm " + name)


def listing(name):
    return subprocess.check_output("ls " + name, shell=True)
"""
CHECKED = """\
@cache
def checked(name):
    if not NAME.fullmatch(name):
        raise ValueError(name)

    return name


"""
NEW_TASKS = """\
import re
import shlex
import subprocess
from functools import cache

NAME = re.compile("[a-z]+")


@cache
def checked(name):
    if not NAME.fullmatch(name):
        raise ValueError(name)

    return name


def remove(name):
    subprocess.run(["rm", "--", checked(name)], check=True)


def listing(name):
    return subprocess.check_output("ls " + shlex.quote(name), shell=True)
"""


def finding(line: int, rule: str, path: str) -> Finding:
    """Return a finding about code."""
    return Finding(
        tool="semgrep",
        rule=rule,
        severity=Severity.HIGH,
        message="",
        category=Category.CODE,
        path=path,
        line=line,
    )


def result(before: str, after: str, *found: Finding) -> str:
    """Return the text with the fix of the first finding alone."""
    belongs = cut(found[0], before, after, found[1:])
    assert isinstance(belongs, Belonging), belongs
    return "\n".join(applied(before.split("\n"), belongs.hunks))


def test_each_fix_brings_its_own_imports_and_functions() -> None:
    """Two findings that were fixed in one commit, with what each needs and no more."""
    one, two = finding(7, "path", "a.js"), finding(11, "xss", "a.js")
    assert result(SERVER, BOTH, one, two) == (
        SERVER.replace(FILES, FILES + PATH)
        .replace("const app = express();\n", "const app = express();\n" + INSIDE)
        .replace(*READ)
    )
    assert result(SERVER, BOTH, two, one) == SERVER.replace(FILES, FILES + ESCAPE).replace(*SAID)


def test_a_block_by_indentation_comes_with_its_decorator() -> None:
    """Names that it uses come along in turn; an import that others still need stays."""
    one, two = finding(6, "shell", "a.py"), finding(10, "shell", "a.py")
    first = result(TASKS, NEW_TASKS, one, two)
    assert 'subprocess.run(["rm", "--", checked(name)], check=True)' in first
    assert CHECKED.strip() in first
    assert 'NAME = re.compile("[a-z]+")\n' in first
    for line in ("import re\n", "import subprocess\n", "from functools import cache\n"):
        assert line in first
    assert "shlex" not in first
    assert '"ls " + name' in first
    compile(first, "a.py", "exec")
    second = result(TASKS, NEW_TASKS, two, one)
    assert second == TASKS.replace('"ls " + name', '"ls " + shlex.quote(name)').replace(
        "import os\n", "import os\nimport shlex\n"
    )
    compile(second, "a.py", "exec")


def test_what_is_too_much_is_left_out() -> None:
    """A fix that rests on a new library of its own is none that an example can show."""
    body = "".join(f"  const step{n} = root + {n};\n" for n in range(60))
    large = BOTH.replace("  const full", body + "  const full")
    assert cut(finding(7, "path", "a.js"), SERVER, large) == LeftOut("the change is too large")


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        (["const a = one();", "one();", "const one = 1;"], ["const one = 1;"]),
        (["use(one)", "x = one"], []),
        (["private static int one(", "    int x) {", "  return x;", "}", "rest"], [0, 1, 2, 3]),
        (["fun other() = one()", "fun one() = 2"], ["fun one() = 2"]),
        (["import a.one", "import a.two"], ["import a.one"]),
        (["const { one, two } = require('x');"], ["const { one, two } = require('x');"]),
    ],
)
def test_what_defines_a_name(rows: list[str], taken: list[object]) -> None:
    """Its declaration or import, not its use."""
    before = ["start", "f(x)"]
    after = ["start", *rows, "f(one)"]
    first, *_ = hunks_of("\n".join(before), "\n".join(after))
    core = [type(first)(2, 3, ("f(one)",))]
    free = [type(first)(2, 2, tuple(rows))]
    expected = tuple(rows[row] if isinstance(row, int) else str(row) for row in taken)
    found = needed(before, core, free, 40)
    assert tuple(line for hunk in found for line in hunk.lines) == expected


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            [*SERVER.split("\n"), *BOTH.split("\n"), *TASKS.split("\n"), "{", "}", "@a"]
        ),
        st.sampled_from(NEW_TASKS.split("\n")),
        st.text(max_size=9).map(lambda text: text.replace("\n", " ")),
    ),
    max_size=25,
)


@given(TEXTS, TEXTS, st.integers(0, 3))
def test_parts_of_changes_are_parts_of_changes(
    before: list[str], after: list[str], chosen: int
) -> None:
    """Never raises; each part stands at its change's place and has only lines of it, in order."""
    hunks = hunks_of("\n".join(before), "\n".join(after))
    old = "\n".join(before).split("\n")
    core, elsewhere = hunks[:chosen], hunks[chosen:]
    for part in needed(old, core, elsewhere, 40):
        (whole,) = (hunk for hunk in elsewhere if hunk.stop == part.stop)
        rows = iter(whole.lines)
        assert all(line in rows for line in part.lines)
        assert part.lines
        assert part.start in {whole.start, whole.stop}
