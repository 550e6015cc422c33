"""What a person reads, and the exit status that a script reads."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.launchd.agent import Agent, AgentStatus
from secdaemon.launchd.arguments import add_arguments
from secdaemon.launchd.cli import describe, perform, run
from secdaemon.launchd.launchctl import Completed, Printed
from secdaemon.launchd.surroundings import missing_variables

PLIST = Path("/Users/ada/Library/LaunchAgents/com.secdaemon.agent.plist")


def not_loaded_before(argv: Sequence[str]) -> Completed:
    """Answer as launchctl does where no agent is loaded and everything works."""
    return Completed(returncode=113 if argv[1] == "print" else 0, stdout="", stderr="")


def broken(argv: Sequence[str]) -> Completed:
    """Answer as a launchctl that refuses everything."""
    return Completed(returncode=1, stdout="", stderr=f"{argv[1]}: no")


def agent_in(folder: Path) -> Agent:
    """Return an agent on macOS in a folder of its own."""
    return Agent(
        home=Home(root=folder / "home", chosen=True),
        interpreter=Path(sys.executable),
        path_variable="/usr/bin",
        folder=folder / "LaunchAgents",
        uid=501,
        platform="darwin",
        runner=not_loaded_before,
    )


def parser_with(default: str | None) -> argparse.ArgumentParser:
    """Return a parser with the agent's arguments alone."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, default)
    return parser


def test_the_default_action() -> None:
    """With a default the action may be left out; without one it is wrong use."""
    args = parser_with("install").parse_args([])
    assert (args.action, args.dry_run) == ("install", False)
    args = parser_with(None).parse_args(["status", "--dry-run"])
    assert (args.action, args.dry_run) == ("status", True)
    for default, words in ((None, []), (None, ["instal"]), ("install", ["remove"])):
        with pytest.raises(SystemExit) as caught:
            parser_with(default).parse_args(words)
        assert caught.value.code == 2


def test_print_gives_the_list_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`print` works on every system and writes nothing but the property list."""
    args = parser_with(None).parse_args(["print"])
    assert run(args, Home(root=tmp_path / "h", chosen=True)) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("<?xml")
    assert captured.out.endswith("</plist>\n")
    assert str(tmp_path / "h" / "logs" / "launchd.log") in captured.out
    assert captured.err == ""
    assert not (tmp_path / "h").exists()


def test_install_then_uninstall(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both end with 0 and say what they did on standard output."""
    agent = agent_in(tmp_path)
    assert perform("install", dry_run=False, agent=agent) == 0
    assert f"Wrote {agent.plist}.\n" in capsys.readouterr().out
    assert perform("status", dry_run=False, agent=agent) == 0
    assert capsys.readouterr().out == (
        f"com.secdaemon.agent is not loaded.\n{agent.plist} is up to date.\n"
    )
    assert perform("uninstall", dry_run=False, agent=agent) == 0
    assert f"Removed {agent.plist}.\n" in capsys.readouterr().out


def test_a_refusal_of_launchd_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on standard error names the command; standard output stays empty."""
    agent = msgspec.structs.replace(agent_in(tmp_path), runner=broken)
    for action in ("install", "uninstall", "status"):
        assert perform(action, dry_run=False, agent=agent) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("secdaemon: `/bin/launchctl print gui/501/")
        assert captured.err.count("\n") == 1


def test_a_wrong_config_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon that would only stop again is not installed; the key is named."""
    agent = agent_in(tmp_path)
    agent.home.make()
    agent.home.config_file.write_text("stage2: {iteration: 7}\n", encoding="utf-8")
    assert perform("install", dry_run=False, agent=agent) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("secdaemon: stage2.iteration: unknown key")
    assert not agent.plist.exists()


def test_a_home_that_cannot_be_made_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the home's place is wrong use, in one line."""
    agent = agent_in(tmp_path)
    agent.home.root.write_text("a file", encoding="utf-8")
    assert perform("install", dry_run=False, agent=agent) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert not agent.plist.exists()


def test_a_dry_run_of_a_question_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` and `print` change nothing, so that --dry-run is a mistake there."""
    assert perform("status", dry_run=True, agent=agent_in(tmp_path)) == 2
    assert "--dry-run goes with install and uninstall" in capsys.readouterr().err


def test_guarded_folders_and_lost_variables_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inbox in Downloads is warned of, and a token is named without its value."""
    for name in missing_variables(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setenv("SECDAEMON_INBOX__DIR", "/elsewhere")
    agent = agent_in(tmp_path)
    agent.home.make()
    agent.home.config_file.write_text("inbox: {dir: ~/Downloads/scans}\n", encoding="utf-8")
    assert perform("install", dry_run=False, agent=agent) == 0
    out = capsys.readouterr().out
    assert f"Careful: macOS keeps {tmp_path}/Downloads/scans from agents" in out
    assert out.count("Careful") == 1
    assert "The agent does not see HF_TOKEN, SECDAEMON_INBOX__DIR of this shell" in out
    assert "planted" not in out


def status_of(printed: Printed | None, **changes: object) -> AgentStatus:
    """Return the status of an installed, unchanged agent, with changes."""
    status = AgentStatus(
        plist=PLIST, installed=True, printed=printed, differs=(), missing_interpreter=None
    )
    return msgspec.structs.replace(status, **changes)


def test_how_an_agent_is_described() -> None:
    """Running, ended, killed, changed and absent agents have sentences of their own."""
    running = Printed(state="running", pid=77, exit_code=None, signal=None)
    assert describe(status_of(running)) == (
        "com.secdaemon.agent is loaded and runs as process 77.",
        "It has not ended since it was loaded.",
        f"{PLIST} is up to date.",
    )
    ended = Printed(state="not running", pid=None, exit_code=0, signal=None)
    assert describe(status_of(ended))[:2] == (
        "com.secdaemon.agent is loaded and does not run (not running).",
        "It last ended with exit status 0.",
    )
    killed = Printed(state="spawn scheduled", pid=None, exit_code=None, signal="Killed: 9")
    assert describe(status_of(killed))[1] == "It was last ended by a signal (Killed: 9)."
    assert describe(status_of(None, installed=False)) == (
        "com.secdaemon.agent is not loaded.",
        f"{PLIST} is not there: `secdaemon agent install` writes it.",
    )
    moved = status_of(None, differs=("Nice", "Umask"), missing_interpreter="/old/python")
    assert describe(moved)[1:] == (
        (
            f"{PLIST} differs from what would be written now in Nice, Umask: "
            "`secdaemon agent install` renews it."
        ),
        "The interpreter it starts, /old/python, is gone.",
    )
