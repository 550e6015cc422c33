"""Wrong use and wrong settings: status 2 and one line that names what is wrong."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from secdaemon.config.paths import Home

Done = subprocess.CompletedProcess[str]
Cli = Callable[..., Done]
Make = Callable[..., Path]
TUNE = ("finetune", "--dataset", __file__, "--output-name")


def refused(done: Done, *words: str) -> None:
    """Check for wrong use: status 2, one line on stderr with these words, nothing on stdout."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("secdaemon: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--config", "any.yaml", "agent", "print"], "--config"),
        ([], "COMMAND"),
        (["nonsense"], "nonsense"),
        (["status", "--nonsense"], "--nonsense"),
        (["status", "one", "two"], "two"),
        (["status", "--limit", "x"], "--limit"),
        (["status", "--limit", "-1"], "--limit"),
        (["status", "absent"], "absent"),
        (["submit"], "PATH"),
        (["submit", "absent.zip"], "absent.zip"),
        (["process"], "--artifacts-dir"),
        (["process", "--artifacts-dir", "absent"], "absent"),
        (["process", "--artifacts-dir", ".", "--source", "absent"], "absent"),
        (["retry"], "RUN"),
        (["retry", "absent"], "absent"),
        (["cancel", "absent"], "absent"),
        (["release", "absent"], "absent"),
        (["report", "absent"], "absent"),
        (["logs", "absent"], "absent"),
        (["validate", "absent"], "absent"),
        (["validate", "/dev/null"], "no folder"),
        (["validate"], "PATH"),
        (["publish", "absent"], "absent"),
        (["publish", "/dev/null"], "no folder"),
        (["export", "absent", "--format", "peft", "--output", "x"], "absent"),
        (["export", "user", "--format", "peft"], "--output"),
        (["export", "user", "--format", "gguf", "--output", "x"], "--format"),
        (["export", "user", "--format", "peft", "--output", "."], "--output"),
        (["finetune", "--output-name", "x"], "--dataset"),
        (["finetune", "--dataset", "absent.jsonl", "--output-name", "x"], "absent.jsonl"),
        (["finetune", "--dataset", "user", "--output-name", "x"], "no file"),
        (["finetune", "--dataset", "/dev/null", "--output-name", "../x"], "--output-name"),
        (
            [*TUNE, "webauthn-security-sequential-20260101_000000"],
            "--output-name",
        ),
        ([*TUNE, "x", "--iterations", "0"], "--iterations"),
        ([*TUNE, "x", "--iterations", "²"], "--iterations"),
        ([*TUNE, "x", "--learning-rate", "0"], "--learning-rate"),
        ([*TUNE, "x", "--learning-rate", "nan"], "--learning-rate"),
        ([*TUNE, "x", "--resume-adapter", "absent"], "absent"),
        (["dashboard", "--port", "65536"], "--port"),
        (["dashboard", "--port", "web"], "--port"),
        (["dashboard", "extra"], "extra"),
        (["agent", "nonsense"], "nonsense"),
        (["agent", "status", "--dry-run"], "--dry-run"),
        (["run", "extra"], "extra"),
        (["--config", "absent.yaml", "status"], "absent.yaml"),
        (["--config"], "--config"),
    ],
)
def test_wrong_use_is_one_line_that_names_it(cli: Cli, arguments: list[str], word: str) -> None:
    """Status 2, never a traceback."""
    refused(cli(*arguments), word)


@pytest.mark.parametrize("command", ["retry", "cancel", "release", "status", "logs", "report"])
def test_an_unknown_run_of_a_used_home_is_wrong_use(
    cli: Cli, make_zip: Make, home: Home, command: str
) -> None:
    """With other runs there, the sentence says where to look."""
    assert cli("submit", make_zip(home.root / "scan.zip")).returncode == 0
    refused(cli(command, "20990101_000000"), "20990101_000000", "secdaemon status")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stage3: {iterations: 1}", ["stage3", "did you mean stage"]),
        ("stage1: {iteration: 1}", ["stage1.iteration", "stage1.iterations"]),
        ("iterations: 1", ["iterations", "stage1.iterations"]),
        ("stage1: {iterations: many}", ["stage1.iterations"]),
        ("stage1: {iterations: -1}", ["stage1.iterations"]),
        ("retention: {threshold: 90}", ["retention.threshold"]),
        ("stage1: {iterations: [", ["not valid YAML"]),
        ("- a list", ["config.yaml"]),
        ("publish: folder", ["publish"]),
    ],
)
def test_a_wrong_setting_names_its_key(cli: Cli, home: Home, text: str, words: list[str]) -> None:
    """An unknown key, a wrong type, an impossible value and no YAML at all are told apart."""
    home.config_file.write_text(text)
    refused(cli("submit", "config.yaml"), *words)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--until-idle"],
        ["submit", "user"],
        ["doctor", "--json"],
        ["process", "--artifacts-dir", "user"],
        ["validate", "user"],
        ["publish", "user"],
        ["export", "user", "--format", "peft", "--output", "x"],
        ["finetune", "--dataset", __file__, "--output-name", "x"],
        ["dashboard", "--no-open"],
        ["status", "--json"],
        ["init"],
    ],
)
def test_no_command_works_with_wrong_settings(cli: Cli, home: Home, arguments: list[str]) -> None:
    """Each names the key and does nothing."""
    home.config_file.write_text("stage1: {iteration: 1}")
    refused(cli(*arguments), "stage1.iteration")
    assert not home.database.exists()


def test_a_wrong_override_names_its_key(cli: Cli) -> None:
    """The environment is validated like the file."""
    refused(cli("status", env={"SECDAEMON_STAGE1__ITERATIONS": "many"}), "stage1.iterations")
    refused(cli("status", env={"SECDAEMON_STAGE1__NONSENSE": "1"}), "stage1.nonsense")


@pytest.mark.parametrize(
    "arguments",
    [
        ["init"],
        ["run", "--until-idle"],
        ["submit", "user"],
        ["pause"],
        ["process", "--artifacts-dir", "user"],
        ["demo"],
    ],
)
def test_a_home_that_cannot_be_written_is_named(cli: Cli, arguments: list[str]) -> None:
    """Below a file no folder can be made."""
    refused(cli(*arguments, at=Path("/dev/null/x")), "/dev/null/x")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"this is no database, and it is long enough to be read as one" * 20, "state.db"),
        ("PRAGMA user_version = 99", "newer secdaemon"),
        ("CREATE TABLE foreign_one (a)", "not a database of secdaemon"),
    ],
)
def test_a_state_db_that_is_not_ours_is_told(
    cli: Cli, home: Home, content: bytes | str, word: str
) -> None:
    """One sentence says what to do, for reading and for working, and the file stays."""
    if isinstance(content, bytes):
        home.database.write_bytes(content)
    else:
        with sqlite3.connect(home.database) as db:
            db.execute(content)
        db.close()
    before = home.database.read_bytes()
    refused(cli("status"), word)
    refused(cli("run", "--until-idle"), word)
    assert home.database.read_bytes() == before
