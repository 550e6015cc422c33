"""What was tried against forgetting, as a card, a report and a person call it."""

from secdaemon.pipeline.interface import HealingAttempt


def attempt_name(attempt: HealingAttempt) -> str:
    """Return what an attempt was, in a few words."""
    training = "training"
    if attempt.training:
        training = "retraining" if attempt.training == 1 else f"retraining {attempt.training}"
    match attempt.kind:
        case "trained":
            return "Stage 2 as trained"
        case "retrained":
            return "Stage 2 trained again" + (
                f", time {attempt.training}" if attempt.training > 1 else ""
            )
        case "walk":
            return f"{attempt.t:.3f} of the way from Stage 1 to the {training}"
