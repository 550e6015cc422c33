"""The command line of the agent, shared by `secdaemon agent` and `setup_launchagent.py`."""

import argparse
import os
import sys
from pathlib import Path

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import ConfigError, load_settings
from secdaemon.launchd.agent import Agent, AgentStatus, local_agent
from secdaemon.launchd.launchctl import AgentError, Printed
from secdaemon.launchd.plist import LABEL
from secdaemon.launchd.surroundings import guarded_paths, missing_variables

DONE = 0
FAILED = 1
WRONG_USE = 2


def run(args: argparse.Namespace, home: Home) -> int:
    """Do what `add_arguments` understood; return the exit status of the contract (0, 1 or 2).

    Sentences go to standard output, errors to standard error; `print` writes the list alone.
    """
    return perform(str(args.action), dry_run=bool(args.dry_run), agent=local_agent(home))


def perform(action: str, *, dry_run: bool, agent: Agent) -> int:
    """Do one action with this agent; see `run`."""
    if dry_run and action not in {"install", "uninstall"}:
        sys.stderr.write(f"secdaemon: --dry-run goes with install and uninstall, not {action}\n")
        return WRONG_USE
    try:
        text = _text(action, dry_run=dry_run, agent=agent)
    except ConfigError as error:
        sys.stderr.write(f"secdaemon: {error}\n")
        return WRONG_USE
    except AgentError as error:
        sys.stderr.write(f"secdaemon: {error}\n")
        return FAILED
    sys.stdout.write(text)
    return DONE


def _text(action: str, *, dry_run: bool, agent: Agent) -> str:
    if action == "print":
        return agent.print_plist()
    if action == "status":
        return _lines(*describe(agent.status()))
    if action == "uninstall":
        return _lines(*agent.uninstall(dry_run=dry_run))
    # Without this shell's variables: the agent does not see them either.
    settings = load_settings(agent.home, environ={})
    return _lines(*agent.install(dry_run=dry_run), *_warnings(agent, settings))


def _lines(*sentences: str) -> str:
    return "".join(f"{sentence}\n" for sentence in sentences)


def describe(status: AgentStatus) -> tuple[str, ...]:
    """Return the sentences that tell a person how the agent is."""
    sentences = [_state(status.printed), *_last_end(status.printed)]
    if not status.installed:
        sentences.append(f"{status.plist} is not there: `secdaemon agent install` writes it.")
    elif status.differs:
        sentences.append(
            f"{status.plist} differs from what would be written now in "
            f"{', '.join(status.differs)}: `secdaemon agent install` renews it."
        )
    else:
        sentences.append(f"{status.plist} is up to date.")
    if status.missing_interpreter is not None:
        sentences.append(f"The interpreter it starts, {status.missing_interpreter}, is gone.")
    return tuple(sentences)


def _state(printed: Printed | None) -> str:
    if printed is None:
        return f"{LABEL} is not loaded."
    if printed.pid is not None:
        return f"{LABEL} is loaded and runs as process {printed.pid}."
    return f"{LABEL} is loaded and does not run ({printed.state or 'no state given'})."


def _last_end(printed: Printed | None) -> tuple[str, ...]:
    if printed is None:
        return ()
    if printed.signal is not None:
        return (f"It was last ended by a signal ({printed.signal}).",)
    if printed.exit_code is None:
        return ("It has not ended since it was loaded.",)
    return (f"It last ended with exit status {printed.exit_code}.",)


def _warnings(agent: Agent, settings: Settings) -> tuple[str, ...]:
    models = (settings.models.base_dir, settings.models.fine_tuned_dir)
    named = (settings.inbox.dir, *models, settings.publish.folder)
    # The interpreter itself is a link; its packages lie beside the folder it stands in.
    paths = (agent.home.root, agent.interpreter.parent, *map(Path, named))
    warnings = [
        f"Careful: macOS keeps {path} from agents, because it lies in Desktop, Documents or "
        "Downloads: move it, or give the interpreter Full Disk Access."
        for path in guarded_paths(paths, Path.home())
    ]
    if missing := missing_variables(os.environ):
        warnings.append(
            f"The agent does not see {', '.join(missing)} of this shell: settings belong into "
            f"{agent.home.config_file}, tokens into the Keychain or the gh and hf logins."
        )
    return tuple(warnings)
