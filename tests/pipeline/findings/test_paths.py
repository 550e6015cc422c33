"""Paths of scans become paths of the repository."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.paths import clean_path, clean_uri


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("src/app.py", "src/app.py"),
        ("./src/../src/app.py", "src/app.py"),
        ("/home/runner/work/app/app/src/app.py", "src/app.py"),
        ("D:\\a\\app\\app\\src\\App.cs", "src/App.cs"),
        ("/github/workspace/src/app.py", "src/app.py"),
        ("/Users/jane/code/app.py", "code/app.py"),
        ("C:\\Users\\jane\\app.cs", "app.cs"),
        ("../../path/iac/a.tf", "path/iac/a.tf"),
        ("dir\r::error::x\n/lock", "dir_::error::x_/lock"),
        ("file:///C:/Code/a.py", "Code/a.py"),
        ("..", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_clean_path(native: object, expected: str | None) -> None:
    """Runners, homes, drives and leading dots go; nothing leads out of the repository."""
    assert clean_path(native) == expected


@pytest.mark.parametrize(
    ("uri", "base", "bases", "expected"),
    [
        ("a%20b/%E2%82%AC.cs", None, None, "a b/€.cs"),
        ("not a valid URI", None, None, "not a valid URI"),
        ("app.py", "SRC", {"SRC": {"uri": "src/"}}, "src/app.py"),
        ("app.py", "S", {"S": {"uri": "b/", "uriBaseId": "R"}, "R": {"uri": "a/"}}, "a/b/app.py"),
        ("app.py", "R", {"R": {"uri": "file:///home/jane/app/"}}, "app.py"),
        ("app.py", "R", {"R": {"uri": "file:///home/runner/work/x/x/web/"}}, "web/app.py"),
        ("app.py", "R", {"R": {"uri": "a/", "uriBaseId": "R"}}, "a/a/a/a/a/app.py"),
        ("file:///src/app.py", "R", {"R": {"uri": "a/"}}, "app.py"),
        ("https://example.org/app.py", None, None, None),
        ("app.py", 5, "no object", "app.py"),
    ],
)
def test_clean_uri(uri: str, base: object, bases: object, expected: str | None) -> None:
    """Uris are decoded once and joined with bases that lie in the repository."""
    assert clean_uri(uri, base, bases) == expected


@given(st.text())
def test_no_path_leads_out(native: str) -> None:
    """Whatever a scan writes, the path is relative, clean of controls and goes only down."""
    for path in (clean_path(native), clean_uri(native)):
        if path is not None:
            assert not path.startswith("/")
            assert ".." not in path.split("/")
            assert path.isprintable() or not any(ord(c) < 32 for c in path)
