"""Taking in: hash, keep, record, and only then let go; refused artifacts are set aside once."""

import os
import resource
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import (
    ChangedError,
    Offer,
    accept,
    set_aside,
    sweep,
    zip_folder,
)
from secdaemon.daemon.jobs import settle
from secdaemon.state.machine import State, Step
from secdaemon.state.runs import Move, events, get_run, move, newest_runs, set_run_dir
from secdaemon.state.store import Store, open_store

Make = Callable[..., Path]
NOW = 1_800_000_000.0


def offer(path: Path, *, remove: bool = True) -> Offer:
    """Return what the inbox offers."""
    return Offer(path=path, kind="inbox", remove=remove)


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def test_an_artifact_is_kept_recorded_and_let_go(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """The archive holds the same bytes under their hash, the run says where from, the inbox is empty."""
    path = make_zip(home.root / "inbox" / "scan.zip")
    data = path.read_bytes()
    taken = accept(store, home, settings, offer(path), NOW)
    run = get_run(store, taken.run)
    assert taken.new
    assert (run.state, run.kind, run.name, run.size) == (
        State.RECEIVED,
        "inbox",
        "scan.zip",
        len(data),
    )
    assert names(home.archive) == [f"{run.sha256}.zip"]
    assert Path(run.archive).read_bytes() == data
    assert not path.exists()
    assert run.id == "20270115_080000"


def test_the_same_bytes_twice_are_one_run(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """A second copy under another name is an event of the first run, and goes from the inbox."""
    first = accept(store, home, settings, offer(make_zip(home.root / "inbox/a.zip")), NOW)
    again = accept(store, home, settings, offer(make_zip(home.root / "inbox/b.zip")), NOW + 5)
    assert (again.run, again.new) == (first.run, False)
    assert "dropped again (inbox: b.zip)" in events(store, first.run)[-1].detail
    assert names(home.root / "inbox") == []
    assert len(names(home.archive)) == 1


def test_runs_born_in_one_second_are_numbered(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """Ids stay apart: _2, _3."""
    paths = [make_zip(home.root / f"{n}.zip", name=f"n{n}") for n in range(3)]
    runs = [accept(store, home, settings, offer(path), NOW).run for path in paths]
    assert runs == ["20270115_080000", "20270115_080000_2", "20270115_080000_3"]


def test_a_kill_at_any_point_loses_and_doubles_nothing(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    home: Home,
    settings: Settings,
    store: Store,
    make_zip: Make,
    die_at: Callable[..., bool],
) -> None:
    """Killed before each change to disk or database, the next scan ends what was begun."""
    store.close()
    killed, point = True, 0
    while killed:
        one = Home(root=tmp_path / f"life{point}", chosen=True)
        shutil.copytree(home.root, one.root)
        path = make_zip(one.root / "inbox" / "scan.zip")
        data = path.read_bytes()

        def work(store: Store, one: Home = one, path: Path = path) -> object:
            return accept(store, one, settings, offer(path), NOW)

        killed = die_at(point, one, work)
        again = open_store(one)
        if path.exists():
            accept(again, one, settings, offer(path), NOW + 10)
        (run,) = newest_runs(again, -1)
        again.close()
        sweep(one, NOW + 1e9)
        assert run.state is State.RECEIVED
        assert Path(run.archive).read_bytes() == data
        assert names(one.archive) == [f"{run.sha256}.zip"]
        assert not path.exists()
        point += 1
    assert point > 8


def test_a_full_disk_leaves_everything_as_it_was(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """The archive has no half file, the inbox keeps its file, and no run is recorded."""
    path = make_zip(home.root / "inbox/big.zip", {"scan.json": os.urandom(200_000)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            accept(store, home, settings, offer(path), NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.exists()
    assert names(home.archive) == []
    assert newest_runs(store, -1) == []
    assert accept(store, home, settings, offer(path), NOW).new


def test_an_archive_that_cannot_be_written_leaves_the_file(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """An archive folder that is gone is an error of the disk, and the file waits."""
    path = make_zip(home.root / "inbox" / "scan.zip")
    home.archive.rmdir()
    home.archive.write_text("in the way")
    with pytest.raises(OSError, match="archive"):
        accept(store, home, settings, offer(path), NOW)
    assert path.exists()
    assert newest_runs(store, -1) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_stays(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """Denied is told as denied, and nothing moves."""
    path = make_zip(home.root / "inbox" / "scan.zip")
    path.chmod(0)
    with pytest.raises(PermissionError):
        accept(store, home, settings, offer(path), NOW)
    assert path.exists()


def test_a_file_that_changes_while_it_is_read_is_not_taken(
    home: Home, settings: Settings, store: Store
) -> None:
    """A copy that is still going on is told from a complete file."""
    path = home.root / "growing.zip"
    path.write_bytes(b"")
    os.truncate(path, 64 << 20)
    over = threading.Event()

    def touch() -> None:
        stamp = 0
        while not over.is_set():
            stamp += 1
            os.utime(path, ns=(stamp, stamp))

    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        with pytest.raises(ChangedError, match="changed while it was read"):
            accept(store, home, settings, offer(path), NOW)
    finally:
        over.set()
        toucher.join()
    assert path.exists()
    assert names(home.archive) == []


def test_what_is_neither_file_nor_folder_is_refused(
    home: Home, settings: Settings, store: Store
) -> None:
    """A pipe would be read for ever."""
    os.mkfifo(home.root / "pipe.zip")
    with pytest.raises(OSError, match="neither a file nor a folder"):
        accept(store, home, settings, offer(home.root / "pipe.zip"), NOW)


def test_a_name_that_is_no_text_is_taken_in_all_the_same(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """Linux allows any bytes in a name; state.db and JSON do not."""
    good = make_zip(home.root / "inbox" / "good.zip")
    path = Path(os.fsdecode(os.fsencode(good.parent) + b"/sc\xffn.zip"))
    good.rename(path)
    run = get_run(store, accept(store, home, settings, offer(path), NOW).run)
    assert run.name == "sc\ufffdn.zip"


def test_a_folder_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    """Order, times and permissions of its files leave no trace; links and empty folders neither."""
    zips = []
    for number, order in enumerate([("b.json", "a/c.json"), ("a/c.json", "b.json")]):
        folder = tmp_path / f"folder{number}"
        for name in order:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            (folder / name).chmod(0o600 + number)
            os.utime(folder / name, (number, number))
        (folder / "empty").mkdir()
        (folder / "link.json").symlink_to("b.json")
        zips.append(tmp_path / f"{number}.zip")
        zip_folder(folder, zips[-1])
    assert zips[0].read_bytes() == zips[1].read_bytes()
    with zipfile.ZipFile(zips[0]) as archive:
        assert archive.namelist() == ["a/c.json", "b.json"]


def test_a_folder_is_taken_in_and_left_where_it_is(
    home: Home, settings: Settings, store: Store, tmp_path: Path, make_sarif: Callable[..., str]
) -> None:
    """`submit` of a folder keeps the folder, also one with names that are no text."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.sarif").write_text(make_sarif("a", 2))
    Path(os.fsdecode(os.fsencode(folder) + b"/\xfe.json")).write_text("{}")
    manual = Offer(path=folder, kind="manual", remove=False)
    first = accept(store, home, settings, manual, NOW)
    again = accept(store, home, settings, manual, NOW)
    assert (again.run, again.new) == (first.run, False)
    assert len(names(folder)) == 2
    assert len(names(home.archive)) == 1


def test_a_published_switch_and_a_checkout_are_remembered(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """What `process` was asked for stays with its run, and known bytes make a further run."""
    path = make_zip(home.root / "scan.zip")
    asked = Offer(
        path=path,
        kind="manual",
        remove=False,
        again=True,
        source_dir="/src",
        train=False,
        publish=False,
    )
    first, second = (accept(store, home, settings, asked, NOW + n).run for n in range(2))
    assert first != second
    run = get_run(store, second)
    assert (run.source_dir, run.train, run.publish) == ("/src", False, False)


def test_refused_artifacts_keep_apart(tmp_path: Path) -> None:
    """A taken name gets _2, _3 before its ending, and each has its reason beside it."""
    rejected = tmp_path / "rejected"
    for number in range(3):
        archive = tmp_path / f"{number}"
        archive.write_text(str(number))
        set_aside(archive, "scan.zip", f"reason {number}", rejected)
    assert names(rejected) == [
        "scan.zip",
        "scan.zip.reason.txt",
        "scan_2.zip",
        "scan_2.zip.reason.txt",
        "scan_3.zip",
        "scan_3.zip.reason.txt",
    ]
    assert (rejected / "scan_2.zip").read_text() == "1"
    assert (rejected / "scan_2.zip.reason.txt").read_text() == "reason 1\n"


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("../../out.zip", "out.zip"),
        ("", "artifact"),
        ("folder", "folder"),
        ("n" * 251 + ".zip", None),
        ("\u20ac" * 83 + ".zip", None),
    ],
)
def test_a_foreign_name_stays_in_the_folder_and_fits(
    tmp_path: Path, name: str, becomes: str | None
) -> None:
    """No name leads outside, and the longest one leaves room for its reason's ending."""
    (tmp_path / "archive").write_text("x")
    target = set_aside(tmp_path / "archive", name, "why", tmp_path / "rejected")
    assert target is not None
    assert target.parent == tmp_path / "rejected"
    assert becomes is None or target.name == becomes
    assert target.suffix == Path(name).suffix
    assert target.with_name(target.name + ".reason.txt").read_text() == "why\n"


def test_an_artifact_that_is_gone_is_not_set_aside_again(tmp_path: Path) -> None:
    """Doing it twice is as good as once."""
    assert set_aside(tmp_path / "absent", "scan.zip", "why", tmp_path / "rejected") is None
    assert not (tmp_path / "rejected").exists()


def test_a_kill_while_setting_aside_leaves_one_artifact_with_one_reason(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    home: Home,
    settings: Settings,
    store: Store,
    make_zip: Make,
    die_at: Callable[..., bool],
) -> None:
    """Killed before each change, the next start ends it: one file, one reason, no work folder."""
    path = make_zip(tmp_path / "scan.zip")
    run = get_run(store, accept(store, home, settings, offer(path, remove=False), NOW).run)
    why = Move(target=State.REJECTED, cause=Step.UNPACK, detail="not good", reason="not good")
    assert move(store, run, why, NOW)
    store.close()
    killed, point = True, 0
    while killed:
        one = Home(root=tmp_path / f"life{point}", chosen=True)
        shutil.copytree(home.root, one.root)
        (one.root / "run" / "work").mkdir(parents=True)
        opened = open_store(one)
        with opened.transaction() as db:
            db.execute(
                "UPDATE artifacts SET archive = ?", (str(one.archive / Path(run.archive).name),)
            )
        set_run_dir(opened, run.id, str(one.root / "run"))
        opened.close()

        def work(store: Store, one: Home = one) -> object:
            return settle(store, one, get_run(store, run.id))

        killed = die_at(point, one, work)
        again = open_store(one)
        settle(again, one, get_run(again, run.id))
        assert get_run(again, run.id).run_dir is None
        again.close()
        assert names(one.rejected) == ["scan.zip", "scan.zip.reason.txt"]
        assert (one.rejected / "scan.zip.reason.txt").read_text() == "not good\n"
        assert (one.rejected / "scan.zip").read_bytes() == path.read_bytes()
        assert names(one.archive) == []
        assert not (one.root / "run").exists()
        point += 1
    assert point > 5


def test_rejected_bytes_dropped_again_leave_no_archive(
    home: Home, settings: Settings, store: Store, make_zip: Make
) -> None:
    """The run knows of it, and the archive does not keep what rejected/ has."""
    path = make_zip(home.root / "inbox" / "scan.zip", {"notes.txt": "no scan"})
    copy = shutil.copy(path, home.root / "copy.zip")
    run = get_run(store, accept(store, home, settings, offer(path), NOW).run)
    why = Move(target=State.REJECTED, cause=Step.UNPACK, detail="no", reason="no")
    assert move(store, run, why, NOW)
    set_run_dir(store, run.id, str(home.root / "run"))
    settle(store, home, get_run(store, run.id))
    again = accept(store, home, settings, offer(Path(copy)), NOW)
    assert (again.run, again.new) == (run.id, False)
    assert names(home.archive) == []
    assert names(home.rejected) == ["scan.zip", "scan.zip.reason.txt"]


def test_what_a_kill_left_half_kept_is_swept(home: Home) -> None:
    """Only what has stood for long goes: another process may be keeping right now."""
    (home.archive / ".taking.abc").write_text("half")
    (home.archive / ".folder.abc").mkdir()
    (home.archive / "whole.zip").write_text("whole")
    written = (home.archive / ".taking.abc").stat().st_mtime
    sweep(home, written + 60)
    assert len(names(home.archive)) == 3
    sweep(home, written + 100_000)
    assert names(home.archive) == ["whole.zip"]
