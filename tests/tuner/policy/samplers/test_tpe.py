"""The oracle is Optuna: what it ranks, what it proposes, and plain random search."""

import random

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from tests.tuner.policy import playing
from tests.tuner.policy.playing import SOURCE
from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import Start
from tuner.policy.samplers import tpe
from tuner.policy.samplers.sampler import RandomSampler
from tuner.policy.samplers.tpe import TpeSampler
from tuner.policy.schedulers.stopping import StoppingPolicy

MAX_EPOCHS = 3


def line(trial):
    return {"x": trial.suggest_float("x", 0.0, 1.0)}


def square(trial):
    return {"x": trial.suggest_float("x", -5.0, 5.0), "y": trial.suggest_float("y", -5.0, 5.0)}


def told(sampler, trial, values, outcome, *, candidate=None):
    sampler.start(trial, candidate or SpaceSource(line).of({"x": 0.5}))
    for epoch, value in enumerate(values, start=1):
        sampler.report(trial, epoch=epoch, value=value)
    sampler.end(trial, outcome)


def seen_by_optuna(sampler):
    """The trials of the study that it has proposed from."""
    next(iter(sampler.draw(random.Random(0))))
    return [trial for trial in sampler._study.trials if trial.state is not TrialState.FAIL]


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.PLATEAUED])
def test_a_trial_of_full_length_is_complete_with_its_last_value(outcome):
    sampler = TpeSampler(line, mode="max")
    told(sampler, "a", [0.1, 0.3, 0.2], outcome)
    (trial,) = seen_by_optuna(sampler)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.2)
    assert trial.intermediate_values == {1: 0.1, 2: 0.3, 3: 0.2}
    assert trial.params == {"x": 0.5}


def test_a_trial_stopped_at_a_rung_is_pruned_with_its_values():
    sampler = TpeSampler(line, mode="max")
    told(sampler, "a", [0.1, 0.2], Outcome.STOPPED_AT_RUNG)
    (trial,) = seen_by_optuna(sampler)
    assert (trial.state, trial.intermediate_values, trial.constraints) == (TrialState.PRUNED, {1: 0.1, 2: 0.2}, {})


def test_a_waiting_trial_is_pruned_with_its_values_and_later_what_it_became():
    sampler = TpeSampler(line, mode="max")
    for trial, value in (("a", 0.1), ("b", 0.2)):
        sampler.start(trial, SpaceSource(line).of({"x": 0.5}))
        sampler.report(trial, epoch=1, value=value)
        sampler.pause(trial)
    assert [trial.intermediate_values for trial in seen_by_optuna(sampler)] == [{1: 0.1}, {1: 0.2}]
    sampler.report("a", epoch=2, value=0.3)
    sampler.end("a", Outcome.COMPLETED)
    states = {trial.state: trial.intermediate_values for trial in seen_by_optuna(sampler)}
    assert states == {TrialState.PRUNED: {1: 0.2}, TrialState.COMPLETE: {1: 0.1, 2: 0.3}}


@pytest.mark.parametrize("values", [[], [0.1, 0.2]])
@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.counts_as_bad])
def test_a_bad_configuration_is_pruned_and_infeasible(outcome, values):
    sampler = TpeSampler(line, mode="max")
    told(sampler, "a", values, outcome)
    (trial,) = seen_by_optuna(sampler)
    assert trial.state is TrialState.PRUNED
    assert all(violation > 0 for violation in trial.constraints.values())
    assert len(trial.constraints) == 1
    assert list(trial.intermediate_values.values()) == values


def test_a_failure_without_blame_and_a_running_trial_teach_nothing():
    sampler = TpeSampler(line, mode="max")
    told(sampler, "a", [0.9], Outcome.FAILED)
    sampler.start("b", SpaceSource(line).of({"x": 0.1}))
    sampler.report("b", epoch=1, value=0.9)
    assert seen_by_optuna(sampler) == []


def test_an_epoch_that_was_trained_again_counts_once_as_the_last_time():
    sampler = TpeSampler(line, mode="max")
    sampler.start("a", SpaceSource(line).of({"x": 0.5}))
    for epoch, value in ((1, 0.1), (2, 0.2), (1, 0.15), (2, 0.25), (3, 0.3)):
        sampler.report("a", epoch=epoch, value=value)
    sampler.end("a", Outcome.COMPLETED)
    assert seen_by_optuna(sampler)[0].intermediate_values == {1: 0.15, 2: 0.25, 3: 0.3}


def test_every_outcome_has_a_state():
    assert tpe.STATES.keys() == set(Outcome)


def test_what_is_drawn_is_of_the_space_with_what_the_space_made_of_it():
    sampler, generator = TpeSampler(playing.space, mode="max"), random.Random(0)
    for number in range(30):
        candidate = next(iter(sampler.draw(generator)))
        again = SOURCE.of(candidate.answers)
        assert (again.answers, again.params) == (candidate.answers, candidate.params)
        told(sampler, str(number), [random.random()], Outcome.STOPPED_AT_RUNG, candidate=candidate)


def best_found(kind, *, seed, mode="min"):
    """After fifty evaluations of a square."""
    sign = 1.0 if mode == "min" else -1.0
    sampler = TpeSampler(square, mode=mode) if kind == "tpe" else RandomSampler(SpaceSource(square))
    config = HalvingConfig(
        rung_epochs=(), max_epochs=1, reduction_factor=2, mode=mode, slots=1, seed=seed, num_trials=50
    )
    policy, found = StoppingPolicy(sampler, config), []
    while isinstance(work := policy.next_work(), Start):
        trial, params = str(len(found)), work.candidate.params
        found.append((params["x"] - 1) ** 2 + (params["y"] + 2) ** 2)
        policy.start(trial, work.candidate)
        policy.report(trial, epoch=1, value=sign * found[-1])
        policy.end(trial, Outcome.COMPLETED)
    assert len(found) == 50
    return min(found)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_it_beats_random_search_on_a_square(mode):
    pairs = [(best_found("tpe", seed=seed, mode=mode), best_found("random", seed=seed, mode=mode)) for seed in range(8)]
    assert sum(own < other for own, other in pairs) >= 6
    assert sum(own for own, _ in pairs) < 0.5 * sum(other for _, other in pairs)


def share_above_half(ending, *, seed):
    """Share of the last 30 of 60 trials above 0.5, where two epochs look splendid and end so; below: mediocre."""
    sampler, generator, proposed = TpeSampler(line, mode="max"), random.Random(seed), []
    for number in range(60):
        candidate = next(iter(sampler.draw(generator)))
        x = candidate.params["x"]
        proposed.append(x)
        values = [0.9, 0.9] if x > 0.5 else [0.1 - abs(x - 0.25)] * 3
        told(sampler, str(number), values, ending if x > 0.5 else Outcome.STOPPED_AT_RUNG, candidate=candidate)
    return sum(x > 0.5 for x in proposed[-30:]) / 30


@pytest.mark.parametrize("seed", range(3))
def test_it_avoids_where_trials_diverge_however_good_they_looked_before(seed):
    assert share_above_half(Outcome.DIVERGED, seed=seed) <= 0.2
    assert share_above_half(Outcome.COMPLETED, seed=seed) >= 0.6


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("share_complete", [0.1, 0.6])
def test_a_shortened_study_keeps_the_trials_that_tpe_takes_for_the_best(monkeypatch, mode, share_complete):
    for name, number in (("NUM_BEST", 25), ("NUM_LATEST", 20), ("NUM_BETWEEN", 10)):
        monkeypatch.setattr(tpe, name, number)
    direction = {"max": "maximize", "min": "minimize"}[mode]
    sampler, whole, draw = TpeSampler(line, mode=mode), optuna.create_study(direction=direction), random.Random(0)
    for number in range(200):
        bad, kind = draw.random() < 0.2, "complete" if draw.random() < share_complete else "pruned"
        outcome = Outcome.DIVERGED if bad else Outcome.COMPLETED if kind == "complete" else Outcome.STOPPED_AT_RUNG
        values = [draw.random() for _ in range(draw.randint(1, MAX_EPOCHS))]
        told(sampler, str(number), values, outcome, candidate=SpaceSource(line).of({"x": number / 200}))
        whole.add_trial(list(sampler._known.values())[-1])
        if number % 5:
            continue
        shown = seen_by_optuna(sampler)
        assert len(shown) <= 25 + 20 + 10
        best, kept = (
            {trial.params["x"] for trial in _split_trials(study, list(trials), 25)[0]}
            for study, trials in ((whole, whole.trials), (sampler._study, shown))
        )
        assert kept == best
        assert [trial.params["x"] for trial in shown[-5:]] == [trial.params["x"] for trial in whole.trials[-5:]]
    assert len(shown) < 100
