"""Test cases: one file each, written as a whole, whatever an id looks like."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation.cases import cases, file_name, write_cases
from secdaemon.pipeline.evaluation.model import Case, Generation
from secdaemon.pipeline.evaluation.tables import SplitMeasured
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.training.scores import Score


class Found(msgspec.Struct, frozen=True):
    """What a model made of a split."""

    scores: tuple[Score, ...]
    generations: tuple[Generation, ...] = ()


def example(name: str) -> Example:
    """Return an example of that id."""
    return Example(
        id=name,
        messages=conversation(f"What of {name}?", f"Fix {name}."),
        group=f"group-{name}",
        metadata={"category": "web", "cwe": "CWE-79", "tool": "zap"},
    )


def score(name: str, **changes: float | None) -> Score:
    """Return a score of half the tokens."""
    known = Score(id=name, group=f"group-{name}", loss_sum=6.0, correct=2, tokens=4)
    return msgspec.structs.replace(known, **changes)


def written(name: str) -> Generation:
    """Return a generation for that id."""
    return Generation(id=name, text="Fix.", exact=False, exact_normalised=False, cut=False)


@pytest.fixture
def split() -> SplitMeasured:
    """Return a split of three examples of which two were scored and one was written for."""
    return SplitMeasured(
        (example("a"), example("b"), example("unscored")),
        {
            "stage2": Found((score("a", loss_sum=None), score("b"))),
            "base": Found((score("a"), score("b")), (written("b"),)),
        },
    )


def test_a_case_has_every_model_that_scored_it(split: SplitMeasured) -> None:
    """Models stand in their order with their own numbers; what nobody scored is no case."""
    first, second = cases("stage2", split)
    assert (first.id, first.category, first.cwe, first.tool) == ("a", "web", "CWE-79", "zap")
    assert (first.question, first.reference) == ("What of a?", "Fix a.")
    assert list(first.models) == ["base", "stage2"]
    assert (first.models["base"].loss, first.models["base"].token_accuracy) == (1.5, 0.5)
    assert first.models["stage2"].loss is None
    assert first.models["base"].edited_loss is None
    assert first.models["base"].generation is None
    assert second.models["base"].generation == written("b")


def test_every_case_is_a_file(split: SplitMeasured, tmp_path: Path) -> None:
    """The folder holds the cases of both splits and nothing that stood there before."""
    folder = tmp_path / "model_evaluation"
    folder.mkdir()
    (folder / "old.json").write_text("{}")
    assert write_cases(folder, {"stage1": split, "stage2": split}) == 4
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["stage1-a.json", "stage1-b.json", "stage2-a.json", "stage2-b.json"]
    read = msgspec.json.decode((folder / "stage2-b.json").read_bytes(), type=Case)
    assert read == list(cases("stage2", split))[1]


def test_what_cannot_be_written_leaves_the_old_files(split: SplitMeasured, tmp_path: Path) -> None:
    """A failure in the middle keeps the folder as it was."""
    folder = tmp_path / "model_evaluation"
    write_cases(folder, {"stage1": split})
    lone = Example(id="a", messages=conversation("\ud800", "x"), group="g")
    broken = SplitMeasured((lone,), {"base": Found((score("a"),))})
    with pytest.raises(UnicodeEncodeError):
        write_cases(folder, {"stage1": split, "stage2": broken})
    assert len(list(folder.iterdir())) == 2


@given(st.text(max_size=150), st.text(max_size=150))
def test_any_id_gives_a_safe_name_of_its_own(one: str, other: str) -> None:
    """Names are plain, no path, short, and different for different ids on any file system."""
    names = []
    for name in (one, other):
        case = Case(
            id=name,
            split="stage1",
            group="",
            tool="",
            category="",
            cwe="",
            language="",
            approach="",
            question="",
            reference="",
            models={},
        )
        names.append(file_name(case))
    for name in names:
        assert name.startswith("stage1-")
        assert name.endswith(".json")
        assert len(name) < 140
        assert name.isascii()
        assert not set("/\\:") & set(name)
    assert (names[0].lower() == names[1].lower()) == (one == other)
