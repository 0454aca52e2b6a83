"""Who stops at a rung, and who is kept; the oracle for the cutoffs themselves is Ray's, in test_stopping_rungs.py."""

import pytest

from tests.tuner.policy.playing import DEFAULT, MAX_EPOCHS, SOURCE, make
from tuner.policy.decision import CONTINUE, KEEP, STOP
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Start, take_result

KINDS = ("asha-stopping tpe", "asha-stopping random")


def configuration(rate):
    return SOURCE.of(DEFAULT | {"rate": rate})


def results_at_first_rung(policy, values):
    """The step after each of these values, as trials come to the first rung one after the other."""
    steps = {}
    for number, (trial, value) in enumerate(values.items()):
        policy.start(trial, SOURCE.of(DEFAULT) if trial == "default" else configuration(1e-4 * (number + 1)))
        steps[trial] = take_result(policy, trial, epoch=1, value=value, max_epochs=MAX_EPOCHS)
    return steps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_poor_trials_stop_and_the_default_never_does(kind, mode):
    sign = 1.0 if mode == "max" else -1.0
    values = {"a": 0.5, "b": 0.6, "default": 0.1, "c": 0.2, "d": 0.7}
    policy = make(kind, mode=mode, reduction_factor=2, slots=5)
    steps = results_at_first_rung(policy, {trial: sign * value for trial, value in values.items()})
    assert [step.decisions[0].action for step in steps.values()] == [CONTINUE, CONTINUE, KEEP, STOP, CONTINUE]
    assert [step.goes_on for step in steps.values()] == [True, True, True, False, True]
    assert steps["c"].outcome is Outcome.STOPPED_AT_RUNG
    assert steps["default"].decisions[0].value == sign * 0.1


def test_a_trial_that_comes_to_its_rung_again_gets_the_decision_that_it_got():
    policy = make("asha-stopping random", reduction_factor=2, slots=5)
    results_at_first_rung(policy, {"a": 0.5, "default": 0.1})
    for trial, action in (("a", CONTINUE), ("default", KEEP)):
        assert policy.report(trial, epoch=1, value=0.0).action == action


@pytest.mark.parametrize("kind", KINDS)
def test_without_rungs_trials_train_to_their_full_length(kind):
    policy = make(kind, rung_epochs=())
    policy.start("a", SOURCE.of(DEFAULT))
    for epoch in range(1, MAX_EPOCHS):
        step = take_result(policy, "a", epoch=epoch, value=-float(epoch), max_epochs=MAX_EPOCHS)
        assert step.goes_on
        assert step.decisions == ()
    step = take_result(policy, "a", epoch=MAX_EPOCHS, value=0.0, max_epochs=MAX_EPOCHS)
    assert (step.outcome, step.goes_on) == (Outcome.COMPLETED, False)


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_run_at_a_time_than_there_are_slots_and_the_search_ends_when_all_have(kind):
    policy = make(kind, slots=2, num_trials=3)
    for trial in "ab":
        policy.start(trial, policy.next_work().candidate)
    assert policy.next_work() is NoWork.WAIT
    policy.end("a", Outcome.FAILED)
    assert isinstance(policy.next_work(), Start)
    policy.start("c", policy.next_work().candidate)
    policy.end("b", Outcome.FAILED)
    assert policy.next_work() is NoWork.WAIT
    policy.end("c", Outcome.FAILED)
    assert policy.next_work() is NoWork.FINISHED


@pytest.mark.parametrize("kind", KINDS)
def test_past_trials_stand_at_no_rung_and_take_no_slot(kind):
    policy = make(kind)
    policy.add_past_trial("past/0", configuration(1e-3), {1: 0.9, 2: 0.9}, Outcome.STOPPED_AT_RUNG)
    assert policy.next_work().candidate.answers == DEFAULT
    policy.start("a", configuration(2e-3))
    assert policy.report("a", epoch=1, value=0.1).of == 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_trial_waits_and_none_can_make_room(kind):
    policy = make(kind)
    policy.start("a", SOURCE.of(DEFAULT))
    policy.report("a", epoch=1, value=0.5)
    assert policy.paused == {}
    assert policy.trial_to_evict(kept=()) is None
