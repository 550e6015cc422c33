"""A run's models side by side, from real measurements of the embedded model."""

from pathlib import Path

import msgspec
import pytest

from secdaemon.config import schema
from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline import side_by_side
from secdaemon.pipeline.account.report_comparison import side_by_side as section
from secdaemon.pipeline.account.report_data import ReportData
from secdaemon.pipeline.evaluation.model import Case, Comparison
from secdaemon.pipeline.examples import Example, Splits, conversation, write_splits
from secdaemon.pipeline.fixes.quote import fenced
from secdaemon.pipeline.interface import (
    Interval,
    Job,
    Metrics,
    Origin,
    Outputs,
    Progress,
    RetentionOutput,
    RetentionResult,
    TwoSplits,
)
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.measure import Split, measure

NOTHING = Interval(value=None, ci_low=None, ci_high=None)
UNKNOWN = Metrics(examples=0, loss=None, perplexity=None, token_accuracy=None)
JUDGED = RetentionOutput(
    stage1_test=UNKNOWN,
    retention=RetentionResult(
        value=None,
        ci_low=None,
        ci_high=None,
        threshold=0.9,
        passed=False,
        gain=NOTHING,
        token_accuracy_ratio=None,
        reason="undefined",
    ),
    gates=(),
)


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def fixes(prefix: str, category: str, count: int) -> tuple[Example, ...]:
    """Return short examples with code in question and answer."""
    return tuple(
        Example(
            id=f"{prefix}{n}",
            messages=conversation(
                f"Fix {n}.\n\n{fenced(f'a = eval(x{n})', 'python')}",
                f"CWE-95.\n\n{fenced(f'a = int(x{n})', 'python')}",
            ),
            group=f"{prefix}{n}",
            metadata={
                "source": prefix,
                "category": category if n else "web",
                "cwe": "CWE-95",
                "language": "python",
            },
        )
        for n in range(count)
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, evaluation: schema.Evaluation) -> Job:
    """Return a job of a run on the embedded model."""
    tmp_path = tmp_path_factory.mktemp("side-by-side")
    short = msgspec.structs.replace(evaluation, max_tokens=8)
    home = Home(tmp_path / "home", chosen=True)
    settings = load_settings(home, environ={"SECDAEMON_MODELS__BASE": "embedded:tiny"})
    return Job(
        run_id="20260101_000000",
        project="p",
        origin=Origin(kind="manual", name="x", sha256="0" * 64, size=1),
        archive=str(tmp_path / "x.zip"),
        run_dir=str(tmp_path / "run"),
        stage1_dir=str(tmp_path / "stage1"),
        lock_file=str(tmp_path / "lock"),
        now="2026-01-01T00:00:00Z",
        settings=msgspec.structs.replace(settings, evaluation=short),
        salt="00",
    )


@pytest.fixture(scope="module")
def measured(job: Job, base: Path, trained: Path) -> RunFolder:
    """Return the folder of a run whose models were measured on both test splits."""
    folder = RunFolder(Path(job.run_dir))
    for stage, examples in (
        (folder.stage1, fixes("k", "code", 3)),
        (folder.stage2, fixes("n", "webauthn", 2)),
    ):
        write_splits(stage.data, Splits((), (), examples))
        for name in ("base", "stage1", "stage2", "healed"):
            adapter = None if name == "base" else trained / "adapters"
            measure(job, Split(examples, stage.evaluation), name, base, adapter, unheard)
    return folder


def test_everything_measured_stands_side_by_side(job: Job, measured: RunFolder) -> None:
    """Both files are written from what is kept; a model that the verdict does not name is out."""
    found = side_by_side.write(job, JUDGED)
    assert found.matrix.models == ("base", "stage1", "stage2")
    assert msgspec.json.decode(measured.comparison.read_bytes(), type=Comparison) == found
    paths = sorted(measured.cases.iterdir())
    assert [path.name for path in paths] == [
        "stage1-k0.json",
        "stage1-k1.json",
        "stage1-k2.json",
        "stage2-n0.json",
        "stage2-n1.json",
    ]
    case = msgspec.json.decode(paths[-1].read_bytes(), type=Case)
    assert list(case.models) == ["base", "stage1", "stage2"]
    assert case.models["base"].edited_tokens < case.models["base"].tokens
    assert set(found.specialisation.categories) == {"web", "webauthn"}
    before = {path.name: path.read_bytes() for path in paths}
    assert side_by_side.write(job, JUDGED) == found
    assert {path.name: path.read_bytes() for path in measured.cases.iterdir()} == before


def test_a_healed_model_stands_there_where_the_verdict_has_one(
    job: Job, measured: RunFolder
) -> None:
    """The healed model is measured, so it is shown once the output names it."""
    two = TwoSplits(stage1_test=UNKNOWN, stage2_test=UNKNOWN)
    found = side_by_side.write(job, msgspec.structs.replace(JUDGED, healed=two))
    assert "healed" in found.matrix.models
    assert found.transfer.backward is not None
    assert found.transfer.backward.model == "healed"


def test_the_report_shows_every_model(job: Job, measured: RunFolder) -> None:
    """The page has each model's row, its gains, what it wrote and the categories."""
    data = ReportData(job=job, outputs=Outputs(), comparison=side_by_side.write(job, JUDGED))
    page = section(data)
    assert page is not None
    for text in ("Base", "Stage 2 over Stage 1", "CodeBLEU", "backward transfer", "webauthn"):
        assert text in page
    assert section(ReportData(job=job, outputs=Outputs())) is None
