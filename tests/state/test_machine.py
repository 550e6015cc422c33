"""The transition table is the contract's, all of it and nothing more."""

from itertools import product

import pytest

from secdaemon.state.machine import (
    BEFORE_TRAINING,
    ENDS,
    RULES,
    TRANSITIONS,
    WORKING,
    Cause,
    Slot,
    State,
    Step,
    TransitionError,
    check,
    rule_from,
    rule_of,
)
from secdaemon.state.model import is_finished

# Written down from the contract by hand: from, to, cause.
GOLDEN = """
received        unpacked        unpack
received        rejected        unpack
received        failed          unpack
received        cancelled       cancel
unpacked        parsed          parse
unpacked        rejected        parse
unpacked        skipped         parse
unpacked        failed          parse
unpacked        cancelled       cancel
parsed          dataset_built   build_dataset
parsed          skipped         build_dataset
parsed          failed          build_dataset
parsed          superseded      supersede
parsed          cancelled       cancel
dataset_built   stage1_ready    stage1
dataset_built   held            stage1
dataset_built   failed          stage1
dataset_built   superseded      supersede
dataset_built   cancelled       cancel
stage1_ready    stage2_trained  stage2
stage1_ready    held            stage2
stage1_ready    failed          stage2
stage1_ready    superseded      supersede
stage1_ready    cancelled       cancel
stage2_trained  retained        retention
stage2_trained  held            retention
stage2_trained  failed          retention
stage2_trained  cancelled       cancel
retained        published       publish
retained        held            publish
retained        failed          publish
retained        cancelled       cancel
held            retained        release
held            dataset_built   retry
held            stage1_ready    retry
held            stage2_trained  retry
held            retained        retry
failed          received        retry
failed          unpacked        retry
failed          parsed          retry
failed          dataset_built   retry
failed          stage1_ready    retry
failed          stage2_trained  retry
failed          retained        retry
"""

CAUSES: list[Step | Cause] = [*Step, *Cause]


def golden() -> set[tuple[str, str, str]]:
    """Return the list above as a set."""
    rows = [line.split() for line in GOLDEN.strip().splitlines()]
    return {(source, target, cause) for source, target, cause in rows}


def test_the_table_is_the_golden_list() -> None:
    """Every move of the table is on the list, and every one of the list is in the table."""
    assert {(str(a), str(b), str(c)) for a, b, c in TRANSITIONS} == golden()


def test_check_passes_what_the_list_has_and_nothing_else() -> None:
    """Of all pairs of states and all causes, exactly the list passes; the rest is refused."""
    passed = set()
    for source, target, cause in product(State, State, CAUSES):
        try:
            check(source, target, cause)
        except TransitionError:
            continue
        passed.add((str(source), str(target), str(cause)))
    assert passed == golden()
    with pytest.raises(TransitionError, match="cannot go from skipped to published by release"):
        check(State.SKIPPED, State.PUBLISHED, Cause.RELEASE)


def test_the_states_and_steps_are_the_contracts() -> None:
    """The working states and the steps between them, in their order, and the ends."""
    line = "received unpacked parsed dataset_built stage1_ready stage2_trained retained published"
    assert " ".join([*(rule.source for rule in RULES), RULES[-1].target]) == line
    assert [rule.step for rule in RULES] == list(Step)
    assert " ".join(Step) == "unpack parse build_dataset stage1 stage2 retention publish"
    ends = [state for state in State if state in ENDS]
    assert " ".join(ends) == "published skipped superseded held rejected failed cancelled"
    assert set(WORKING) | ENDS == set(State)


def test_no_way_leads_out_of_an_end_but_a_persons_word() -> None:
    """Only `retry` and `release` leave an end, and only held and failed can be left."""
    out = {(source, cause) for source, _, cause in TRANSITIONS if source in ENDS}
    assert out == {
        (State.FAILED, Cause.RETRY),
        (State.HELD, Cause.RETRY),
        (State.HELD, Cause.RELEASE),
    }


def test_training_and_measuring_are_heavy() -> None:
    """The heavy slot takes the three steps that load a model for long; the light one the rest."""
    heavy = {rule.step for rule in RULES if rule.slot is Slot.HEAVY}
    assert heavy == {Step.STAGE1, Step.STAGE2, Step.RETENTION}
    assert {rule.slot for rule in RULES} == set(Slot)


def test_a_run_is_superseded_between_parsing_and_training() -> None:
    """Its findings are kept by then, and Stage 2 has not begun."""
    assert {State.PARSED, State.DATASET_BUILT, State.STAGE1_READY} == BEFORE_TRAINING


@pytest.mark.parametrize("state", State)
def test_rules_are_found_by_state_and_step(state: State) -> None:
    """A working state has its rule, an end has none, and a rule is found by its step."""
    rule = rule_from(state)
    assert (rule is None) == (state in ENDS)
    if rule is not None:
        assert rule.source is state
        assert rule_of(rule.step) is rule


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("publish", [True, False])
def test_what_counts_as_finished(state: State, publish: bool) -> None:
    """Ends are finished, and retained is where publishing is switched off."""
    expected = state in ENDS or (state is State.RETAINED and not publish)
    assert is_finished(state, publish) is expected
