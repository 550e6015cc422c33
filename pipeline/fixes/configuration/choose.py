"""Which check of which kind of configuration file a finding is about, and the ways to mend it."""

import re
from collections.abc import Callable
from functools import lru_cache

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.configuration import (
    android_manifest,
    cloudformation,
    compose,
    dockerfile,
    html_page,
    kubernetes,
    network_config,
    openapi,
    package_json,
    spring,
    web_xml,
    workflows,
)
from secdaemon.pipeline.fixes.configuration.model import Kind, Mend, Repair, Weakness
from secdaemon.pipeline.fixes.model import Fix, Flagged

KINDS: tuple[Kind, ...] = (
    workflows.KIND,
    dockerfile.KIND,
    kubernetes.KIND,
    compose.KIND,
    android_manifest.KIND,
    cloudformation.KIND,
    html_page.KIND,
    network_config.KIND,
    openapi.KIND,
    package_json.KIND,
    spring.KIND,
    web_xml.KIND,
)
"""Every kind, in the order in which they are asked."""

MAX_CHARS = 256 * 1024
"""A larger text is no configuration file that a person wrote; it is not read."""

_MAX_MENDED = 12
_MAX_WORK = 300_000
"""Characters of the file times weaknesses to mend in it: each is read anew after the one before."""
_MAX_ASKED = 3
_MAX_REASONS = 2


def weaknesses(path: str, text: str) -> tuple[Weakness, ...]:
    """Return what all kinds that recognise the file find in it; () for a text above MAX_CHARS."""
    return tuple(weakness for kind in _kinds(path, text) for weakness in kind.weaknesses(text))


def security_score(path: str, text: str) -> float | None:
    """Return how a configuration file stands, above 0 to 1, as 1 / (1 + the sum of the weights).

    1 is a file without a known weakness; each one mended raises the score, whatever others there
    are. None where no kind recognises the file.
    """
    if not _kinds(path, text):
        return None
    return 1 / (1 + sum(weakness.weight for weakness in weaknesses(path, text)))


def fixes_for(finding: Finding, flagged: Flagged) -> tuple[Fix, ...]:
    """Return the ways to mend what a finding says of a configuration file, one for each choice.

    Every weakness of the finding's check on the flagged lines is mended; where one of them cannot
    be, or mending gives a weakness that was not there before, there is no fix. Nor is there one for
    a package, whatever its name.
    """
    if finding.package is not None:
        return ()
    for kind in _kinds(flagged.path, flagged.text):
        check = _check(kind, finding)
        if check is None or (check in kind.of_document and not flagged.whole):
            continue
        targets = _targets(kind, check, flagged)
        if targets:
            return _fixes(kind, flagged, targets)
    return ()


@lru_cache(maxsize=16)
def _kinds(path: str, text: str) -> tuple[Kind, ...]:
    if len(text) > MAX_CHARS:
        return ()
    return tuple(kind for kind in KINDS if kind.recognises(path, text))


def _check(kind: Kind, finding: Finding) -> str | None:
    """Return the check of the first pattern that the rule's id or name fits."""
    names = f"{finding.rule}\n{finding.rule_name or ''}"
    found = (c for pattern, c in kind.rules.items() if re.search(pattern, names, re.IGNORECASE))
    return next(found, None)


def _targets(kind: Kind, check: str, flagged: Flagged) -> tuple[Weakness, ...]:
    """Return the weaknesses of a check that a finding is about.

    Those on its lines, else those under a heading that it names; all of them where none is and it
    names the file alone, or its first line as scanners do for a whole document, or where the check
    is of the document.
    """
    found = tuple(w for w in kind.weaknesses(flagged.text) if w.check == check)
    lines = flagged.lines
    here = tuple(w for w in found if w.line < lines.stop and lines.start <= w.end_line)
    here = here or tuple(w for w in found if w.heading in lines)
    is_whole = lines.stop <= 2 or check in kind.of_document  # noqa: PLR2004 - line 1 only
    return here or (found if is_whole else ())


def _fixes(kind: Kind, flagged: Flagged, targets: tuple[Weakness, ...]) -> tuple[Fix, ...]:
    check = targets[0].check
    mend = kind.mends.get(check)
    is_much = len(targets) > 1 and len(targets) * len(flagged.text) > _MAX_WORK
    if mend is None or is_much or len(targets) > _MAX_MENDED:
        return ()
    places = frozenset(weakness.where for weakness in targets)
    is_weak = _predicate(kind, check, places)
    fixes = []
    for choice in _choices(mend, flagged.text, targets):
        repairs = _mended(kind, flagged.text, check, places, choice)
        after = repairs[-1].after if repairs else flagged.text
        if after == flagged.text or is_weak(after) or _has_new(kind, flagged.text, after):
            continue
        fixes.append(
            Fix(
                approach="configuration",
                path=flagged.path,
                before=flagged.text,
                after=after,
                reason=_reason(repairs),
                choice=choice,
                is_weak=is_weak,
            )
        )
    return tuple(fixes)


def _choices(mend: Mend, text: str, targets: tuple[Weakness, ...]) -> tuple[str, ...]:
    """Return the choices that the first few have; "" only where none of them has any."""
    asked = targets[:_MAX_ASKED]
    found = dict.fromkeys(repair.choice for target in asked for repair in mend(text, target))
    return tuple(choice for choice in found if choice) or tuple(found)


def _predicate(kind: Kind, check: str, places: frozenset[str]) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        return any(w.check == check and w.where in places for w in kind.weaknesses(text))

    return is_weak


def _mended(
    kind: Kind, text: str, check: str, places: frozenset[str], choice: str
) -> tuple[Repair, ...]:
    """Return the repairs of all places, each made on what the one before it left; () if one fails.

    The weaknesses are looked for again after each, since lines move and one repair may end several.
    """
    repairs: list[Repair] = []
    for _ in range(len(places) + 1):
        left = [w for w in kind.weaknesses(text) if w.check == check and w.where in places]
        if not left:
            return tuple(repairs)
        ways = {way.choice: way for way in kind.mends[check](text, left[0])}
        repair = ways.get(choice) or ways.get("")
        if repair is None or repair.after == text:
            return ()
        repairs.append(repair)
        text = repair.after
    return ()


def _has_new(kind: Kind, before: str, after: str) -> bool:
    known = {(weakness.check, weakness.where) for weakness in kind.weaknesses(before)}
    return any((w.check, w.where) not in known for w in kind.weaknesses(after))


def _reason(repairs: tuple[Repair, ...]) -> str:
    """Return the repairs' reasons once each; beyond two of them, how many more places there are."""
    reasons = tuple(dict.fromkeys(repair.reason for repair in repairs))
    if len(reasons) <= _MAX_REASONS:
        return " ".join(reasons)
    return f"{reasons[0]} The same is done at {len(reasons) - 1} more places."
