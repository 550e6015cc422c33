"""The right version of a dependency: the branch's own fix, never a downgrade."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import Package, VersionRange
from secdaemon.pipeline.fixes.versions import fixed_version, is_system_package, package_kind


@pytest.mark.parametrize(
    ("ecosystem", "installed", "fixed", "right"),
    [
        ("Maven", "1.3.5", ("1.2.13", "1.3.12", "1.4.12"), "1.3.12"),
        ("Maven", "1.4.14", ("1.5.13", "1.3.15"), "1.5.13"),
        ("Maven", "4.1.101.Final", ("4.2.5.Final", "4.1.125.Final"), "4.1.125.Final"),
        ("Maven", "2.14.0-rc2", ("2.15.0",), "2.15.0"),
        ("Maven", "2.0-rc1", ("2.0",), "2.0"),
        ("Maven", "31.1-jre", ("32.0.0-android",), "32.0.0-jre"),
        ("Maven", "1.9", ("1.10",), "1.10"),
        ("npm", "1.2.3", ("1.2.3-beta.1", "1.2.4-rc.1", "1.2.4"), "1.2.4"),
        ("npm", "2.0.0-beta.1", ("2.0.0-beta.4", "2.0.0"), "2.0.0-beta.4"),
        ("Maven", "31.1-android", ("32.0.0-jre",), "32.0.0-android"),
        ("Maven", "20.0", ("24.1.1-android",), "24.1.1-jre"),
        ("Maven", "12.2.0.jre11", ("12.4.1.jre8", "12.4.1.jre11"), "12.4.1.jre11"),
        ("Maven", "5.3.20", ("5.2.25.RELEASE", "5.3.27", "6.0.8"), "5.3.27"),
        ("Maven", "2.15.0", ("2.12.7.1", "2.13.4.2", "2.15.3"), "2.15.3"),
        ("npm", "4.17.20", ("4.17.21", "3.10.2"), "4.17.21"),
        ("PyPI", "2.31.0", ("2.32.0", "2.4"), "2.32.0"),
        ("PyPI", "1.0rc1", ("1.0",), "1.0"),
        ("PyPI", "1.0", ("1.0.post1",), "1.0.post1"),
        ("Go", "v1.2.0", ("1.2.1",), "1.2.1"),
        ("Go", "v0.0.0-20220101000000-abcdef123456", ("0.1.0",), "0.1.0"),
        (
            "Go",
            "v20.10.24+incompatible",
            ("20.10.27+incompatible", "24.0.7"),
            "20.10.27+incompatible",
        ),
        ("crates.io", "0.9.9", ("0.10.0",), "0.10.0"),
        ("RubyGems", "5.2.4.2", ("~> 5.2.4, >= 5.2.4.3", "~> 5.2.4", ">= 5.2.4.3"), "5.2.4.3"),
        ("RubyGems", "5.2.4.2", ("~> 5.2.4.3", ">= 6.0.3.1"), "5.2.4.3"),
        ("Packagist", "6.3.3", ("7.4.5", "6.5.8"), "6.5.8"),
        ("Debian:12", "1:1.2.3-1", ("1:1.2.3-1+deb12u1",), "1:1.2.3-1+deb12u1"),
        ("Debian:12", "2.0~rc1-1", ("2.0-1",), "2.0-1"),
        ("ubuntu", "8.5.0-2ubuntu10.4", ("8.5.0-2ubuntu10.6",), "8.5.0-2ubuntu10.6"),
        ("Alpine:v3.18", "3.1.4-r5", ("3.1.4-r10",), "3.1.4-r10"),
        (None, "9.4-3ubuntu6", ("9.4-3ubuntu6.1",), "9.4-3ubuntu6.1"),
    ],
)
def test_smallest_fix_above(
    ecosystem: str | None, installed: str, fixed: tuple[str, ...], right: str
) -> None:
    """Each ecosystem's own ordering finds the smallest fixed version above the installed one."""
    package = Package(name="p", ecosystem=ecosystem, version=installed, fixed_versions=fixed)
    assert fixed_version(package) == right


@pytest.mark.parametrize(
    ("installed", "fixed"),
    [
        ("2.0", ("1.9",)),
        ("2.0", ()),
        (None, ("3.0",)),
        ("2.0", ("2.0.0",)),
        ("2.0", ("soon",)),
        ("2.0", ("3.0.0-beta.1",)),
        ("2.0", ("<3.0", "> 2.5")),
    ],
)
def test_no_fix_is_better_than_a_wrong_one(installed: str | None, fixed: tuple[str, ...]) -> None:
    """A downgrade, the installed version itself and text that is no version are never named."""
    package = Package(name="p", ecosystem="npm", version=installed, fixed_versions=fixed)
    assert fixed_version(package) is None


def test_the_range_of_the_installed_version_decides() -> None:
    """The fix of the affected range is taken where another branch's fix would sort lower."""
    package = Package(
        name="p",
        ecosystem="npm",
        version="1.5.0",
        fixed_versions=("1.6.0", "2.1.0"),
        ranges=(
            VersionRange(introduced="1.0.0", fixed="2.1.0"),
            VersionRange(introduced="1.5.5", fixed="1.6.0"),
        ),
    )
    assert fixed_version(package) == "2.1.0"


@pytest.mark.parametrize(
    ("ranges", "right"),
    [
        ((("1.4.0", "1.5.13", None), ("0", "1.3.15", None)), "1.5.13"),
        ((("0", "1.4.20", None), ("1.4.0", "1.5.0", None)), "1.5.0"),
        ((("0", None, "1.9.9"), ("2.0.0", "2.3.0", None)), "2.3.0"),
        ((("0", None, None), ("1.0.0", "1.4.15", None)), None),
        ((("0", "1.4.15", None), ("1.4.15", "1.4.16", None)), "1.4.16"),
        ((("0", "1.4.15", None), ("1.4.0", None, "1.4.17"), ("0", "1.6.0", None)), "1.6.0"),
        (((None, "1.4.15", None),), "1.4.15"),
        ((("soon", "1.4.15", None),), "1.4.15"),
    ],
)
def test_no_version_in_another_range(
    ranges: tuple[tuple[str | None, str | None, str | None], ...], right: str | None
) -> None:
    """A version that fixes one affected range and lies in another one is no fix."""
    branches = tuple(VersionRange(introduced=i, fixed=f, last_affected=a) for i, f, a in ranges)
    package = Package(name="p", ecosystem="Maven", version="1.4.14", ranges=branches)
    assert fixed_version(package) == right


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=5), st.text(max_size=12))
def test_any_text_is_survived(installed: str, fixed: list[str], ecosystem: str) -> None:
    """Whatever a scan calls a version, the answer is one of those it names or none."""
    package = Package(name="p", ecosystem=ecosystem, version=installed, fixed_versions=tuple(fixed))
    found = fixed_version(package)
    named = (found or "").removesuffix("-jre").removesuffix("-android")
    assert found is None or any(named in text for text in fixed)


numbers = st.lists(st.integers(0, 30), min_size=1, max_size=3)


@given(
    numbers, st.lists(numbers, max_size=6), st.sampled_from(["npm", "PyPI", "Maven", "deb", "Go"])
)
def test_numeric_versions_order_as_numbers(
    installed: list[int], fixed: list[list[int]], ecosystem: str
) -> None:
    """In every ecosystem 1.10 is above 1.9, and the smallest above the installed one is found."""

    def text(parts: list[int]) -> str:
        return ".".join(map(str, ([*parts, 0, 0])[:3]))

    package = Package(
        name="p",
        ecosystem=ecosystem,
        version=text(installed),
        fixed_versions=tuple(text(parts) for parts in fixed),
    )
    padded = sorted(([*parts, 0, 0])[:3] for parts in fixed)
    above = [text(parts) for parts in padded if parts > ([*installed, 0, 0])[:3]]
    assert fixed_version(package) == (above[0] if above else None)


def test_kinds() -> None:
    """The package URL decides, then the ecosystem's name, then the version's shape."""
    assert package_kind(Package(name="p", purl="pkg:npm/p@1", ecosystem="Maven")) == "npm"
    assert package_kind(Package(name="p", ecosystem="gobinary")) == "golang"
    assert package_kind(Package(name="org.acme:pad", version="1.0")) == "maven"
    assert package_kind(Package(name="p", version="1.0")) == ""
    assert is_system_package(Package(name="p", version="2.4.4-2ubuntu17.3"))
    assert not is_system_package(Package(name="p", ecosystem="PyPI", version="1.0"))
