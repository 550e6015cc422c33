"""The commands about models outside any run, from `validate` to `tune`."""

import re
import time
from argparse import Namespace
from pathlib import Path

import msgspec

from secdaemon.config.paths import Home
from secdaemon.daemon.cli import WrongUseError
from secdaemon.daemon.commands import ask, existing_store, need, run_of, settings_of
from secdaemon.pipeline.layout import RUN_DIR_PREFIX, RunFolder
from secdaemon.state.runs import newest_runs

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def validate(args: Namespace, home: Home) -> int:
    """`secdaemon validate`."""
    return ask("validate", msgspec.json.encode((_there(args.path), settings_of(args, home))))


def export(args: Namespace, home: Home) -> int:
    """`secdaemon export`: into a folder that is new or empty."""
    path = _there(args.path)
    output = Path(args.output).absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        msg = f"--output {output}: exists and is no empty folder"
        raise WrongUseError(msg)
    base_id = settings_of(args, home).models.base_id
    return ask("export", msgspec.json.encode((path, str(output), base_id)))


def publish(args: Namespace, home: Home) -> int:
    """`secdaemon publish`."""
    return ask("publish", msgspec.json.encode((_there(args.path), settings_of(args, home))))


def finetune(args: Namespace, home: Home) -> int:
    """`secdaemon finetune`: it takes its turn with the daemon's own training."""
    name: str = args.output_name
    if not NAME.fullmatch(name) or name.startswith(RUN_DIR_PREFIX):
        msg = f"--output-name {name}: letters, digits, `.`, `_` and `-`, and no run's folder"
        raise WrongUseError(msg)
    resumed = args.resume_adapter
    question = {
        "dataset": _there(args.dataset, file=True),
        "name": name,
        "lock_file": str(home.locks / "heavy.lock"),
        "resume_adapter": _there(resumed) if resumed else None,
        "iterations": args.iterations,
        "learning_rate": args.learning_rate,
        "upload": args.upload,
    }
    step = "publish" if args.upload else "finetune"
    return ask("finetune", msgspec.json.encode((question, settings_of(args, home))), step)


def tune(args: Namespace, home: Home) -> int:
    """`secdaemon tune`: it takes its turn with the daemon's own training, and proposes only."""
    from secdaemon.daemon.jobs import make_job

    settings = settings_of(args, home)
    with existing_store(home) as found:
        store = need(found, home, args.run or "with a Stage 1 result")
        runs = [run_of(store, args.run)] if args.run else newest_runs(store, -1)
        ready = next((run for run in runs if run.run_dir and _has_both(Path(run.run_dir))), None)
        if ready is None:
            which = f"run {args.run}" if args.run else "no run"
            msg = f"{which} has {'no ' if args.run else ''}Stage 1 result and data to search on yet"
            raise WrongUseError(msg)
        job = make_job(store, home, settings, ready, "heavy", time.time())
    folder = home.root / "tune" / ready.id
    return ask("tune", msgspec.json.encode((job, str(folder), args.trials, args.json)))


def _has_both(run_dir: Path) -> bool:
    folder = RunFolder(run_dir)
    wanted = (folder.stage1.adapters / "adapters.safetensors", folder.project_data / "valid.jsonl")
    return all(path.is_file() for path in wanted)


def _there(path: str, *, file: bool = False) -> str:
    """Return an absolute path.

    Raises:
        WrongUseError: nothing is there, or no folder, or no file.
    """
    found = Path(path).absolute()
    if not (found.is_file() if file else found.is_dir()):
        kind = "no file" if file else "no folder"
        msg = f"{found}: {kind if found.exists() else 'not there'}"
        raise WrongUseError(msg)
    return str(found)
