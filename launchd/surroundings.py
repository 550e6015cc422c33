"""What the agent will miss that this shell has: folders that macOS guards, and variables; pure."""

from collections.abc import Iterable, Mapping
from pathlib import Path

_GUARDED = ("Desktop", "Documents", "Downloads")
_TOKENS = frozenset({"GH_TOKEN", "GITHUB_TOKEN", "HF_TOKEN"})
_SETTINGS = frozenset({"OLMO_BASE_MODELS_DIR", "OLMO_DEFAULT_BASE_MODEL"})


def guarded_paths(paths: Iterable[Path], user_home: Path) -> tuple[Path, ...]:
    """Return those paths, each once, that lie in a folder which macOS keeps from agents.

    Privacy protection (TCC) refuses them to a launchd agent with EPERM and asks nobody. Links are
    followed, because what counts is where the file is.
    """
    guarded = [(user_home / name).resolve() for name in _GUARDED]
    return tuple(
        path
        for path in dict.fromkeys(paths)
        if any(path.resolve().is_relative_to(folder) for folder in guarded)
    )


def missing_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names, sorted, of set variables that secdaemon reads and the agent is not given.

    Only $PATH goes into the property list, which every process of the user can read.
    """
    overrides = {name for name in environ if name.startswith("SECDAEMON_") and "__" in name}
    known = overrides | ((_TOKENS | _SETTINGS) & environ.keys())
    return tuple(sorted(name for name in known if environ[name]))
