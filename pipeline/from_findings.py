"""A finding as a training example: the scanner's report is the question, the answer is ours."""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from secdaemon.pipeline.context import Context
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.findings.model import Category, Finding
from secdaemon.pipeline.fixes.advice import Advice, advise
from secdaemon.pipeline.fixes.categories import TRAINING_WEIGHTS, category_of
from secdaemon.pipeline.fixes.changes import describe
from secdaemon.pipeline.fixes.languages import NONE, language_of
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.fixes.quote import fenced, inline
from secdaemon.pipeline.fixes.shown import Excerpt
from secdaemon.pipeline.quality import Judgement, quality_of
from secdaemon.pipeline.questions import other_file, place_of, question_of

TASK = "fix_generation"

_ADVICE_QUALITY = {"dependency_upgrade": "medium", "advice": "low"}
"""Of what no code was changed for: the right version is known, or nothing is."""
_SNIPPET = 4_000
_LINE = 120
_STATEMENT = 6
"""Lines that one statement may have."""
_QUOTES = "'\"`{},;:"
_NAMED = re.compile(r"'[^'\n]{2,120}'|\"[^\"\n]{2,120}\"|`[^`\n]{2,120}`|\S+[\w\]][.\[]\w\S*")
_NO_SOURCE: Mapping[str, str] = MappingProxyType({})


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """A fix that was judged good, and what is shown of it."""

    fix: Fix
    judgement: Judgement
    excerpt: Excerpt
    ways: int = 1
    """How many good ways there are; their examples share the weight of one."""


def example_of(
    finding: Finding,
    code: Context | None,
    quality_weight: float,
    mended: Mended | None = None,
    *,
    source: Mapping[str, str] = _NO_SOURCE,
    sound: str | None = None,
) -> Example:
    """Return the example of one finding: with a fix, or with advice.

    Args:
        finding: redacted and neutralised, as the parsers leave it.
        code: what is shown where there is no fix; the scan's snippet where that is None too.
        quality_weight: how much oftener an example of high quality is drawn than another.
        mended: the fix, if there is one.
        source: metadata that say where it all came from.
        sound: why the code is right as it is, where that is certain.

    Findings of one package are one group; so are those of one file, and those of one rule where
    there is no file. The answer names the place, so that answers differ where findings do.
    """
    category = category_of(finding)
    advice = advise(finding, category, sound)
    place = place_of(finding)
    shown = _shown(finding, code, mended)
    path = mended.fix.path if mended else finding.path or ""
    language = "http" if finding.url and not finding.path else language_of(path)
    approach = mended.fix.approach if mended else advice.approach
    quality = quality_of(mended.fix, mended.judgement) if mended else _ADVICE_QUALITY[approach]
    weight = (quality_weight if quality == "high" else 1.0) * TRAINING_WEIGHTS[category]
    return Example(
        id=_id(finding, mended),
        messages=conversation(
            question_of(finding, place, shown, language, mended.fix if mended else None),
            _answer(finding, advice, place + _flagged(finding, shown, mended), mended, language),
        ),
        group=_group(finding),
        weight=weight / (mended.ways if mended else 1),
        metadata={
            "source": "project",
            "task": TASK,
            "finding": finding.id,
            "tool": finding.tool,
            "rule": finding.rule,
            "severity": finding.severity.value,
            "advisory": _advisory(finding),
            "cwe": advice.cwe,
            "category": category,
            "language": language,
            "approach": approach,
            "quality": quality,
            **({"context": shown.kind} if isinstance(shown, Context) else {}),
            **_proof(mended),
            **source,
        },
    )


def _shown(finding: Finding, code: Context | None, mended: Mended | None) -> Context | str:
    """Return the code that the question shows, "" for none."""
    if mended is not None:
        return mended.excerpt.before
    if finding.package is not None:
        return ""
    return code or (finding.snippet or "")[:_SNIPPET]


def _flagged(finding: Finding, shown: Context | str, mended: Mended | None) -> str:
    """Return the first flagged line as it is shown, so that the answer is about this code.

    A long range is a whole document, of which the first line says nothing, and where the fix is
    elsewhere, the scanner named any line for what the document lacks.
    """
    if mended is not None and mended.judgement.parts.get("touches", 1.0) < 1:
        return ""
    if finding.line is None or finding.package is not None or finding.url:
        return ""
    if (finding.end_line or finding.line) - finding.line >= _STATEMENT:
        return ""
    if isinstance(shown, Context):
        row = shown.row_of(finding.line)
        line = shown.text.split("\n")[row] if row is not None else ""
    else:
        line = shown.partition("\n")[0]
    return f": {inline(line.strip(), _LINE)}" if any(c.isalnum() for c in line) else ""


def _id(finding: Finding, mended: Mended | None) -> str:
    """Return the example's id: the finding's, and which way of mending it where there are ways."""
    choice = re.sub(r"[^a-z0-9]+", "-", mended.fix.choice.lower()).strip("-") if mended else ""
    return f"finding-{finding.id or _digest(finding)}{f'.{choice}' if choice else ''}"


def _proof(mended: Mended | None) -> dict[str, str]:
    """Return what an example says of the checks of its fix."""
    if mended is None:
        return {}
    judgement = mended.judgement
    proof = {"score": f"{judgement.score:.3f}", "checks": " ".join(judgement.passed)}
    if mended.fix.choice:
        proof["choice"] = mended.fix.choice
    if judgement.security is not None:
        proof["security_before"], proof["security_after"] = (
            f"{score:.3f}" for score in judgement.security
        )
    return proof


def _group(finding: Finding) -> str:
    if finding.package is not None:
        return f"package:{finding.package.name.lower()}"
    if finding.path and not finding.url:
        return f"path:{finding.path}"
    return f"rule:{finding.tool}:{finding.rule}"


def _advisory(finding: Finding) -> str:
    """Return the id under which every scanner knows the advisory; "" for other findings."""
    if finding.package is None:
        return ""
    cves = sorted(alias for alias in finding.aliases if alias.startswith("CVE-"))
    return (*cves, finding.rule)[0]


def _digest(finding: Finding) -> str:
    return hashlib.sha256(msgspec.json.encode(finding, order="deterministic")).hexdigest()[:32]


def _subject(finding: Finding) -> str:
    """Return which of several settings at one place a configuration finding is about."""
    named = _NAMED.search(finding.message) if finding.category is Category.CONFIGURATION else None
    name = named[0].strip(_QUOTES) if named else ""
    return f", about {inline(name, 120)}" if name and name not in (finding.path or "") else ""


def _answer(
    finding: Finding, advice: Advice, place: str, mended: Mended | None, language: str
) -> str:
    rule = "" if finding.package else f" (rule {inline(finding.rule)}{_subject(finding)})"
    others = len(finding.places)
    more = f", and {others} more place{'' if others == 1 else 's'}" if others else ""
    parts = [
        f"**Weakness:** {advice.weakness}",
        f"**Where:** {place[:1].upper() + place[1:]}{more}{rule}.",
        f"**Why it matters:** {advice.why}",
        f"**Fix:** {advice.remedy}",
    ]
    if mended is not None:
        before, after = mended.excerpt.before.text, mended.excerpt.after
        said = mended.fix.reason or f"{describe(before, after)}."
        what = other_file(finding, mended.fix) or "The code"
        parts[-1] = f"**Fix:** {said} {what} with the fix in it:"
        parts.append(fenced(after, "" if language == NONE else language))
    return "\n\n".join(parts)
