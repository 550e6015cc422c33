"""Unpacking what nobody vouches for: it comes out whole and inside, or it is refused."""

import io
import os
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secdaemon.config.schema import Artifact
from secdaemon.pipeline.artifact import Rejected, unpack

LIMITS = Artifact(
    max_files=50,
    max_total_bytes=8 << 20,
    max_file_bytes=4 << 20,
    max_ratio=100,
    max_depth=2,
)
EPOCH = (2020, 1, 1, 0, 0, 0)
LINK, FIFO, REGULAR = stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFREG | 0o644

tight = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Member(msgspec.Struct, frozen=True):
    """One member of a zip that a test builds."""

    name: str
    data: bytes = b"{}"
    mode: int = REGULAR
    encrypted: bool = False


def zipped(members: Iterable[Member], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip with these members, however wrong they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for member in members:
            info = zipfile.ZipInfo("x", EPOCH)
            # Past the constructor, which would make the name a tame one.
            info.filename = info.orig_filename = member.name
            info.compress_type = method
            info.external_attr = member.mode << 16
            archive.writestr(info, member.data)
            if member.encrypted:
                archive.filelist[-1].flag_bits |= 1
    return buffer.getvalue()


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., str]:
    """Return a check that an archive is refused and leaves nothing; it returns the sentence."""

    def check(data: bytes, limits: Artifact = LIMITS) -> str:
        archive, target = tmp_path / "in.zip", tmp_path / "work" / "artifact"
        archive.write_bytes(data)
        with pytest.raises(Rejected) as refused:
            unpack(archive, target, limits)
        assert refused.value.state == "rejected"
        assert not target.exists()
        assert inside(tmp_path) == {"in.zip", "work"}
        return str(refused.value)

    return check


def inside(folder: Path) -> set[str]:
    """Return everything below a folder, links not followed."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def files(folder: Path) -> dict[str, bytes]:
    """Return the regular files below a folder with their contents."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_good_zip_comes_out_whole(tmp_path: Path) -> None:
    """Members, folders and counts are those of the zip; an older target is replaced."""
    archive, target = tmp_path / "in.zip", tmp_path / "artifact"
    (target / "old").mkdir(parents=True)
    members = [Member("a.json", b"[1]"), Member("sub/", b""), Member("sub/b.json", b"[2, 3]")]
    archive.write_bytes(zipped(members))
    done = unpack(archive, target, LIMITS)
    assert files(target) == {"a.json": b"[1]", "sub/b.json": b"[2, 3]"}
    assert (done.files, done.bytes) == (2, 9)
    assert "old" not in inside(target)


def test_zips_inside_zips_become_folders_of_their_name(tmp_path: Path) -> None:
    """GitHub's zip around a tool's zip is opened; what only claims to be a zip stays a file."""
    deepest = zipped([Member("deep.json", b"[]")])
    inner = zipped([Member("scan.json", b"{}"), Member("deep.zip", deepest)])
    archive = tmp_path / "in.zip"
    archive.write_bytes(zipped([Member("tool.ZIP", inner), Member("fake.zip", b"no zip")]))
    done = unpack(archive, tmp_path / "artifact", LIMITS)
    found = files(tmp_path / "artifact")
    assert found == {
        "tool.ZIP/scan.json": b"{}",
        "tool.ZIP/deep.zip/deep.json": b"[]",
        "fake.zip": b"no zip",
    }
    assert done.files == len(found)


def test_zips_deeper_than_allowed_are_refused(refuse: Callable[..., str]) -> None:
    """A third zip inside is one too many, and the sentence names the limit."""
    data = zipped([Member("scan.json")])
    for name in ("three.zip", "two.zip", "one.zip"):
        data = zipped([Member(name, data)])
    assert "artifact.max_depth" in refuse(data)


def test_a_nested_zip_loses_no_neighbour(tmp_path: Path) -> None:
    """No name of ours stands in the way of a member's, and long names of nested zips work."""
    long_name = "n" * 251 + ".zip"
    inner = zipped([Member("scan.json")])
    names = [".a.zip.inner", "a.zip", long_name, f".{'n' * 10}"]
    data = zipped([Member(name, inner if name.endswith("zip") else b"mine") for name in names])
    archive = tmp_path / "in.zip"
    archive.write_bytes(data)
    assert unpack(archive, tmp_path / "artifact", LIMITS).files == 4
    assert set(files(tmp_path / "artifact")) == {
        ".a.zip.inner",
        "a.zip/scan.json",
        f"{long_name}/scan.json",
        f".{'n' * 10}",
    }


@pytest.mark.parametrize(
    "name",
    [
        "../out.json",
        "a/../../out.json",
        "/etc/out.json",
        "..\\out.json",
        "\\\\server\\share\\out.json",
        "C:\\out.json",
        "c:out.json",
        "..",
        "",
        "a/..",
    ],
)
def test_a_path_that_leads_outside_is_refused(refuse: Callable[..., str], name: str) -> None:
    """Absolute paths, drive letters, `..` and backslash forms of them end the run."""
    assert refuse(zipped([Member("good.json"), Member(name)])).startswith(
        "a member's path leads outside"
    )


def test_a_nul_in_a_name_is_refused(refuse: Callable[..., str]) -> None:
    """What zipfile would cut off at a NUL is judged whole."""
    data = zipped([Member("good.json#..")]).replace(b"good.json#..", b"good.json\0..")
    assert "leads outside" in refuse(data)


@pytest.mark.parametrize("mode", [LINK, FIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_special_files_are_refused(refuse: Callable[..., str], mode: int) -> None:
    """Only regular files and folders come out."""
    assert "link or special file" in refuse(zipped([Member("a.json", b"/etc/passwd", mode)]))


def test_an_encrypted_zip_is_refused(refuse: Callable[..., str]) -> None:
    """One encrypted member is enough, and the sentence names it."""
    data = zipped([Member("a.json"), Member("secret.json", encrypted=True)])
    assert refuse(data) == "it is encrypted: 'secret.json'"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.json", "a.json"),
        ("Scan.json", "scan.JSON"),
        ("stra\u00dfe.json", "STRASSE.json"),
        ("caf\u00e9.json", "cafe\u0301.json"),
        ("a", "a/b.json"),
        ("a/b.json", "a"),
        ("a/", "a"),
        ("A/B/", "a/b"),
        ("a/b", "A\\b"),
    ],
)
def test_members_that_collide_on_a_mac_are_refused(
    refuse: Callable[..., str], first: str, second: str
) -> None:
    """Case, Unicode form, and a file in a folder's place collide, in either order."""
    with pytest.warns(UserWarning, match="Duplicate") if first == second else nullcontext():
        data = zipped([Member(first), Member(second)])
    assert refuse(data).startswith("two members collide")


def test_the_folder_itself_as_a_member_is_harmless(tmp_path: Path) -> None:
    """Tools that zip `.` store `./` first; that is no path that leads outside."""
    archive = tmp_path / "in.zip"
    archive.write_bytes(zipped([Member("./", b"", stat.S_IFDIR | 0o755), Member("./a.json")]))
    assert unpack(archive, tmp_path / "artifact", LIMITS).files == 1
    assert set(files(tmp_path / "artifact")) == {"a.json"}


@pytest.mark.parametrize(
    "name", ["n" * 300, "\u20ac" * 100, "/".join(["d" * 200] * 40) + "/a.json"]
)
def test_names_too_long_for_a_disk_are_refused(refuse: Callable[..., str], name: str) -> None:
    """A part or a path that no file system takes is the artifact's fault, not the disk's."""
    assert "too long" in refuse(zipped([Member(name)]))


def test_what_is_no_zip_is_refused(refuse: Callable[..., str]) -> None:
    """Text, nothing at all, and a zip of nothing each have their sentence."""
    assert refuse(b"this is no zip") == "not a zip file"
    assert refuse(b"") == "not a zip file"
    assert refuse(zipped([])) == "the zip holds no files"
    assert refuse(zipped([Member("only/", b"")])) == "the zip holds no files"


def test_each_limit_is_named(refuse: Callable[..., str]) -> None:
    """The sentence says which setting to raise for an honest artifact that is too large."""
    many = zipped([Member(f"{number}.json") for number in range(51)])
    assert "artifact.max_files" in refuse(many)
    stored = zipfile.ZIP_STORED
    assert "artifact.max_file_bytes" in refuse(zipped([Member("a", bytes(5 << 20))], stored))
    three = [Member(name, bytes(3 << 20)) for name in "abc"]
    assert "artifact.max_total_bytes" in refuse(zipped(three, stored))
    assert "artifact.max_ratio" in refuse(zipped([Member("zeros", bytes(3 << 20))]))


def test_files_of_nested_zips_count_too(refuse: Callable[..., str]) -> None:
    """Limits hold over the whole artifact, not zip by zip."""
    inner = zipped([Member(f"{number}.json") for number in range(30)])
    assert "artifact.max_files" in refuse(zipped([Member("1.zip", inner), Member("2.zip", inner)]))
    big = zipped([Member("a", bytes(3 << 20))], zipfile.ZIP_STORED)
    nested = zipped([Member(f"{n}.zip", big) for n in range(2)], zipfile.ZIP_STORED)
    assert "artifact.max_total_bytes" in refuse(nested)


def test_a_small_file_of_zeros_is_no_bomb(tmp_path: Path) -> None:
    """Below a megabyte no ratio is judged."""
    archive = tmp_path / "in.zip"
    archive.write_bytes(zipped([Member("zeros", bytes(1 << 20))]))
    assert unpack(archive, tmp_path / "artifact", LIMITS).bytes == 1 << 20


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_inflate_without_bound_are_refused(
    refuse: Callable[..., str], method: int
) -> None:
    """The zipfile module inflates bzip2 and LZMA a megabyte of input at a time, gigabytes at once."""
    assert "compression method" in refuse(zipped([Member("a.json")], method))


def lying(data: bytes, offset: int, value: int) -> bytes:
    """Return a one-member zip with a four-byte field changed in its central directory."""
    start = data.index(b"PK\x01\x02") + offset
    return data[:start] + struct.pack("<I", value) + data[start + 4 :]


COMPRESSED, INFLATED, CHECKSUM = 20, 24, 16


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (INFLATED, 10),
        (INFLATED, 2**32 - 2),
        (COMPRESSED, 3 << 20),
        (COMPRESSED, 2**31),
        (CHECKSUM, 1),
    ],
)
def test_lying_headers_are_seen_through(refuse: Callable[..., str], field: int, value: int) -> None:
    """Sizes are counted as they come out, and a wrong checksum is damage."""
    sentence = refuse(lying(zipped([Member("zeros", bytes(3 << 20))]), field, value))
    assert "artifact.max_ratio" in sentence or "damaged" in sentence
    assert not sentence.endswith((" ", ":"))


PARTS = st.sampled_from(
    ["a", "A", "b.json", "..", ".", "", "C:", "caf\u00e9", "cafe\u0301", "z.zip"]
)
NAMES = st.builds(
    lambda lead, parts, joint, tail: lead + joint.join(parts) + tail,
    st.sampled_from(["", "", "", "/", "\\", "./"]),
    st.lists(PARTS, min_size=1, max_size=4),
    st.sampled_from(["/", "/", "\\"]),
    st.sampled_from(["", "", "/"]),
)
INNER = zipped([Member("x.json", b"[]"), Member("sub/y.json", b"[]")])
MEMBERS = st.lists(
    st.builds(
        Member,
        NAMES,
        st.sampled_from([b"", b"{}", INNER]),
        st.sampled_from([0, REGULAR, REGULAR, REGULAR, LINK, FIFO]),
        st.sampled_from([False] * 9 + [True]),
    ),
    max_size=5,
)


def tamed(member: Member) -> bool:
    """Return whether a member may come out at all, by the contract's words alone."""
    name = member.name.replace("\\", "/")
    outside = name.startswith("/") or name[1:2] == ":" or ".." in name.split("/")
    return not (outside or member.encrypted or member.mode in (LINK, FIFO))


@tight
@given(members=MEMBERS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_is_ever_written_outside(
    tmp_path_factory: pytest.TempPathFactory, members: list[Member]
) -> None:
    """Any archive comes out inside its folder, as regular files all counted, or not at all."""
    root = tmp_path_factory.mktemp("hostile")
    archive, target = root / "in.zip", root / "deep" / "er" / "artifact"
    archive.write_bytes(zipped(members))
    try:
        done = unpack(archive, target, LIMITS)
    except Rejected:
        assert inside(root) == {"in.zip", "deep", "deep/er"}
        return
    assert all(tamed(member) for member in members)
    assert len(files(target)) == done.files
    assert not any(path.is_symlink() for path in root.rglob("*"))
    outside = {name for name in inside(root) if not name.startswith("deep/er/artifact")}
    assert outside == {"in.zip", "deep", "deep/er"}
    keys = [unicodedata.normalize("NFC", name).casefold() for name in inside(target)]
    assert len(keys) == len(set(keys))


WHOLE = zipped(
    [Member("a.json", b"[1, 2]" * 40), Member("s/b.json", os.urandom(50)), Member("n.zip", INNER)]
)


@tight
@given(data=st.data())
def test_damage_anywhere_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A zip cut short or with bytes changed raises nothing but a refusal with its sentence."""
    root = tmp_path_factory.mktemp("damaged")
    length = data.draw(st.integers(0, len(WHOLE)) | st.just(len(WHOLE)))
    damaged = bytearray(WHOLE[:length])
    if damaged:
        changes = st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255))
        for position, value in data.draw(st.lists(changes, max_size=4)):
            damaged[position] = value
    archive, target = root / "in.zip", root / "artifact"
    archive.write_bytes(damaged)
    try:
        done = unpack(archive, target, LIMITS)
    except Rejected:
        assert inside(root) == {"in.zip"}
        return
    assert len(files(target)) == done.files


def test_a_truncated_zip_is_not_a_zip(refuse: Callable[..., str]) -> None:
    """A download cut in half has no directory at its end."""
    assert refuse(WHOLE[: len(WHOLE) // 2]) == "not a zip file"


def test_a_member_before_the_zips_beginning_is_refused(tmp_path: Path) -> None:
    """Hypothesis found it: a lying offset becomes a negative one once the prefix is added."""
    damaged = bytearray(WHOLE[:438])
    damaged[433] = 2
    (tmp_path / "in.zip").write_bytes(damaged)
    with pytest.raises(Rejected):
        unpack(tmp_path / "in.zip", tmp_path / "artifact", LIMITS)
    assert not (tmp_path / "artifact").exists()
