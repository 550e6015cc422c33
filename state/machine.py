"""The states of a run and how it may move between them: one frozen table, and nothing else decides.

received -> unpacked -> parsed -> dataset_built -> stage1_ready -> stage2_trained -> retained
-> published
"""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """Where a run stands; in a working state it waits for, or is in, the step that leads on."""

    RECEIVED = "received"
    UNPACKED = "unpacked"
    PARSED = "parsed"
    DATASET_BUILT = "dataset_built"
    STAGE1_READY = "stage1_ready"
    STAGE2_TRAINED = "stage2_trained"
    RETAINED = "retained"
    PUBLISHED = "published"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    HELD = "held"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """The work between two states."""

    UNPACK = "unpack"
    PARSE = "parse"
    BUILD_DATASET = "build_dataset"
    STAGE1 = "stage1"
    STAGE2 = "stage2"
    RETENTION = "retention"
    PUBLISH = "publish"


class Cause(StrEnum):
    """What moves a run besides its own steps."""

    CANCEL = "cancel"
    RETRY = "retry"
    RELEASE = "release"
    SUPERSEDE = "supersede"


class Slot(StrEnum):
    """At most one worker a slot lives at a time."""

    HEAVY = "heavy"
    LIGHT = "light"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One step: where it starts, where success leads, how else it may end, which slot it takes."""

    step: Step
    source: State
    target: State
    ends: frozenset[State]
    slot: Slot


def _rule(step: Step, source: State, target: State, slot: Slot, *ends: State) -> Rule:
    return Rule(
        step=step, source=source, target=target, ends=frozenset({State.FAILED, *ends}), slot=slot
    )


RULES: tuple[Rule, ...] = (
    _rule(Step.UNPACK, State.RECEIVED, State.UNPACKED, Slot.LIGHT, State.REJECTED),
    _rule(Step.PARSE, State.UNPACKED, State.PARSED, Slot.LIGHT, State.REJECTED, State.SKIPPED),
    _rule(Step.BUILD_DATASET, State.PARSED, State.DATASET_BUILT, Slot.LIGHT, State.SKIPPED),
    _rule(Step.STAGE1, State.DATASET_BUILT, State.STAGE1_READY, Slot.HEAVY, State.HELD),
    _rule(Step.STAGE2, State.STAGE1_READY, State.STAGE2_TRAINED, Slot.HEAVY, State.HELD),
    _rule(Step.RETENTION, State.STAGE2_TRAINED, State.RETAINED, Slot.HEAVY, State.HELD),
    _rule(Step.PUBLISH, State.RETAINED, State.PUBLISHED, Slot.LIGHT, State.HELD),
)

WORKING: tuple[State, ...] = tuple(rule.source for rule in RULES)
ENDS: frozenset[State] = frozenset(State) - frozenset(WORKING)
BEFORE_TRAINING: frozenset[State] = frozenset(
    {State.PARSED, State.DATASET_BUILT, State.STAGE1_READY}
)
TRAINED: frozenset[State] = frozenset({State.STAGE2_TRAINED, State.RETAINED, State.PUBLISHED})


def _table() -> frozenset[tuple[State, State, Step | Cause]]:
    """Return every move there is: from, to, and what causes it."""
    moves: set[tuple[State, State, Step | Cause]] = set()
    for rule in RULES:
        moves.add((rule.source, rule.target, rule.step))
        moves.update((rule.source, end, rule.step) for end in rule.ends)
        moves.add((rule.source, State.CANCELLED, Cause.CANCEL))
        moves.add((State.FAILED, rule.source, Cause.RETRY))
        if State.HELD in rule.ends:
            moves.add((State.HELD, rule.source, Cause.RETRY))
    moves.update((state, State.SUPERSEDED, Cause.SUPERSEDE) for state in BEFORE_TRAINING)
    moves.add((State.HELD, State.RETAINED, Cause.RELEASE))
    return frozenset(moves)


TRANSITIONS = _table()


class TransitionError(Exception):
    """A move that the table does not have."""


def check(source: State, target: State, cause: Step | Cause) -> None:
    """Pass when the table has this move.

    Raises:
        TransitionError: it has not.
    """
    if (source, target, cause) not in TRANSITIONS:
        msg = f"a run cannot go from {source} to {target} by {cause}"
        raise TransitionError(msg)


def rule_from(state: State) -> Rule | None:
    """Return the step that leads on from a state, None from an end."""
    return _BY_SOURCE.get(state)


def rule_of(step: Step) -> Rule:
    """Return the rule of a step."""
    return _BY_STEP[step]


_BY_SOURCE = {rule.source: rule for rule in RULES}
_BY_STEP = {rule.step: rule for rule in RULES}
