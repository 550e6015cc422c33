"""The publish step: stage everything, check the very bytes, send them to the target."""

from pathlib import Path

import msgspec

from secdaemon.config import schema
from secdaemon.config.files import staged_folder, write_file
from secdaemon.pipeline.account.cards import Partner
from secdaemon.pipeline.account.portable import folders_of
from secdaemon.pipeline.account.report import gather, render
from secdaemon.pipeline.interface import EndRun, Gate, Job, PublishOutput, Report
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.publishing import staging
from secdaemon.pipeline.publishing.checks import check_staged
from secdaemon.pipeline.publishing.folder import put


def run(job: Job, report: Report) -> PublishOutput:
    """Publish the run to its target; twice is as good as once.

    Raises:
        EndRun: held, because what would leave fails a gate.
        TransientError: the Hub has trouble.
        PermanentError: the Hub says no.
        OSError: a folder cannot be written.
    """
    folder = RunFolder(Path(job.run_dir))
    with staged_folder(folder.root / "work" / "published") as staged:
        staging.lay_out(folder, staged)
        page = render(gather(folder, job, job.previous))
        staging.describe(staged, (), page)
        gates = _passed(job, staged)
        staging.describe(staged, gates, page)
        _passed(job, staged)
        output = _send(job, staged, report)
    output = msgspec.structs.replace(output, gates=gates)
    outputs = msgspec.structs.replace(job.previous, publish=output)
    write_file(folder.report, render(gather(folder, job, outputs)))
    return output


def _passed(job: Job, staged: Path) -> tuple[Gate, ...]:
    """Return the results of the gates.

    Raises:
        EndRun: held, with what did not pass.
    """
    gates = check_staged(staged, folders_of(job))
    failed = [gate.detail for gate in gates if not gate.passed]
    if failed:
        msg = f"{'; '.join(failed)}; nothing was published"
        raise EndRun(state="held", reason=msg)
    return gates


def _send(job: Job, staged: Path, report: Report) -> PublishOutput:
    settings = job.settings.publish
    if settings.target == "folder":
        return put(staged, Path(settings.folder) / job.run_id)
    return _upload(job, staged, settings, report)


def _upload(job: Job, staged: Path, settings: schema.Publish, report: Report) -> PublishOutput:
    """Send both repositories: the data set first, so that the model's card can name its commit."""
    from secdaemon.pipeline.publishing.hub import Repository, open_hub

    hub, names = open_hub(staged, settings, job.run_id, report)
    model = Repository("model", settings.model_repo.format_map(names))
    dataset = Repository("dataset", settings.dataset_repo.format_map(names))
    for repository in (dataset, model):
        hub.ensure(repository, private=settings.private)
    staging.point(staged, model=Partner(hub.url(model), job.run_id))
    _passed(job, staged)
    data = hub.put(dataset, staged / "dataset", job.run_id)
    staging.point(
        staged,
        dataset=Partner(data.url, data.revision),
        model=Partner(hub.url(model), job.run_id),
    )
    _passed(job, staged)
    placed = hub.put(model, staged / "model", job.run_id)
    return PublishOutput(
        target="huggingface",
        model_url=placed.url,
        dataset_url=data.url,
        revision=placed.revision,
    )
