"""The last published adapter as the author of a fix, shown how findings like this one were mended.

The last approach before advice, off by default (`stage2.local_model`). What the model says is never
believed and its prose never kept: only the code of its answer is taken, as the new text of the code
that it was shown, and only where every check passes.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.pipeline.evaluation.blocks import blocks
from secdaemon.pipeline.examples import SYSTEM_PROMPT, Turn
from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.findings.redact import neutralise
from secdaemon.pipeline.fixes.changes import describe
from secdaemon.pipeline.fixes.languages import language_of
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.interface import Job, PermanentError, Progress, Report
from secdaemon.pipeline.knowledge.entries import Entry
from secdaemon.pipeline.knowledge.index import Index
from secdaemon.pipeline.knowledge.search import Neighbour, Scope, neighbours, query_of
from secdaemon.pipeline.knowledge.static_model import StaticModel, embedding_folder

MOST = 50
"""Findings that are tried, the most severe first."""
SHOWN = 3
"""Mended findings that are shown before the one in question, as far as they fit."""
MAX_TOKENS = 1024
"""Of an answer; one that needs more is cut short, and not used."""
SECONDS = 1_200.0
"""After this no further batch is begun."""
AT_ONCE = 8
"""Prompts between two looks at the clock."""

_AROUND_CODE = 160
"""Tokens of an answer beside its code."""
_TAUGHT = ("advice", "local_model", "")
"""Approaches whose answers teach no fix: no code, or this model's own."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that no other approach could mend."""

    finding: Finding
    flagged: Flagged
    shown: str
    """The lines of it that the question shows."""
    question: str
    """The user's turn."""
    is_weak: Callable[[str], bool] | None = None
    """As in `Fix`, where somebody knows how to tell."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked for one request."""

    request: Request
    ids: tuple[int, ...]
    max_tokens: int
    examples: int
    """Mended findings before the question."""


Judge = Callable[[Request, Fix], bool]
"""Whether every check of a fix passes."""


def propose(requests: Sequence[Request], job: Job, judge: Judge, report: Report) -> dict[str, Fix]:
    """Return the fixes that the project's last published model proposes and `judge` keeps.

    By the finding's id. Nothing is loaded where the setting is off, nothing was published, or no
    request can be answered by replacing the shown code. Greedy: the same requests, knowledge base
    and model give the same fixes, unless the time is up.

    Raises:
        PermanentError: the base model, the adapter or the embedding model cannot be loaded.
        StopRequested: by way of `report`.
    """
    chosen = chosen_of(requests)
    if not (job.settings.stage2.local_model and job.champion and chosen):
        return {}
    alike = recalled(chosen, job, report)
    found: dict[str, Fix] = {}
    for prompt, answer in _answers(chosen, alike, job, report):
        fix = fix_of(prompt, answer)
        if fix is not None and judge(prompt.request, fix):
            found[prompt.request.finding.id] = fix
    return found


def chosen_of(requests: Sequence[Request]) -> tuple[Request, ...]:
    """Return the requests that are tried: the most severe ones whose code can be replaced."""
    possible = [
        one
        for one in requests
        if replaced(one.flagged.text, one.shown, "") is not None
        and neutralise(one.shown) == one.shown
    ]
    return tuple(sorted(possible, key=_urgency)[:MOST])


def _urgency(request: Request) -> tuple[int, float, str]:
    finding = request.finding
    return list(Severity).index(finding.severity), -(finding.score or 0.0), finding.id


def replaced(text: str, shown: str, code: str) -> str | None:
    """Return the text with the shown lines replaced, None where they do not stand there just once.

    So it is where a secret is hidden in them, or lines are left out between them. Empty lines
    around them do not belong to them: a fence leaves them out.
    """
    lines, wanted = text.split("\n"), shown.strip("\n").split("\n")
    if not shown.strip():
        return None
    found = [
        at
        for at in range(len(lines) - len(wanted) + 1)
        if lines[at] == wanted[0] and lines[at : at + len(wanted)] == wanted
    ]
    if len(found) != 1:
        return None
    at = found[0]
    return "\n".join((*lines[:at], *code.split("\n"), *lines[at + len(wanted) :]))


def code_of(answer: str) -> str | None:
    """Return the code of an answer; None where it has none, several pieces, or one cut short."""
    found = blocks(answer)
    end = "end of the answer"
    if len(found) != 1 or blocks(f"{answer}\n{end}")[0].code.endswith(end):
        return None
    return found[0].code if found[0].code.strip() else None


def fix_of(prompt: Prompt, answer: str | None) -> Fix | None:
    """Return the fix that an answer is; None where it is none. The reason is ours."""
    request = prompt.request
    code = None if answer is None else code_of(answer)
    if code is None:
        return None
    flagged = request.flagged
    after = replaced(flagged.text, request.shown, code)
    if after is None or after.split() == flagged.text.split():
        return None
    taught = (
        f", as {prompt.examples} fixes of findings like it suggest" if prompt.examples > 1 else ""
    )
    return Fix(
        approach="local_model",
        path=flagged.path,
        before=flagged.text,
        after=after,
        reason=f"{_capital(describe(flagged.text, after))}{taught}.",
        is_weak=request.is_weak,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def turns_of(request: Request, shown: Sequence[Neighbour]) -> tuple[Turn, ...]:
    """Return the conversation: mended findings, the most alike last, then the one in question."""
    return (
        Turn("system", SYSTEM_PROMPT),
        *(
            turn
            for one in reversed(shown)
            for turn in (Turn("user", one.entry.question), Turn("assistant", one.entry.answer))
        ),
        Turn("user", request.question),
    )


def teaches(entry: Entry, request: Request) -> bool:
    """Return whether a past finding shows how this one may be mended, and is not this one.

    The same code under another id is the same finding, which had other lines or another rule.
    """
    return (
        entry.approach not in _TAUGHT
        and entry.quality in {"high", "medium"}
        and entry.language == language_of(request.flagged.path)
        and code_of(entry.answer) is not None
        and entry.code.split() != request.shown.split()
    )


def recalled(requests: Sequence[Request], job: Job, report: Report) -> list[tuple[Neighbour, ...]]:
    """Return the mended findings of the project's earlier runs most like each request."""
    if job.knowledge is None:
        return [()] * len(requests)
    folder = embedding_folder(job.settings.models)
    model = None if folder is None else StaticModel(folder)
    runs = tuple(
        run.run_id
        for run in job.known_runs
        if run.project == job.project and run.run_id < job.run_id
    )

    def recall(index: Index, request: Request) -> tuple[Neighbour, ...]:
        scope = Scope(runs=runs, teaching=True, wanted=lambda entry: teaches(entry, request))
        return neighbours(index, query_of(request.finding, request.shown), SHOWN, scope)

    with Index(Path(job.knowledge), job.known_runs, model, report) as index:
        return [recall(index, request) for request in requests]


def _answers(
    requests: Sequence[Request], alike: Sequence[Sequence[Neighbour]], job: Job, report: Report
) -> Iterator[tuple[Prompt, str | None]]:
    """Yield each prompt with what the model answers, None for an answer that was cut short.

    The model is loaded here and gone at the end, since a training may go on beside it.
    """
    import mlx.core as mx

    from secdaemon.pipeline.training.base_model import base_folder, load_base
    from secdaemon.pipeline.training.generation import generate

    model, tokenizer = load_base(base_folder(job.settings.models), Path(job.champion or ""))
    try:
        if not tokenizer.chat_template:
            msg = "the base model has no chat template: choose an instruct model for models.base"
            raise PermanentError(msg)
        room = job.settings.training.max_seq_length
        made = (
            prompt_of(tokenizer, request, shown, room)
            for request, shown in zip(requests, alike, strict=True)
        )
        prompts = [prompt for prompt in made if prompt is not None]
        end = time.monotonic() + SECONDS
        for first in range(0, len(prompts), AT_ONCE):
            if time.monotonic() > end:
                return
            some = prompts[first : first + AT_ONCE]
            written = generate(
                model,
                tokenizer,
                [prompt.ids for prompt in some],
                [prompt.max_tokens for prompt in some],
                _from(first, len(prompts), report),
            )
            for prompt, ids in zip(some, written, strict=True):
                whole = len(ids) < prompt.max_tokens
                yield prompt, tokenizer.decode(ids) if whole else None
    finally:
        del model
        gc.collect()
        mx.clear_cache()


def prompt_of(
    tokenizer: Any, request: Request, shown: Sequence[Neighbour], room: int
) -> Prompt | None:
    """Return the prompt with as many mended findings as fit, None where not even the question does.

    Args:
        tokenizer: of the model, with a chat template.
        request: what is asked.
        shown: the mended findings, the most alike first.
        room: tokens of the prompt and its answer together: what the model was trained with.
    """
    code = len(tokenizer.encode(request.shown, add_special_tokens=False))
    max_tokens = min(MAX_TOKENS, code + code // 2 + _AROUND_CODE)
    for count in range(len(shown), -1, -1):
        turns = turns_of(request, shown[:count])
        ids = tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.content} for turn in turns],
            add_generation_prompt=True,
            return_dict=False,
        )
        if len(ids) + max_tokens <= room:
            return Prompt(request=request, ids=tuple(ids), max_tokens=max_tokens, examples=count)
    return None


def _from(first: int, count: int, report: Report) -> Report:
    """Return how the progress of one batch is told as that of all."""
    return lambda heard: report(Progress(iteration=first + heard.iteration, iterations=count))
