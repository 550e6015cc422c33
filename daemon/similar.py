"""`similar`: a finding's neighbours in the knowledge base, which a worker reads and renews."""

from argparse import Namespace
from pathlib import Path

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.schema import Models
from secdaemon.config.settings import ConfigError
from secdaemon.daemon.cli import WrongUseError
from secdaemon.daemon.commands import ask, existing_store, settings_of
from secdaemon.daemon.jobs import known_runs


def similar(args: Namespace, home: Home) -> int:
    """`secdaemon similar`: the index is built where there is none yet."""
    models = settings_of(args, home).models
    _embedding_is_there(models)
    with existing_store(home) as store:
        runs = known_runs(store) if store else ()
    if not runs:
        msg = f"no finding {args.finding}: no run of {home.root} has any yet"
        raise WrongUseError(msg)
    question = {
        "finding": args.finding,
        "limit": args.limit,
        "as_json": args.json,
        "file": str(home.knowledge),
        "runs": runs,
        "models": models,
    }
    return ask("similar", msgspec.json.encode(question))


def _embedding_is_there(models: Models) -> None:
    """Refuse a setting that names nothing.

    Raises:
        ConfigError: there is no such folder.
    """
    if models.embedding is None:
        return
    folder = Path(models.base_dir) / models.embedding
    if not folder.is_dir():
        msg = f"models.embedding: {folder} is not there; null compares findings by words alone"
        raise ConfigError(msg)
