"""What tests of the whole house share: a small home, small scan zips, the command line for real."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.interface import ExampleCounts, Metrics, Stage1Output, TrainingSummary
from secdaemon.pipeline.stage1_record import RECORD_FILE, Record
from secdaemon.state.store import Store, open_store

# No test asserts a time. On CI the same examples come every time; what a developer's run finds by
# chance becomes a test of its own.
hypothesis_settings.register_profile("local", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "local")

SETTINGS = """\
inbox: {stable_seconds: 0.2, broken_seconds: 1}
models: {base: "embedded:tiny"}
training: {max_seq_length: 512, checkpoint_every: 5}
stage1: {sources: [embedded], iterations: 10, learning_rate: 2.0e-4}
stage2: {iterations: 10, learning_rate: 4.0e-5}
evaluation: {max_examples: 12, generate_examples: 0, bootstrap_samples: 200}
publish: {target: folder}
schedule: {backoff_seconds: 0.2, nice: 0}
"""
DEADLINE_SECONDS = 60.0
"""How long a real process may take before a test gives up on it."""
_WEAKNESSES = (
    ("sql-injection", "CWE-89", "User input is concatenated into an SQL statement."),
    ("path-traversal", "CWE-22", "A file name from the request is opened unchecked."),
    ("command-injection", "CWE-78", "A shell command is built from user input."),
    ("weak-hash", "CWE-327", "MD5 protects nothing against a forger."),
    ("open-redirect", "CWE-601", "The redirect target comes from the query."),
    ("xxe", "CWE-611", "The XML parser resolves external entities."),
)


def sarif(name: str, count: int) -> str:
    """Return a SARIF log of `count` results that differ in rule, weakness and file."""
    rules = []
    results = []
    for number in range(count):
        rule, cwe, text = _WEAKNESSES[number % len(_WEAKNESSES)]
        rule_id = f"{name}.{rule}.{number}"
        rules.append({"id": rule_id, "properties": {"tags": [cwe, "security"]}})
        place = {
            "artifactLocation": {"uri": f"src/{name}{number}/handler{number}.py"},
            "region": {
                "startLine": 10 + number,
                "snippet": {"text": f"value{number} = read_{name}(request, {number})"},
            },
        }
        results.append(
            {
                "ruleId": rule_id,
                "level": "error",
                "message": {"text": f"{text} ({name} {number})"},
                "locations": [{"physicalLocation": place}],
            }
        )
    driver = {"name": "example-scanner", "version": "1.0", "rules": rules}
    return json.dumps(
        {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    )


@pytest.fixture(scope="session")
def make_zip() -> Callable[..., Path]:
    """Return a maker of zips with fixed times: (path, {member: content}), else a small scan."""

    def make(
        path: Path,
        members: dict[str, str | bytes] | None = None,
        *,
        name: str = "a",
        count: int = 6,
    ) -> Path:
        content = {"scan.sarif": sarif(name, count)} if members is None else members
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in content.items():
                archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), data)
        return path

    return make


@pytest.fixture(scope="session")
def make_sarif() -> Callable[[str, int], str]:
    """Return the maker of SARIF logs."""
    return sarif


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a made home with small settings."""
    home = Home(root=tmp_path / "home", chosen=True)
    home.make()
    home.config_file.write_text(SETTINGS, encoding="utf-8")
    return home


@pytest.fixture
def settings(home: Home) -> Settings:
    """Return the small settings of the home."""
    return load_settings(home, environ={})


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    """Yield the home's open store."""
    opened = open_store(home)
    yield opened
    opened.close()


@pytest.fixture
def make_stage1(home: Home) -> Callable[..., Path]:
    """Return a maker of Stage 1 results without a model: (fingerprint, created_at, run)."""
    nothing = Metrics(examples=1, loss=1.0, perplexity=2.7, token_accuracy=0.5)

    def make(fingerprint: str, created_at: str, run: str = "20200101_000000") -> Path:
        folder = home.stage1 / fingerprint
        (folder / "adapters").mkdir(parents=True)
        content = fingerprint.encode() * 100
        (folder / "adapters" / "adapters.safetensors").write_bytes(content)
        record = Record(
            run=run,
            request="request",
            base="embedded:tiny",
            output=Stage1Output(
                fingerprint=fingerprint,
                reused=False,
                created_at=created_at,
                folder=str(folder),
                base_metrics=nothing,
                metrics=nothing,
                examples=ExampleCounts(train=8, validation=1, test=1),
                left_out={},
                revisions={"embedded": "1"},
                training=TrainingSummary(
                    iterations=9, examples=8, tokens=9, first_loss=2.0, last_loss=1.0, seconds=1.0
                ),
            ),
            files={"adapters/adapters.safetensors": hashlib.sha256(content).hexdigest()},
        )
        (folder / RECORD_FILE).write_bytes(msgspec.json.encode(record))
        return folder

    return make


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Return a waiter for what another process does: (condition); it fails after a deadline."""

    def wait(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            pause.wait(0.05)

    return wait


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return an environment without this machine's settings, with a user folder of its own."""
    (tmp_path / "user").mkdir()
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(tmp_path / "user"),
        "LANG": "C.UTF-8",
        "COLUMNS": "200",
    }


@pytest.fixture
def start(
    home: Home, environ: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Yield a starter of real `secdaemon` processes in the home; what still runs is ended."""
    running: list[subprocess.Popen[str]] = []

    def begin(
        *args: str | Path, env: dict[str, str] | None = None, at: Path | None = None
    ) -> subprocess.Popen[str]:
        where = ["--home", str(at or home.root)]
        process = subprocess.Popen(
            [sys.executable, "-m", "secdaemon.daemon", *where, *map(str, args)],
            env=environ | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def cli(
    start: Callable[..., subprocess.Popen[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a runner of whole commands: (*args, env=…, at=…) to a CompletedProcess."""

    def run(
        *args: str | Path, env: dict[str, str] | None = None, at: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = start(*args, env=env, at=at)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
