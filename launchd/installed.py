"""The property list that is installed already: read leniently, compared with the wanted one."""

import plistlib
from collections.abc import Mapping
from pathlib import Path
from xml.parsers.expat import ExpatError


def read_installed(path: Path) -> dict[str, object] | None:
    """Return the installed property list, None where there is none.

    One that cannot be read is an empty one: it differs from every wanted one.
    """
    try:
        plist = plistlib.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    # The parser looks at its own stack and matches without checking them.
    except (OSError, ValueError, ExpatError, LookupError, TypeError, AttributeError):
        return {}
    except plistlib.InvalidFileException:
        return {}
    return plist if isinstance(plist, dict) else {}


def installed_path_variable(found: Mapping[str, object]) -> str | None:
    """Return the $PATH that was captured when it was installed."""
    variables = found.get("EnvironmentVariables")
    path = variables.get("PATH") if isinstance(variables, dict) else None
    return path if isinstance(path, str) else None


def differences(found: Mapping[str, object], wanted: Mapping[str, object]) -> tuple[str, ...]:
    """Return the keys, sorted, whose values are not the same in both."""
    keys = sorted(wanted.keys() | found.keys())
    return tuple(key for key in keys if wanted.get(key) != found.get(key))


def missing_interpreter(found: Mapping[str, object]) -> str | None:
    """Return the interpreter that an installed list starts, where it is no longer there."""
    arguments = found.get("ProgramArguments")
    if not isinstance(arguments, list) or not arguments:
        return None
    interpreter = str(arguments[0])
    return None if Path(interpreter).exists() else interpreter


def other_home(found: Mapping[str, object], home: Path) -> str | None:
    """Return the home that an installed list serves, where it is not `home`."""
    folder = found.get("WorkingDirectory")
    return folder if isinstance(folder, str) and folder != str(home) else None
