"""A file counts as complete when it has stood still, whatever was seen in between."""

import io
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.schema import Artifact
from secdaemon.daemon.inbox import Tracker, scan
from secdaemon.daemon.whole_zip import check

STABLE, BROKEN = 2.0, 30.0
LIMITS = Artifact(
    max_files=100, max_total_bytes=1 << 26, max_file_bytes=1 << 25, max_ratio=200, max_depth=2
)
Make = Callable[..., Path]


@pytest.fixture
def tracker() -> Tracker:
    """Return a tracker with the contract's default times."""
    return Tracker(STABLE, BROKEN, LIMITS)


def whole(path: Path, limits: Artifact = LIMITS) -> bool:
    """Read a zip to its end."""
    pieces = check(path, limits)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return bool(end.value)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a zip of 8 MiB, most of it written as it is."""
    path = tmp_path / "inbox" / "large.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(8):
            archive.writestr(f"scan{number}.json", bytes([8 - number]) * ((1 << 20) - (1 << 15)))
    return path


@pytest.fixture
def good(tmp_path: Path, make_zip: Make) -> Path:
    """Return a zip that opens."""
    return make_zip(tmp_path / "inbox" / "good.zip")


def test_a_file_present_at_start_waits_like_any_other(tracker: Tracker, good: Path) -> None:
    """Its age on disk says nothing: it may be half copied."""
    tracker.observe({good: (10, 1)}, 1000.0)
    assert list(tracker.complete(1000.0)) == []
    assert tracker.next_due() == 1000.0 + STABLE
    assert list(tracker.complete(1001.9)) == []
    assert list(tracker.complete(1002.0)) == [good]


def test_a_growing_file_starts_anew_with_every_change(tracker: Tracker, good: Path) -> None:
    """Size and time both count, also where the copy tool sets the time back."""
    for second, look in enumerate([(1, 5), (2, 5), (2, 6), (2, 4)]):
        tracker.observe({good: look}, 100.0 + second)
        assert list(tracker.complete(100.0 + second)) == []
    assert tracker.next_due() == 103.0 + STABLE
    assert list(tracker.complete(105.0)) == [good]


def test_a_half_copied_zip_waits_until_it_opens(
    tracker: Tracker, good: Path, tmp_path: Path
) -> None:
    """A copy that pauses for longer than stable_seconds is not taken for complete."""
    half = tmp_path / "half.zip"
    half.write_bytes(good.read_bytes()[:100])
    tracker.observe({half: (100, 1)}, 0.0)
    assert list(tracker.complete(STABLE)) == []
    assert tracker.next_due() == BROKEN
    half.write_bytes(good.read_bytes())
    tracker.observe({half: (half.stat().st_size, 2)}, 10.0)
    assert list(tracker.complete(10.0 + STABLE)) == [half]


def test_a_broken_zip_is_given_up_on_in_time(tracker: Tracker, tmp_path: Path) -> None:
    """After broken_seconds without a change it is handed on, so that unpacking says what is wrong."""
    broken = tmp_path / "broken.zip"
    broken.write_text("no zip")
    tracker.observe({broken: (6, 1)}, 0.0)
    assert list(tracker.complete(29.9)) == []
    assert list(tracker.complete(BROKEN)) == [broken]


def test_a_renamed_file_is_a_new_one(tracker: Tracker, good: Path) -> None:
    """The old name is forgotten, and the new one waits its own time."""
    tracker.observe({good: (10, 1)}, 0.0)
    other = good.rename(good.with_name("other.zip"))
    tracker.observe({other: (10, 1)}, 1.0)
    assert list(tracker.complete(2.5)) == []
    assert list(tracker.complete(3.0)) == [other]


def test_a_clock_that_went_back_costs_no_more_than_the_wait(tracker: Tracker, good: Path) -> None:
    """A file seen in what is the future now waits stable_seconds from now on."""
    tracker.observe({good: (10, 1)}, 10_000.0)
    tracker.observe({good: (10, 1)}, 50.0)
    assert tracker.next_due() == 50.0 + STABLE
    assert list(tracker.complete(52.0)) == [good]


def test_a_delay_survives_no_clock_that_went_back(tracker: Tracker, good: Path) -> None:
    """A file that was put off is tried again within the longest delay of the new time."""
    tracker.observe({good: (10, 1)}, 100.0)
    tracker.delay(good, 1_000_000.0)
    tracker.observe({good: (10, 1)}, 5_000.0)
    due = tracker.next_due()
    assert due is not None
    assert due <= 5_000.0 + 300.0


def test_delays_grow_to_five_minutes_and_end_with_a_change(tracker: Tracker, good: Path) -> None:
    """A full disk is asked ever more rarely; a new copy of the file is tried at once."""
    tracker.observe({good: (10, 1)}, 0.0)
    waits = [tracker.delay(good, 100.0) - 100.0 for _ in range(11)]
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert waits == sorted(waits)
    assert waits[-1] == 300.0
    assert list(tracker.complete(399.0)) == []
    tracker.observe({good: (11, 2)}, 200.0)
    assert list(tracker.complete(202.0)) == [good]


def test_what_is_gone_is_forgotten(tracker: Tracker, good: Path) -> None:
    """Nothing is due once nothing is there."""
    tracker.observe({good: (10, 1)}, 0.0)
    tracker.delay(good, 0.0)
    tracker.observe({}, 1.0)
    assert tracker.next_due() is None
    assert list(tracker.complete(100.0)) == []


NAMES = ("a.zip", "b.zip")
STEPS = st.lists(
    st.tuples(
        st.floats(-50.0, 50.0, allow_nan=False).map(lambda value: round(value, 1)),
        st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(0, 2), st.integers(0, 2))),
        st.sampled_from([None, None, *NAMES]),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_only_what_stood_still_is_yielded(
    steps: list[tuple[float, dict[str, tuple[int, int]], str | None]],
) -> None:
    """Whatever is seen in whatever order, a file comes only after stable_seconds without change."""
    tracker = Tracker(STABLE, STABLE, LIMITS)
    now, looks, since = 1000.0, {}, {}
    for passed, seen, put_off in steps:
        now += passed
        for name in NAMES:
            if name not in seen or looks.get(name) != seen[name] or since[name] > now:
                since[name] = now
        looks = dict(seen)
        tracker.observe({Path(name): look for name, look in seen.items()}, now)
        if put_off in seen:
            tracker.delay(Path(put_off), now)
        for path in tracker.complete(now):
            assert str(path) in seen
            assert str(path) != put_off
            assert now - since[str(path)] >= STABLE
        due = tracker.next_due()
        assert (due is None) == (not seen)
        assert due is None or due <= now + 300.0 + STABLE


def test_scan_finds_zips_at_any_depth(tmp_path: Path) -> None:
    """Endings are read without case; hidden, half-copied, linked and other files are left alone."""
    wanted = {"a.zip", "B.ZIP", "sub/deep/c.zip"}
    unwanted = {
        "notes.txt",
        ".hidden.zip",
        "a.zip.part",
        "b.zip.crdownload",
        "c.zip.download",
        "__MACOSX/d.zip",
        ".sub/e.zip",
        "zip",
    }
    for name in wanted | unwanted:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.zip").symlink_to(tmp_path / "a.zip")
    (tmp_path / "folder.zip").mkdir()
    os.mkfifo(tmp_path / "pipe.zip")
    found = scan(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in found} == wanted
    status = (tmp_path / "a.zip").stat()
    assert found[tmp_path / "a.zip"] == (1, status.st_mtime_ns)


def test_scan_says_that_the_inbox_cannot_be_read(tmp_path: Path) -> None:
    """A missing inbox and a file in its place are errors, not emptiness."""
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        scan(tmp_path / "file")


def test_a_volume_that_is_gone_is_no_empty_inbox(tmp_path: Path) -> None:
    """What stands where a volume was mounted is not read as its inbox."""
    with pytest.raises(OSError, match="its volume is not mounted"):
        scan(tmp_path, mounted=True)
    assert scan(tmp_path) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_folder_hides_no_other(tmp_path: Path) -> None:
    """One folder that may not be read does not keep the files beside it from being taken in."""
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "a.zip").write_text("x")
    assert list(scan(tmp_path)) == [tmp_path / "a.zip"]


def test_whole_zips_are_told_from_the_rest(good: Path, tmp_path: Path) -> None:
    """A missing file, text and half a zip are not whole; a folder always is."""
    assert whole(good)
    assert whole(tmp_path)
    assert not whole(tmp_path / "absent.zip")
    half = tmp_path / "half.zip"
    half.write_bytes(good.read_bytes()[:-30])
    assert not whole(half)


def test_a_folder_moved_in_whole_is_one_artifact(good: Path, tmp_path: Path) -> None:
    """Files that are no zips make their folder at the top the artifact; zips alone stand alone."""
    inbox = tmp_path / "folders"
    for name in ("run-1/semgrep/out.json", "run-1/tool.zip", "zips/a.zip", "zips/deep/b.zip"):
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(good.read_bytes())
    assert set(scan(inbox)) == {
        inbox / "run-1",
        inbox / "zips" / "a.zip",
        inbox / "zips" / "deep" / "b.zip",
    }
    before = scan(inbox)[inbox / "run-1"]
    (inbox / "run-1" / "semgrep" / "more.json").write_text("{}")
    assert scan(inbox)[inbox / "run-1"] != before
    (inbox / "run-1" / "late.sarif.part").write_text("")
    assert inbox / "run-1" not in scan(inbox)


def test_a_zip_whose_crc_is_wrong_is_not_whole_yet(good: Path, tmp_path: Path) -> None:
    """A file that was made at its full size and is filled out of order has its directory early."""
    with zipfile.ZipFile(tmp_path / "hole.zip", "w") as archive:
        archive.writestr("scan.json", "0123456789" * 20)
    content = (tmp_path / "hole.zip").read_bytes()
    (tmp_path / "hole.zip").write_bytes(content.replace(b"0123456789", b"\0" * 10, 3))
    assert not whole(tmp_path / "hole.zip")
    assert whole(good)


def test_a_large_zip_is_read_over_several_calls(good: Path, large: Path) -> None:
    """Each call reads a slice; meanwhile the file is due, and nothing behind it is lost."""
    tracker = Tracker(STABLE, BROKEN, LIMITS, slice_bytes=1 << 20)
    tracker.observe({large: (1, 1), good: (1, 1)}, 0.0)
    calls = 0
    found: list[Path] = []
    while (due := tracker.next_due()) is not None:
        assert due <= STABLE
        calls += 1
        for path in list(tracker.complete(STABLE)):
            found.append(path)
            tracker.forget(path)
    assert found == [good, large]
    assert calls == 9


def test_reading_is_not_given_up_when_broken_seconds_are_over(large: Path) -> None:
    """On a slow disk a whole zip is read to its end, and a hole at its end is found."""
    tracker = Tracker(STABLE, STABLE, LIMITS, slice_bytes=1 << 20)
    damaged = large.read_bytes().replace(b"\1" * 64, b"\2" * 64)
    large.write_bytes(damaged)
    tracker.observe({large: (1, 1)}, 0.0)
    assert [list(tracker.complete(BROKEN + call)) for call in range(8)] == [[]] * 7 + [[large]]
    assert tracker.next_due() == STABLE


def test_a_change_begins_the_reading_anew(large: Path) -> None:
    """What was read of a file counts for nothing once it has changed or gone."""
    tracker = Tracker(STABLE, BROKEN, LIMITS, slice_bytes=1 << 20)
    for second in (0, 10):
        tracker.observe({large: (second, 1)}, float(second))
        for _ in range(5):
            assert list(tracker.complete(second + STABLE)) == []
    tracker.observe({}, 20.0)
    assert tracker.next_due() is None


def test_what_arrives_meanwhile_stops_no_reading(good: Path, large: Path) -> None:
    """A small file with an earlier name goes first and costs the large one nothing."""
    tracker = Tracker(STABLE, BROKEN, LIMITS, slice_bytes=1 << 20)
    tracker.observe({large: (1, 1)}, 0.0)
    assert [list(tracker.complete(10.0)) for _ in range(7)] == [[]] * 7
    tracker.observe({large: (1, 1), good: (1, 1)}, 10.0)
    found = [list(tracker.complete(12.0)) for _ in range(2)]
    assert [good, large] in found


def test_what_is_known_of_a_file_is_kept(tracker: Tracker, large: Path) -> None:
    """A zip that cannot be taken in yet is not read again at each attempt."""
    tracker.observe({large: (1, 1)}, 0.0)
    assert list(tracker.complete(STABLE)) == [large]
    until = tracker.delay(large, STABLE)
    large.write_bytes(b"read again, this would be no zip")
    assert list(tracker.complete(until)) == [large]


@pytest.mark.parametrize("bound", ["max_files", "max_total_bytes", "max_file_bytes"])
def test_a_bomb_is_not_inflated(large: Path, bound: str) -> None:
    """A zip that unpacking will refuse is handed on at once, with nothing of it read."""
    limits = msgspec.structs.replace(LIMITS, **{bound: 1})
    assert list(check(large, limits)) == []
    assert whole(large, limits)


def test_a_zip_of_zeros_is_not_inflated(tmp_path: Path) -> None:
    """What inflates more than unpacking allows is left to unpacking."""
    with zipfile.ZipFile(tmp_path / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(4 << 20))
    assert list(check(tmp_path / "zeros.zip", LIMITS)) == []
    assert whole(tmp_path / "zeros.zip")


@pytest.mark.parametrize("zip64", [False, True])
def test_a_directory_too_long_is_not_read(good: Path, zip64: bool) -> None:
    """A zip of millions of empty members is left to unpacking, which is no part of the daemon."""
    data = good.read_bytes()
    at, end = data.index(b"PK\x05\x06"), len(data)
    claim = 0xFFFFFFFF if zip64 else 1 << 30
    record = b"PK\x06\x06" + bytes(36) + struct.pack("<QQ", 1 << 40, 0) if zip64 else b""
    good.write_bytes(
        data[:at] + record + data[at : at + 12] + struct.pack("<L", claim) + data[at + 16 : end]
    )
    assert list(check(good, LIMITS)) == []
    assert whole(good)


def test_a_method_that_is_not_read_is_told_by_unpacking(tmp_path: Path) -> None:
    """bzip2 and LZMA members are not inflated here either."""
    for name, method in (("b.zip", zipfile.ZIP_BZIP2), ("l.zip", zipfile.ZIP_LZMA)):
        with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
            archive.writestr("zeros", bytes(1 << 16))
        assert list(check(tmp_path / name, LIMITS)) == []
        assert whole(tmp_path / name)


@given(st.binary(max_size=300), st.integers(0, 400), st.booleans())
def test_any_bytes_are_whole_or_not(noise: bytes, place: int, instead: bool) -> None:
    """A zip with noise in it is judged and never an error."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scan.json", '{"results": []}' * 9)
        archive.writestr("empty", "")
    data = buffer.getvalue()
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data[:place] + noise + data[place + len(noise) * instead :])
        file.flush()
        assert whole(Path(file.name)) in {True, False}
