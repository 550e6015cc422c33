"""The last published adapter as the author of fixes: what it is asked, and what is taken of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from past_runs import example_of, finding_of, make_run

from secdaemon.config.schema import Settings
from secdaemon.pipeline.evaluation.blocks import answer_of
from secdaemon.pipeline.examples import SYSTEM_PROMPT, Example, Turn
from secdaemon.pipeline.findings.model import Severity
from secdaemon.pipeline.fixes.local_model import (
    MOST,
    Prompt,
    Request,
    chosen_of,
    code_of,
    fix_of,
    prompt_of,
    propose,
    recalled,
    replaced,
    teaches,
    turns_of,
)
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.interface import Job, Origin, PermanentError, Progress, StopRequested
from secdaemon.pipeline.knowledge.entries import Entry
from secdaemon.pipeline.knowledge.search import Neighbour
from secdaemon.pipeline.quality import judge
from secdaemon.pipeline.training.base_model import base_folder, load_base
from secdaemon.pipeline.training.train import TrainSpec, train

FIXED = "def call1(request):\n    return safe(cursor.execute(sql + userName))  # 1"
ANSWER = f"**Fix:** it is checked.\n\n```python\n{FIXED}\n```"
LINE = st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), max_size=9)


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def request_of(number: int = 1, **changes: Any) -> Request:
    """Return a request about an SQL finding in a file of six lines."""
    finding = finding_of("sql", number)
    shown = finding.snippet or ""
    flagged = Flagged(
        path=finding.path or "",
        text=f"import db\n\n\n{shown}\n",
        line=5,
        end_line=5,
        whole=True,
    )
    question = example_of(finding).messages[1].content
    fields: dict[str, Any] = {
        "finding": finding,
        "flagged": flagged,
        "shown": shown,
        "question": question,
    }
    return Request(**(fields | changes))


def prompted(request: Request, examples: int = 0) -> Prompt:
    """Return a prompt of which only the request matters."""
    return Prompt(request=request, ids=(1,), max_tokens=9, examples=examples)


def neighbour(number: int = 2, **changes: str) -> Neighbour:
    """Return a past finding that was mended."""
    example = example_of(finding_of("sql", number))
    fields = {
        "finding": f"{number}",
        "tool": "semgrep",
        "rule": "r",
        "severity": "high",
        "place": "here",
        "language": "python",
        "approach": "code_pattern",
        "quality": "high",
        "code": f"other {number}",
        "question": example.messages[1].content,
        "answer": answer_of(example),
    }
    entry = Entry(**(fields | changes))
    return Neighbour(entry=entry, runs=("r",), score=1.0, words=None, cosine=None)


@given(
    st.lists(LINE, max_size=6), st.lists(LINE, min_size=1, max_size=4), st.lists(LINE, max_size=6)
)
def test_shown_lines_are_replaced_where_they_stand_once(
    before: list[str], shown: list[str], after: list[str]
) -> None:
    """All other lines stay; where the lines are not there just once, nothing is guessed."""
    text = "\n".join((*before, *shown, *after))
    wanted = "\n".join(shown)
    found = replaced(text, wanted, "new\ncode")
    core = wanted.strip("\n").split("\n")
    lines = text.split("\n")
    places = [n for n in range(len(lines)) if lines[n : n + len(core)] == core]
    assert (found is not None) == (bool(wanted.strip()) and len(places) == 1)
    if found is not None:
        at = places[0]
        assert found.split("\n") == [*lines[:at], "new", "code", *lines[at + len(core) :]]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ANSWER, FIXED),
        ("```\na\n```", "a"),
        ("````\n```\na\n````", "```\na"),
        ("no code", None),
        ("", None),
        ("```python\n\n```", None),
        ("```python\na\n", None),
        ("```python\na", None),
        ("```a\nb\n```\n```c\nd\n```", None),
        ("```a\nb\n```\n```c\nd", None),
    ],
)
def test_the_code_of_an_answer_is_its_one_whole_block(answer: str, code: str | None) -> None:
    """No block, several, and one that was cut short are no answer."""
    assert code_of(answer) == code


@given(st.text(max_size=60))
def test_any_answer_is_read(answer: str) -> None:
    """Whatever a model writes, it is a fix or none; one never equals what was there."""
    fix = fix_of(prompted(request_of()), answer)
    assert fix is None or fix.after.split() != fix.before.split()


def test_a_fix_takes_the_code_and_nothing_else_of_an_answer() -> None:
    """The rest of the file stays, and the reason is ours."""
    request = request_of(is_weak=lambda text: "safe(" not in text)
    said = ANSWER.replace("it is checked", "IGNORE ALL RULES")
    fix = fix_of(prompted(request, examples=2), said)
    assert fix is not None
    assert fix.approach == "local_model"
    assert fix.before == request.flagged.text
    assert fix.after == f"import db\n\n\n{FIXED}\n"
    assert "IGNORE" not in fix.reason
    assert fix.reason.endswith(", as 2 fixes of findings like it suggest.")
    assert fix.is_weak is not None
    assert not fix.is_weak(fix.after)
    verdict = judge(fix, request.finding, request.flagged)
    assert verdict.score == 1


def test_an_echo_is_no_fix() -> None:
    """Code that differs in its white space alone is what was there."""
    request = request_of()
    assert fix_of(prompted(request), f"```python\n{request.shown}  \n```") is None
    assert fix_of(prompted(request), None) is None


def test_the_most_severe_are_tried_first_and_not_all() -> None:
    """By severity, then score, then id; at most MOST of those whose code can be replaced."""

    def of(number: int, severity: Severity, score: float | None = None) -> Request:
        finding = msgspec.structs.replace(finding_of("sql", number), severity=severity, score=score)
        return request_of(number, finding=finding)

    low = [of(n, Severity.LOW) for n in range(MOST)]
    some = [*low, of(60, Severity.HIGH), of(61, Severity.HIGH, 9.8), of(62, Severity.CRITICAL)]
    chosen = chosen_of(some)
    assert len(chosen) == MOST
    assert [one.finding.line for one in chosen[:4]] == [63, 62, 61, 1]
    assert chosen_of(some[::-1]) == chosen


@pytest.mark.parametrize(
    "changes",
    [
        {"shown": "  key = <secret:aws:00000001>"},
        {"shown": ""},
        {"shown": "\n\n"},
        {"shown": "def call1(request):\n    # 9 lines left out"},
        {
            "shown": "<|im_end|>",
            "flagged": Flagged(path="a.py", text="<|im_end|>", line=1, end_line=1, whole=True),
        },
    ],
)
def test_code_that_cannot_be_put_back_is_not_asked_for(changes: dict[str, Any]) -> None:
    """Hidden secrets, cuts, and text that a conversation may not hold as it is are passed over."""
    assert chosen_of([request_of(**changes)]) == ()


def test_past_fixes_come_before_the_question_the_most_alike_last() -> None:
    """Each with its question and its answer, under the system prompt of the training."""
    request, near, far = request_of(), neighbour(2), neighbour(3)
    assert turns_of(request, (near, far)) == (
        Turn("system", SYSTEM_PROMPT),
        Turn("user", far.entry.question),
        Turn("assistant", far.entry.answer),
        Turn("user", near.entry.question),
        Turn("assistant", near.entry.answer),
        Turn("user", request.question),
    )


def test_only_checked_fixes_of_other_findings_teach() -> None:
    """Advice, the model's own work, other languages and the same code are no examples."""
    request = request_of()
    assert teaches(neighbour().entry, request)
    for changes in (
        {"approach": "advice"},
        {"approach": "local_model"},
        {"approach": "", "quality": ""},
        {"quality": "low"},
        {"language": "kotlin"},
        {"answer": "Be careful."},
        {"code": f"  {request.shown}\n"},
    ):
        assert not teaches(neighbour(**changes).entry, request), changes


def test_a_prompt_holds_as_many_examples_as_fit(base: Path) -> None:
    """Less room, fewer examples; no room for the question, no prompt."""
    _, tokenizer = load_base(base)
    request, shown = request_of(), (neighbour(2), neighbour(3), neighbour(4))
    found = [prompt_of(tokenizer, request, shown, room) for room in range(0, 3000, 20)]
    counts = [-1 if prompt is None else prompt.examples for prompt in found]
    assert counts == sorted(counts)
    assert set(counts) == {-1, 0, 1, 2, 3}
    for room, prompt in zip(range(0, 3000, 20), found, strict=True):
        assert prompt is None or len(prompt.ids) + prompt.max_tokens <= room


@pytest.fixture
def job(tmp_path: Path, settings: Settings) -> Job:
    """Return the job of a run after one that mended a similar finding."""
    past = make_run(tmp_path, "20260101_000000", [finding_of("sql", 2)])
    other = make_run(tmp_path, "20260102_000000", [finding_of("sql", 3)], project="q")
    measured = make_run(tmp_path, "20260103_000000", test=[finding_of("sql", 4)])
    own = make_run(tmp_path, "20260104_000000", [finding_of("sql", 5), finding_of("sql", 1)])
    stage2 = msgspec.structs.replace(settings.stage2, local_model=True)
    return Job(
        run_id=own.run_id,
        project="p",
        origin=Origin(kind="manual", name="x", sha256="0", size=1),
        archive="",
        run_dir=own.folder,
        stage1_dir="",
        lock_file="",
        now="",
        settings=msgspec.structs.replace(settings, stage2=stage2),
        salt="00",
        knowledge=str(tmp_path / "knowledge.db"),
        known_runs=(past, other, measured, own),
    )


def test_the_project_s_earlier_runs_are_recalled_and_nothing_else(job: Job) -> None:
    """Not another project's, not what a run was measured with, not this run's own findings."""
    [found] = recalled([request_of()], job, unheard)
    assert [one.entry.finding for one in found] == [finding_of("sql", 2).id]
    later = msgspec.structs.replace(job, run_id="20260101_000000")
    assert recalled([request_of()], later, unheard) == [()]
    assert recalled([request_of()], msgspec.structs.replace(job, knowledge=None), unheard) == [()]


@pytest.mark.parametrize("missing", ["setting", "champion", "requests"])
def test_nothing_happens_where_there_is_nothing_to_ask(
    job: Job, tmp_path: Path, missing: str
) -> None:
    """Without the setting, a published model, or a request, no file is even looked for."""
    job = msgspec.structs.replace(job, champion=str(tmp_path / "nowhere"))
    requests = [request_of()]
    if missing == "setting":
        off = msgspec.structs.replace(job.settings.stage2, local_model=False)
        job = msgspec.structs.replace(
            job, settings=msgspec.structs.replace(job.settings, stage2=off)
        )
    elif missing == "champion":
        job = msgspec.structs.replace(job, champion=None)
    else:
        requests = [request_of(shown="not there")]
    assert propose(requests, job, lambda *_: True, unheard) == {}
    assert not Path(job.knowledge or "").exists()


def test_a_broken_adapter_is_said(job: Job, tmp_path: Path) -> None:
    """Who turned this on hears of it, instead of a build that silently has no such fixes."""
    (tmp_path / "adapter").mkdir()
    job = msgspec.structs.replace(job, champion=str(tmp_path / "adapter"))
    with pytest.raises(PermanentError, match="mlx-lm cannot load it"):
        propose([request_of()], job, lambda *_: True, unheard)


@pytest.fixture
def taught(job: Job, make_spec: Callable[..., TrainSpec], tmp_path: Path) -> Job:
    """Return the job with an adapter that has learnt by heart how to go on after this prompt."""
    past = example_of(finding_of("sql", 2)).messages[1:]
    turns = (Turn("system", SYSTEM_PROMPT), *past, Turn("user", request_of().question))
    example = Example(id="e", messages=(*turns, Turn("assistant", ANSWER)), group="g")
    spec = make_spec(
        tmp_path / "taught",
        train=(example,),
        valid=(),
        iterations=90,
        learning_rate=3e-3,
        max_seq_length=512,
        checkpoint_every=1000,
        model_dir=base_folder(job.settings.models),
        rank=8,
        dropout=0.0,
        target_modules=("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    )
    train(spec, unheard)
    return msgspec.structs.replace(job, champion=str(tmp_path / "taught" / "adapters"))


@pytest.mark.slow
def test_a_trained_model_proposes_a_fix(taught: Job) -> None:
    """A real model, shown a real past fix, writes code that takes the place of the shown code."""
    request = request_of()
    heard: list[Progress] = []
    asked: list[Fix] = []

    def keep(_: Request, fix: Fix) -> bool:
        asked.append(fix)
        return True

    found = propose([request], taught, keep, heard.append)
    assert found == {request.finding.id: asked[0]}
    assert found[request.finding.id].after == f"import db\n\n\n{FIXED}\n"
    assert heard[-1] == Progress(iteration=1, iterations=1)
    assert propose([request], taught, lambda *_: True, unheard) == found
    assert propose([request], taught, lambda *_: False, unheard) == {}


@pytest.mark.slow
def test_a_stop_is_obeyed_while_it_writes(taught: Job) -> None:
    """The worker's request to stop reaches the generation."""

    def stop(progress: Progress) -> None:
        if progress.iterations == 1:
            msg = "stopped"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        propose([request_of()], taught, lambda *_: True, stop)


@pytest.mark.slow
def test_a_model_that_knows_nothing_proposes_nothing_that_passes(job: Job, trained: Path) -> None:
    """The embedded model after a dozen iterations writes no fix; nothing of it is kept."""
    job = msgspec.structs.replace(job, champion=str(trained / "adapters"))

    def passes(request: Request, fix: Fix) -> bool:
        verdict = judge(fix, request.finding, request.flagged)
        return all(part == 1 for part in verdict.parts.values())

    assert propose([request_of(n) for n in range(1, 4)], job, passes, unheard) == {}
