"""`secdaemon doctor` says what is ready, and gives a cure for everything that is not."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from secdaemon.config.paths import Home

Cli = Callable[..., CompletedProcess[str]]


def checks(done: CompletedProcess[str]) -> dict[str, dict[str, str | None]]:
    """Return the checks of a JSON answer by name."""
    answer = json.loads(done.stdout)
    assert set(answer) == {"ok", "checks"}
    assert answer["ok"] == (done.returncode == 0)
    for check in answer["checks"]:
        assert set(check) == {"name", "status", "detail", "cure"}
        assert check["status"] in ("ready", "warning", "missing")
        assert check["status"] == "ready" or check["cure"], check
    return {check["name"]: check for check in answer["checks"]}


def test_a_home_on_the_embedded_model_can_work(cli: Cli) -> None:
    """Everything that the daemon needs is ready, so the exit status is 0."""
    done = cli("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = checks(done)
    needed = ("home", "inbox", "state", "mlx-lm", "model", "stage 1", "publish")
    assert {name: found[name]["status"] for name in needed} == dict.fromkeys(needed, "ready")
    assert found["daemon"]["status"] == "warning"


def test_what_is_missing_comes_with_its_cure(cli: Cli, home: Home, tmp_path: Path) -> None:
    """A base model, a source and an inbox that are not there are all told at once."""
    (home.root / "inbox").write_text("in the way")
    env = {
        "SECDAEMON_MODELS__BASE": "absent-model",
        "SECDAEMON_STAGE1__SOURCES": f"[{tmp_path / 'absent.jsonl'}]",
    }
    done = cli("doctor", "--json", env=env)
    assert done.returncode == 1
    found = checks(done)
    missing = {name for name, check in found.items() if check["status"] == "missing"}
    assert missing == {"inbox", "model", "stage 1"}
    assert "mlx_lm convert" in str(found["model"]["cure"])
    assert "absent-model" in str(found["model"]["detail"])


def test_people_get_lines(cli: Cli, tmp_path: Path) -> None:
    """Without --json each check is a line, its cure another; looking makes no home."""
    done = cli("doctor", at=tmp_path / "absent")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ready    home")
    assert lines[0].endswith("will be made")
    assert any("cure:" in line for line in lines)
    assert not (tmp_path / "absent" / "state.db").exists()
