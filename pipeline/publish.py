"""Publishing: the final model and the project's data, complete or not at all.

The folder target holds `<run id>/model/` and `<run id>/dataset/`, and a link `latest` to the
newest run. Writing the same run again gives the same bytes.
"""

import hashlib
from pathlib import Path

import msgspec

from secdaemon.config.files import copy_tree, staged_folder, sync_folder, write_file
from secdaemon.pipeline.account import cards
from secdaemon.pipeline.account.manifest import Manifest
from secdaemon.pipeline.account.report import gather, render
from secdaemon.pipeline.findings.redact import redact
from secdaemon.pipeline.interface import EndRun, Job, PermanentError, PublishOutput
from secdaemon.pipeline.layout import RunFolder

TEXT_ENDINGS = frozenset({".json", ".jsonl", ".md", ".txt", ".jinja"})
SPLITS = ("train", "valid", "test")


def run(job: Job) -> PublishOutput:
    """Publish the run to its target.

    Raises:
        EndRun: held, because something that looks like a secret would leave.
        PermanentError: the target cannot be used as it is set.
        OSError: the folder cannot be written.
    """
    settings = job.settings.publish
    if settings.target != "folder":
        msg = (
            "publish.target huggingface is not part of this version yet; set publish.target to "
            f"folder, then `secdaemon retry {job.run_id}`"
        )
        raise PermanentError(msg)
    final = Path(settings.folder) / job.run_id
    with staged_folder(final) as staged:
        stage(job, staged)
        _hold_secrets(staged)
        revision = content_hash(staged / "model")
    _link_latest(final)
    output = PublishOutput(
        target="folder",
        model_url=str(final / "model"),
        dataset_url=str(final / "dataset"),
        revision=revision,
    )
    folder = RunFolder(Path(job.run_dir))
    outputs = msgspec.structs.replace(job.previous, publish=output)
    write_file(folder.report, render(gather(folder, job, outputs)))
    return output


def stage(job: Job, target: Path) -> None:
    """Lay out everything that is to be sent, as `model/` and `dataset/` below `target`."""
    folder = RunFolder(Path(job.run_dir))
    copy_tree(folder.final_model, target / "model")
    for name in SPLITS:
        source = folder.project_data / f"{name}.jsonl"
        write_file(target / "dataset" / source.name, source.read_bytes())
    manifest = msgspec.json.decode(folder.manifest.read_bytes(), type=Manifest)
    write_file(target / "dataset" / "README.md", cards.dataset_card(manifest))
    write_file(target / "dataset" / folder.manifest.name, folder.manifest.read_bytes())


def _hold_secrets(staged: Path) -> None:
    """Refuse to publish text in which the redactor would still hide something."""
    for path in sorted(staged.rglob("*")):
        if not path.is_file() or path.suffix not in TEXT_ENDINGS:
            continue
        text = path.read_text(encoding="utf-8")
        if redact(text) != text:
            where = path.relative_to(staged).as_posix()
            msg = f"{where} holds what looks like a secret; nothing was published"
            raise EndRun(state="held", reason=msg)


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
    if link.is_symlink() and link.exists() and link.readlink().name > final.name:
        return
    fresh = final.parent / ".latest.staged"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(final.name, target_is_directory=True)
    fresh.replace(link)
    sync_folder(final.parent)
