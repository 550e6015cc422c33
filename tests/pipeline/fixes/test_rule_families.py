"""Families of rules: complete, found by the words of real rules, and not by stray ones."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml

from secdaemon.pipeline.findings.model import Category
from secdaemon.pipeline.fixes.advice import known_weaknesses
from secdaemon.pipeline.fixes.rule_families import Domain, families, families_of, family_of

DOMAINS: tuple[Domain, ...] = get_args(Domain)
KINDS: dict[str, Category] = {
    **dict.fromkeys(DOMAINS, Category.CODE),
    **dict.fromkeys(
        ("containers", "kubernetes", "data", "stores", "logs", "cloud", "networks"),
        Category.CONFIGURATION,
    ),
    "web": Category.WEB,
    "secrets": Category.SECRET,
}
TITLES: dict[str, dict[str, list[str]]] = yaml.safe_load(
    Path(__file__).with_name("rule_titles.yaml").read_text(encoding="utf-8")
)


def rules() -> Iterator[tuple[str, str, str]]:
    """Yield each rule of the table with its domain and the beginning of its family's remedy."""
    for domain, remedies in TITLES.items():
        for remedy, rules_ in remedies.items():
            yield from ((domain, str(rule), remedy) for rule in rules_)


def names(rule: str) -> tuple[str, ...]:
    """Return id and title of `id|title`; of a dotted id the last part, as it is asked first."""
    id_, _, title = rule.partition("|")
    return (id_, title) if title else (id_.rpartition(".")[2] if id_.count(".") > 1 else id_,)


def test_every_family_is_complete() -> None:
    """Words compile, the CWE is described, texts are sentences, and no advice is a commonplace."""
    for family in families():
        assert bool(family.cwe) != bool(family.about), family.words
        assert not family.cwe or family.cwe in known_weaknesses()
        assert all(cwe in known_weaknesses() for cwe in family.misnamed)
        assert all(re.compile(word) for word in family.words)
        assert not family.why.endswith(".")
        for remedy in (family.remedy, *family.clouds.values()):
            assert remedy.endswith(".")
            assert remedy.count("`") % 2 == 0
            assert not re.search(r"best practice|security hygiene|TODO", remedy, re.IGNORECASE)


def test_no_two_families_say_the_same() -> None:
    """Remedies and reasons are each one family's own."""
    for texts in ([f.remedy for f in families()], [f.why for f in families()]):
        assert len(set(texts)) == len(texts), [t for t in texts if texts.count(t) > 1]


@pytest.mark.parametrize(("domain", "rule", "remedy"), list(rules()))
def test_a_rule_finds_its_family(domain: str, rule: str, remedy: str) -> None:
    """Ids and titles as scanners write them lead to the family of their domain."""
    kind = Category.CONFIGURATION if "|" in rule and domain == "quality" else KINDS[domain]
    family = family_of(*names(rule), kind=kind)
    assert family is not None
    assert family.remedy.startswith(remedy)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_family_has_a_rule(domain: Domain) -> None:
    """No family stands in the files that no rule of the table finds."""
    wanted = TITLES[domain]
    for family in families_of(domain):
        assert sum(family.remedy.startswith(remedy) for remedy in wanted) == 1, family.words


@pytest.mark.parametrize(
    "rule",
    [
        "retrieval-of-data",
        "medieval",
        "evaluation-order",
        "CVE-2021-10020",
        "sha-128-block-size",
        "postgresql-is-up",
        "tokenizer-not-closed-twice",
        "unmarshalled-value",
        "des",
        "b6021",
        "g1040",
        "email-layout",
        "public-field",
        "cache-size",
        "rotation-of-image",
    ],
)
def test_stray_words_of_code_find_nothing(rule: str) -> None:
    """A word counts at its beginning, as a whole, and in its own domain."""
    assert family_of(rule) is None


@pytest.mark.parametrize(
    ("title", "not_in_remedy"),
    [
        ("Ensure PostgreSQL is using the latest version of TLS encryption", "bound parameter"),
        ("Ensure all data stored in RDS is not publicly accessible", "StorageEncrypted"),
        ("Ensure EKS Cluster has Secrets Encryption Enabled", "Revoke"),
        ("Ensure autorotation of Secrets Store CSI Driver secrets", "Revoke"),
        ("Ensure that Service Account Tokens are only mounted where necessary", "Revoke"),
        ("IAM User Without Password Reset", "Revoke"),
        ("Ensure IAM policies does not allow privilege escalation", "securityContext"),
        ("Ensure that Storage Accounts use replication", "PodDisruptionBudget"),
        ("ECR Image Tag Not Immutable", "base image"),
        ("b6024ab1-1111-4222-8333-444455556666", ""),
    ],
)
def test_stray_words_of_settings_find_another_family(title: str, not_in_remedy: str) -> None:
    """Words that two families share are told apart by the words beside them; a UUID has none."""
    family = family_of(title, kind=Category.CONFIGURATION)
    assert (family is None) == (not not_in_remedy)
    assert family is None or not_in_remedy not in family.remedy


def test_a_kind_of_finding_is_answered_by_its_own_domains() -> None:
    """A bucket's policy is no secret, a secret no setting, and code names its cloud."""
    assert family_of("api-key", kind=Category.DEPENDENCY) is None
    assert family_of("deletion-protection", kind=Category.CODE) is None
    assert family_of("terraform.aws.rds-deletion-protection", kind=Category.CODE) is not None
    assert family_of("jwt-leaked", kind=Category.SECRET) is not family_of("jwt-leaked")
