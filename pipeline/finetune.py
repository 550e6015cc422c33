"""Training alone, on a file of conversations: `secdaemon finetune`."""

import codecs
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.config.schema import Settings
from secdaemon.pipeline.examples import Example, Turn, conversation
from secdaemon.pipeline.interface import PermanentError, Report, TrainingSummary
from secdaemon.pipeline.publishing.anything import mlx_form
from secdaemon.pipeline.splitting.splits import halves
from secdaemon.pipeline.training.base_model import base_folder
from secdaemon.pipeline.training.spec import TrainSpec
from secdaemon.pipeline.training.train import train

VALID_FILE = "valid.jsonl"
VALID_SHARE = 0.1
_QUESTIONS = ("instruction", "prompt", "question")
_ANSWERS = ("response", "output", "completion", "answer")
_NEEDED = "it needs `messages`, or `instruction` and `response`"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; null where Stage 1's settings decide."""

    dataset: str
    name: str
    lock_file: str
    resume_adapter: str | None = None
    iterations: int | None = None
    learning_rate: float | None = None
    upload: bool = False


class Trained(msgspec.Struct, frozen=True):
    """The adapter's folder, and what the training did."""

    adapters: Path
    summary: TrainingSummary
    valid: int


def run(request: Request, settings: Settings, report: Report) -> Trained:
    """Train into `<fine_tuned_dir>/NAME/adapters/`, or go on where an earlier call was stopped.

    Raises:
        PermanentError: a row is no conversation, there are too few, or nothing fits.
        StopRequested: by way of `report`; the same call goes on from its checkpoint.
        EndRun: held, because the training diverged.
        OSError: a file cannot be read or written.
    """
    path = Path(request.dataset)
    rows = _read(path)
    beside = path.with_name(VALID_FILE)
    if beside.is_file() and beside != path:
        learned, valid = rows, _read(beside)
    else:
        learned, valid = halves(rows, VALID_SHARE, settings.training.seed)
    folder = Path(settings.models.fine_tuned_dir) / request.name
    summary = train(
        TrainSpec(
            model_dir=base_folder(settings.models),
            folder=folder,
            train=learned,
            valid=valid,
            iterations=request.iterations or settings.stage1.iterations,
            learning_rate=request.learning_rate or settings.stage1.learning_rate,
            training=settings.training,
            lora=settings.lora,
            seed=settings.training.seed,
            resume_adapter=mlx_form(Path(resumed)) if (resumed := request.resume_adapter) else None,
        ),
        report,
    )
    return Trained(folder / "adapters", summary, len(valid))


def _read(path: Path) -> tuple[Example, ...]:
    examples = tuple(_examples(path))
    if not examples:
        msg = f"{path}: holds no row to learn from"
        raise PermanentError(msg)
    return examples


def _examples(path: Path) -> Iterator[Example]:
    with path.open("rb") as file:
        for number, bare in enumerate(file, 1):
            line = bare.removeprefix(codecs.BOM_UTF8) if number == 1 else bare
            if not line.strip():
                continue
            try:
                turns = _turns(msgspec.json.decode(line))
            except (msgspec.DecodeError, ValueError) as error:
                msg = f"{path}, line {number}: {error}"
                raise PermanentError(msg) from error
            content = hashlib.sha256(msgspec.json.encode(turns)).hexdigest()[:16]
            yield Example(id=content, messages=turns, group=content)


def _turns(row: Any) -> tuple[Turn, ...]:
    """Return a row's conversation, which ends with the assistant.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(row, dict):
        msg = f"not an object; {_NEEDED}"
        raise ValueError(msg)  # noqa: TRY004 - one kind of error for a wrong row
    if "messages" in row:
        turns = msgspec.convert(row["messages"], tuple[Turn, ...])
        if not turns or turns[-1].role != "assistant":
            msg = "its messages do not end with the assistant"
            raise ValueError(msg)
        return turns
    question, answer = (
        next((row[name] for name in names if isinstance(row.get(name), str)), "")
        for names in (_QUESTIONS, _ANSWERS)
    )
    if not question.strip() or not answer.strip():
        raise ValueError(_NEEDED)
    context = row.get("input")
    if isinstance(context, str) and context.strip():
        question = f"{question}\n\n{context}"
    return conversation(question, answer)
