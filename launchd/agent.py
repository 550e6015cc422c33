"""The launchd agent: installed, removed, and asked after.

`enable`, `bootstrap` and `bootout` in the domain gui/UID are used, as launchctl(1) advises: the
older `load` and `unload` choose a domain by the session they happen to be called in.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.config.init import init_home
from secdaemon.config.paths import Home
from secdaemon.launchd.installed import (
    differences,
    installed_path_variable,
    missing_interpreter,
    other_home,
    read_installed,
)
from secdaemon.launchd.launchctl import (
    ALREADY,
    IN_PROGRESS,
    INPUT_OUTPUT_ERROR,
    LAUNCHCTL,
    NO_DOMAIN,
    NO_SUCH_PROCESS,
    NOT_FOUND,
    WRONG_DOMAIN,
    AgentError,
    Completed,
    Printed,
    Runner,
    parse_print,
    run_command,
)
from secdaemon.launchd.plist import EXIT_TIMEOUT, LABEL, agent_plist, to_bytes

POLL_SECONDS = 0.5
GONE_POLLS = int((EXIT_TIMEOUT + 15) / POLL_SECONDS)
BOOTSTRAP_ATTEMPTS = 5
RETRY_SECONDS = 1.0

_NO_SESSION = (
    "this user has no session at the Mac's screen, or background items are switched off: log in "
    "at the screen (ssh is not enough), allow secdaemon in System Settings > General > Login "
    "Items, and try again"
)


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the agent on this Mac."""

    plist: Path
    installed: bool
    printed: Printed | None
    """What launchd says of it; None where it is not loaded."""
    differs: tuple[str, ...]
    """Keys of the installed property list that `install` would write otherwise now."""
    missing_interpreter: str | None
    """The interpreter that the installed list names, where it is gone."""


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """The agent of one home and one user."""

    home: Home
    interpreter: Path
    path_variable: str
    folder: Path
    """Where launchd looks for agents at login: ~/Library/LaunchAgents."""
    uid: int
    platform: str = sys.platform
    runner: Runner = run_command
    sleep: Callable[[float], None] = time.sleep

    @property
    def plist(self) -> Path:
        """The installed property list."""
        return self.folder / f"{LABEL}.plist"

    def print_plist(self) -> str:
        """Return the property list that `install` would write; on every system.

        Raises:
            AgentError: a path cannot stand in a property list.
        """
        return self._wanted().decode()

    def install(self, *, dry_run: bool = False) -> tuple[str, ...]:
        """Make home and config.yaml where missing, write the list, and start the agent anew.

        Returns:
            What was done, or with `dry_run` would be, a sentence each.

        Raises:
            AgentError: this is no macOS, a file cannot be written, or launchd refused.
            ConfigError: the home cannot be written.
        """
        wanted = self._wanted()
        if dry_run:
            return self._install_plan()
        self._require_macos()
        loaded = self._loaded() is not None
        done = [f"Made {self.home.config_file}."] if init_home(self.home) else []
        if other := other_home(read_installed(self.plist) or {}, self.home.root):
            done.append(f"A user has one agent: this one replaces that of {other}.")
        self._write(wanted)
        done.append(f"Wrote {self.plist}.")
        if loaded:
            self._boot_out()
            done.append("Stopped the agent that was loaded before.")
        self._start()
        done.append(f"{LABEL} is loaded and started; `secdaemon status` shows what it does.")
        return tuple(done)

    def uninstall(self, *, dry_run: bool = False) -> tuple[str, ...]:
        """Stop the agent and remove its property list; the home stays as it is.

        Returns:
            What was done, or with `dry_run` would be, a sentence each.

        Raises:
            AgentError: this is no macOS, launchd refused, or the list cannot be removed.
        """
        if dry_run:
            return self._uninstall_plan()
        self._require_macos()
        done = []
        if self._loaded() is not None:
            self._boot_out()
            done.append(f"Stopped {LABEL}.")
        if self._remove():
            done.append(f"Removed {self.plist}.")
        done = done or ["No agent was installed."]
        return (*done, f"The home {self.home.root} stays as it is.")

    def status(self) -> AgentStatus:
        """Return whether the agent is installed, loaded and running, and how it last ended.

        Raises:
            AgentError: this is no macOS, or launchd cannot be asked.
        """
        self._require_macos()
        printed = self._loaded()
        found = read_installed(self.plist)
        # $PATH is taken as installed: every shell has its own.
        path = installed_path_variable(found or {}) or self.path_variable
        wanted = agent_plist(self.home, self.interpreter, path)
        return AgentStatus(
            plist=self.plist,
            installed=found is not None,
            printed=printed,
            differs=() if found is None else differences(found, wanted),
            missing_interpreter=missing_interpreter(found or {}),
        )

    @property
    def _domain(self) -> str:
        return f"gui/{self.uid}"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{LABEL}"

    def _start_commands(self) -> tuple[tuple[str, ...], ...]:
        return (
            # A label that was once disabled stays so, outside the list, until it is enabled.
            (LAUNCHCTL, "enable", self._target),
            (LAUNCHCTL, "bootstrap", self._domain, str(self.plist)),
            # RunAtLoad may be put off. No -k: killing a job that just starts can unload it.
            (LAUNCHCTL, "kickstart", self._target),
        )

    def _boot_out_command(self) -> tuple[str, ...]:
        return (LAUNCHCTL, "bootout", self._target)

    def _wanted(self) -> bytes:
        try:
            return to_bytes(agent_plist(self.home, self.interpreter, self.path_variable))
        except ValueError as error:
            msg = f"the home, the interpreter or $PATH cannot stand in a property list: {error}"
            raise AgentError(msg) from error

    def _require_macos(self) -> None:
        if self.platform != "darwin":
            msg = (
                f"launchd is part of macOS and this is {self.platform}: run `secdaemon run` in a "
                "terminal, or as a service of `systemd --user`"
            )
            raise AgentError(msg)
        if self.uid == 0:
            msg = "the agent belongs to a user, not to root: run this again without sudo"
            raise AgentError(msg)

    def _loaded(self) -> Printed | None:
        argv = (LAUNCHCTL, "print", self._target)
        done = self.runner(argv)
        if done.returncode == 0:
            return parse_print(done.stdout)
        if done.returncode == NOT_FOUND:
            return None
        raise _failure(argv, done, "try again after logging out and in")

    def _write(self, wanted: bytes) -> None:
        try:
            write_file(self.plist, wanted)
        except OSError as error:
            msg = f"{self.plist} cannot be written ({error.strerror}): is {self.folder} yours?"
            raise AgentError(msg) from error

    def _remove(self) -> bool:
        try:
            self.plist.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            msg = f"{self.plist} cannot be removed ({error.strerror}): remove it by hand"
            raise AgentError(msg) from error
        return True

    def _boot_out(self) -> None:
        """Unload the agent and return once launchd no longer knows it."""
        argv = self._boot_out_command()
        done = self.runner(argv)
        harmless = {0, NO_SUCH_PROCESS, NOT_FOUND, IN_PROGRESS}
        if done.returncode not in harmless and self._loaded() is not None:
            raise _failure(argv, done, "log out and in, and try again")
        # A bootstrap while the old job still drains answers errno 5.
        for _ in range(GONE_POLLS):
            if self._loaded() is None:
                return
            self.sleep(POLL_SECONDS)
        msg = (
            f"{LABEL} is still loaded {GONE_POLLS * POLL_SECONDS:.0f} s after "
            f"`{' '.join(argv)}`: log out and in, and try again"
        )
        raise AgentError(msg)

    def _start(self) -> None:
        enable, bootstrap, kickstart = self._start_commands()
        done = self.runner(enable)
        if done.returncode != 0:
            raise _failure(enable, done, "try again after logging out and in")
        for attempt in range(BOOTSTRAP_ATTEMPTS):
            if attempt:
                self.sleep(RETRY_SECONDS)
            done = self.runner(bootstrap)
            if done.returncode != INPUT_OUTPUT_ERROR:
                break
        if done.returncode not in {0, ALREADY}:
            cure = f"{self.plist} is in place and is loaded at the next login: log out and in"
            raise _failure(bootstrap, done, cure)
        done = self.runner(kickstart)
        if done.returncode not in {0, ALREADY}:
            cure = f"it is loaded but may not run: see {self.home.logs / 'launchd.log'}"
            raise _failure(kickstart, done, cure)

    def _install_plan(self) -> tuple[str, ...]:
        plan, loaded = self._plan_start()
        if not self.home.config_file.exists():
            plan.append(f"Would make {self.home.config_file}.")
        plan.append(f"Would write {self.plist}.")
        stop = (self._boot_out_command(),) if loaded else ()
        commands = (*stop, *self._start_commands())
        return (*plan, *(f"Would run `{' '.join(argv)}`." for argv in commands))

    def _uninstall_plan(self) -> tuple[str, ...]:
        plan, loaded = self._plan_start()
        if loaded:
            plan.append(f"Would run `{' '.join(self._boot_out_command())}`.")
        if self.plist.exists():
            plan.append(f"Would remove {self.plist}.")
        return (*plan, f"The home {self.home.root} stays as it is.")

    def _plan_start(self) -> tuple[list[str], bool]:
        """Return the first sentences of a dry run, and whether the agent is loaded."""
        if self.platform != "darwin":
            return [f"This is {self.platform}, not macOS: here it would stop; on a Mac:"], False
        self._require_macos()
        return [], self._loaded() is not None


def _failure(argv: tuple[str, ...], done: Completed, cure: str) -> AgentError:
    said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[0]
    if done.returncode in {NO_DOMAIN, WRONG_DOMAIN}:
        cure = _NO_SESSION
    return AgentError(f"`{' '.join(argv)}` ended with {done.returncode} ({said}): {cure}")


def local_agent(home: Home) -> Agent:
    """Return the agent of this user, run by the interpreter that runs this."""
    return Agent(
        home=home,
        # Not resolved: the virtual environment's link is what makes it find its packages.
        interpreter=Path(sys.executable).absolute(),
        path_variable=os.environ.get("PATH", ""),
        folder=Path.home() / "Library" / "LaunchAgents",
        uid=os.getuid(),
    )
