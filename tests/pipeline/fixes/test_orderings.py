"""Each ecosystem's order, and where the library's own departs from it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers import versions as schemes

from secdaemon.pipeline.fixes.orderings import is_below, is_pre_release, ordered

KINDS = (
    "apk",
    "cargo",
    "composer",
    "deb",
    "gem",
    "golang",
    "maven",
    "npm",
    "nuget",
    "pypi",
    "rpm",
    "",
)


@pytest.mark.parametrize(
    ("kind", "rising"),
    [
        ("maven", ("4.1.9.Final", "4.1.101.Final", "4.1.125.Final", "4.2.0.Alpha1", "4.2.0.Final")),
        (
            "maven",
            ("1.0-alpha-1", "1.0-beta-1", "1.0-M1", "1.0-rc1", "1.0-SNAPSHOT", "1.0", "1.0-sp1"),
        ),
        ("maven", ("31.1-jre", "32.0.0-android", "32.0.0-jre")),
        ("maven", ("2.9.10", "2.9.10.8", "2.13.2.1", "2.13.2.2")),
        ("maven", ("5.2.0.M1", "5.2.0.RC1", "5.2.0.RELEASE", "5.2.1.RELEASE")),
        ("npm", ("1.2.3-alpha.beta", "1.2.3-beta.2", "1.2.3-beta.11", "1.2.3", "1.9.0", "1.10.0")),
        (
            "golang",
            ("v0.0.0-20220101000000-abcdef123456", "v0.0.0-20230101000000-abcdef123456", "0.1.0"),
        ),
        ("golang", ("1.21rc2", "1.21", "1.21.6")),
        ("cargo", ("0.9.9", "0.10.0-rc.1", "0.10.0")),
        ("pypi", ("1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.1", "1!0.1")),
        ("gem", ("5.2.4.2", "5.2.4.3", "6.0.0.rc1", "6.0.0")),
        ("nuget", ("4.3.0-preview1", "4.3.0", "4.3.0.1", "13.0.1")),
        (
            "composer",
            ("1.0.0-alpha3", "1.0.0-beta2", "1.0.0-beta10", "1.0.0RC1", "1.0.0", "1.0.0-p1"),
        ),
        ("composer", ("v1.2.3.4", "1.2.3.10", "1.10.0")),
        ("deb", ("2.0~rc1-1", "2.0-1", "2.0-1+deb12u1", "2.0-1+deb12u10", "1:0.1-1")),
        ("deb", ("8.5.0-2ubuntu10.4", "8.5.0-2ubuntu10.6", "8.5.0-2ubuntu10.10")),
        ("apk", ("1.2_alpha1-r0", "1.2_rc1-r0", "1.2-r0", "1.2-r10", "1.2_p1-r0", "1.10-r0")),
        ("rpm", ("1.0~rc1-1.el8", "1.0-1.el8", "1.0-12.el8_9", "1.0.1-1.el8", "1:0.1-1")),
        ("", ("v1.9", "1.10", "1.10.1")),
    ],
)
def test_versions_rise(kind: str, rising: tuple[str, ...]) -> None:
    """Versions written in their ecosystem's order compare so, each with each."""
    for low, high in itertools.combinations(rising, 2):
        assert is_below(low, high, kind) is True, (low, high)
        assert is_below(high, low, kind) is False, (high, low)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("maven", "1.0", "1.0.0"),
        ("maven", "5.2.0.RELEASE", "5.2.0"),
        ("maven", "1.0.0.Final", "1.0.0.GA"),
        ("golang", "v2.0.0+incompatible", "2.0.0"),
        ("golang", "1.21", "1.21.0"),
        ("npm", "1.2.3+build.1", "1.2.3"),
        ("pypi", "1.0", "1.0.0"),
        ("nuget", "1.0", "1.0.0.0"),
        ("deb", "0:1.0-1", "1.0-1"),
    ],
)
def test_two_spellings_of_one_version(kind: str, one: str, other: str) -> None:
    """What an ecosystem takes for one version is not below itself."""
    assert is_below(one, other, kind) is False
    assert is_below(other, one, kind) is False


def test_where_the_library_departs() -> None:
    """The orders that the texts are shaped for are still wrong in the library itself.

    Maven 3.9 takes `.X` for `-X` and `RELEASE` for the release; semver gives build metadata no
    rank; Composer has four numbers, counted stages and patch levels; Alpine's `<=` compares texts.
    """
    assert not schemes.MavenVersion("1.0.0.Beta1") < schemes.MavenVersion("1.0-rc1")
    assert schemes.MavenVersion("5.2.0") < schemes.MavenVersion("5.2.0.RELEASE")
    assert schemes.GolangVersion("2.0.0+incompatible") != schemes.GolangVersion("2.0.0")
    assert schemes.ComposerVersion("1.0.0-beta10") < schemes.ComposerVersion("1.0.0-beta2")
    assert not schemes.ComposerVersion("1.2.3.4") < schemes.ComposerVersion("1.2.3.10")
    assert not schemes.AlpineLinuxVersion("1.9-r0") <= schemes.AlpineLinuxVersion("1.10-r0")


@pytest.mark.parametrize(
    ("kind", "version", "early"),
    [
        ("maven", "2.14.0-rc2", True),
        ("maven", "4.2.0.Alpha1", True),
        ("maven", "1.0-M3", True),
        ("maven", "4.1.101.Final", False),
        ("maven", "32.0.0-android", False),
        ("maven", "1.0.0.RELEASE", False),
        ("maven", "12.2.0.jre11", False),
        ("npm", "1.0.0-beta.1", True),
        ("npm", "1.0.0+sha.beta", False),
        ("golang", "0.0.0-20220314234659-1baeb1ce4c0b", False),
        ("golang", "1.21.0-rc.2", True),
        ("pypi", "1.0rc1", True),
        ("pypi", "1.0.post1", False),
        ("gem", "6.0.0.rc1", True),
        ("composer", "1.0.0RC1", True),
        ("composer", "2.4.6-p1", False),
        ("deb", "2.0~rc1-1", False),
    ],
)
def test_pre_releases(kind: str, version: str, early: bool) -> None:
    """Pre-releases are told by their ecosystem's signs; distributions have none."""
    assert is_pre_release(version, kind) is early


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
shaped = st.from_regex(r"\A[0-9]{1,3}([.~_+-][0-9a-z]{1,4}){0,5}\Z")


@given(st.one_of(printable, shaped, st.text(max_size=12)), shaped, st.sampled_from(KINDS))
def test_any_text_is_compared_or_not(one: str, other: str, kind: str) -> None:
    """No text raises; of two texts at most one is below the other; one is never below itself."""
    forth, back = is_below(one, other, kind), is_below(other, one, kind)
    assert (forth is None) == (back is None)
    assert not (forth and back)
    assert is_below(one, one, kind) is not True
    assert is_pre_release(one, kind) in {True, False}


def test_what_is_no_version() -> None:
    """Words, nothing, and texts longer than any version have no place in an order."""
    assert ordered("soon", "npm") is None
    assert ordered("", "maven") is None
    assert ordered("1." * 200, "maven") is None
    assert ordered("1.0 or later", "maven") is None
