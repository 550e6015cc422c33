"""The words of the agent's command line; apart from `cli`, because every command parses them."""

import argparse

ACTIONS = ("install", "uninstall", "status", "print")


def add_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the action and --dry-run; without a `default`, the action has to be given."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        nargs=None if default is None else "?",
        default=default,
        help="install or remove the agent, ask after it, or print its property list"
        + ("" if default is None else f" (default: {default})"),
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what install or uninstall would do",
    )
