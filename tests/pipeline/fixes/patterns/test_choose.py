"""Which pattern answers a finding, at which lines, and that no text makes it fail."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import Finding, Package, Severity
from secdaemon.pipeline.findings.parse import parse_folder
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.fixes.patterns.choose import PATTERNS, fixes_for

Mend = Callable[..., str | None]
CORPUS = Path(__file__).resolve().parents[5] / "shared" / "corpus" / "scans"

RULES = [
    # (a file, what scanners call the rule, the patterns that are asked first)
    ("a.py", "B608", "python-sql-parameters"),
    ("a.py", "py/sql-injection", "python-sql-parameters"),
    ("a.py", "python.sqlalchemy.security.sqlalchemy-execute-raw-query", "python-sql-parameters"),
    ("a.py", "B602", "python-shell python-system"),
    ("a.py", "py/command-line-injection", "python-shell python-system"),
    ("a.py", "python.lang.security.audit.subprocess-shell-true", "python-shell python-system"),
    ("a.py", "B501", "python-certificates"),
    ("a.py", "py/request-without-cert-validation", "python-certificates"),
    ("a.py", "B506", "python-yaml"),
    ("a.py", "B324", "python-hashes"),
    ("a.py", "py/weak-sensitive-data-hashing", "python-hashes"),
    ("a.py", "B311", "python-random"),
    ("a.py", "py/insecure-randomness", "python-random"),
    ("a.py", "B201", "python-debug"),
    ("a.py", "py/path-injection", "python-paths"),
    ("a.py", "py/tarslip", "python-tar"),
    ("a.py", "py/xxe", "python-xml"),
    ("a.py", "B105", "python-hard-coded"),
    ("a.py", "py/hardcoded-credentials", "python-hard-coded"),
    ("a.py", "py/insecure-cookie", "python-cookies python-cookie-settings"),
    ("a.js", "js/sql-injection", "script-sql-parameters script-mongo"),
    ("a.js", "js/command-line-injection", "script-commands"),
    ("a.js", "security/detect-child-process", "script-commands"),
    ("a.js", "js/tainted-format-string", "script-format"),
    ("a.js", "js/insecure-randomness", "script-random"),
    ("a.js", "js/cors-misconfiguration-for-credentials", "script-cors"),
    ("a.js", "js/clear-text-cookie", "script-cookies script-session-cookies"),
    ("a.ts", "js/hardcoded-credentials", "script-hard-coded"),
    ("a.tsx", "react-dangerouslysetinnerhtml", "script-dangerous-html"),
    ("a.js", "security/detect-possible-timing-attacks", "script-timing"),
    ("a.go", "G201", "go-sql-parameters"),
    ("a.go", "go/sql-injection", "go-sql-parameters"),
    ("a.go", "G204", "go-commands"),
    ("a.go", "go/command-injection", "go-commands"),
    ("a.go", "G402", "go-tls"),
    ("a.go", "go/disabled-certificate-check", "go-tls"),
    ("a.go", "G401", "go-hashes"),
    ("a.go", "G404", "go-packages"),
    ("a.go", "G304", "go-paths"),
    ("a.go", "G101", "go-hard-coded"),
    ("a.c", "cpp/unbounded-write", "c-overflows"),
    ("a.c", "cpp/tainted-format-string", "c-format"),
    ("a.php", "php.lang.security.unserialize-use", "php-objects"),
]


def finding(rule: str, path: str, cwes: tuple[str, ...] = ()) -> Finding:
    """Return a finding of a rule in a file."""
    return Finding(
        tool="a scanner", rule=rule, severity=Severity.HIGH, message="", path=path, cwes=cwes
    )


def whole(path: str, text: str, line: int | None = None) -> Flagged:
    """Return a whole file with a flagged line."""
    return Flagged(path=path, text=text, line=line, end_line=None, whole=True)


@pytest.mark.parametrize(("path", "rule", "names"), RULES)
def test_rules_of_scanners_are_known(path: str, rule: str, names: str) -> None:
    """The words of a rule lead to the patterns of its language, before any CWE is asked."""
    from secdaemon.pipeline.evaluation.grammars import grammar_at
    from secdaemon.pipeline.fixes.patterns.choose import _fitting

    found, _ = _fitting(finding(rule, path), str(grammar_at(path, "<?php")))
    assert set(names.split()) <= {pattern.name for pattern in found}


def test_names_are_distinct_and_every_pattern_has_a_weakness() -> None:
    """A pattern is known by its name, and can be found by CWE alone."""
    names = [pattern.name for pattern in PATTERNS]
    assert len(names) == len(set(names))
    assert all(pattern.cwes and pattern.grammars for pattern in PATTERNS)


TWO = "import yaml\na = yaml.load(x)\nb = yaml.load(y)\n"


def test_only_the_flagged_line_changes(mend: Mend) -> None:
    """Another instance in the same file stays as it is."""
    assert mend("a.py", TWO, "B506", line=3) == TWO.replace("load(y)", "safe_load(y)")


def test_a_finding_about_the_file_mends_all_of_it(mend: Mend) -> None:
    """Where no line is named, every instance is flagged."""
    assert mend("a.py", TWO, "B506") == TWO.replace("load", "safe_load")


def test_another_line_has_no_fix(mend: Mend) -> None:
    """A rule whose line shows no instance gets none, wherever else in the file there is one."""
    assert mend("a.py", TWO, "B506", line=1) is None


def test_a_cwe_stands_in_for_a_rule_that_says_nothing(mend: Mend) -> None:
    """A rule that is called by a number is known by its weakness."""
    assert mend("a.py", TWO, "R-17", line=2) is None
    assert mend("a.py", TWO, "R-17", line=2, cwes=("CWE-502",)) is not None
    assert mend("a.py", TWO, "R-17", line=2, cwes=("CWE-79",)) is None


def test_a_finding_about_the_file_needs_the_words_of_its_rule(mend: Mend) -> None:
    """A CWE alone is no reason to change lines that nobody flagged."""
    assert mend("a.py", TWO, "R-17", cwes=("CWE-502",)) is None


def test_what_is_named_and_cannot_be_mended_is_not_something_else(mend: Mend) -> None:
    """A weakness beside it that shares its CWE is not what the finding is about."""
    text = (
        "import hashlib, ssl\nc.minimum_version = ssl.TLSVersion.TLSv1; h = hashlib.md5(password)\n"
    )
    assert mend("a.py", text, "md5-used", line=2, cwes=("CWE-327",)) is None
    assert mend("a.py", text, "R-17", line=2, cwes=("CWE-327",)) is None
    assert mend("a.py", text, "R-17", line=2, cwes=("CWE-757",)) is not None


def test_all_that_is_flagged_changes_or_nothing(mend: Mend) -> None:
    """Where one of two instances has no fix, the finding may be about that one."""
    text = "import hashlib\na = hashlib.md5(x)\nb = hashlib.md5(password)\n"
    assert mend("a.py", text, "B324", line=2) is not None
    assert mend("a.py", text, "B324", line=2, end_line=3) is None


def test_the_predicate_counts_what_says_the_same() -> None:
    """Mending one of two equal instances ends one weakness; undoing it brings it back."""
    text = "import yaml\nyaml.load(x)\nyaml.load(x)\n"
    (fix,) = fixes_for(finding("B506", "a.py"), whole("a.py", text, 2))
    assert fix.is_weak is not None
    assert not fix.is_weak(fix.after)
    assert fix.is_weak(text)
    assert fix.is_weak(text + "yaml.load(x)\n")
    assert not fix.is_weak("import yaml\n")


def test_a_package_and_a_language_without_patterns_have_none() -> None:
    """Advisories about packages are another approach's."""
    about = finding("B506", "a.py")
    package = Finding(
        tool="a", rule="B506", severity=Severity.LOW, message="", package=Package(name="yaml")
    )
    assert fixes_for(package, whole("a.py", TWO)) == ()
    assert fixes_for(about, whole("a.rb", TWO)) == ()
    assert fixes_for(about, whole("a.txt", TWO)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "import yaml\n" + "(" * 5000 + "yaml.load(x)" + ")" * 5000,
        "import yaml\nyaml.load(x)\n" + "#" * 300_000,
        "import yaml\n" + "yaml.load(x)\n" * 2000,
        "import yaml\nyaml.load(x" + "[" * 3000,
        "yaml.load(" * 2000,
        "\0\ud800 yaml.load(x)",
        "",
    ],
)
def test_hostile_text_has_no_fix(text: str) -> None:
    """Text that is huge, deep, broken or full of instances ends in nothing, at once."""
    assert fixes_for(finding("B506", "a.py"), whole("a.py", text)) == ()


def test_text_outside_ascii_is_kept() -> None:
    """The tree counts bytes and a text characters; what stands between them is not moved."""
    text = 'import yaml\n# Grüße, 世界 🦑\nname = "é"; a = yaml.load("ü")  # ñ\n'
    (fix,) = fixes_for(finding("B506", "a.py"), whole("a.py", text, 3))
    assert fix.after == text.replace("yaml.load", "yaml.safe_load")


def test_names_in_a_reason_stand_between_backticks() -> None:
    """What the code says cannot end the reason's own words."""
    text = "import sqlite3\nc.execute('SELECT * FROM u WHERE a = ' + b['`# **x**`'])\n"
    (fix,) = fixes_for(finding("B608", "a.py"), whole("a.py", text, 2))
    assert fix.reason.count("`") == 4


_PIECES = [
    "import yaml\n",
    "import os, subprocess\n",
    "import sqlite3\n",
    "const { exec } = require('child_process');\n",
    'package main\nimport (\n\t"fmt"\n)\n',
    "<?php ",
    "yaml.load(x)\n",
    "cur.execute(f\"SELECT * FROM u WHERE a = '{b}'\")\n",
    "subprocess.run(f'ls {a}', shell=True)\n",
    "hashlib.md5(",
    "exec(`ls ${a}`, cb);\n",
    "el.innerHTML = `${name}`;\n",
    "console.log(`a ${b}`, c)\n",
    "res.cookie('a', b)",
    "&http.Cookie{Name: a}\n",
    "strcpy(a, b);\n",
    "char a[3];",
    "echo $_GET['a'];\n",
    "def f(a):\n    ",
    "{",
    "}",
    "(",
    ")",
    "'",
    '"',
    "\\",
    "\n",
    "\t",
    "é",
    "=",
    ",",
]
_ALL = "sql command shell exec cookie hash random xss eval format path tls cert cors debug yaml"


def _fixes(path: str, text: str, line: int | None, is_whole: bool) -> list[Fix]:
    flagged = Flagged(path=path, text=text, line=line, end_line=None, whole=is_whole)
    rules = [*_ALL.split(), "hardcoded-password", "buffer"]
    return [fix for rule in rules for fix in fixes_for(finding(rule, path), flagged)]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["a.py", "a.js", "a.tsx", "a.go", "a.c", "a.php"]),
    st.lists(st.sampled_from(_PIECES), max_size=12).map("".join),
    st.none() | st.integers(1, 9),
    st.booleans(),
)
def test_any_text_is_survived_and_every_fix_is_one(
    path: str, text: str, line: int | None, is_whole: bool
) -> None:
    """No text raises; a fix changes the text, is grammatical and ends the weakness."""
    for fix in _fixes(path, text, line, is_whole):
        assert fix.before == text != fix.after
        assert parses(path, text, fix.after)
        assert fix.is_weak is not None
        assert fix.is_weak(text)
        assert not fix.is_weak(fix.after)


def test_the_order_of_calls_does_not_matter() -> None:
    """What is remembered of one text is never told of another."""
    texts = [TWO, TWO.replace("yaml", "yaml "), "x = 1\n", TWO + "yaml.load(z)\n"]
    wanted = [fixes_for(finding("B506", "a.py"), whole("a.py", text)) for text in texts]
    order = list(range(len(texts))) * 3
    random.Random(7).shuffle(order)
    for at in order:
        now = fixes_for(finding("B506", "a.py"), whole("a.py", texts[at]))
        assert [fix.after for fix in now] == [fix.after for fix in wanted[at]]


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the project")
def test_real_findings_get_fixes_that_hold() -> None:
    """Of real snippets a good number is mended, each as every fix has to be."""
    kept = parse_folder(CORPUS).kept
    fixes = [
        fix
        for each in kept
        if each.snippet and each.path and each.package is None
        for fix in fixes_for(
            each,
            Flagged(
                path=each.path, text=each.snippet[:8000], line=None, end_line=None, whole=False
            ),
        )
    ]
    assert len(fixes) >= 40
    for fix in fixes:
        assert parses(fix.path, fix.before, fix.after)
        assert fix.is_weak is not None
        assert fix.is_weak(fix.before)
        assert not fix.is_weak(fix.after)


ELSEWHERE = [
    # (path, rule, CWE, a file whose weakness at the flagged line is not the rule's)
    ("a.py", "B310", "CWE-22", "import xml.etree.ElementTree as ET\nd = ET.parse(urlopen(u))\n"),
    ("a.py", "py/cookie-injection", "CWE-20", "x = 1\nr.set_cookie(request.args['n'], 'v')\n"),
    ("a.py", "des-cipher", "CWE-327", "import hashlib\nc = DES3.new(hashlib.md5(s).digest())\n"),
    ("a.py", "md5-used-as-password", "CWE-916", "import hashlib\nh = hashlib.md5(stored)\n"),
    ("a.py", "py/timing-attack", "CWE-208", "import hashlib\nif hashlib.md5(b) == h: pass\n"),
    (
        "a.py",
        "jwt-python-none-alg",
        "CWE-327",
        "import jwt\njwt.decode(t, k, algorithms=['none'], options={'verify_signature': False})\n",
    ),
    (
        "a.js",
        "express-cookie-session-default-name",
        "CWE-522",
        "const session = require('express-session');\napp.use(session({ secret }));\n",
    ),
    (
        "a.go",
        "missing-ssl-minversion",
        "CWE-327",
        'import "crypto/tls"\nvar c = tls.Config{InsecureSkipVerify: true, MinVersion: v}\n',
    ),
    (
        "a.c",
        "cpp/integer-overflow-tainted",
        "CWE-190",
        '#include <stdio.h>\nvoid f(int a) { char b[9]; sprintf(b, "%d", a * 7); }\n',
    ),
]


@pytest.mark.parametrize(("path", "rule", "cwe", "text"), ELSEWHERE)
def test_a_finding_gets_no_fix_of_what_stands_beside(
    mend: Mend, path: str, rule: str, cwe: str, text: str
) -> None:
    """A stray word, or a CWE that many share, does not make it another finding."""
    assert mend(path, text, rule, line=2, cwes=(cwe,)) is None


@pytest.mark.parametrize(
    ("rule", "after"),
    [
        ("express-session-hardcoded-secret", "session({ secret: process.env.SECRET })"),
        (
            "express-cookie-session-no-secure",
            (
                "session({ secret: 's3cr3t99', "
                "cookie: { httpOnly: true, secure: true, sameSite: 'lax' } })"
            ),
        ),
    ],
)
def test_of_two_weaknesses_in_a_line_the_reported_one_is_mended(
    mend: Mend, rule: str, after: str
) -> None:
    """The rule says which of them it is about."""
    head = "const session = require('express-session');\n"
    text = f"{head}app.use(session({{ secret: 's3cr3t99' }}));\n"
    assert mend("a.js", text, rule, line=2) == f"{head}app.use({after});\n"


def test_a_rule_of_several_weaknesses_is_told_by_its_message() -> None:
    """`G402` reports a missing check and an old version alike."""
    text = 'package a\n\nimport "crypto/tls"\n\nvar c = tls.Config{InsecureSkipVerify: true, Rand: r}\n'
    for message, added in (
        ("TLS MinVersion too low.", "MinVersion: tls.VersionTLS12"),
        ("TLS InsecureSkipVerify set true.", "InsecureSkipVerify: false"),
    ):
        about = Finding(
            tool="gosec", rule="G402", severity=Severity.HIGH, message=message, path="a.go"
        )
        (fix,) = fixes_for(about, whole("a.go", text, 5))
        assert added in fix.after
        assert len(fix.after) <= len(text) + len(added) + 2


@pytest.mark.parametrize(
    "path", ["tests/test_login.py", "app/conftest.py", "e2e/login.py", "app/settings/local.py"]
)
def test_what_tests_have_on_purpose_stays(mend: Mend, path: str) -> None:
    """Passwords and switched-off checks of tests are no secrets and protect nothing."""
    assert mend(path, "import requests\nPASSWORD = 'abc123!'\n", "B105") is None
    assert mend(path, "import requests\nrequests.get(u, verify=False)\n", "B501") is None
    assert mend(path, TWO, "B506") is not None


def test_no_note_is_lost(mend: Mend) -> None:
    """Code whose comment would go with it has no fix."""
    text = 'import sqlite3\nc.execute("SELECT a FROM u "{}\n          f"WHERE b = {{b}}")\n'
    assert mend("a.py", text.format(""), "B608") is not None
    assert mend("a.py", text.format("  # by name"), "B608") is None


def test_no_note_is_left_at_another_line(mend: Mend) -> None:
    """What was said of an argument would be said of the one above it."""
    text = "import requests\nr = requests.get(\n    url,\n    verify=False,{}\n    timeout=3,\n)\n"
    assert mend("a.py", text.format(""), "B501") is not None
    assert mend("a.py", text.format("  # self-signed"), "B501") is None
    assert mend("a.py", "import os\nos.system('ls -l')  # all\n", "B605") is not None
