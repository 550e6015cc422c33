"""The retention step: measure what is left of Stage 1, lay out the final model, and judge it."""

import shutil
from pathlib import Path

import msgspec

from secdaemon.config.files import copy_tree, staged_folder, write_file
from secdaemon.pipeline import gates
from secdaemon.pipeline.account import cards, manifest
from secdaemon.pipeline.account.report import gather, render
from secdaemon.pipeline.examples import read_splits
from secdaemon.pipeline.interface import (
    EndRun,
    Gate,
    Job,
    Outputs,
    Report,
    RetentionOutput,
    RetentionResult,
)
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.measure import Split, measure
from secdaemon.pipeline.training.base_model import base_folder, weights_hash
from secdaemon.pipeline.training.peft import to_peft
from secdaemon.pipeline.training.retention import improvement, judge


def run(job: Job, report: Report) -> RetentionOutput:
    """Return the verdict; manifest, report and final model are written whatever it is.

    Raises:
        EndRun: held, with every gate that said no.
    """
    folder = RunFolder(Path(job.run_dir))
    base = base_folder(job.settings.models)
    output = _measure(job, folder, base, report)
    with staged_folder(folder.final_model) as staged:
        _lay_out(job, folder, staged)
        checks = gates.check_model(staged, base)
        output = msgspec.structs.replace(output, gates=(*output.gates, *checks))
        _describe(job, folder, staged, output, weights_hash(base))
    failed = [gate for gate in output.gates if not gate.passed]
    if failed:
        reason = "; ".join(gate.detail for gate in failed)
        raise EndRun(state="held", reason=reason, output=output)
    return output


def _measure(job: Job, folder: RunFolder, base: Path, report: Report) -> RetentionOutput:
    """Judge retention on Stage 1's test split and improvement on Stage 2's."""
    known = Split(read_splits(folder.stage1.data).test, folder.stage1.evaluation)
    new = Split(read_splits(folder.stage2.data).test, folder.stage2.evaluation)
    adapters = {"base": None, "stage1": folder.stage1.adapters, "stage2": folder.stage2.adapters}
    on_known = {
        name: measure(job, known, name, base, adapter, report) for name, adapter in adapters.items()
    }
    on_new = {
        name: measure(job, new, name, base, adapters[name], report) for name in ("stage1", "stage2")
    }
    settings = job.settings
    found = judge(
        on_known["base"].scores,
        on_known["stage1"].scores,
        on_known["stage2"].scores,
        threshold=settings.retention.threshold,
        when_undefined=settings.retention.when_undefined,
        samples=settings.evaluation.bootstrap_samples,
        seed=settings.training.seed,
    )
    verdicts = [_gate(found)]
    if settings.gates.improvement:
        verdicts.append(
            improvement(
                on_new["stage1"].scores,
                on_new["stage2"].scores,
                samples=settings.evaluation.bootstrap_samples,
                seed=settings.training.seed,
            )
        )
    return RetentionOutput(
        stage1_test=on_known["stage2"].metrics, retention=found, gates=tuple(verdicts)
    )


def _gate(found: RetentionResult) -> Gate:
    return Gate(name="retention", passed=found.passed, quality=True, detail=found.reason)


def _lay_out(job: Job, folder: RunFolder, staged: Path) -> None:
    """Put both forms of the adapter where a published model has them."""
    to_peft(folder.stage2.adapters, staged, job.settings.models.base_id)
    copy_tree(folder.stage2.adapters, staged / "mlx")
    _without_paths(staged / "mlx" / "adapter_config.json", job.settings.models.base_id)


def _without_paths(config: Path, base_id: str) -> None:
    """Name the base by its id: mlx-lm writes the folder of this computer into the configuration."""
    fields = msgspec.json.decode(config.read_bytes())
    fields = {key: value for key, value in fields.items() if not key.endswith(("_path", "_file"))}
    fields["model"] = base_id
    write_file(config, msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n")


def _describe(
    job: Job, folder: RunFolder, staged: Path, output: RetentionOutput, base_hash: str
) -> None:
    """Write the manifest, the card and the report."""
    outputs: Outputs = msgspec.structs.replace(job.previous, retention=output)
    described = manifest.build_manifest(job, outputs, {"base model": base_hash})
    manifest.write(described, folder.manifest)
    shutil.copyfile(folder.manifest, staged / folder.manifest.name)
    write_file(staged / "README.md", cards.model_card(described))
    write_file(folder.report, render(gather(folder, job, outputs)))
