"""What a search for settings found, as text."""

from secdaemon.pipeline.tuning import Search, Trial


def told(found: Search) -> str:
    """Return the trials as a table, and the proposal as lines for config.yaml."""
    columns = f"{'iterations':>10}  {'rate':>9}  {'replay':>6}  {'rank':>4}  {'gain (nats)':>24}"
    lines = [
        f"run {found.run}: {len(found.trials)} trainings, the best of each round first below",
        "",
        f"{columns}  retention",
        *(_row(trial) for trial in found.trials),
        "",
        found.evidence,
    ]
    if found.proposal is not None:
        choice = found.proposal
        rate, replay = f"{choice.learning_rate:g}", f"{choice.replay_ratio:g}"
        lines += [
            "",
            "To use it, in config.yaml:",
            "",
            f"lora: {{rank: {choice.rank}}}",
            f"stage2: {{learning_rate: {rate}, replay_ratio: {replay}}}",
        ]
        if any(trial.choice.rank != choice.rank for trial in found.trials if trial.current):
            lines.append("Another rank has Stage 1 trained anew.")
    return "\n".join(lines)


def _row(trial: Trial) -> str:
    gain = (
        "diverged" if trial.diverged else trial.gain.text if trial.gain.value is not None else "-"
    )
    kept = "undefined" if trial.retention is None else f"{trial.retention:.3f}"
    mark = "  in use" if trial.current else ""
    choice = trial.choice
    return (
        f"{trial.iterations:>10}  {choice.learning_rate:>9.3g}  {choice.replay_ratio:>6.0%}  "
        f"{choice.rank:>4}  {gain:>24}  {kept}{mark}"
    )
