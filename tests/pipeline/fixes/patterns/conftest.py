"""How a finding about a text is answered by the code patterns."""

from collections.abc import Callable

import pytest

from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.fixes.patterns.choose import fixes_for

Mend = Callable[..., str | None]


def fix_of(
    path: str,
    text: str,
    rule: str,
    *,
    line: int | None = None,
    end_line: int | None = None,
    whole: bool = True,
    cwes: tuple[str, ...] = (),
) -> Fix | None:
    """Return the only fix of a finding, None where there is none."""
    finding = Finding(
        tool="a scanner", rule=rule, severity=Severity.HIGH, message="", path=path, cwes=cwes
    )
    flagged = Flagged(path=path, text=text, line=line, end_line=end_line, whole=whole)
    fixes = fixes_for(finding, flagged)
    assert len(fixes) <= 1
    return fixes[0] if fixes else None


@pytest.fixture
def mend() -> Mend:
    """Return the text after the fix; every fix is checked for what each one has to keep."""

    def mended(path: str, text: str, rule: str, **place: object) -> str | None:
        fix = fix_of(path, text, rule, **place)  # type: ignore[arg-type]
        if fix is None:
            return None
        assert (fix.approach, fix.path, fix.before) == ("code_pattern", path, text)
        assert parses(path, text, fix.after)
        assert fix.is_weak is not None
        assert fix.is_weak(text)
        assert not fix.is_weak(fix.after)
        assert fix.reason.endswith((".", "!"))
        assert "\n" not in fix.reason
        again = fix_of(path, fix.after, rule, **place)  # type: ignore[arg-type]
        assert again is None, again
        return fix.after

    return mended
