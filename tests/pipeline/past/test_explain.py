"""`explain`: one example's way from its artifact to the adapters that learned it."""

from pathlib import Path

import msgspec
import pytest

from secdaemon.pipeline.account.explained import told
from secdaemon.pipeline.examples import Example, Splits, conversation, write_jsonl, write_splits
from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.past.explain import Question, UnknownExampleError, answer
from secdaemon.pipeline.past.known_findings import Entry
from secdaemon.pipeline.past.provenance import RunFacts, SeenIn
from secdaemon.pipeline.splitting.splits import REPLAY_MARK

FINDING = Finding(
    id="abc123",
    tool="semgrep",
    rule="sqli",
    severity=Severity.HIGH,
    message="SQL\nis \x1b[31mconcatenated.",
    path="app.py",
    line=7,
)


def example(name: str, **metadata: str) -> Example:
    """Return an example of that id."""
    return Example(
        id=name, messages=conversation("What?", f"{name}."), group=name, metadata=metadata
    )


OWN = example("finding-abc123", finding="abc123", category="code", approach="advice", quality="low")
PUBLIC = example("crossvul-5f", source="crossvul", category="code", approach="public_fix")
OTHERS = (example("finding-abc124"), example("finding-b"), example("finding-c"))


class Past:
    """Runs with folders, as state.db and the disk have them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs: list[RunFacts] = []

    def add(self, number: int, splits: Splits | None, **facts: object) -> RunFolder:
        """Add a run that is newer than those before."""
        folder = RunFolder(self.root / str(number))
        if splits:
            write_splits(folder.project_data, splits)
        seen = SeenIn(
            run=f"2026010{number}_000000",
            at=f"2026-01-0{number}T00:00:00Z",
            name=f"{number}.zip",
            sha256=f"{number:064}",
            repository="acme/shop",
            workflow_run_id=number,
            url=f"https://github.example/acme/shop/actions/runs/{number}",
            commit="c" * 40,
        )
        fields: dict[str, object] = {
            "seen": seen,
            "state": "skipped",
            "archive": f"/archive/{number}.zip",
            "run_dir": str(folder.root),
        }
        self.runs.insert(0, RunFacts(**(fields | facts)))  # type: ignore[arg-type]
        return folder

    def ask(self, wanted: str) -> Question:
        """Return the question about an example."""
        return Question(
            example=wanted,
            as_json=False,
            home=str(self.root),
            stage1_dir=str(self.root / "stage1"),
            runs=tuple(self.runs),
        )

    def explain(self, wanted: str) -> list[str]:
        """Return what is told about an example."""
        return list(told(answer(self.ask(wanted))))


@pytest.fixture
def past(tmp_path: Path) -> Past:
    """Return a home without runs."""
    return Past(tmp_path)


def test_each_run_says_whether_its_adapter_learned_it(past: Past) -> None:
    """Only those that trained on it did, not those that measured on it or ended before."""
    trained = Splits((OWN, OTHERS[0]), (OTHERS[1],), (OTHERS[2],))
    held = Splits(OTHERS[:2], (OTHERS[2],), (OWN,))
    for number, splits in ((1, trained), (2, held)):
        folder = past.add(
            number, splits, state="published", is_trained=True, revision="r" * 40, model_url="/pub"
        )
        write_splits(folder.stage2.data, splits)
    folder = past.add(3, trained, state="failed")
    write_splits(folder.stage2.data, trained)
    past.add(4, Splits(OTHERS, (), ()), state="published", is_trained=True)
    past.add(5, None, run_dir=None, state="rejected")
    lines = past.explain("finding-abc123")
    assert lines[lines.index("") + 1 :] == [
        "RUN              SPLIT       STATE           ADAPTER",
        "20260103_000000  train       failed          not trained",
        "20260102_000000  test        published       held out: never learned it",
        "20260101_000000  train       published       learned it; published as rrrrrrrrrrrr",
        "                 /pub",
        "",
        "learned by 1 adapter, published",
    ]
    found = answer(past.ask("finding-abc123"))
    assert [use.learned for use in found.runs] == [False, False, True]
    assert [use.revision for use in found.runs] == [None, None, "r" * 40]


def test_the_way_back_leads_to_the_workflow_run(past: Past) -> None:
    """By the corpus: the finding, the artifact and its zip, the workflow run, its commit and page."""
    folder = past.add(1, Splits((OWN,), (), ()))
    seen = past.runs[0].seen
    gone = msgspec.structs.replace(seen, run="20260109_000000", name="9.zip", url=None)
    entry = Entry(finding=FINDING, seen=seen, examples=(OWN,), gone=gone)
    write_jsonl(folder.corpus, [entry])
    assert past.explain("finding-abc123")[:-4] == [
        "example    finding-abc123 (code)",
        "answer     advice, no fix; quality low, weight 1",
        "finding    semgrep sqli, high",
        "           id abc123",
        "           at app.py:7",
        "           SQL is concatenated.",
        "artifact   1.zip, of run 20260101_000000",
        f"           sha256 {1:064}",
        "           /archive/1.zip",
        f"workflow   acme/shop run 1, attempt 1; commit {'c' * 40}",
        "           https://github.example/acme/shop/actions/runs/1",
        "gone in    9.zip, of run 20260109_000000",
        f"           acme/shop run 1, attempt 1; commit {'c' * 40}",
        "",
    ]


def test_without_a_corpus_the_artifact_tells(past: Past) -> None:
    """Data of an older version: the finding of the run whose artifact the example names."""
    sha256 = f"{2:064}"
    named = msgspec.structs.replace(OWN, metadata={**OWN.metadata, "source_artifact": sha256})
    past.add(1, Splits((named,), (), ()))
    write_jsonl(past.add(2, None).findings, [FINDING])
    found = answer(past.ask("finding-abc123"))
    assert found.finding == FINDING
    assert found.seen is not None
    assert found.seen.run == "20260102_000000"
    past.runs.pop(0)
    found = answer(past.ask("finding-abc123"))
    assert found.finding is None
    assert found.archive == "/archive/1.zip"
    assert any("which no folder of a run has any more" in line for line in told(found))


def test_the_beginning_of_an_id_is_enough(past: Past) -> None:
    """Where one begins so, with or without what all findings' examples begin with."""
    past.add(1, Splits((OWN, *OTHERS), (), ()))
    assert answer(past.ask("finding-b")).id == answer(past.ask("b")).id == "finding-b"
    assert answer(past.ask("abc123")).id == "finding-abc123"
    longer = example("finding-bb")
    past.add(2, Splits((longer,), (), ()))
    assert answer(past.ask("finding-b")).id == "finding-b"
    with pytest.raises(UnknownExampleError, match="beginning of finding-abc123, finding-abc124"):
        answer(past.ask("finding-abc"))
    with pytest.raises(UnknownExampleError, match="no example nothing in the data"):
        answer(past.ask("nothing"))
    with pytest.raises(UnknownExampleError, match="no example"):
        answer(past.ask('finding-b","messages'))


def test_a_healed_model_learned_from_its_own_training(past: Past) -> None:
    """What was replayed in the training that made the final model, and not in the first one."""
    replayed = msgspec.structs.replace(PUBLIC, metadata={**PUBLIC.metadata, REPLAY_MARK: "true"})
    folder = past.add(1, Splits(OTHERS, (), ()), state="retained", is_trained=True, retraining=1)
    data = folder.healing / "retraining-1" / "training-data"
    write_splits(data, Splits((*OTHERS, replayed), (), ()))
    (use,) = answer(past.ask("crossvul-5f")).runs
    assert (use.learned, use.replayed) == (True, True)
    assert past.explain("crossvul-5f")[-3].endswith("learned it, replayed from Stage 1")
    past.runs[0] = msgspec.structs.replace(past.runs[0], retraining=0)
    with pytest.raises(UnknownExampleError):
        answer(past.ask("crossvul-5f"))


def test_damaged_data_are_passed_over(past: Past) -> None:
    """A line that is no example ends a file, and no file is needed."""
    folder = past.add(1, None)
    folder.project_data.mkdir(parents=True)
    (folder.project_data / "train.jsonl").write_text('{"id":"finding-b","messages":1}\n')
    folder.corpus.write_text('{"id":"finding-b"')
    past.add(2, Splits((OTHERS[1],), (), ()))
    assert [use.run for use in answer(past.ask("finding-b")).runs] == ["20260102_000000"]
