"""What a Stage 1 result looks like on the disk; light, for those who only look after the folder.

`stage1/<fingerprint>/` is a result once its record stands in it. `.<fingerprint>.training` is one
that is being trained, or was when a kill came; `.<fingerprint>.old` one that is being replaced.
"""

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from secdaemon.pipeline.interface import Stage1Output

RECORD_FILE = "stage1.json"
SET_ASIDE_FILE = "set-aside.json"
"""Beside the record: this result is not to be reused, so that the next run trains anew."""
TRAINING_SUFFIX = ".training"
OLD_SUFFIX = ".old"
SECONDS_A_DAY = 86_400.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """stage1.json: written last; a folder without it is no result."""

    run: str
    """The run that trained it."""
    request: str
    """The fingerprint without the data's revisions."""
    base: str | None = None
    """`models.base` as the settings named it; null in records of version 0.1."""
    output: Stage1Output
    files: dict[str, str]
    """The SHA-256 of every other file of the result."""


def read_record(folder: Path) -> Record | None:
    """Return a result's record, its folder the one it lies in now; None where it cannot be read."""
    try:
        record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
    here = msgspec.structs.replace(record.output, folder=str(folder))
    return msgspec.structs.replace(record, output=here)


def is_whole(record: Record) -> bool:
    """Return whether every file of a result is as it was written; a damaged one is made again."""
    folder = Path(record.output.folder)
    try:
        return all(_hash(folder / name) == sha256 for name, sha256 in record.files.items())
    except OSError:
        return False


def is_set_aside(folder: Path) -> bool:
    """Return whether a person asked for this result not to be reused."""
    return (folder / SET_ASIDE_FILE).exists()


def age_days(record: Record, now: str) -> float:
    """Return a result's age at a moment (UTC, ISO 8601)."""
    made = datetime.fromisoformat(record.output.created_at)
    return (datetime.fromisoformat(now) - made).total_seconds() / SECONDS_A_DAY


def training_folder(final: Path) -> Path:
    """Return where the result that will lie in `final` is trained."""
    return final.with_name(f".{final.name}{TRAINING_SUFFIX}")


def old_folder(final: Path) -> Path:
    """Return where the result that lay in `final` waits to be removed."""
    return final.with_name(f".{final.name}{OLD_SUFFIX}")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
