"""model_evaluation/: one file a test case, written all together once everything is measured."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from secdaemon.config.files import staged_folder
from secdaemon.pipeline.evaluation.blocks import answer_of
from secdaemon.pipeline.evaluation.model import MODELS, Case, CaseResult, Generation, Stage
from secdaemon.pipeline.evaluation.tables import SplitMeasured
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.training.scores import Score

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 100


def write_cases(folder: Path, splits: Mapping[Stage, SplitMeasured]) -> int:
    """Write a file for every test example that a model scored; return how many there are.

    What stood in the folder before is replaced as a whole.

    Raises:
        OSError: the files cannot be written; the old ones stand as they were.
    """
    with staged_folder(folder) as staged:
        names: set[str] = set()
        for stage, split in splits.items():
            for case in cases(stage, split):
                name = file_name(case)
                names.add(name)
                text = msgspec.json.format(msgspec.json.encode(case), indent=2)
                (staged / name).write_bytes(text + b"\n")
    return len(names)


def cases(stage: Stage, split: SplitMeasured) -> Iterator[Case]:
    """Yield the test cases of a split in its order."""
    scores = {name: {score.id: score for score in one.scores} for name, one in split.models.items()}
    generations = {
        name: {one.id: one for one in model.generations} for name, model in split.models.items()
    }
    for example in split.examples:
        results = {
            name: _result(scores[name][example.id], generations[name].get(example.id))
            for name in MODELS
            if example.id in scores.get(name, {})
        }
        if results:
            yield _case(stage, example, results)


def file_name(case: Case) -> str:
    """Return the name of a case's file: its split and id, safe on any file system."""
    safe = _UNSAFE.sub("_", case.id).lower()
    if safe != case.id or len(safe) > _LONGEST:
        digest = hashlib.sha256(case.id.encode()).hexdigest()[:12]
        safe = f"{safe[:_LONGEST]}-{digest}"
    return f"{case.split}-{safe}.json"


def _case(stage: Stage, example: Example, results: dict[str, CaseResult]) -> Case:
    known = example.metadata
    return Case(
        id=example.id,
        split=stage,
        group=example.group,
        tool=known.get("tool", "") or known.get("source", ""),
        category=known.get("category", ""),
        cwe=known.get("cwe", ""),
        language=known.get("language", ""),
        approach=known.get("approach", ""),
        question="\n\n".join(turn.content for turn in example.messages[:-1] if turn.role == "user"),
        reference=answer_of(example),
        models=results,
    )


def _result(score: Score, generation: Generation | None) -> CaseResult:
    edited = score.edited_tokens
    edited_loss = score.edited_loss_sum
    return CaseResult(
        loss=None if score.loss_sum is None else score.loss_sum / score.tokens,
        token_accuracy=score.correct / score.tokens,
        tokens=score.tokens,
        edited_loss=edited_loss / edited if edited and edited_loss is not None else None,
        edited_token_accuracy=score.edited_correct / edited if edited else None,
        edited_tokens=edited,
        generation=generation,
    )
