"""The oracle is Ray's own scheduler, driven with the same results in the same order."""

import random
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from tuner.policy.decision import CONTINUE, STOP
from tuner.policy.halving import rung_epochs
from tuner.policy.schedulers.stopping_rungs import StoppingRungs


def test_a_decision_worked_by_hand():
    rungs = StoppingRungs([3], reduction_factor=3, mode="max")
    arrivals = [("a", 0.5), ("b", 0.4), ("c", 0.7), ("d", 0.45)]
    decisions = [rungs.report(trial, epoch=3, value=value) for trial, value in arrivals]
    assert [d.action for d in decisions] == [CONTINUE, STOP, CONTINUE, STOP]
    assert [d.cutoff for d in decisions] == [
        None,
        0.5,
        pytest.approx(0.4 + 2 / 3 * 0.1),
        pytest.approx(0.5 + 1 / 3 * 0.2),
    ]
    assert [(d.rank, d.of) for d in decisions] == [(1, 1), (2, 2), (1, 3), (3, 4)]
    assert {d.rung for d in decisions} == {1}


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_decisions_are_those_of_ray(mode, factor, seed):
    draw = random.Random(seed)
    longest = draw.choice([9, 20, 27])
    grace = draw.randint(1, 3)
    ray_scheduler = AsyncHyperBandScheduler(
        "epoch", "value", mode, max_t=longest, grace_period=grace, reduction_factor=factor
    )
    epochs = rung_epochs(grace_epochs=grace, max_epochs=longest, reduction_factor=factor)
    ours = StoppingRungs(epochs, reduction_factor=factor, mode=mode)
    running, next_id = {}, 0
    for _ in range(600):
        if len(running) < 6:
            running[str(next_id)] = 0
            ray_scheduler.on_trial_add(None, SimpleNamespace(trial_id=str(next_id)))
            next_id += 1
        trial = draw.choice(sorted(running))
        running[trial] += 1
        # Rounded, so that ties occur.
        value, epoch = round(draw.gauss(0, 1), 1), running[trial]
        expected = ray_scheduler.on_trial_result(
            None, SimpleNamespace(trial_id=trial), {"epoch": epoch, "value": value}
        )
        if epoch == longest:
            del running[trial]
            continue
        decision = ours.report(trial, epoch=epoch, value=value)
        assert (decision.action if decision else CONTINUE) == expected.lower()
        if expected == "STOP":
            del running[trial]
    assert next_id > 20


def test_without_rungs_there_is_nothing_to_decide():
    rungs = StoppingRungs([], reduction_factor=2, mode="max")
    assert all(rungs.report("a", epoch=epoch, value=-float(epoch)) is None for epoch in range(1, 20))


def test_a_trial_restored_late_does_not_fill_lower_rungs():
    rungs = StoppingRungs([1, 3, 9], reduction_factor=3, mode="max")
    for epoch in (4, 5, 9):
        rungs.report("restored", epoch=epoch, value=0.9)
    assert rungs.report("new", epoch=1, value=0.1).of == 1
    assert rungs.report("new", epoch=3, value=0.1).of == 1
    assert rungs.report("new", epoch=9, value=0.1).of == 2


def test_a_trial_that_repeats_a_rung_gets_the_decision_that_it_got():
    rungs = StoppingRungs([3], reduction_factor=2, mode="max")
    values = {"a": 0.5, "b": 0.4, "c": 0.9}
    first = {trial: rungs.report(trial, epoch=3, value=value) for trial, value in values.items()}
    again = {trial: rungs.report(trial, epoch=3, value=value) for trial, value in values.items()}
    assert again == first
