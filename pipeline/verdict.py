"""The retention step: judge what Stage 2 made, heal it where it forgot, lay out the final model."""

import shutil
from pathlib import Path

import msgspec

from secdaemon.config.files import staged_folder, write_file
from secdaemon.pipeline import gates, healing, side_by_side
from secdaemon.pipeline.account import cards, manifest
from secdaemon.pipeline.account.report import gather, render
from secdaemon.pipeline.healing import Candidate
from secdaemon.pipeline.interface import (
    EndRun,
    Job,
    Outputs,
    Report,
    RetentionOutput,
    TwoSplits,
)
from secdaemon.pipeline.judging import BASE_REVISION, Bench, Judgement
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.publishing import merged
from secdaemon.pipeline.publishing.both_forms import write_both_forms
from secdaemon.pipeline.publishing.merged import write_merged
from secdaemon.pipeline.training.base_model import weights_hash


def run(job: Job, report: Report) -> RetentionOutput:
    """Return the verdict; manifest, report and final model are written whatever it is.

    Raises:
        EndRun: held, with every gate that said no.
    """
    folder = RunFolder(Path(job.run_dir))
    bench = Bench(job, report)
    tried = healing.heal(job, bench, _as_trained(job, bench), report)
    chosen = healing.choose(tried)
    output = _output(bench, tried, chosen)
    with staged_folder(folder.final_model) as staged:
        _lay_out(job, bench.base, chosen.adapter, staged)
        checks = gates.check_model(staged, bench.base, folder.stage1.adapters)
        output = msgspec.structs.replace(output, gates=(*output.gates, *checks))
        _describe(job, folder, staged, output, weights_hash(bench.base))
    healing.tidy(folder.healing, tried, chosen)
    failed = [gate.detail for gate in output.gates if not gate.passed]
    if failed:
        told = [*failed, output.remedy] if output.remedy else failed
        raise EndRun(state="held", reason="; ".join(told), output=output)
    return output


def _as_trained(job: Job, bench: Bench) -> Candidate:
    """Judge the adapter that the Stage 2 training made."""
    adapter = bench.folder.stage2.adapters
    return Candidate(
        kind="trained",
        training=0,
        t=1.0,
        settings=job.settings.stage2,
        adapter=adapter,
        judgement=bench.judge(adapter, "stage2"),
    )


def _output(bench: Bench, tried: tuple[Candidate, ...], chosen: Candidate) -> RetentionOutput:
    """Return the verdict on the final model, and what led to it."""
    trained, final = _judgement(tried[0]), _judgement(chosen)
    healed = None
    if chosen is not tried[0]:
        whole = bench.judge(chosen.adapter, healing.HEALED)
        healed = TwoSplits(stage1_test=whole.known.metrics, stage2_test=whole.new.metrics)
    return RetentionOutput(
        stage1_test=trained.known.metrics,
        retention=final.retention,
        gates=final.gates,
        healing=healing.attempts(tried, chosen) if len(tried) > 1 else (),
        remedy=healing.remedy(tried, chosen),
        healed=healed,
        champion=bench.reigning.found if bench.reigning else None,
    )


def _judgement(candidate: Candidate) -> Judgement:
    assert candidate.judgement is not None
    return candidate.judgement


def _lay_out(job: Job, base: Path, adapter: Path, staged: Path) -> None:
    """Put the adapter where a published model has it, in both forms, and fused if asked for."""
    base_id = job.settings.models.base_id
    write_both_forms(adapter, staged, base_id)
    if job.settings.publish.merged:
        write_merged(base, adapter, staged / merged.FOLDER, base_id)


def _describe(
    job: Job, folder: RunFolder, staged: Path, output: RetentionOutput, base_hash: str
) -> None:
    """Write the manifest, the card and the report."""
    outputs: Outputs = msgspec.structs.replace(job.previous, retention=output)
    described = manifest.build_manifest(job, outputs, {BASE_REVISION: base_hash})
    manifest.write(described, folder.manifest)
    shutil.copyfile(folder.manifest, staged / folder.manifest.name)
    results = side_by_side.write(job, output)
    write_file(staged / "README.md", cards.model_card(described, results=results))
    write_file(folder.report, render(gather(folder, job, outputs)))
