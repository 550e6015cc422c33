"""The agent's commands in their order, against a runner that records them."""

import plistlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.launchd.agent import (
    BOOTSTRAP_ATTEMPTS,
    GONE_POLLS,
    POLL_SECONDS,
    RETRY_SECONDS,
    Agent,
)
from secdaemon.launchd.launchctl import AgentError, Completed, Printed
from secdaemon.launchd.plist import EXIT_TIMEOUT

TARGET = "gui/501/com.secdaemon.agent"
WELL = Completed(returncode=0, stdout="", stderr="")
LOADED = Completed(
    returncode=0, stdout=f"{TARGET} = {{\n\tstate = running\n\tpid = 77\n}}\n", stderr=""
)
ABSENT = Completed(
    returncode=113,
    stdout="",
    stderr='Bad request.\nCould not find service "com.secdaemon.agent" in domain for user gui: 501',
)
BUSY = Completed(
    returncode=5,
    stdout="",
    stderr="Bootstrap failed: 5: Input/output error\nTry re-running the command as root.",
)
NO_SESSION = Completed(
    returncode=125, stdout="", stderr="Bootstrap failed: 125: Domain does not support it"
)


class Recorder:
    """Answers launchctl's sub-commands from lists, the last answer again and again."""

    def __init__(self, answers: Mapping[str, Sequence[Completed]]) -> None:
        self.answers = {name: list(given) for name, given in answers.items()}
        self.commands: list[tuple[str, ...]] = []
        self.slept: list[float] = []

    def __call__(self, argv: Sequence[str]) -> Completed:
        """Record the command and give its next answer; success where none is planned."""
        self.commands.append(tuple(argv))
        given = self.answers.get(argv[1], [WELL])
        return given.pop(0) if len(given) > 1 else given[0]

    def sleep(self, seconds: float) -> None:
        """Record the wait instead of waiting."""
        self.slept.append(seconds)

    @property
    def names(self) -> list[str]:
        """The sub-commands in the order of their calls."""
        assert all(command[0] == "/bin/launchctl" for command in self.commands)
        return [command[1] for command in self.commands]


def agent_of(tmp_path: Path, recorder: Recorder) -> Agent:
    """Return an agent of user 501 on macOS whose commands are recorded."""
    return Agent(
        home=Home(root=tmp_path / "home", chosen=True),
        interpreter=Path(sys.executable),
        path_variable="/opt/homebrew/bin:/usr/bin",
        folder=tmp_path / "Library" / "LaunchAgents",
        uid=501,
        platform="darwin",
        runner=recorder,
        sleep=recorder.sleep,
    )


def files_below(folder: Path) -> list[str]:
    """Return every path below the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_fresh_install(tmp_path: Path) -> None:
    """Home, config and list are made, then the job is enabled, loaded and started."""
    recorder = Recorder({"print": [ABSENT]})
    agent = agent_of(tmp_path, recorder)
    done = agent.install()
    assert recorder.commands == [
        ("/bin/launchctl", "print", TARGET),
        ("/bin/launchctl", "enable", TARGET),
        ("/bin/launchctl", "bootstrap", "gui/501", str(agent.plist)),
        ("/bin/launchctl", "kickstart", TARGET),
    ]
    assert recorder.slept == []
    assert agent.home.config_file.is_file()
    assert agent.home.logs.is_dir()
    assert agent.plist.read_text(encoding="utf-8") == agent.print_plist()
    assert files_below(agent.folder) == ["com.secdaemon.agent.plist"]
    assert agent.plist.stat().st_mode & 0o777 == 0o644
    assert done[0] == f"Made {agent.home.config_file}."
    assert done[-1].startswith("com.secdaemon.agent is loaded and started")


def test_an_old_agent_is_booted_out_and_waited_for(tmp_path: Path) -> None:
    """The new one is loaded only after the third poll says that the old one is gone."""
    recorder = Recorder({"print": [LOADED, LOADED, LOADED, ABSENT]})
    done = agent_of(tmp_path, recorder).install()
    assert recorder.names == [
        "print",
        "bootout",
        "print",
        "print",
        "print",
        "enable",
        "bootstrap",
        "kickstart",
    ]
    assert recorder.commands[1] == ("/bin/launchctl", "bootout", TARGET)
    assert recorder.slept == [POLL_SECONDS] * 2
    assert "Stopped the agent that was loaded before." in done


def test_an_install_keeps_an_existing_config(tmp_path: Path) -> None:
    """A person's config.yaml is not touched, and not claimed to have been made."""
    agent = agent_of(tmp_path, Recorder({"print": [ABSENT]}))
    agent.home.make()
    agent.home.config_file.write_text("gates: {improvement: false}\n", encoding="utf-8")
    done = agent.install()
    assert agent.home.config_file.read_text(encoding="utf-8") == "gates: {improvement: false}\n"
    assert done[0] == f"Wrote {agent.plist}."


def test_the_agent_of_another_home_is_named(tmp_path: Path) -> None:
    """A user has one agent, so the one it replaces is said."""
    one = agent_of(tmp_path, Recorder({"print": [ABSENT]}))
    one.install()
    two = msgspec.structs.replace(one, home=Home(root=tmp_path / "two", chosen=True))
    assert f"A user has one agent: this one replaces that of {one.home.root}." in two.install()
    assert plistlib.loads(two.plist.read_bytes())["WorkingDirectory"] == str(two.home.root)


def test_a_job_that_never_goes_ends_the_wait(tmp_path: Path) -> None:
    """The polls are bounded, longer than launchd's own patience, and the sentence says so."""
    recorder = Recorder({"print": [LOADED]})
    with pytest.raises(AgentError, match=r"still loaded 75 s after .*bootout.*: log out and in"):
        agent_of(tmp_path, recorder).install()
    assert recorder.slept == [POLL_SECONDS] * GONE_POLLS
    assert sum(recorder.slept) > EXIT_TIMEOUT
    assert "bootstrap" not in recorder.names


@pytest.mark.parametrize("code", [3, 36, 113])
def test_a_bootout_that_is_under_way_is_no_failure(tmp_path: Path, code: int) -> None:
    """A job that is going or gone already is polled like any other."""
    ending = Completed(returncode=code, stdout="", stderr="Boot-out failed")
    recorder = Recorder({"print": [LOADED, ABSENT], "bootout": [ending]})
    agent_of(tmp_path, recorder).install()
    assert recorder.names == ["print", "bootout", "print", "enable", "bootstrap", "kickstart"]


def test_a_refused_bootout_is_a_failure(tmp_path: Path) -> None:
    """A job that is still loaded after a refusal is not bootstrapped over."""
    refusal = Completed(returncode=1, stdout="", stderr="Boot-out failed: 1: Not permitted")
    recorder = Recorder({"print": [LOADED], "bootout": [refusal]})
    with pytest.raises(AgentError, match=r"bootout gui/501/\S+` ended with 1 \(Boot-out failed"):
        agent_of(tmp_path, recorder).install()
    assert "bootstrap" not in recorder.names


def test_errno_5_is_tried_again(tmp_path: Path) -> None:
    """A bootstrap that meets a draining job succeeds at a later attempt."""
    recorder = Recorder({"print": [ABSENT], "bootstrap": [BUSY, BUSY, WELL]})
    agent_of(tmp_path, recorder).install()
    assert recorder.names == ["print", "enable", *["bootstrap"] * 3, "kickstart"]
    assert recorder.slept == [RETRY_SECONDS] * 2


def test_errno_5_is_not_tried_for_ever(tmp_path: Path) -> None:
    """After its attempts the failure names the command, launchd's words and the way out."""
    recorder = Recorder({"print": [ABSENT], "bootstrap": [BUSY]})
    agent = agent_of(tmp_path, recorder)
    with pytest.raises(AgentError) as caught:
        agent.install()
    assert str(caught.value) == (
        f"`/bin/launchctl bootstrap gui/501 {agent.plist}` ended with 5 (Bootstrap failed: 5: "
        f"Input/output error): {agent.plist} is in place and is loaded at the next login: "
        "log out and in"
    )
    assert recorder.names.count("bootstrap") == BOOTSTRAP_ATTEMPTS
    assert "kickstart" not in recorder.names


def test_a_job_that_is_loaded_already_is_well(tmp_path: Path) -> None:
    """Error 37 (already in progress) of bootstrap and kickstart means that it is there."""
    already = Completed(returncode=37, stdout="", stderr="Operation already in progress")
    answers = {"print": [ABSENT], "bootstrap": [already], "kickstart": [already]}
    recorder = Recorder(answers)
    assert agent_of(tmp_path, recorder).install()[-1].startswith("com.secdaemon.agent is loaded")


@pytest.mark.parametrize("command", ["enable", "bootstrap", "kickstart"])
def test_each_failing_command_is_one_sentence(tmp_path: Path, command: str) -> None:
    """The failure of each step names that command and stands on one line."""
    broken = Completed(returncode=78, stdout="", stderr="It broke\nsecond line")
    recorder = Recorder({"print": [ABSENT], command: [broken]})
    with pytest.raises(AgentError) as caught:
        agent_of(tmp_path, recorder).install()
    message = str(caught.value)
    assert f"/bin/launchctl {command} " in message
    assert "ended with 78 (It broke): " in message
    assert "\n" not in message


def test_without_a_session_at_the_screen_nothing_is_written(tmp_path: Path) -> None:
    """Over ssh alone the domain gui/UID is missing: the sentence says to log in at the screen."""
    recorder = Recorder({"print": [NO_SESSION]})
    with pytest.raises(AgentError, match="log in at the screen"):
        agent_of(tmp_path, recorder).install()
    assert recorder.names == ["print"]
    assert files_below(tmp_path) == []


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """Only launchd is asked; what would be done is said in order, for install and uninstall."""
    recorder = Recorder({"print": [LOADED]})
    agent = agent_of(tmp_path, recorder)
    assert agent.install(dry_run=True) == (
        f"Would make {agent.home.config_file}.",
        f"Would write {agent.plist}.",
        f"Would run `/bin/launchctl bootout {TARGET}`.",
        f"Would run `/bin/launchctl enable {TARGET}`.",
        f"Would run `/bin/launchctl bootstrap gui/501 {agent.plist}`.",
        f"Would run `/bin/launchctl kickstart {TARGET}`.",
    )
    assert agent.uninstall(dry_run=True) == (
        f"Would run `/bin/launchctl bootout {TARGET}`.",
        f"The home {agent.home.root} stays as it is.",
    )
    assert recorder.names == ["print", "print"]
    assert files_below(tmp_path) == []


def test_uninstall_stops_it_and_keeps_the_home(tmp_path: Path) -> None:
    """The job is booted out and gone before its list is removed; the home is not touched."""
    recorder = Recorder({"print": [ABSENT, LOADED, LOADED, ABSENT]})
    agent = agent_of(tmp_path, recorder)
    agent.install()
    home = files_below(agent.home.root)
    recorder.commands.clear()
    assert agent.uninstall() == (
        "Stopped com.secdaemon.agent.",
        f"Removed {agent.plist}.",
        f"The home {agent.home.root} stays as it is.",
    )
    assert recorder.names == ["print", "bootout", "print", "print"]
    assert files_below(agent.folder) == []
    assert files_below(agent.home.root) == home


def test_uninstall_of_nothing_says_so(tmp_path: Path) -> None:
    """Removing an agent that is not there is no error."""
    recorder = Recorder({"print": [ABSENT]})
    assert agent_of(tmp_path, recorder).uninstall()[0] == "No agent was installed."
    assert recorder.names == ["print"]


def test_status_of_a_running_agent(tmp_path: Path) -> None:
    """A fresh install is loaded, runs with a pid, and its list is up to date in any shell."""
    recorder = Recorder({"print": [ABSENT, LOADED]})
    agent = agent_of(tmp_path, recorder)
    agent.install()
    status = msgspec.structs.replace(agent, path_variable="/another/shell").status()
    assert status.installed
    assert status.printed == Printed(state="running", pid=77, exit_code=None, signal=None)
    assert status.differs == ()
    assert status.missing_interpreter is None


def test_status_sees_a_virtual_environment_that_moved(tmp_path: Path) -> None:
    """The differing key is named, and so is the interpreter that is gone."""
    agent = agent_of(tmp_path, Recorder({"print": [ABSENT]}))
    gone = tmp_path / "old" / ".venv" / "bin" / "python"
    msgspec.structs.replace(agent, interpreter=gone).install()
    status = agent.status()
    assert status.printed is None
    assert status.differs == ("ProgramArguments",)
    assert status.missing_interpreter == str(gone)


def test_status_without_an_agent(tmp_path: Path) -> None:
    """Nothing installed and nothing loaded is an answer."""
    status = agent_of(tmp_path, Recorder({"print": [ABSENT]})).status()
    assert not status.installed
    assert status.printed is None
    assert status.differs == ()


@pytest.mark.parametrize("action", ["install", "uninstall", "status"])
def test_another_system_says_what_to_do_instead(tmp_path: Path, action: str) -> None:
    """Off macOS one sentence names `secdaemon run` and systemd, and nothing is done."""
    recorder = Recorder({})
    agent = msgspec.structs.replace(agent_of(tmp_path, recorder), platform="linux")
    with pytest.raises(AgentError, match=r"this is linux: run `secdaemon run` .*systemd --user"):
        getattr(agent, action)()
    assert recorder.commands == []
    assert files_below(tmp_path) == []


def test_another_system_can_still_look(tmp_path: Path) -> None:
    """Off macOS the list can be printed, and a dry run says what a Mac would do."""
    recorder = Recorder({})
    agent = msgspec.structs.replace(agent_of(tmp_path, recorder), platform="linux")
    assert plistlib.loads(agent.print_plist().encode())["Label"] == "com.secdaemon.agent"
    plan = agent.install(dry_run=True)
    assert plan[0] == "This is linux, not macOS: here it would stop; on a Mac:"
    assert f"Would run `/bin/launchctl enable {TARGET}`." in plan
    assert recorder.commands == []
    assert files_below(tmp_path) == []


def test_root_is_sent_back(tmp_path: Path) -> None:
    """Under sudo the domain would be gui/0, which has no session."""
    recorder = Recorder({})
    agent = msgspec.structs.replace(agent_of(tmp_path, recorder), uid=0)
    with pytest.raises(AgentError, match="without sudo"):
        agent.install()
    assert recorder.commands == []


def test_a_home_that_no_property_list_can_hold(tmp_path: Path) -> None:
    """A control character in a path is refused before anything is done."""
    recorder = Recorder({"print": [ABSENT]})
    home = Home(root=tmp_path / "a\x07b", chosen=True)
    agent = msgspec.structs.replace(agent_of(tmp_path, recorder), home=home)
    with pytest.raises(AgentError, match="cannot stand in a property list"):
        agent.install()
    assert recorder.commands == []


def test_an_agents_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in the place of LaunchAgents gives a sentence that names both paths."""
    recorder = Recorder({"print": [ABSENT]})
    agent = agent_of(tmp_path, recorder)
    agent.folder.parent.mkdir()
    agent.folder.write_text("a file", encoding="utf-8")
    with pytest.raises(AgentError, match=r"agent\.plist cannot be written .*LaunchAgents yours"):
        agent.install()
    assert recorder.names == ["print"]
    assert [path.name for path in agent.folder.parent.iterdir()] == ["LaunchAgents"]
