"""What a training takes of the memory, as it was measured."""

import msgspec


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """What a training's longest batch took before the first iteration, and what was decided."""

    peak_bytes: int
    budget_bytes: int
    tokens: int
    """Of the longest batch, padding included."""
    max_seq_length: int
    """Less than the setting where longer examples did not fit into memory."""
    grad_checkpoint: bool
    unaided_bytes: int | None = None
    """What it took before anything was done about it; null where nothing had to be."""
