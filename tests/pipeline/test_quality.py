"""What a fix is worth is the mean of its parts; what fails a required one is dropped."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.quality import LEAST, Judgement, judge, quality_of

BEFORE = "import os\n\n\ndef f(x):\n    os.system(x)\n    return 1\n"
AFTER = BEFORE.replace("os.system(x)", "run([x])")
FOUND = Finding(
    tool="bandit", rule="B605", severity=Severity.HIGH, message="m", path="a.py", line=5
)


def is_weak(text: str) -> bool:
    """Say whether the shell is used."""
    return "os.system" in text


def judged(after: str = AFTER, gone: bool | None = None, line: int = 5, **fields: Any) -> Judgement:
    """Return the judgement of a fix in a.py."""
    base: dict[str, Any] = {
        "approach": "code_pattern",
        "path": "a.py",
        "before": BEFORE,
        "after": after,
        "reason": "Why.",
        "is_weak": is_weak,
    }
    flagged = Flagged(path="a.py", text=BEFORE, line=line, end_line=line, whole=True)
    return judge(Fix(**(base | fields)), FOUND, flagged, gone)


def test_a_good_fix_scores_one() -> None:
    """Every part is told and full; configuration checks have no say on Python."""
    judgement = judged()
    assert judgement.score == 1.0
    assert judgement.dropped is None
    assert judgement.passed == ("parses", "differs", "touches", "keeps", "gone", "no_secret")


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (AFTER.replace("run([x])", "run([x"), "does not parse"),
        (f"# TODO: fix\n{BEFORE}", "changes nothing but comments"),
        (BEFORE.replace("os.system(x)", "os.system(x + '')"), "the weakness is still there"),
        (
            AFTER.replace("return 1", 'return "ghp_' + "a1B2c3D4e5F6" * 3 + '"'),
            "holds a secret",
        ),
    ],
)
def test_what_is_required(after: str, reason: str) -> None:
    """One of these is enough to drop a fix, whatever its mean."""
    assert judged(after).dropped == reason


def test_a_fix_elsewhere_counts_half_and_only_with_a_proof() -> None:
    """An edit far from the flagged line may be right; nobody knows without the predicate."""
    text = BEFORE + "\n" * 20 + "y = 1\n"
    flagged = Flagged(path="a.py", text=text, line=25, end_line=25, whole=True)
    fix = Fix(
        approach="code_pattern",
        path="a.py",
        before=text,
        after=text.replace("os.system(x)", "run([x])"),
        reason="",
        is_weak=is_weak,
    )
    assert judge(fix, FOUND, flagged).parts["touches"] == 0.5
    assert judge(fix, FOUND, flagged, gone=False).dropped == "the weakness is still there"


def test_the_scanner_has_the_last_word() -> None:
    """What it says of the fixed text counts for more than our predicate."""
    assert judged(gone=False).dropped == "the weakness is still there"
    assert judged(is_weak=None).parts["gone"] == 0.5
    assert judged(is_weak=None, gone=True).parts["gone"] == 1


def test_a_file_that_is_turned_over_scores_low() -> None:
    """Size and shape of the change are one part."""
    after = "\n".join(f"{line}\nnew_{n} = {n}" for n, line in enumerate(AFTER.split("\n") * 20))
    assert judged(after).parts["keeps"] == 0


def test_another_weakness_is_no_fix() -> None:
    """The checks of configuration files say nothing new after a fix."""
    before = "FROM alpine:3.20\nUSER app\nCMD run\n"
    fix = Fix(
        approach="local_model",
        path="Dockerfile",
        before=before,
        after=before.replace("USER app", "USER root"),
        reason="",
    )
    flagged = Flagged(path="Dockerfile", text=before, line=2, end_line=2, whole=True)
    assert judge(fix, FOUND, flagged).dropped == "brings a new weakness"


def test_quality_needs_a_proof() -> None:
    """High is for what is shown to be gone, or what the scanner proposes itself."""
    fix = Fix(approach="code_pattern", path="a.py", before=BEFORE, after=AFTER, reason="")
    assert quality_of(fix, judged()) == "high"
    assert quality_of(fix, judged(is_weak=None)) == "medium"
    scanners = Fix(approach="scanner_fix", path="a.py", before=BEFORE, after=AFTER, reason="")
    assert quality_of(scanners, judged(is_weak=None)) == "high"


@given(st.text(), st.text(), st.sampled_from(("a.py", "A.kt", "a.yml", "a.json", "a.xml", "n.txt")))
def test_any_text_gets_a_score(before: str, after: str, path: str) -> None:
    """Parts and score lie in 0 to 1, and what is kept scores at least the least."""
    fix = Fix(approach="local_model", path=path, before=before, after=after, reason="")
    flagged = Flagged(path=path, text=before, line=1, end_line=1, whole=True)
    judgement = judge(fix, FOUND, flagged)
    assert all(0 <= value <= 1 for value in judgement.parts.values())
    assert 0 <= judgement.score <= 1
    assert judgement.dropped is None or re.fullmatch("[a-z ]+", judgement.dropped)
    assert judgement.dropped or judgement.score >= LEAST
