"""Examples of a real CI run: each answer names its place, no answer is the vulnerable code."""

from pathlib import Path

import pytest

from secdaemon.pipeline.findings.parse import parse_folder
from secdaemon.pipeline.from_findings import example_of
from secdaemon.pipeline.splitting.splits import split

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"

RIGHT_VERSIONS = {
    ("ch.qos.logback:logback-core", "1.3.5"): {"1.3.12", "1.3.15"},
    ("ch.qos.logback:logback-core", "1.4.14"): {"1.5.13"},
    ("ch.qos.logback:logback-classic", "1.3.5"): {"1.3.12"},
    ("com.google.guava:guava", "31.1-jre"): {"32.0.0-jre"},
    ("io.netty:netty-codec-http", "4.1.101.Final"): {"4.1.108.Final", "4.1.125.Final"},
    ("io.netty:netty-codec-http2", "4.1.101.Final"): {"4.1.124.Final"},
    ("com.fasterxml.jackson.core:jackson-core", "2.14.0-rc2"): {"2.15.0"},
    ("io.ktor:ktor-client-core-jvm", "2.3.8"): {"2.3.13"},
}
"""Read by hand from the advisories' own ranges: the fix of the installed release branch."""


@pytest.mark.corpus
def test_a_real_ci_run() -> None:
    """Every kept finding is one example; answers differ; versions are the branch's own."""
    folder = CORPUS / "webauthn-392"
    if not folder.exists():
        pytest.skip("the corpus is not beside the project")
    findings = parse_folder(folder).kept
    examples = [example_of(finding, None, 2.5) for finding in findings]
    assert len({example.id for example in examples}) == len(findings)
    assert len({example.messages[2].content for example in examples}) == len(findings)
    seen = set()
    for finding, example in zip(findings, examples, strict=True):
        answer = example.messages[2].content
        assert "TODO" not in answer
        assert finding.path is None or finding.path in answer
        if finding.package is None:
            continue
        installed = (finding.package.name, finding.package.version or "")
        if finding.tool == "osv" and installed in RIGHT_VERSIONS:
            seen.add(installed)
            assert any(f"to `{right}`" in answer for right in RIGHT_VERSIONS[installed])
    assert seen == set(RIGHT_VERSIONS)


@pytest.mark.corpus
def test_a_real_ci_run_splits_without_a_leak() -> None:
    """No package, file or advisory stands in two splits, and the sizes are as asked."""
    folder = CORPUS / "webauthn-392"
    if not folder.exists():
        pytest.skip("the corpus is not beside the project")
    examples = [example_of(finding, None, 2.5) for finding in parse_folder(folder).kept]
    splits = split(examples, 0)
    parts = (splits.train, splits.valid, splits.test)
    assert sum(map(len, parts)) == len(examples)
    assert abs(len(splits.valid) - len(examples) / 10) <= 1
    assert abs(len(splits.test) - len(examples) / 10) <= 1
    for key in ("group", "advisory"):
        held = [
            {
                value
                for example in part
                if (value := example.group if key == "group" else example.metadata["advisory"])
            }
            for part in parts
        ]
        assert not held[0] & held[1]
        assert not held[0] & held[2]
        assert not held[1] & held[2]
