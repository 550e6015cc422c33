"""A Stage 1 result on the disk: read where it lies, whole or not, and old or young."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from secdaemon.config.schema import Settings
from secdaemon.pipeline.stage1 import _records
from secdaemon.pipeline.stage1_record import (
    RECORD_FILE,
    SET_ASIDE_FILE,
    age_days,
    is_set_aside,
    is_whole,
    old_folder,
    read_record,
    training_folder,
)

MakeResult = Callable[..., Path]
MADE = "2026-01-01T00:00:00.000Z"


def test_a_home_that_moved_keeps_its_results(make_stage1: MakeResult, tmp_path: Path) -> None:
    """A record is read with the folder it lies in now, not the one it was written in."""
    moved = make_stage1("abc", MADE).rename(tmp_path / "abc")
    record = read_record(moved)
    assert record is not None
    assert record.output.folder == str(moved)
    assert is_whole(record)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"run": "r"}', b"\xff"])
def test_a_record_that_cannot_be_read_is_none(make_stage1: MakeResult, content: bytes) -> None:
    """Cut off, of another form or no JSON at all: the folder is no result."""
    folder = make_stage1("abc", MADE)
    (folder / RECORD_FILE).write_bytes(content)
    assert read_record(folder) is None
    assert read_record(folder / "absent") is None


def test_a_record_of_the_version_before_is_read(make_stage1: MakeResult) -> None:
    """Version 0.1 did not note the base model."""
    folder = make_stage1("abc", MADE)
    fields = msgspec.json.decode((folder / RECORD_FILE).read_bytes())
    del fields["base"]
    (folder / RECORD_FILE).write_bytes(msgspec.json.encode(fields))
    record = read_record(folder)
    assert record is not None
    assert record.base is None


def test_a_file_that_changed_or_went_damages_a_result(make_stage1: MakeResult) -> None:
    """Every file is compared; the marks beside them are none of the result's."""
    folder = make_stage1("abc", MADE)
    record = read_record(folder)
    assert record is not None
    (folder / SET_ASIDE_FILE).write_text("{}")
    assert is_whole(record)
    weights = folder / "adapters" / "adapters.safetensors"
    weights.write_bytes(b"other")
    assert not is_whole(record)
    weights.unlink()
    assert not is_whole(record)


def test_a_result_that_is_set_aside_is_not_reused(
    make_stage1: MakeResult, settings: Settings
) -> None:
    """Nor is one that is still trained, or is being removed."""
    kept, unwanted = make_stage1("kept", MADE), make_stage1("unwanted", MADE)
    for hidden in (training_folder(kept), old_folder(kept)):
        make_stage1(hidden.name, MADE)
    (unwanted / SET_ASIDE_FILE).write_text("{}")
    assert is_set_aside(unwanted)
    assert [record.output.fingerprint for record in _records(kept.parent)] == ["kept"]


def test_age_is_counted_in_days(make_stage1: MakeResult) -> None:
    """From when it was made to the moment of the job, and negative where a clock went back."""
    record = read_record(make_stage1("abc", MADE))
    assert record is not None
    assert age_days(record, "2026-01-11T12:00:00.000Z") == 10.5
    assert age_days(record, "2025-12-31T00:00:00.000Z") == -1.0
