"""Java, Kotlin and passkeys: no text makes a pattern fail, and no fix is broken."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.fixes.patterns.already_right import sound
from secdaemon.pipeline.fixes.patterns.choose import PATTERNS, fixes_for
from secdaemon.pipeline.fixes.patterns.model import Code

_MODULES = (
    *("test_jvm_sql_libraries", "test_jvm_random", "test_jvm_sql", "test_jvm_logs"),
    *("test_jvm_crypto", "test_jvm_files", "test_jvm_web", "test_jvm_android"),
    *("test_webauthn_challenge", "test_webauthn_store", "test_webauthn_origin"),
    *("test_webauthn_settings", "test_webauthn_verdict", "test_webauthn_counter"),
)


def _cases() -> list[tuple[str, str, str]]:
    """Return (rule, path, text) of the other tests' cases."""
    found = []
    for name in _MODULES:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [(rule, path, text) for rule, path, text, *_ in module.MENDED + module.LEFT]
    return found


CASES = _cases()
PIECES = st.sampled_from(
    ["(", ")", "{", "}", '"', "'", "$", "${", "\n", " + ", ";", "é", "\U0001f511", "/*", "\t", "?:"]
)


@st.composite
def torn(draw: st.DrawFn) -> tuple[str, str, str]:
    """Draw a case whose text was cut and pasted somewhere."""
    rule, path, text = draw(st.sampled_from(CASES))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + draw(PIECES) + text[end:]
    return rule, path, text


def _finding(rule: str, path: str) -> Finding:
    return Finding(tool="a scanner", rule=rule, severity=Severity.HIGH, message="", path=path)


@settings(max_examples=300, deadline=None)
@given(torn(), st.booleans(), st.integers(1, 20))
def test_any_text_is_survived(case: tuple[str, str, str], whole: bool, line: int) -> None:
    """A fix of a torn text parses, says why, and ends what it names."""
    rule, path, text = case
    flagged = Flagged(path=path, text=text, line=line, end_line=line + 30, whole=whole)
    for fix in fixes_for(_finding(rule, path), flagged):
        assert parses(path, text, fix.after)
        assert fix.is_weak is not None
        assert fix.is_weak(text)
        assert not fix.is_weak(fix.after)
        assert "\n" not in fix.reason
    said = sound(_finding(rule, path), flagged)
    assert said is None or "\n" not in said


@settings(max_examples=100, deadline=None)
@given(torn())
def test_every_pattern_reads_any_text(case: tuple[str, str, str]) -> None:
    """No pattern raises, whatever the rule; every match can be asked for its reason."""
    _, path, text = case
    grammar = grammars.grammar_at(path, text)
    assert grammar is not None
    code = Code(grammar, text, grammars.parse(grammar, text))
    for pattern in PATTERNS:
        if grammar in pattern.grammars:
            for match in pattern.find(code):
                pattern.mend(code, match)
                assert pattern.reason(code, match)


@pytest.mark.parametrize(("rule", "path", "text"), CASES)
def test_letters_outside_ascii_do_not_shift_edits(rule: str, path: str, text: str) -> None:
    """A comment of other scripts before the code leaves the rest of the fix as it is."""
    mark = "#" if path.endswith(".py") else "//"
    lead = f"{mark} ключ 🔑 é\n\n"
    plain = fixes_for(_finding(rule, path), _whole(path, f"{mark} x\n\n{text}"))
    other = fixes_for(_finding(rule, path), _whole(path, lead + text))
    ends = [fix.after.partition("\n")[2] for fix in plain]
    assert [fix.after.partition("\n")[2] for fix in other] == ends


def _whole(path: str, text: str) -> Flagged:
    return Flagged(path=path, text=text, line=None, end_line=None, whole=True)


@pytest.mark.parametrize(("rule", "path", "text"), CASES)
def test_windows_of_lines_are_survived(rule: str, path: str, text: str) -> None:
    """A snippet, as a scan without a checkout has it, gets a fix that parses in it, or none."""
    lines = text.splitlines(keepends=True)
    for start in range(0, len(lines), 3):
        part = "".join(lines[start : start + 7])
        flagged = Flagged(path=path, text=part, line=None, end_line=None, whole=False)
        for fix in fixes_for(_finding(rule, path), flagged):
            assert parses(path, part, fix.after)
            assert "import " not in fix.after or "import " in part
