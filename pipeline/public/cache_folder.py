"""Where the transformed rows of public data are kept: `stage1/.cache/`, a folder a data revision.

`<source>-<hash>/` holds `source.json` and shards of rows; the hash is of everything that decides
what a row becomes. Light, for those who only look after the folder: what is in a shard,
`public/cache.py` knows.
"""

import hashlib
import re
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file

CACHE_FOLDER = ".cache"
"""In the folder of Stage 1's results."""
SOURCE_FILE = "source.json"
LOCK_FILE = "lock"
SHARD_SUFFIX = ".parquet"
PRIVATE_SUFFIX = ".private"
"""Of a folder that a process fills for itself, as another one is filling the shared one."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what the rows become; source.json holds it."""

    source: str
    revision: str
    transform: int
    max_chars: int

    @property
    def name(self) -> str:
        """The folder's name."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', self.source)[:40]}-{digest[:16]}"


class Kept(msgspec.Struct, frozen=True):
    """One folder of the cache; `key` is None where it cannot be read."""

    folder: Path
    key: Key | None
    confirmed: float
    """When its revision was last known to be the newest, in seconds of the file system's clock."""


def note(folder: Path, key: Key, *, confirmed: bool) -> None:
    """Write `source.json` once; renew its time where the revision is confirmed to be the newest."""
    path = folder / SOURCE_FILE
    if not path.exists():
        write_file(path, msgspec.json.encode(key) + b"\n")
    elif confirmed:
        path.touch()


def kept(cache: Path) -> list[Kept]:
    """Return the folders of the cache, the one confirmed last first."""
    found = [_kept(folder) for folder in sorted(cache.glob("*")) if folder.is_dir()]
    return sorted(found, key=lambda one: (-one.confirmed, one.folder.name))


def last_known(cache: Path | None, source: str, transform: int, max_chars: int) -> str | None:
    """Return the revision of a source that was confirmed last and of which rows are kept."""
    for one in kept(cache) if cache is not None else []:
        key = one.key
        is_shared = one.folder.name == (key.name if key else "")
        if key is None or not is_shared or not any(one.folder.glob(f"*{SHARD_SUFFIX}")):
            continue
        if (key.source, key.transform, key.max_chars) == (source, transform, max_chars):
            return key.revision
    return None


def outdated(cache: Path) -> list[tuple[Kept, str]]:
    """Return what no preparation will read again, each with why: all but the last of a source."""
    found: list[tuple[Kept, str]] = []
    seen: dict[str, Key] = {}
    for one in kept(cache):
        name = one.folder.name
        if name.startswith(".") or name.endswith(PRIVATE_SUFFIX) or one.key is None:
            found.append((one, "remains of a preparation"))
        elif one.key.source in seen:
            newer = seen[one.key.source]
            is_same = newer.revision == one.key.revision
            what = "rows are transformed otherwise" if is_same else "the data has a newer revision"
            found.append((one, f"{what} by now"))
        else:
            seen[one.key.source] = one.key
    return found


def _kept(folder: Path) -> Kept:
    path = folder / SOURCE_FILE
    try:
        key = msgspec.json.decode(path.read_bytes(), type=Key)
        return Kept(folder, key, path.stat().st_mtime)
    except (OSError, msgspec.DecodeError):
        return Kept(folder, None, 0.0)
