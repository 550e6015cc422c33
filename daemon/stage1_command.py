"""`stage1 list`, `stage1 prune`, `stage1 rebuild`: looking after the shared Stage 1 results."""

import time
from argparse import Namespace
from collections.abc import Iterator

import msgspec

from secdaemon.config.paths import Home
from secdaemon.daemon.cli import WELL, WrongUseError
from secdaemon.daemon.commands import existing_store, say, say_json, settings_of
from secdaemon.daemon.stage1_results import (
    Choice,
    Leftover,
    Plan,
    Result,
    both,
    leftovers,
    needs,
    plan,
    plan_rows,
    remove,
    set_aside,
    survey,
    training_kept_out,
)
from secdaemon.daemon.tables import plain, size_text

SHORT = 12
"""Characters of a fingerprint that are shown, as in `status`."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What `stage1 list --json` prints."""

    folder: str
    max_age_days: float
    results: list[Result]
    unfinished: list[Leftover]


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What `stage1 prune --json` prints."""

    dry_run: bool
    freed_bytes: int
    removed: tuple[Choice, ...]
    kept: tuple[Choice, ...]


def stage1(args: Namespace, home: Home) -> int:
    """`secdaemon stage1`."""
    return {"list": _list, "prune": _prune, "rebuild": _rebuild}[args.action](args, home)


def _list(args: Namespace, home: Home) -> int:
    limit = settings_of(args, home).stage1.max_age_days
    with existing_store(home) as store:
        found = survey(home, store, limit, time.time())
    listing = Listing(
        folder=str(home.stage1), max_age_days=limit, results=found, unfinished=leftovers(home)
    )
    if args.json:
        say_json(listing)
    else:
        say("\n".join(_lines(listing)))
    return WELL


def _lines(listing: Listing) -> Iterator[str]:
    if not listing.results and not listing.unfinished:
        yield f"no Stage 1 results yet in {listing.folder}"
        return
    row = "{:<12}  {:<9}  {:>9}  {:>9}  {:>4}  {:<20}  {}"
    yield row.format("RESULT", "IS", "AGE", "SIZE", "RUNS", "TRAINED BY", "BASE AND SOURCES")
    for one in listing.results:
        age = "-" if one.age_days is None else f"{one.age_days:.1f} d"
        made_of = f"{one.base or 'base not noted'}: {', '.join(one.sources or ())}"
        yield row.format(
            plain(one.fingerprint)[:SHORT],
            one.condition,
            age,
            size_text(one.bytes),
            len(one.used_by),
            plain(one.run or "-"),
            plain(made_of if one.sources is not None else "its record cannot be read"),
        )
    for left in listing.unfinished:
        yield f"{plain(_short(left.name)):<34}  {size_text(left.bytes):>9}  not a result (yet)"
    yield f"a result is reused for {listing.max_age_days:g} days (stage1.max_age_days)"


def _short(name: str) -> str:
    """Return a folder's name with its fingerprint cut as everywhere."""
    if not name.startswith("."):
        return name[:SHORT]
    stem, _, suffix = name.removeprefix(".").partition(".")
    return f".{stem[:SHORT]}.{suffix}"


def _prune(args: Namespace, home: Home) -> int:
    limit = settings_of(args, home).stage1.max_age_days
    now = time.time()
    with existing_store(home) as store, training_kept_out(home) as idle:
        found = survey(home, store, limit, now)
        wanted = needs(store, limit, now, idle=idle)
        chosen = plan(found, leftovers(home), wanted, unused=args.unused)
        chosen = both(chosen, plan_rows(home, wanted, unused=args.unused))
        if not args.dry_run:
            remove(home, store, chosen)
    if args.json:
        say_json(
            Pruned(
                dry_run=args.dry_run,
                freed_bytes=chosen.freed_bytes,
                removed=chosen.removed,
                kept=chosen.kept,
            )
        )
    else:
        say("\n".join(_pruned_lines(chosen, dry_run=args.dry_run)))
    return WELL


def _pruned_lines(chosen: Plan, *, dry_run: bool) -> Iterator[str]:
    verb = "would go" if dry_run else "removed"
    for word, choices in ((verb, chosen.removed), ("kept", chosen.kept)):
        for one in choices:
            name = plain(_short(one.name))
            yield f"{word:<8}  {name:<24}  {size_text(one.bytes):>9}  {one.why}"
    if chosen.removed:
        yield f"{'would free' if dry_run else 'freed'} {size_text(chosen.freed_bytes)}"
    else:
        yield "nothing to remove"


def _rebuild(args: Namespace, home: Home) -> int:
    limit = settings_of(args, home).stage1.max_age_days
    now = time.time()
    with existing_store(home) as store:
        found = survey(home, store, limit, now)
    for result in _named(found, args.fingerprint, home):
        set_aside(result, now)
        short = plain(result.fingerprint)[:SHORT]
        say(f"{short} is not reused any more; the next run that wants it trains anew")
    if not found:
        say("no Stage 1 results: the next run trains one anyway")
    return WELL


def _named(found: list[Result], fingerprint: str | None, home: Home) -> list[Result]:
    """Return the results that are meant: all of them, or the one whose name begins so."""
    if fingerprint is None:
        return found
    named = [result for result in found if result.fingerprint.startswith(fingerprint)]
    if len(named) != 1:
        what = "several Stage 1 results begin so" if named else "no such Stage 1 result"
        msg = f"{fingerprint}: {what} in {home.stage1}; `secdaemon stage1 list` names them"
        raise WrongUseError(msg)
    return named
