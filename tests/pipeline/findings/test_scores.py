"""Scores, severities and identifiers, against published values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.cvss import base_score, vector_of
from secdaemon.pipeline.findings.identifiers import (
    advisories_in,
    cwes_in,
    package_url,
    tool_name,
)
from secdaemon.pipeline.findings.model import Severity
from secdaemon.pipeline.findings.severity import from_score, worst


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0.0),
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0),
        ("(AV:N/AC:L/Au:N/C:N/I:N/A:C)", 7.8),
        ("AV:L/AC:H/Au:N/C:C/I:C/A:C", 6.2),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", 8.7),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 5.1),
        ("CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:P", 8.9),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O", 9.8),
        ("CVSS:4.0/AV:N/AC:L", None),
        ("CVSS:3.1/" + "AV:N/" * 100, None),
        ("CVSS:3.1/AV:N", None),
        ("CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", None),
    ],
)
def test_base_scores(vector: str, score: float | None) -> None:
    """The examples of the documents and of NVD get their published scores."""
    assert base_score(vector_of(vector)) == score


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(["AV:N", "Au:N", "C:H", "VC:H", "S:U", ":", "E:P", ""])).map(
            "/".join
        ),
    ),
    st.sampled_from(["", "CVSS:2.0/", "CVSS:3.1/", "CVSS:4.0/"]),
)
def test_any_vector_has_a_score_or_none(text: str, prefix: str) -> None:
    """Nothing that a scan puts in the place of a vector is an error."""
    score = base_score(vector_of(prefix + text))
    assert score is None or 0 <= score <= 10


def test_text_that_is_no_vector() -> None:
    """Anything else is no vector."""
    assert [vector_of(text) for text in (None, "", "high", "AV:N")] == [None] * 4


def test_severities() -> None:
    """Scores are rated as CVSS rates them, and the worst known one wins."""
    assert [from_score(s) for s in (9.0, 7.0, 4.0, 0.1, 0.0)] == list(Severity)[:5]
    assert from_score(11.0) is Severity.UNKNOWN
    assert worst(Severity.UNKNOWN, Severity.LOW, Severity.HIGH) is Severity.HIGH


def test_identifiers() -> None:
    """Weaknesses and advisories are found in the forms that tools use."""
    texts = ["external/cwe/cwe-079", "CWE-79: XSS", "CWE 89", "cwe_22", "CWE-0"]
    assert cwes_in(texts) == ("CWE-79", "CWE-89", "CWE-22")
    texts = ["[HIGH] CVE-2024-1111", "X_GHSA-aaaa-bbbb-cccc_y", "GO-2024-0001", "CVE-24-1"]
    assert advisories_in(texts) == ("CVE-2024-1111", "GHSA-aaaa-bbbb-cccc", "GO-2024-0001")
    assert [tool_name(n) for n in ("Semgrep OSS", "OWASP ZAP", "My  Tool!", None)] == [
        "semgrep",
        "zap",
        "my-tool",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("ecosystem", "name", "url"),
    [
        ("Maven", "org.acme:pad", "pkg:maven/org.acme/pad@1.0+2"),
        ("npm", "@acme/pad", "pkg:npm/%40acme/pad@1.0+2"),
        ("PyPI", "My_Pad", "pkg:pypi/my-pad@1.0+2"),
        ("Debian:12", "pad", None),
        ("", "pad", None),
    ],
)
def test_package_urls(ecosystem: str, name: str, url: str | None) -> None:
    """Package URLs follow the purl specification; distributions have none."""
    expected = url.replace("+", "%2B") if url else None
    assert package_url(ecosystem, name, "1.0+2") == expected
