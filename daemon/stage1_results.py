"""The home's Stage 1 results: what there is, what of it may go, and how it is set aside.

Removing never races with a training: the heavy slot's lock is held while something goes, and a
worker waits for it; where a worker has it, nothing that it could be writing is touched. What runs
built on a result lies in their own folders, by hard link, and stays.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from secdaemon.config.files import sync_folder, write_file
from secdaemon.config.paths import Home
from secdaemon.pipeline.interface import Stage1Output
from secdaemon.pipeline.public import cache_folder as cached_rows
from secdaemon.pipeline.stage1_record import (
    OLD_SUFFIX,
    SET_ASIDE_FILE,
    TRAINING_SUFFIX,
    Record,
    age_days,
    is_set_aside,
    is_whole,
    read_record,
    training_folder,
)
from secdaemon.state.leases import forget_stage1
from secdaemon.state.machine import Slot, State, Step
from secdaemon.state.runs import newest_runs, outputs_of
from secdaemon.state.store import Store, iso

GONE_SUFFIX = ".gone"
"""What is being removed carries this first, so that nobody takes half of it for a result."""

Condition = Literal["reusable", "expired", "set aside", "damaged"]
BEFORE_STAGE1 = frozenset({State.RECEIVED, State.UNPACKED, State.PARSED, State.DATASET_BUILT})


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of stage1/; what a damaged record does not tell is null."""

    fingerprint: str
    condition: Condition
    folder: str
    bytes: int
    used_by: tuple[str, ...]
    """The runs that built on it."""
    created_at: str | None = None
    age_days: float | None = None
    run: str | None = None
    """The run that trained it."""
    base: str | None = None
    sources: tuple[str, ...] | None = None


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """A training that goes on or was left, or what a kill left of a removal."""

    name: str
    folder: str
    bytes: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """Who may still want something of stage1/."""

    waiting: tuple[str, ...]
    """Runs in progress that have not had their Stage 1 result yet."""
    stranded: tuple[str, ...]
    """Runs that ended in Stage 1 and can be tried again; theirs may be an unfinished training."""
    idle: bool
    """Whether no worker trains or measures at this moment."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one folder, and why."""

    name: str
    folder: str
    why: str
    bytes: int
    """What its removal frees: files that a run's folder shares stay."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What goes, and what would go if nobody needed it."""

    removed: tuple[Choice, ...]
    kept: tuple[Choice, ...]

    @property
    def freed_bytes(self) -> int:
        """The room that all of it takes."""
        return sum(choice.bytes for choice in self.removed)


def survey(home: Home, store: Store | None, max_age_days: float, now: float) -> list[Result]:
    """Return the results, newest first; every file of each is read and compared."""
    users = _users(store)
    found = [
        _result(folder, users.get(folder.name, ()), max_age_days, now)
        for folder in sorted(home.stage1.glob("*"))
        if folder.is_dir() and not folder.name.startswith(".")
    ]
    return sorted(found, key=lambda result: result.created_at or "", reverse=True)


def leftovers(home: Home) -> list[Leftover]:
    """Return what lies beside the results: trainings, finished or not, and remains."""
    suffixes = (TRAINING_SUFFIX, OLD_SUFFIX, GONE_SUFFIX)
    return [
        Leftover(name=path.name, folder=str(path), bytes=_size(path, own=False))
        for path in sorted(home.stage1.glob(".*"))
        if path.is_dir() and path.name.endswith(suffixes)
    ]


def _result(folder: Path, users: tuple[str, ...], max_age_days: float, now: float) -> Result:
    record = read_record(folder)
    size = _size(folder, own=False)
    if record is None:
        return Result(
            fingerprint=folder.name,
            condition="set aside" if is_set_aside(folder) else "damaged",
            folder=str(folder),
            bytes=size,
            used_by=users,
        )
    age = age_days(record, iso(now))
    return Result(
        fingerprint=folder.name,
        condition=_condition(folder, record, age, max_age_days),
        folder=str(folder),
        bytes=size,
        used_by=users,
        created_at=record.output.created_at,
        age_days=round(age, 2),
        run=record.run,
        base=record.base,
        sources=tuple(record.output.revisions),
    )


def _condition(folder: Path, record: Record, age: float, max_age_days: float) -> Condition:
    if not is_whole(record):
        return "damaged"
    if is_set_aside(folder):
        return "set aside"
    return "reusable" if age <= max_age_days else "expired"


def _users(store: Store | None) -> dict[str, tuple[str, ...]]:
    """Return the runs that built on each result, by fingerprint."""
    found: dict[str, tuple[str, ...]] = {}
    for run, text in (outputs_of(store, Step.STAGE1) if store else {}).items():
        try:
            fingerprint = msgspec.json.decode(text, type=Stage1Output).fingerprint
        except msgspec.ValidationError:
            continue  # another version's, in another form
        found[fingerprint] = (*found.get(fingerprint, ()), run)
    return found


def needs(store: Store | None, max_age_days: float, now: float, *, idle: bool) -> Needs:
    """Return who may still want something; a run that failed long ago no longer does."""
    runs = newest_runs(store, -1) if store else []
    oldest = iso(now - max_age_days * 86_400.0)
    return Needs(
        waiting=tuple(run.id for run in runs if run.train and run.state in BEFORE_STAGE1),
        stranded=tuple(
            run.id
            for run in runs
            if run.state in {State.FAILED, State.HELD}
            and run.ended_in is Step.STAGE1
            and run.updated_at >= oldest
        ),
        idle=idle,
    )


def plan(results: list[Result], left: list[Leftover], wanted: Needs, *, unused: bool) -> Plan:
    """Return what may go; `unused` takes along what is reusable and no run was built on."""
    goes: list[Choice] = []
    stays: list[Choice] = []
    unfinished = {one.name for one in left}
    for result in results:
        why = _why_it_goes(result, unused=unused)
        if why is None:
            continue
        need = _need_of_result(result, wanted, unfinished)
        (stays if need else goes).append(_choice(result.fingerprint, result.folder, need or why))
    for one in left:
        need = _need_of_leftover(one, wanted)
        why = "abandoned" if one.name.endswith(TRAINING_SUFFIX) else "remains of a removal"
        (stays if need else goes).append(_choice(one.name, one.folder, need or why))
    return Plan(removed=tuple(goes), kept=tuple(stays))


def plan_rows(home: Home, wanted: Needs, *, unused: bool) -> Plan:
    """Return which transformed rows of public data may go: what no preparation will read again.

    `unused` takes along the rest, which is fetched and transformed again where it is wanted.
    """
    cache = home.stage1_rows
    outdated = {one.folder: why for one, why in cached_rows.outdated(cache)}
    goes: list[Choice] = []
    stays: list[Choice] = []
    for one in cached_rows.kept(cache):
        why = outdated.get(one.folder, "no run waits for it" if unused else None)
        if why is None:
            continue
        need = None if wanted.idle else "a training runs now"
        if need is None and one.folder not in outdated and wanted.waiting:
            need = f"run {wanted.waiting[0]} may read it"
        (stays if need else goes).append(_choice(one.folder.name, str(one.folder), need or why))
    return Plan(removed=tuple(goes), kept=tuple(stays))


def both(one: Plan, other: Plan) -> Plan:
    """Return two plans as one."""
    return Plan(removed=one.removed + other.removed, kept=one.kept + other.kept)


def _why_it_goes(result: Result, *, unused: bool) -> str | None:
    if result.condition == "reusable":
        return "no run was built on it" if unused and not result.used_by else None
    why: str = result.condition
    if result.condition == "expired":
        why = f"expired, {result.age_days or 0.0:.0f} days old"
    return f"{why}; the runs built on it keep its files" if result.used_by else why


def _need_of_result(result: Result, wanted: Needs, unfinished: set[str]) -> str | None:
    """Return why a result must stay; None where nothing speaks against its end."""
    if result.condition == "reusable" and wanted.waiting:
        return f"run {wanted.waiting[0]} may reuse it"
    if result.run in wanted.waiting and result.condition == "expired":
        # It counts for the run that trained it, whatever its age: a kill came before its end.
        return f"run {result.run} trained it and has not gone on yet"
    if not wanted.idle and training_folder(Path(result.folder)).name in unfinished:
        return "it may be being replaced now"
    return None


def _need_of_leftover(one: Leftover, wanted: Needs) -> str | None:
    if not wanted.idle:
        return "a training runs now"
    if not one.name.endswith(TRAINING_SUFFIX):
        return None
    if wanted.waiting:
        return f"run {wanted.waiting[0]} may go on with it"
    if wanted.stranded:
        return f"run {wanted.stranded[0]} ended in Stage 1 and may be tried again"
    return None


def _choice(name: str, folder: str, why: str) -> Choice:
    return Choice(name=name, folder=folder, why=why, bytes=_size(Path(folder), own=True))


def remove(home: Home, store: Store | None, chosen: Plan) -> None:
    """Remove what a plan says, each folder as one; killed anywhere, the next time ends it.

    Raises:
        OSError: something could not be removed.
    """
    for choice in chosen.removed:
        folder = Path(choice.folder)
        gone = folder
        if not folder.name.endswith(GONE_SUFFIX):
            gone = folder.with_name(f".{folder.name.lstrip('.')}{GONE_SUFFIX}")
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            sync_folder(folder.parent)
        shutil.rmtree(gone)
        if store is not None:
            forget_stage1(store, choice.name)


def set_aside(result: Result, now: float) -> None:
    """Have a result not be reused; its files stay as they are.

    Raises:
        OSError: its folder cannot be written.
    """
    content = msgspec.json.encode({"at": iso(now)})
    write_file(Path(result.folder) / SET_ASIDE_FILE, content + b"\n")


@contextmanager
def training_kept_out(home: Home) -> Iterator[bool]:
    """Keep trainings from starting in the block; yield False where one runs, and then do not."""
    if not home.locks.is_dir():
        yield True
        return
    descriptor = os.open(home.locks / f"{Slot.HEAVY}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _size(folder: Path, *, own: bool) -> int:
    """Return the bytes of a folder's files; `own` leaves out those with a name elsewhere too."""
    total = 0
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue  # a training writes and removes while we look
        if path.is_file() and not (own and found.st_nlink > 1):
            total += found.st_size
    return total
