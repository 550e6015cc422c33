"""Where everything of one run lies: the run directory as the sequential plan lays it out."""

from pathlib import Path

import msgspec

RUN_DIR_PREFIX = "webauthn-security-sequential-"
"""A run directory's name is this and the run's id."""


class StageFolder(msgspec.Struct, frozen=True):
    """The folder of one stage."""

    root: Path

    @property
    def adapters(self) -> Path:
        """`adapters.safetensors` and `adapter_config.json`, as mlx-lm reads them."""
        return self.root / "adapters"

    @property
    def data(self) -> Path:
        """train.jsonl, valid.jsonl, test.jsonl."""
        return self.root / "training-data"

    @property
    def evaluation(self) -> Path:
        """One folder a model and split that was measured."""
        return self.root / "evaluation"

    @property
    def losses(self) -> Path:
        """The loss history of the training, one object a line."""
        return self.root / "losses.jsonl"


class RunFolder(msgspec.Struct, frozen=True):
    """One run directory."""

    root: Path

    @property
    def unpacked(self) -> Path:
        """The artifact's members; gone once the run has ended (the archive keeps the zip)."""
        return self.root / "work" / "artifact"

    @property
    def findings(self) -> Path:
        """The kept findings, one object a line."""
        return self.root / "findings.jsonl"

    @property
    def suppressed(self) -> Path:
        """The findings that their scanner suppressed or skipped."""
        return self.root / "suppressed.jsonl"

    @property
    def corpus(self) -> Path:
        """What the project's findings up to this run teach: see `pipeline/past/corpus.py`."""
        return self.root / "corpus.jsonl"

    @property
    def project_data(self) -> Path:
        """The project's own examples by split, before replay is mixed in."""
        return self.root / "dataset"

    @property
    def stage1(self) -> StageFolder:
        """The Stage 1 result this run builds on."""
        return StageFolder(self.root / "stage1")

    @property
    def stage2(self) -> StageFolder:
        """The Stage 2 training."""
        return StageFolder(self.root / "stage2")

    @property
    def healing(self) -> Path:
        """What was tried where Stage 2 forgot too much; not there where nothing had to be."""
        return self.root / "healing"

    @property
    def comparison(self) -> Path:
        """Every model on both test splits, side by side."""
        return self.root / "evaluation_results.json"

    @property
    def cases(self) -> Path:
        """One file a test case, with what every model makes of it."""
        return self.root / "model_evaluation"

    @property
    def final_model(self) -> Path:
        """What is published."""
        return self.root / "final-model"

    @property
    def manifest(self) -> Path:
        """`run-manifest.json`, version 2.0."""
        return self.root / "run-manifest.json"

    @property
    def report(self) -> Path:
        """The report a person reads."""
        return self.root / "report.html"
