"""The property list: every key, and nothing of the environment but $PATH."""

import os
import plistlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.launchd.agent import local_agent
from secdaemon.launchd.plist import absolute_path, agent_plist, to_bytes

HOME = Home(root=Path("/Users/ada/sec home"), chosen=True)
INTERPRETER = Path("/Users/ada/secdaemon/.venv/bin/python")


def test_every_key_of_the_list() -> None:
    """What plistlib reads back is the whole list, with no key more."""
    data = to_bytes(agent_plist(HOME, INTERPRETER, "/opt/homebrew/bin:/usr/bin:/bin"))
    log = "/Users/ada/sec home/logs/launchd.log"
    assert plistlib.loads(data) == {
        "Label": "com.secdaemon.agent",
        "ProgramArguments": [
            "/Users/ada/secdaemon/.venv/bin/python",
            "-m",
            "secdaemon.daemon",
            "--home",
            "/Users/ada/sec home",
            "run",
        ],
        "WorkingDirectory": "/Users/ada/sec home",
        "EnvironmentVariables": {
            "PATH": "/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "SECDAEMON_LAUNCHD": "1",
        },
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False, "Crashed": True},
        "ThrottleInterval": 30,
        "ExitTimeOut": 60,
        "ProcessType": "Interactive",
        "LowPriorityIO": True,
        "Umask": 63,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }


def test_the_same_input_gives_the_same_bytes() -> None:
    """The list is reproducible and an XML property list, as launchd wants it."""
    one = to_bytes(agent_plist(HOME, INTERPRETER, "/bin"))
    assert one == to_bytes(agent_plist(HOME, INTERPRETER, "/bin"))
    assert one.startswith(b"<?xml")


def test_the_default_home_is_not_named() -> None:
    """`--home` would move the model folders into the home, so a default home goes without it."""
    home = Home(root=Path("/Users/ada/secdaemon"), chosen=False)
    assert agent_plist(home, INTERPRETER, "")["ProgramArguments"] == [
        str(INTERPRETER),
        "-m",
        "secdaemon.daemon",
        "run",
    ]


def test_no_secret_of_the_environment_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens of the shell that installs the agent do not reach the list."""
    planted = {
        "GITHUB_TOKEN": "ghp_planted0123456789",
        "HF_TOKEN": "hf_planted0123456789",
        "SECDAEMON_NOTIFY__COMMAND": "planted-override",
    }
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    text = local_agent(HOME).print_plist()
    assert os.environ["HF_TOKEN"] == "hf_planted0123456789"
    assert "planted" not in text
    assert "TOKEN" not in text


def test_a_relative_path_entry_is_dropped() -> None:
    """Empty and relative entries would mean the working directory, where scans are dropped."""
    assert (
        absolute_path(":.:bin:/opt/bin::/bin:/opt/bin") == "/opt/bin:/bin:/usr/bin:/usr/sbin:/sbin"
    )


@given(st.text())
def test_any_path_variable_becomes_absolute_and_keeps_the_system(path: str) -> None:
    """Whatever $PATH holds, each entry is absolute and stands once, and the system's are there."""
    entries = absolute_path(path).split(":")
    assert all(entry.startswith("/") for entry in entries)
    assert len(entries) == len(set(entries))
    assert {"/usr/bin", "/bin", "/usr/sbin", "/sbin"} <= set(entries)
    assert absolute_path(":".join(entries)) == ":".join(entries)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_any_printable_home_survives_the_xml(name: str) -> None:
    """A home with spaces, quotes, brackets or other scripts is read back unchanged."""
    home = Home(root=Path("/Users") / f"x{name}", chosen=True)
    plist = plistlib.loads(to_bytes(agent_plist(home, INTERPRETER, "/bin")))
    assert plist["WorkingDirectory"] == str(home.root)
