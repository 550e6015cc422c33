"""What is sent, laid out as it will stand: `model/` and `dataset/`, before anything goes."""

from pathlib import Path

import msgspec

from secdaemon.config.files import copy_tree, write_file
from secdaemon.pipeline.account import cards
from secdaemon.pipeline.account.cards import Partner
from secdaemon.pipeline.account.manifest import Manifest
from secdaemon.pipeline.account.recipe import recipe
from secdaemon.pipeline.evaluation.model import Comparison
from secdaemon.pipeline.examples import Example, read_splits, write_jsonl
from secdaemon.pipeline.interface import Gate
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.splitting.splits import REPLAY_MARK

MANIFEST = "run-manifest.json"
RESULTS = "evaluation_results.json"
SPLITS = ("train", "valid", "test")
REPLAYED = "replayed-from-stage1.jsonl"
_STAGES = ("stage1", "stage2")


class Reference(msgspec.Struct, frozen=True):
    """A public example that was replayed: named and not copied, as its licence may ask."""

    id: str
    group: str
    source: str


def lay_out(folder: RunFolder, staged: Path) -> None:
    """Write everything of a run that is to be sent, but the gates' results.

    Raises:
        OSError: a file is missing or cannot be written.
    """
    model, data = staged / "model", staged / "dataset"
    copy_tree(folder.final_model, model)
    for stage in _STAGES:
        results = folder.root / stage / "evaluation"
        for found in sorted(results.glob("*/evaluation_results.json")):
            name = f"{stage}-test-{found.parent.name}.json"
            write_file(model / "evaluation" / name, found.read_bytes())
    if folder.comparison.is_file():
        write_file(model / RESULTS, folder.comparison.read_bytes())
    for name in SPLITS:
        source = folder.project_data / f"{name}.jsonl"
        write_file(data / source.name, source.read_bytes())
    write_jsonl(data / REPLAYED, _references(read_splits(folder.stage2.data).train))


def _references(train: tuple[Example, ...]) -> list[Reference]:
    return [
        Reference(example.id, example.group, example.metadata.get("source", ""))
        for example in train
        if REPLAY_MARK in example.metadata
    ]


def describe(staged: Path, gates: tuple[Gate, ...], report: str) -> None:
    """Write the texts that name the gates' results: manifests, recipe and report."""
    path = staged / "model" / MANIFEST
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    own = {gate.name for gate in gates}
    kept = tuple(gate for gate in manifest.gates if gate.name not in own)
    manifest = msgspec.structs.replace(manifest, gates=(*kept, *gates))
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_file(path, text)
    write_file(staged / "dataset" / MANIFEST, text)
    write_file(staged / "model" / "training-recipe.yaml", recipe(manifest))
    write_file(staged / "model" / "report.html", report)
    point(staged)


def _results(staged: Path) -> Comparison | None:
    """Return all models side by side, where that was written."""
    path = staged / "model" / RESULTS
    return msgspec.json.decode(path.read_bytes(), type=Comparison) if path.is_file() else None


def point(staged: Path, dataset: Partner | None = None, model: Partner | None = None) -> None:
    """Write both cards, each with where the other one's repository stands, as far as is known."""
    path = staged / "model" / MANIFEST
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    write_file(
        staged / "model" / "README.md", cards.model_card(manifest, dataset, _results(staged))
    )
    write_file(staged / "dataset" / "README.md", cards.dataset_card(manifest, model))
