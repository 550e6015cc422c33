"""Small scans of every format, written for these tests: see `samples/`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.pipeline.findings.model import Parsed
from secdaemon.pipeline.findings.read import read_bytes
from secdaemon.pipeline.findings.redact import Redactor


@pytest.fixture
def read() -> Callable[[Any], Parsed]:
    """Read a JSON value as one member of an artifact."""
    return lambda value: read_bytes(json.dumps(value).encode(), "scan.json", Redactor())


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """Load the sample of a format."""
    folder = Path(__file__).parent / "samples"
    return lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Write a JSON value under a name below the test's folder, which is returned."""

    def put(name: str, value: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
        return tmp_path

    return put


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    """Make a SARIF result at one line."""

    def make(
        rule: str = "r1", uri: str = "src/app.py", line: int = 3, **more: Any
    ) -> dict[str, Any]:
        where = {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}
        base = {
            "ruleId": rule,
            "message": {"text": f"{rule} says no"},
            "locations": [{"physicalLocation": where}],
        }
        return base | more

    return make


@pytest.fixture
def sarif() -> Callable[..., dict[str, Any]]:
    """Make a SARIF log of one run."""

    def make(*results: Any, name: str = "Semgrep OSS", **run: Any) -> dict[str, Any]:
        tool = {"driver": {"name": name, "semanticVersion": "1.2.3", "rules": []}}
        return {"version": "2.1.0", "runs": [{"tool": tool, "results": list(results)} | run]}

    return make
