"""A file or folder is complete or not there, whatever ends the process that writes it."""

import fcntl
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from secdaemon.config.files import copy_tree, staged_folder, write_chunks, write_file

LIMITED_WRITE = """
import resource, signal, sys
from pathlib import Path
from secdaemon.config.files import write_file
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_file(Path(sys.argv[1]), b"n" * 8192)
except OSError as error:
    sys.exit(error.strerror)
"""


class CutShortError(Exception):
    """What a test ends a block with."""


def contents(folder: Path) -> dict[str, str]:
    """Return the files below a folder by relative name, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def cut_short(final: Path) -> None:
    """Begin to make a folder, and fail."""
    with staged_folder(final) as folder:
        (folder / "file").write_text("half", encoding="utf-8")
        raise CutShortError


def limited_write(path: Path, on_limit: str) -> subprocess.CompletedProcess[str]:
    """Write 8 KiB in a process whose files end at 4 KiB; it is killed there, or refused."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED_WRITE, str(path), on_limit],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Text and bytes are written, folders made on the way, and nothing else is left."""
    path = tmp_path / "deep/er/file.json"
    write_file(path, "é")
    assert path.read_bytes() == b"\xc3\xa9"
    write_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [child.name for child in path.parent.iterdir()] == ["file.json"]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """Where the disk refuses the rest, the old content stands and no temporary file is left."""
    path = tmp_path / "file"
    write_file(path, "old")
    done = limited_write(path, "SIG_IGN")
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert contents(tmp_path) == {"file": "old"}


def test_a_write_that_is_killed_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """A process that dies in the middle of writing leaves the old content under the name."""
    path = tmp_path / "file"
    write_file(path, "old")
    done = limited_write(path, "SIG_DFL")
    assert done.returncode == -signal.SIGXFSZ
    assert path.read_text(encoding="utf-8") == "old"
    write_file(path, "new")
    assert path.read_text(encoding="utf-8") == "new"


def test_what_a_killed_writer_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    """The lock tells them apart: nobody holds it for the dead, whatever became of their number."""
    left, living = (tmp_path / f".a.json.{name}.partial" for name in ("left", "living"))
    left.write_bytes(b"half")
    with living.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_file(tmp_path / "a.json", b"whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, "a.json"]
    write_file(tmp_path / "a.json", b"again")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_rename_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    """A folder in the file's place is an OSError and stays as it is."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/child").write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="taken"):
        write_file(tmp_path / "taken", "new")
    assert contents(tmp_path) == {"taken/child": "old"}


def test_a_staged_folder_takes_its_place_at_the_end(tmp_path: Path) -> None:
    """The name is not there before the block ends, and holds what the block made afterwards."""
    final = tmp_path / "results/one"
    with staged_folder(final) as folder:
        (folder / "sub").mkdir()
        (folder / "sub/file").write_text("new", encoding="utf-8")
        assert folder.parent == final.parent
        assert not final.exists()
    assert contents(tmp_path) == {"results/one/sub/file": "new"}
    assert [child.name for child in final.parent.iterdir()] == ["one"]


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    """After an exception the old folder stands and the staged one is gone."""
    final = tmp_path / "one"
    with staged_folder(final) as folder:
        (folder / "file").write_text("old", encoding="utf-8")
    with pytest.raises(CutShortError):
        cut_short(final)
    assert contents(tmp_path) == {"one/file": "old"}
    assert [child.name for child in tmp_path.iterdir()] == ["one"]


def test_a_staged_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    """Nothing of the older folder shines through."""
    final = tmp_path / "one"
    for name in ("first", "second"):
        with staged_folder(final) as folder:
            (folder / name).write_text(name, encoding="utf-8")
    assert contents(tmp_path) == {"one/second": "second"}


def test_a_killed_attempt_is_swept_away(tmp_path: Path) -> None:
    """What a kill left beside the name is not seen by the next attempt and is gone after it."""
    final = tmp_path / "one"
    (tmp_path / ".one.staged").mkdir()
    (tmp_path / ".one.staged/half").write_text("half", encoding="utf-8")
    with staged_folder(final) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("new", encoding="utf-8")
    assert contents(tmp_path) == {"one/file": "new"}


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    """The folder that was moved aside comes back where the next attempt fails as well."""
    final = tmp_path / "one"
    (tmp_path / ".one.old").mkdir()
    (tmp_path / ".one.old/file").write_text("old", encoding="utf-8")
    with pytest.raises(CutShortError):
        cut_short(final)
    assert contents(tmp_path) == {"one/file": "old"}


def tree(folder: Path) -> Path:
    """Make a small tree and return it."""
    write_file(folder / "a", "one")
    write_file(folder / "sub/b", "two")
    (folder / "empty").mkdir()
    return folder


def test_a_tree_is_copied_by_links(tmp_path: Path) -> None:
    """On one file system the copy shares its files, and replacing one leaves the other."""
    source, target = tree(tmp_path / "source"), tmp_path / "target"
    copy_tree(source, target)
    assert contents(target) == {"a": "one", "sub/b": "two"}
    assert (target / "empty").is_dir()
    assert (source / "sub/b").samefile(target / "sub/b")
    write_file(target / "a", "changed")
    assert (source / "a").read_text(encoding="utf-8") == "one"


def test_a_tree_is_copied_across_file_systems(tmp_path: Path) -> None:
    """Where no link can be made the files are copied."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm as a second file system")
    with tempfile.TemporaryDirectory(dir=shm) as other:
        source, target = tree(tmp_path / "source"), Path(other) / "target"
        copy_tree(source, target)
        assert contents(target) == {"a": "one", "sub/b": "two"}
        assert not (source / "a").samefile(target / "a")


def test_a_tree_is_not_copied_over_another(tmp_path: Path) -> None:
    """A target that is there already is refused and stays as it is."""
    source, target = tree(tmp_path / "source"), tmp_path / "target"
    write_file(target / "mine", "mine")
    with pytest.raises(FileExistsError):
        copy_tree(source, target)
    assert contents(target) == {"mine": "mine"}


def test_chunks_are_a_file_or_nothing(tmp_path: Path) -> None:
    """A file of chunks is whole; where making one fails, the old file stands and nothing is left."""
    path = tmp_path / "folder" / "file"
    write_chunks(path, (b"%d\n" % number for number in range(3)))
    assert contents(tmp_path) == {"folder/file": "0\n1\n2\n"}

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise CutShortError

    with pytest.raises(CutShortError):
        write_chunks(path, broken())
    assert contents(tmp_path) == {"folder/file": "0\n1\n2\n"}
