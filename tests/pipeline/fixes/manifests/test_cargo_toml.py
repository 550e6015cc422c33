"""Cargo's requirements."""

from typing import Any

import pytest

MANIFEST = """[package]
name = "für-alle"
version = "1.0.0"

[dependencies]
regex = "1.5.1" # why
time = { version = "0.1", features = ["x"] }
other = { package = "ring", version = "=0.16.1" }
source = { git = "https://example.org/x.git" }
shared.workspace = true

[dev-dependencies.tokio]
version = "~1.8.0"

[target.'cfg(unix)'.dependencies]
nix = ">=0.20"

[workspace.dependencies]
smallvec = "1"
"""


@pytest.mark.parametrize(
    ("name", "installed", "version", "old", "new"),
    [
        ("regex", "1.5.1", "1.5.5", '"1.5.1"', '"1.5.5"'),
        ("time", "0.1.43", "0.2.23", '"0.1"', '"0.2.23"'),
        ("ring", "0.16.1", "0.17.0", "=0.16.1", "=0.17.0"),
        ("tokio", "1.8.0", "1.8.4", "~1.8.0", "~1.8.4"),
        ("nix", "0.20.0", "0.20.2", ">=0.20", ">=0.20.2"),
        ("smallvec", "1.6.0", "1.6.1", '"1"', '"1.6.1"'),
    ],
)
def test_requirements(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, old: str, new: str
) -> None:
    """Strings, tables, renamed crates and all kinds of dependencies are found."""
    wanted = asked(
        name=name, installed=installed, version=version, ecosystem="crates.io", path="Cargo.lock"
    )
    (fix,) = mend({"Cargo.toml": MANIFEST}, wanted)
    assert fix.after == MANIFEST.replace(old, new, 1)
    assert f"`cargo update -p {name}`" in fix.reason


@pytest.mark.parametrize("name", ["source", "shared", "other", "brought-in"])
def test_what_only_the_lock_file_can_raise(mend: Any, asked: Any, name: str) -> None:
    """A crate that no line gives a version is left to `cargo update`."""
    wanted = asked(
        name=name, installed="1.0.0", version="1.1.0", ecosystem="crates.io", path="Cargo.lock"
    )
    assert mend({"Cargo.toml": MANIFEST}, wanted) == ()


def test_a_member_of_the_workspace(mend: Any, asked: Any) -> None:
    """The one member that asks for the crate changes."""
    texts = {"Cargo.toml": '[workspace]\nmembers = ["a"]\n', "a/Cargo.toml": MANIFEST}
    wanted = asked(
        name="regex", installed="1.5.1", version="1.5.5", ecosystem="crates.io", path="Cargo.lock"
    )
    assert [fix.path for fix in mend(texts, wanted)] == ["a/Cargo.toml"]
