"""Text that may leave this computer: no path of it, no secret, nothing that acts on a reader."""

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import msgspec

from secdaemon.pipeline.findings.redact import redact
from secdaemon.pipeline.interface import Job, Origin, Outputs

_ABSOLUTE = re.compile(
    r"(?<![\w.~/\\:<>#%-])(?:[A-Za-z]:[\\/]|\\\\|/)(?:[^\s/\\:'\"`,;()<>]+[\\/])+[^\s:'\"`,;()<>]*"
)
"""A path from the root of a file system with at least one folder in it; URLs are none."""
_DATA_FILE = (".jsonl", ".json", ".parquet")


def absolute_path(text: str) -> str | None:
    """Return the first absolute path in a text."""
    found = _ABSOLUTE.search(text)
    return found[0] if found else None


def short_name(name: str) -> str:
    """Return a model's or data set's name: an id as it is, a file or a rooted path by its end."""
    path = PurePath(name)
    rooted = path.is_absolute() or name.startswith(("~", "."))
    return path.name if rooted or path.suffix in _DATA_FILE else name


def folders_of(job: Job) -> tuple[str, ...]:
    """Return the folders of this computer that a job's texts may name, the longest first."""
    models = job.settings.models
    folders = {
        job.run_dir,
        job.stage1_dir,
        str(PurePath(job.stage1_dir).parent),
        str(PurePath(job.archive).parent),
        models.base_dir,
        models.fine_tuned_dir,
        job.settings.publish.folder,
        job.source_dir or "",
        models.base,
        *job.settings.stage1.sources,
    }
    rooted = (folder.rstrip("/") for folder in folders if PurePath(folder).is_absolute())
    return tuple(sorted(filter(None, rooted), key=lambda name: (-len(name), name)))


def portable(text: str, folders: Iterable[str] = ()) -> str:
    """Return the text redacted, paths below `folders` made relative, other paths cut to their end.

    Applying it twice changes nothing more.
    """
    for folder in folders:
        text = text.replace(f"{folder}/", "").replace(folder, PurePath(folder).name)
    return redact(_ABSOLUTE.sub(lambda path: re.split(r"[\\/]", path[0])[-1], text))


def portable_job(job: Job) -> Job:
    """Return the job with portable texts in its origin and in the settings that are published."""
    replace = msgspec.structs.replace
    folders = folders_of(job)
    models, stage1 = job.settings.models, job.settings.stage1
    settings = replace(
        job.settings,
        models=replace(
            models,
            base=portable(short_name(models.base), folders),
            base_id=portable(models.base_id, folders),
        ),
        stage1=replace(
            stage1, sources=tuple(portable(short_name(name), folders) for name in stage1.sources)
        ),
    )
    origin = msgspec.convert(_portable_tree(msgspec.to_builtins(job.origin), folders), Origin)
    return replace(job, origin=origin, settings=settings)


def portable_outputs(job: Job, outputs: Outputs) -> Outputs:
    """Return the outputs with every text in them portable; `job` knows the folders."""
    return msgspec.convert(_portable_tree(msgspec.to_builtins(outputs), folders_of(job)), Outputs)


def _portable_tree(value: Any, folders: tuple[str, ...]) -> Any:
    match value:
        case str():
            return portable(value, folders)
        case dict():
            return {
                _portable_tree(key, folders): _portable_tree(item, folders)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_portable_tree(item, folders) for item in value]
        case _:
            return value
