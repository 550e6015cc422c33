"""The report's part on retention: what is left of Stage 1, and what was done about the rest."""

from collections.abc import Iterator

from secdaemon.pipeline.account.charts import interval_chart
from secdaemon.pipeline.account.healed import attempt_name
from secdaemon.pipeline.account.markup import Child, Html, tag
from secdaemon.pipeline.account.report_data import ReportData
from secdaemon.pipeline.account.report_parts import (
    DASH,
    badge,
    cell,
    facts,
    row_name,
    section,
    sub,
    table,
)
from secdaemon.pipeline.interface import HealingAttempt, RetentionOutput, RetentionResult

_BOUNDS = {
    "point": "it has to be at least 0",
    "ci_low": "its whole interval has to be at least 0",
}


def retention(data: ReportData) -> Html | None:
    """Return retention against its threshold; None where nothing is known."""
    judged = data.outputs.retention
    if judged is None:
        return None
    found = judged.retention
    return section(
        "Retention",
        "The share of Stage 1's gain over the base, on Stage 1's own test split, that is left "
        "after Stage 2: 1 is all of it, 0 none; above 1, Stage 2 went on improving.",
        _interval(found),
        tag("p", f"{found.reason[:1].upper()}{found.reason[1:]}."),
        facts(_retention_facts(found)),
        *_healing(judged),
    )


def _healing(judged: RetentionOutput) -> Iterator[Html]:
    """Yield what was tried against forgetting; nothing where nothing had to be."""
    if not judged.healing:
        return
    yield tag("h3", "Healing")
    yield tag("p", f"{(judged.remedy or '')[:1].upper()}{(judged.remedy or '')[1:]}.")
    rows = [
        [
            row_name(attempt_name(attempt), sub(_asked(attempt))),
            _measured(attempt.retention),
            _measured(attempt.improvement),
            cell(
                badge("passed", "good") if attempt.passed else badge("not passed", "bad"),
                sub("the final model") if attempt.chosen else None,
            ),
        ]
        for attempt in judged.healing
    ]
    yield table(("Tried", "Retention", "Improvement", "Verdict"), rows)


def _asked(attempt: HealingAttempt) -> str:
    return f"{attempt.replay_ratio:.0%} replay at a rate of {attempt.learning_rate:.3g}"


def _measured(value: float | None) -> Html:
    return cell(DASH, kind="num zero") if value is None else cell(f"{value:.3f}", kind="num")


def _interval(found: RetentionResult) -> Html | None:
    if found.value is None:
        return None
    bounds = None
    if found.ci_low is not None and found.ci_high is not None:
        bounds = (found.ci_low, found.ci_high)
    return interval_chart(
        "retention",
        "Retention with its 95 % interval",
        found.value,
        bounds,
        found.threshold,
        passed=found.passed,
    )


def _retention_facts(found: RetentionResult) -> Iterator[tuple[str, Child]]:
    if found.ci_low is not None and found.ci_high is not None:
        yield "95 % interval", f"{found.ci_low:.3f} to {found.ci_high:.3f}"
    gain = found.gain
    if gain.value is not None:
        between = ""
        if gain.ci_low is not None and gain.ci_high is not None:
            between = f" ({gain.ci_low:.3f} to {gain.ci_high:.3f})"
        yield "Stage 1's gain", f"{gain.value:.3f} nats per token{between}"
    if found.slack.value is not None:
        yield "Slack", f"{found.slack.text} nats per token; {_BOUNDS[found.bound]}"
    if found.edited.value is not None:
        yield "Over the edited tokens", f"{found.edited.text} of Stage 1's gain on them"
    if found.token_accuracy_ratio is not None:
        ratio = f"{found.token_accuracy_ratio:.3f}"
        yield "Token accuracy", f"{ratio} of Stage 1's; it decides nothing"
