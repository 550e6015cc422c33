"""Install (the default), remove, show or print the launchd agent, as `secdaemon agent` does."""

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Return the exit status: 0 well, 1 the work failed, 2 wrong use or not installed."""
    try:
        from secdaemon.config.paths import find_home
        from secdaemon.launchd import cli
        from secdaemon.launchd.arguments import add_arguments
    except ImportError:
        return _in_virtual_environment()
    parser = argparse.ArgumentParser(prog="setup_launchagent.py", description=__doc__)
    parser.add_argument("--home", metavar="DIR", help="the daemon's home (default: ~/secdaemon)")
    add_arguments(parser, default="install")
    args = parser.parse_args()
    return cli.run(args, find_home(args.home))


def _in_virtual_environment() -> int:
    """Start this script again with the virtual environment beside it, where there is one."""
    here = Path(__file__).absolute()
    interpreter = here.parent / ".venv" / "bin" / "python"
    if interpreter.exists() and Path(sys.prefix).resolve() != (here.parent / ".venv").resolve():
        command = [str(interpreter), str(here), *sys.argv[1:]]
        os.execv(interpreter, command)  # noqa: S606 - a list, and no shell is wanted
    sys.stderr.write(
        "secdaemon is not installed for this Python: run `make venv`, then "
        "`.venv/bin/python setup_launchagent.py`\n"
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
