"""What the examples of an artifact are made of: how each answer came about, and if it is good.

The artifact is the real CI run of the corpus beside the project. Its findings are answered once
without a checkout, and once with a tree of our own (`trees.py`) in which every place that a finding
names holds our code.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.table import Row, show
from benchmarks.trees import lay_out
from secdaemon.config.files import write_file
from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.dataset import Dataset, build
from secdaemon.pipeline.evaluation.blocks import blocks
from secdaemon.pipeline.examples import Example, Splits, write_jsonl
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.findings.parse import parse_folder
from secdaemon.pipeline.fixes.code_words import code_words
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.interface import Job, Origin
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.splitting.leaks import leaks

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "webauthn-392"
_SALT = "5e" * 16
_NAMES = {
    "dockerfile": "Dockerfile",
    "go": "a.go",
    "groovy": "a.gradle",
    "html": "a.html",
    "java": "A.java",
    "javascript": "a.js",
    "json": "a.json",
    "kotlin": "A.kt",
    "python": "a.py",
    "toml": "a.toml",
    "typescript": "a.ts",
    "xml": "a.xml",
    "yaml": "a.yaml",
}
"""A file name of each language that a fix is written in."""


def measure(work: Path, artifact: Path = CORPUS) -> None:
    """Print what the examples of an artifact are made of, without and with a checkout."""
    if not artifact.is_dir():
        print(f"\nexamples: {artifact.name} is not beside the project, nothing to measure")
        return
    findings = parse_folder(artifact).kept
    shutil.rmtree(work / "examples", ignore_errors=True)
    built = _built(work / "examples" / "none", findings)
    show_examples(f"examples of {artifact.name}, no checkout", built)
    tree = work / "examples" / "tree"
    tree.mkdir(parents=True)
    commit = lay_out(tree, findings)
    # What the scans quote is another project's code, at the same places.
    ours = tuple(msgspec.structs.replace(f, snippet=None, edits=()) for f in findings)
    built = _built(work / "examples" / "own", ours, tree, commit)
    show_examples(f"examples of {artifact.name}, a tree of our own as its checkout", built)


def _built(
    folder: Path, findings: Sequence[Finding], source: Path | None = None, commit: str | None = None
) -> Dataset:
    """Return the data set of some findings, as a run of a fresh home builds it."""
    folder.mkdir(parents=True)
    run = RunFolder(folder / "run")
    run.root.mkdir()
    write_jsonl(run.findings, findings)
    write_file(run.suppressed, b"")
    origin = Origin(kind="manual", name="benchmark", sha256="0" * 64, size=1, head_sha=commit)
    job = Job(
        run_id="20260101_000000",
        project="benchmark",
        origin=origin,
        archive=str(folder / "artifact.zip"),
        run_dir=str(run.root),
        stage1_dir=str(folder / "stage1"),
        lock_file=str(folder / "lock"),
        now="2026-01-01T00:00:00Z",
        settings=load_settings(Home(root=folder, chosen=True)),
        salt=_SALT,
        source_dir=str(source) if source else None,
    )
    return build(job)


def show_examples(title: str, built: Dataset) -> None:
    """Print the counts of a data set."""
    examples = built.examples
    with_code = [example for example in examples if "score" in example.metadata]
    answers = Counter(example.messages[2].content for example in examples)
    rows = [
        Row("examples", f"{len(examples)}"),
        *_shares("approach", examples),
        *_shares("quality", examples),
        Row("answers with a fix that parse", _of(sum(map(_parses, with_code)), with_code), "all"),
        Row("fixes equal to the code", _of(sum(map(_is_equal, with_code)), with_code), "none"),
        Row("distinct answers", _of(len(answers), examples), "all"),
        Row("leaks across splits", f"{_leaks(built.splits)}", "none"),
        *(Row(f"dropped, {reason}", f"{count}") for reason, count in built.dropped_fixes.items()),
    ]
    show(title, rows)


def _leaks(splits: Splits) -> int:
    parts = {"training": splits.train, "validation": splits.valid, "test": splits.test}
    return sum(1 for _ in leaks(parts))


def _shares(key: str, examples: Sequence[Example]) -> list[Row]:
    counts = Counter(example.metadata[key] for example in examples)
    return [Row(f"{key} {name}", _of(count, examples)) for name, count in sorted(counts.items())]


def _of(count: int, among: Sequence[Example]) -> str:
    share = f" ({count / len(among):.0%})" if among else ""
    return f"{count} of {len(among)}{share}"


def _codes(example: Example) -> tuple[str, str]:
    """Return the last fenced code of the question and of the answer."""
    question, answer = (blocks(turn.content)[-1].code for turn in example.messages[1:])
    return question, answer


def _parses(example: Example) -> bool:
    before, after = _codes(example)
    return parses(_name(example), before, after) is True


def _is_equal(example: Example) -> bool:
    before, after = (code_words(_name(example), code) for code in _codes(example))
    return before == after


def _name(example: Example) -> str:
    return _NAMES.get(example.metadata["language"], "a.txt")
