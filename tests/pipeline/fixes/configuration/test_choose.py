"""Findings of the scanners in use meet the check that they are about, and are mended there."""

from pathlib import Path

import pytest

from secdaemon.pipeline.findings.model import Finding, Package, Severity
from secdaemon.pipeline.fixes.configuration.choose import (
    MAX_CHARS,
    fixes_for,
    security_score,
    weaknesses,
)
from secdaemon.pipeline.fixes.model import Fix, Flagged

FOLDER = Path(__file__).parent / "deployments"


def fixes(
    name: str,
    rule: str,
    line: int | None = None,
    end_line: int | None = None,
    *,
    rule_name: str | None = None,
    whole: bool = True,
    package: Package | None = None,
) -> tuple[Fix, ...]:
    """Return the fixes for a finding in a sample."""
    finding = Finding(
        tool="scanner",
        rule=rule,
        rule_name=rule_name,
        severity=Severity.HIGH,
        message="",
        path=name,
        line=line,
        package=package,
    )
    text = (FOLDER / name).read_text()
    return fixes_for(
        finding, Flagged(path=name, text=text, line=line, end_line=end_line, whole=whole)
    )


def test_a_finding_of_the_whole_workflow_gives_one_fix_for_each_choice() -> None:
    """Checkov names odd lines for missing permissions; both ways to say them are offered."""
    found = fixes("ci.workflow.yml", "CKV2_GHA_1", 70, 71)
    assert [fix.choice for fix in found] == [
        "permissions for the workflow",
        "permissions for each job",
    ]
    for fix in found:
        assert fix.approach == "configuration"
        assert fix.is_weak is not None
        assert fix.is_weak(fix.before)
        assert not fix.is_weak(fix.after)
    assert len({fix.after for fix in found}) == 2


RULES = [
    ("ci.workflow.yml", "zizmor/excessive-permissions", None, 1),
    ("ci.workflow.yml", "TokenPermissionsID", None, 1),
    ("ci.workflow.yml", "actions/missing-workflow-permissions", None, 14),
    ("ci.workflow.yml", "zizmor/template-injection", None, 28),
    ("ci.workflow.yml", "actions/code-injection/critical", None, 28),
    ("ci.workflow.yml", "CKV_GHA_2", None, 27),
    ("ci.workflow.yml", "yaml.github-actions.security.run-shell-injection", None, 28),
    ("ci.workflow.yml", "zizmor/artipacked", None, 18),
    ("ci.workflow.yml", "zizmor/unpinned-uses", None, 18),
    ("python.Dockerfile", "CKV_DOCKER_3", None, 1),
    ("python.Dockerfile", "DS002", None, None),
    ("python.Dockerfile", "AVD-DS-0002", None, None),
    ("python.Dockerfile", "DL3002", None, None),
    ("python.Dockerfile", "dockerfile.security.missing-user.missing-user", None, 23),
    ("python.Dockerfile", "fd54f200-402c-4333-a5a4-36ef6709af2f", "Missing User Instruction", 2),
    ("python.Dockerfile", "CKV_DOCKER_2", None, 1),
    ("python.Dockerfile", "DS026", None, 2),
    ("python.Dockerfile", "DS005", None, 5),
    ("python.Dockerfile", "DL3020", None, 5),
    ("python.Dockerfile", "CKV_DOCKER_6", None, 3),
    ("python.Dockerfile", "DS017", None, 8),
    ("python.Dockerfile", "DS029", None, 9),
    ("python.Dockerfile", "DL3015", None, 9),
    ("python.Dockerfile", "CKV2_DOCKER_2", None, 13),
    ("node.Dockerfile", "DS025", None, 5),
    ("centos.Dockerfile", "DS015", None, 3),
    ("centos.Dockerfile", "DS010", None, 3),
    ("web.k8s.yaml", "CKV_K8S_16", None, 35),
    ("web.k8s.yaml", "KSV017", None, 35),
    ("web.k8s.yaml", "KSV001", None, 27),
    ("web.k8s.yaml", "CKV_K8S_20", None, 27),
    ("web.k8s.yaml", "KSV003", None, 28),
    ("web.k8s.yaml", "KSV106", None, 28),
    ("web.k8s.yaml", "KSV012", None, 57),
    ("web.k8s.yaml", "KSV014", None, 28),
    ("web.k8s.yaml", "KSV020", None, 57),
    ("web.k8s.yaml", "KSV030", None, 28),
    ("web.k8s.yaml", "KSV009", None, 24),
    ("web.k8s.yaml", "yaml.kubernetes.security.run-as-non-root", None, 53),
    ("web.k8s.yaml", "CKV_K8S_29", None, 45),
    ("web.k8s.yaml", "CKV_K8S_30", None, 57),
    ("web.k8s.yaml", "AVD-KSV-0036", None, 14),
    ("shop.compose.yml", "yaml.docker-compose.security.privileged-service", None, 10),
    ("shop.compose.yml", "yaml.docker-compose.security.no-new-privileges", None, 8),
    ("shop.compose.yml", "yaml.docker-compose.security.writable-filesystem-service", None, 33),
    ("shop.compose.yml", "yaml.docker-compose.security.seccomp-confinement-disabled", None, 35),
    (
        "shop.compose.yml",
        "451d79dc-0588-476a-ad03-3c7f0320abb3",
        "Container Traffic Not Bound To Host Interface",
        27,
    ),
    ("shop.compose.yml", "CKV_SECRET_6", None, 17),
]


@pytest.mark.parametrize(("name", "rule", "rule_name", "line"), RULES)
def test_rules_of_scanners_are_known(
    name: str, rule: str, rule_name: str | None, line: int | None
) -> None:
    """The rules of the scanners in use, at the lines that they name, have a fix."""
    found = fixes(name, rule, line, line, rule_name=rule_name)
    assert found
    assert all(fix.after != fix.before and fix.reason for fix in found)


@pytest.mark.parametrize(
    ("name", "rule", "line"),
    [
        ("shop.compose.yml", "yaml.docker-compose.security.exposing-docker-socket-volume", 19),
        ("nginx.Dockerfile", "DS002", None),
        ("go.Dockerfile", "DS026", None),
        ("nginx.Dockerfile", "DS001", 1),
        ("ci.workflow.yml", "zizmor/unpinned-uses", 19),
        ("dispatch.workflow.yml", "zizmor/excessive-permissions", 8),
        ("dispatch.workflow.yml", "pull-request-target-code-checkout", 19),
        ("web.k8s.yaml", "CKV_K8S_43", 28),
        ("web.k8s.yaml", "CKV_K8S_13", 28),
        ("agent.k8s.yml", "KSV010", 8),
        ("web.k8s.yaml", "KSV001", 4),
    ],
)
def test_what_cannot_be_told_has_no_fix(name: str, rule: str, line: int | None) -> None:
    """A commit, a tag, an image that must be root, a needed socket: nothing is made up."""
    assert fixes(name, rule, line, line) == ()


def test_a_part_of_a_file_is_not_mended_for_what_it_lacks() -> None:
    """A snippet cannot tell what the rest of the file has."""
    assert fixes("python.Dockerfile", "CKV_DOCKER_3", 1, 1)
    assert fixes("python.Dockerfile", "CKV_DOCKER_3", 1, 1, whole=False) == ()
    assert fixes("python.Dockerfile", "DS005", 5, 5, whole=False)


def test_a_package_is_no_setting() -> None:
    """A vulnerability of the package `sudo` in an image does not take `sudo` out of the file."""
    package = Package(name="sudo", version="1.8")
    assert fixes("centos.Dockerfile", "CVE-2021-3156", 3, 3, rule_name="sudo") != ()
    assert (
        fixes("centos.Dockerfile", "CVE-2021-3156", 3, 3, rule_name="sudo", package=package) == ()
    )


def test_all_flagged_places_are_mended_together() -> None:
    """A finding over a whole pod is ended in each of its containers, or there is no fix."""
    found = fixes("agent.k8s.yml", "CKV_K8S_20", 1, 26)
    assert len(found) == 1
    assert found[0].after.count("allowPrivilegeEscalation: false") == 2
    assert fixes("web.k8s.yaml", "CKV_K8S_20", 11, 45) == ()


def test_the_score_rises_with_each_mend() -> None:
    """A file's score is above 0, and better after a fix; other files have none."""
    for name, rule in (("ci.workflow.yml", "CKV2_GHA_1"), ("python.Dockerfile", "DS002")):
        for fix in fixes(name, rule):
            before, after = (security_score(name, text) for text in (fix.before, fix.after))
            assert before is not None
            assert after is not None
            assert 0 < before < after <= 1
    assert security_score("notes.txt", "FROM here to there") is None
    assert security_score("a.yml", "a: b") is None


def test_huge_texts_are_not_read() -> None:
    """Above its limit a text has no weaknesses and no score."""
    text = "FROM python:3.12\n" + "#" * MAX_CHARS
    assert weaknesses("Dockerfile", text) == ()
    assert security_score("Dockerfile", text) is None


def test_half_a_repair_is_none() -> None:
    """A rule that asks for a secret as well as for TLS is not met by TLS."""
    text = (
        "Resources:\n  Cache:\n    Type: AWS::ElastiCache::ReplicationGroup\n    Properties:\n"
        "      AtRestEncryptionEnabled: true\n"
    )
    flagged = Flagged(path="a.yaml", text=text, line=2, end_line=5, whole=True)
    for rule, is_mended in (("CKV_AWS_30", True), ("CKV_AWS_31", False)):
        finding = Finding(tool="checkov", rule=rule, severity=Severity.HIGH, message="", line=2)
        assert bool(fixes_for(finding, flagged)) is is_mended
