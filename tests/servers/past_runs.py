"""Folders of past runs, and a small real static embedding model, for tests to share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from secdaemon.pipeline.examples import Example, Splits, conversation, write_jsonl, write_splits
from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.interface import PastRun
from secdaemon.pipeline.layout import RunFolder

SUBJECTS = {
    "sql": ("CWE-89", "A query is built from user input", "cursor.execute(sql + userName)"),
    "path": ("CWE-22", "A file name leaves its folder", "open(base_dir + fileName)"),
    "hash": ("CWE-327", "A weak digest protects a password", "hashlib.md5(passWord)"),
}
VOCABULARY = {
    "execute": (1.0, 0.0, 0.0),
    "query": (0.9, 0.1, 0.0),
    "open": (0.0, 1.0, 0.0),
    "file": (0.1, 0.9, 0.0),
    "hashlib": (0.0, 0.0, 1.0),
    "password": (0.0, 0.2, 0.8),
    "[UNK]": (0.3, 0.3, 0.3),
}


def id_of(subject: str, number: int) -> str:
    """Return the id of a finding, as long as real ones are."""
    return f"{sorted(SUBJECTS).index(subject)}{number:031x}"


def finding_of(subject: str, number: int) -> Finding:
    """Return a finding about a subject; equal arguments give the same one."""
    cwe, message, code = SUBJECTS[subject]
    return Finding(
        id=id_of(subject, number),
        tool="semgrep",
        rule=f"python.audit.{subject}-injection",
        severity=Severity.HIGH,
        message=f"{message}.",
        cwes=(cwe,),
        path=f"src/{subject}_{number}.py",
        line=number + 1,
        snippet=f"def call{number}(request):\n    return {code}  # {number}",
    )


def example_of(finding: Finding, approach: str = "code_pattern", quality: str = "high") -> Example:
    """Return an example of a finding whose answer has fixed code in it."""
    code = finding.snippet or ""
    return Example(
        id=f"finding-{finding.id}",
        messages=conversation(
            f"Mend {finding.rule}:\n\n```python\n{code}\n```",
            f"**Fix:** it is checked.\n\n```python\n{code.replace('return ', 'return safe(')})\n```",
        ),
        group=f"path:{finding.path}",
        metadata={
            "finding": finding.id,
            "approach": approach,
            "quality": quality,
            "language": "python",
            "category": "code",
            "cwe": finding.cwes[0],
        },
    )


def make_run(
    root: Path,
    run_id: str,
    train: Sequence[Finding] = (),
    test: Sequence[Finding] = (),
    project: str = "p",
) -> PastRun:
    """Write a run's folder with these findings and their examples by split."""
    folder = RunFolder(root / run_id)
    folder.project_data.mkdir(parents=True, exist_ok=True)
    write_jsonl(folder.findings, [*train, *test])
    taught, measured = (tuple(map(example_of, split)) for split in (train, test))
    write_splits(folder.project_data, Splits(taught, (), measured))
    return PastRun(run_id=run_id, project=project, folder=str(folder.root))


def write_model(folder: Path, **tensors: Any) -> None:
    """Write a model folder in the open format; `tensors` add to its tensors or replace them."""
    tokens = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    rows = np.array(list(VOCABULARY.values()), dtype=np.float32)
    save_file({"embeddings": rows, **tensors}, folder / "model.safetensors")
    config = {"model_type": "model2vec", "normalize": True, "hidden_dim": 3}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
