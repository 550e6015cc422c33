"""`explain`: what state.db knows of the runs goes to a worker, which looks into their folders."""

from argparse import Namespace

import msgspec

from secdaemon.config.paths import Home
from secdaemon.daemon.cli import WrongUseError
from secdaemon.daemon.commands import ask, existing_store
from secdaemon.daemon.jobs import decode_outputs, seen_in
from secdaemon.pipeline.interface import Outputs
from secdaemon.pipeline.past.provenance import RunFacts
from secdaemon.state.machine import TRAINED
from secdaemon.state.model import Run
from secdaemon.state.runs import newest_runs, outputs
from secdaemon.state.store import Store


def explain(args: Namespace, home: Home) -> int:
    """`secdaemon explain`."""
    with existing_store(home) as store:
        runs = _facts(store) if store else ()
    if not args.example or (not runs and not home.stage1.is_dir()):
        msg = f"no example {args.example}: {home.root} has no training data yet"
        raise WrongUseError(msg)
    question = {
        "example": args.example,
        "as_json": args.json,
        "home": str(home.root),
        "stage1_dir": str(home.stage1),
        "runs": runs,
    }
    return ask("explain", msgspec.json.encode(question))


def _facts(store: Store) -> tuple[RunFacts, ...]:
    """Return what is known of every run, newest first."""
    runs = newest_runs(store, -1)
    texts = outputs(store, [run.id for run in runs])
    return tuple(_fact(run, decode_outputs(texts[run.id])) for run in runs)


def _fact(run: Run, known: Outputs) -> RunFacts:
    chosen = [one for one in known.retention.healing if one.chosen] if known.retention else []
    return RunFacts(
        seen=seen_in(run),
        state=run.state,
        archive=run.archive,
        run_dir=run.run_dir,
        stage1=known.stage1.fingerprint if known.stage1 else None,
        is_trained=known.stage2 is not None or run.state in TRAINED,
        retraining=chosen[0].training if chosen else 0,
        revision=known.publish.revision if known.publish else None,
        model_url=known.publish.model_url if known.publish else None,
    )
