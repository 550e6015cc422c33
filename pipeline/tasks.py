"""Heavy things that a command asks for outside any run: `python -m secdaemon.pipeline.tasks NAME`.

The question comes as JSON on standard input; the answer goes to standard output as text.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.config.schema import Settings
from secdaemon.pipeline.interface import (
    Job,
    PermanentError,
    PipelineError,
    Progress,
    Report,
    StopRequested,
)
from secdaemon.pipeline.layout import RunFolder

WRONG_USE = 2
INTERRUPTED = 130


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
    from secdaemon.pipeline.publishing.anything import check, recognise

    path, settings = msgspec.json.decode(question, type=tuple[str, Settings])
    checks = check(recognise(Path(path)), settings)
    for gate in checks:
        print(f"{'ok  ' if gate.passed else 'FAIL'}  {gate.name:<11} {gate.detail}")
    return 0 if all(gate.passed for gate in checks) else 1


def export(question: bytes) -> int:
    """Write an MLX adapter as a PEFT adapter, and print where it is."""
    from secdaemon.pipeline.publishing.anything import mlx_form
    from secdaemon.pipeline.training.peft import to_peft

    path, output, base_id = msgspec.json.decode(question, type=tuple[str, str, str])
    adapter, target = mlx_form(Path(path)), Path(output)
    target.mkdir(parents=True, exist_ok=True)
    to_peft(adapter, target, base_id)
    print(target)
    return 0


def publish(question: bytes) -> int:
    """Send a validated folder to the publish target, and print where it stands."""
    from secdaemon.pipeline.publishing.anything import publish as send

    path, settings = msgspec.json.decode(question, type=tuple[str, Settings])
    sent = send(Path(path), settings, _tell)
    print("\n".join(filter(None, (sent.model_url, sent.dataset_url))))
    return 0


def finetune(question: bytes) -> int:
    """Train on a file, publish the adapter where that was asked for, and print where it is."""
    from secdaemon.pipeline import finetune as training
    from secdaemon.pipeline.publishing.anything import publish as send

    request, settings = msgspec.json.decode(question, type=tuple[training.Request, Settings])

    def work(report: Report) -> None:
        done = training.run(request, settings, report)
        print(done.adapters)
        if request.upload:
            print(send(done.adapters, settings, report).model_url)

    return _alone(Path(request.lock_file), work)


def tune(question: bytes) -> int:
    """Search for better Stage 2 settings and print what was found."""
    from secdaemon.pipeline.account.tuned import told
    from secdaemon.pipeline.tuning import search

    job, folder, count, as_json = msgspec.json.decode(question, type=tuple[Job, str, int, bool])

    def work(report: Report) -> None:
        found = search(job, Path(folder), count, report)
        if as_json:
            print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        else:
            print(told(found))

    return _alone(Path(job.lock_file), work)


def similar(question: bytes) -> int:
    """Print the findings of the home that are most like one; 2 where there is no such finding."""
    from secdaemon.pipeline.knowledge.search import NoSuchFindingError
    from secdaemon.pipeline.knowledge.similar import Question, answer, told

    asked = msgspec.json.decode(question, type=Question)
    try:
        with _telling() as tell:
            found = answer(asked, tell)
    except NoSuchFindingError as error:
        print(f"secdaemon: {error}", file=sys.stderr)
        return WRONG_USE
    _answered(found, told(found), as_json=asked.as_json)
    return 0


def _alone(lock_file: Path, work: Callable[[Report], None]) -> int:
    """Do heavy work once nothing else heavy runs in the home; a signal stops it at a report."""
    from secdaemon.pipeline.slot import take

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def report(progress: Progress) -> None:
        _tell(progress)
        if stop.is_set():
            msg = "stopped; the same command goes on from here"
            raise StopRequested(msg)

    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as lock:
        if not take(lock, stop.is_set):
            return INTERRUPTED
        work(report)
    return 0


def _tell(progress: Progress) -> None:
    """Show progress on one line of standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return
    loss = "" if progress.loss is None else f", loss {progress.loss:.4f}"
    done = f"\r{progress.iteration} of {progress.iterations}{loss}  "
    print(done, end="", file=sys.stderr, flush=True)


def explain(question: bytes) -> int:
    """Print where an example is from and who learned it; 2 where no single one is meant."""
    from secdaemon.pipeline.account.explained import told
    from secdaemon.pipeline.past.explain import Question, UnknownExampleError, answer

    asked = msgspec.json.decode(question, type=Question)
    try:
        found = answer(asked)
    except UnknownExampleError as error:
        print(f"secdaemon: {error}", file=sys.stderr)
        return WRONG_USE
    _answered(found, told(found), as_json=asked.as_json)
    return 0


def _answered(found: msgspec.Struct, lines: Iterable[str], *, as_json: bool) -> None:
    """Print an answer as one JSON document or in lines for people."""
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(lines))


@contextlib.contextmanager
def _telling() -> Iterator[Report]:
    """Yield `_tell`, and take what it showed off its line at the end."""
    try:
        yield _tell
    finally:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


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
    if settings.models.embedding is not None:
        yield _embedding(settings)
    if settings.publish.enabled and settings.publish.target == "huggingface":
        yield _token()
    for source in settings.stage1.sources:
        if source.endswith((".jsonl", ".parquet")) and not Path(source).expanduser().is_file():
            yield _found("stage 1", "missing", f"{source}: no such file", "fix stage1.sources")
        else:
            yield _found("stage 1", "ready", source)


def _embedding(settings: Settings) -> dict[str, str | None]:
    """Whether what `similar` may compare findings with is there and loads."""
    from secdaemon.pipeline.knowledge.static_model import StaticModel, embedding_folder

    folder = embedding_folder(settings.models)
    try:
        if folder is not None:
            StaticModel(folder)
    except PermanentError as error:
        detail, _, cure = str(error).partition(": get one")
        status = "missing" if settings.stage2.local_model else "warning"
        return _found("embedding", status, detail, f"get one{cure}")
    return _found("embedding", "ready", str(folder))


def _token() -> dict[str, str | None]:
    """Whether there is a token; what it may do, only the Hub can tell."""
    from secdaemon.pipeline.publishing.tokens import hub_token

    try:
        hub_token()
    except PermanentError as error:
        detail, _, cure = str(error).partition(": ")
        return _found("token", "missing", detail, cure)
    return _found("token", "ready", "there is a Hugging Face token")


def _found(name: str, status: str, detail: str, cure: str | None = None) -> dict[str, str | None]:
    return {"name": name, "status": status, "detail": detail, "cure": cure}


def _interrupted(*_: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        # What is left to do is tidying up, which no second one may cut short.
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


TASKS = {
    "report": report,
    "validate": validate,
    "export": export,
    "publish": publish,
    "finetune": finetune,
    "tune": tune,
    "similar": similar,
    "explain": explain,
    "doctor": doctor,
}


def main() -> int:
    """Do the task that the first argument names; a signal ends it as an interrupt does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupted)
    try:
        return TASKS[sys.argv[1]](sys.stdin.buffer.read())
    except KeyboardInterrupt:
        return INTERRUPTED
    except StopRequested as error:
        print(f"secdaemon: {error}", file=sys.stderr)
        return INTERRUPTED
    except (PipelineError, OSError) as error:
        print(f"secdaemon: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
