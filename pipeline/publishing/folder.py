"""The folder target: `<run id>/model/` and `<run id>/dataset/`, and a link `latest`."""

import hashlib
import re
from pathlib import Path

from secdaemon.config.files import copy_tree, staged_folder, sync_folder
from secdaemon.pipeline.interface import PublishOutput

RUN_ID = re.compile(r"\d{8}_\d{6}(_\d+)?")


def put(staged: Path, final: Path) -> PublishOutput:
    """Copy what is staged to `final`, complete or not at all, and point `latest` at it.

    A model alone, without a data set, is put the same way, beside the data set that stands there
    already; one that is no run's gets no link. Doing it twice gives the same bytes.

    Raises:
        OSError: the folder cannot be written.
    """
    sources = [staged / "model", staged / "dataset"]
    if not sources[1].is_dir():
        sources[1] = final / "dataset"
    with staged_folder(final) as here:
        names = [source.name for source in sources if source.is_dir()]
        for source in sources:
            if source.is_dir():
                copy_tree(source, here / source.name)
        revision = content_hash(here / "model")
    _link_latest(final)
    return PublishOutput(
        target="folder",
        model_url=str(final / "model"),
        dataset_url=str(final / "dataset") if "dataset" in names else "",
        revision=revision,
    )


def content_hash(folder: Path) -> str:
    """Return the hash of every file's name and bytes, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _link_latest(final: Path) -> None:
    """Point `latest` at a run, in one rename, unless it points at a newer one."""
    link = final.parent / "latest"
    if not RUN_ID.fullmatch(final.name):
        return
    if link.is_symlink() and link.exists():
        known = link.readlink().name
        if RUN_ID.fullmatch(known) and known > final.name:
            return
    fresh = final.parent / ".latest.staged"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(final.name, target_is_directory=True)
    fresh.replace(link)
    sync_folder(final.parent)
