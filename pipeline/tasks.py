"""Heavy things that a command asks for outside any run: `python -m secdaemon.pipeline.tasks NAME`.

The question comes as JSON on standard input; the answer goes to standard output as text.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.config.schema import Settings
from secdaemon.pipeline.interface import Gate, Job, PermanentError, PipelineError
from secdaemon.pipeline.layout import RunFolder


def report(question: bytes) -> int:
    """Render a run's report from what is known of it, and print where it is."""
    from secdaemon.pipeline.account.report import gather, render

    job, state, reason = msgspec.json.decode(question, type=tuple[Job, str, str | None])
    folder = RunFolder(Path(job.run_dir))
    known = gather(folder, job, job.previous, state=state, reason=reason)
    write_file(folder.report, render(known))
    print(folder.report)
    return 0


def validate(question: bytes) -> int:
    """Check a folder and print each check; 0 only when all passed."""
    path, settings = msgspec.json.decode(question, type=tuple[str, Settings])
    checks = _checks(Path(path), settings)
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<10} {check.detail}")
    return 0 if all(check.passed for check in checks) else 1


def _checks(path: Path, settings: Settings) -> tuple[Gate, ...]:
    """Recognise what kind of model folder it is, and check it as that."""
    from secdaemon.pipeline import gates
    from secdaemon.pipeline.account import manifest
    from secdaemon.pipeline.training.base_model import base_folder

    if (path / "run-manifest.json").is_file() and (path / "final-model").is_dir():
        path /= "final-model"
    if (path / "model").is_dir() and (path / "dataset").is_dir():
        path /= "model"
    if (path / "mlx").is_dir() or (path / "adapter_model.safetensors").is_file():
        wrong = manifest.check(path / "run-manifest.json")
        described = Gate(
            name="manifest",
            passed=not wrong,
            quality=False,
            detail="; ".join(wrong) or "run-manifest.json is whole",
        )
        return (described, *gates.check_model(path, base_folder(settings.models)))
    if (path / "adapters").is_dir():
        path /= "adapters"
    if any(path.glob("adapter*")):
        return gates.check_adapter(path, base_folder(settings.models))
    whole = gates.complete("the model", path, ("config.json", "tokenizer.json"))
    return (whole, gates.generates(path, None)) if whole.passed else (whole,)


def doctor(question: bytes) -> int:
    """Print, as JSON, what only heavy imports can tell: the model, the library, the sources."""
    settings = msgspec.json.decode(question, type=Settings)
    print(msgspec.json.encode(tuple(_diagnoses(settings))).decode())
    return 0


def _diagnoses(settings: Settings) -> Iterator[dict[str, str | None]]:
    from importlib import metadata

    from secdaemon.pipeline.training.base_model import base_folder

    try:
        import mlx_lm  # noqa: F401 - whether it can be imported is the question

        yield _found("mlx-lm", "ready", metadata.version("mlx-lm"))
    except ImportError as error:
        yield _found("mlx-lm", "missing", str(error), "install secdaemon again")
    try:
        yield _found("model", "ready", str(base_folder(settings.models)))
    except PermanentError as error:
        detail, _, cure = str(error).partition(": get it with ")
        cure = cure.partition("; `secdaemon doctor`")[0]
        yield _found("model", "missing", detail, cure or None)
    for source in settings.stage1.sources:
        if source.endswith((".jsonl", ".parquet")) and not Path(source).expanduser().is_file():
            yield _found("stage 1", "missing", f"{source}: no such file", "fix stage1.sources")
        else:
            yield _found("stage 1", "ready", source)


def _found(name: str, status: str, detail: str, cure: str | None = None) -> dict[str, str | None]:
    return {"name": name, "status": status, "detail": detail, "cure": cure}


TASKS = {"report": report, "validate": validate, "doctor": doctor}


def main() -> int:
    """Do the task that the first argument names."""
    try:
        return TASKS[sys.argv[1]](sys.stdin.buffer.read())
    except PipelineError as error:
        print(f"secdaemon: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
