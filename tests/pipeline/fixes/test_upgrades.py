"""How a dependency is raised, in words and commands of its ecosystem."""

import shutil
import subprocess

import pytest

from secdaemon.pipeline.findings.model import Package
from secdaemon.pipeline.fixes.upgrades import image_line, upgrade_edit


@pytest.mark.parametrize(
    ("ecosystem", "name", "version", "part"),
    [
        ("npm", "lodash", "4.17.21", '"lodash": "^4.17.21"'),
        ("Go", "example.org/x", "v1.2.3", "go get example.org/x@v1.2.3\n"),
        ("PyPI", "requests", "2.32.0", "requests>=2.32.0"),
        ("crates.io", "regex", "1.5.5", "cargo update -p regex --precise 1.5.5"),
        ("alpine", "libcrypto3", "3.1.4-r5", "apk add --no-cache --upgrade 'libcrypto3>=3.1.4-r5'"),
        ("rocky", "openssl", "1:1.1.1k-12.el8_9", "dnf install -y 'openssl >= 1:1.1.1k-12.el8_9'"),
        ("Packagist", "acme/pad", "v1.2.3", "acme/pad:^1.2.3"),
    ],
)
def test_the_version_is_in_the_edit(ecosystem: str, name: str, version: str, part: str) -> None:
    """Every command names the package and the version that it has to reach."""
    assert part in upgrade_edit(Package(name=name, ecosystem=ecosystem), version, None).edit


def test_maven_goes_by_the_file() -> None:
    """A pom gets a managed dependency, a lock file of Gradle a constraint and its renewal."""
    package = Package(name="io.netty:netty-common", ecosystem="Maven")
    pom = upgrade_edit(package, "4.1.118.Final", "a/pom.xml")
    lock = upgrade_edit(package, "4.1.118.Final", "a/gradle.lockfile")
    assert "<version>4.1.118.Final</version>" in pom.edit
    assert 'implementation("io.netty:netty-common:4.1.118.Final")' in lock.edit
    assert "--write-locks" in lock.where


def test_an_old_package_fails_the_build() -> None:
    """On Debian the instruction compares what it got with what was needed."""
    line = image_line("deb", "libssl3", "3.0.13-1~deb12u1")
    assert line is not None
    assert "--only-upgrade libssl3" in line
    assert line.count("ge '3.0.13-1~deb12u1'") == 1


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="needs dpkg")
def test_the_comparison_runs() -> None:
    """The shell reads the comparison as meant: met by an installed package, or not."""
    for version, met in (("0.1", True), ("9:9", False)):
        line = image_line("deb", "dpkg", version) or ""
        check = line.split("&& ")[2].rstrip(" \\\n")
        assert (subprocess.run(["sh", "-c", check], check=False).returncode == 0) is met


@pytest.mark.parametrize("name", ["a b", "x;rm", "$(x)", "`x`", "a'b", ""])
def test_odd_names_are_in_no_command(name: str) -> None:
    """A name that could be more than a name gets words alone."""
    assert upgrade_edit(Package(name=name, ecosystem="debian"), "1.0", None).edit == ""
