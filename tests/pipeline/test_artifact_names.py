"""Names in artifacts: what is shown of them, what they may lead to, and which project they name."""

import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.artifact import Rejected, checked_members, project_of, shown


@given(name=st.text(max_size=400))
def test_shown_names_are_plain_and_short(name: str) -> None:
    """A foreign name in a sentence has no control character and no more than a line."""
    text = shown(name)
    assert text.isascii()
    assert text.isprintable()
    assert "\n" not in text


@given(names=st.lists(st.text(min_size=1, max_size=12), max_size=4))
def test_checked_paths_are_relative_and_stay_inside(names: list[str]) -> None:
    """Whatever the names, a path that passes has no root and no step upwards."""
    infos = []
    for name in names:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        infos.append(info)
    try:
        checked = checked_members(infos)
    except Rejected:
        return
    for _, path in checked:
        assert isinstance(path, PurePosixPath)
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert "\0" not in str(path)


@pytest.mark.parametrize(
    ("content", "project"),
    [
        (b'{"project": "shop/checkout", "more": 1}', "shop/checkout"),
        (b'{"project": ""}', None),
        (b'{"project": "a\\u001b[2J"}', None),
        (b'{"project": 7}', None),
        (b"not json", None),
    ],
)
def test_an_artifact_may_name_its_project(
    tmp_path: Path, content: bytes, project: str | None
) -> None:
    """The secdaemon.json nearest to the top counts, and only a plain name."""
    assert project_of(tmp_path) is None
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "secdaemon.json").write_bytes(content)
    assert project_of(tmp_path) == project
    (tmp_path / "secdaemon.json").write_text('{"project": "top"}')
    assert project_of(tmp_path) == "top"
