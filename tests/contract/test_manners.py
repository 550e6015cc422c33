"""Hours outside of which nothing trains, as a user meets them."""

import json
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config.paths import Home

Cli = Callable[..., subprocess.CompletedProcess[str]]
Make = Callable[..., Path]
NO_MODEL = {"SECDAEMON_MODELS__BASE": "absent-model"}


@pytest.fixture
def closed(home: Home) -> str:
    """Set hours that begin in two hours and end in three; return when they begin."""
    now = datetime.now().astimezone()
    opens, ends = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (2, 3))
    text = home.config_file.read_text(encoding="utf-8")
    asked = f"schedule: {{hours: '{opens}-{ends}', "
    home.config_file.write_text(text.replace("schedule: {", asked), encoding="utf-8")
    return opens


def seen(cli: Cli) -> Any:
    """Return what `status --json` says."""
    return json.loads(cli("status", "--json").stdout)


def test_until_idle_does_not_wait_for_the_night(
    closed: str, cli: Cli, home: Home, make_zip: Make
) -> None:
    """Its data is built, it ends well, and `status` says why no training began, and until when."""
    make_zip(home.root / "inbox" / "scan.zip")
    done = cli("run", "--until-idle", env=NO_MODEL)
    assert done.returncode == 0, done.stderr
    found = seen(cli)
    (run,) = found["runs"]
    told = f"training waits for {closed} (schedule.hours)"
    assert found["daemon"]["problems"] == [told]
    assert (run["state"], run["step"], run["attempts"], run["reason"]) == (
        *("dataset_built", None, 0, None),
    )
    overview = cli("status").stdout.splitlines()
    assert f"problem  {told}" in overview
    assert overview[-1].startswith(run["id"])
    assert overview[-1].endswith(told)
    assert f"waits      {told}" in cli("status", run["id"]).stdout.splitlines()
    anytime = NO_MODEL | {"SECDAEMON_SCHEDULE__HOURS": "null"}
    assert cli("run", "--until-idle", env=anytime).returncode == 1
    found = seen(cli)
    assert (found["daemon"]["problems"], found["runs"][0]["state"]) == ([], "failed")


@pytest.mark.usefixtures("closed")
def test_process_trains_at_any_hour(cli: Cli, home: Home, make_zip: Make) -> None:
    """A person asked for it now: it goes on to its training, which fails for want of a model."""
    make_zip(home.root / "scans" / "scan.zip")
    done = cli("process", "--artifacts-dir", home.root / "scans", "--json", env=NO_MODEL)
    assert done.returncode == 1
    assert "absent-model" in json.loads(done.stdout)["reason"]
