import warnings
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from tests.tuner.conftest import recorded_settings
from tuner.importance.measure import distributions_of, is_logarithmic, measure_importance
from tuner.importance.ped_anova import importance_of
from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, trial_name
from tuner.records.events import Decided, EpochDone, TrialEnded, TrialStarted


def search_of(params, objective, *, mode="max", outcomes=None):
    """One epoch per trial; `objective` of a trial's parameters, None where it was not measured."""
    search = SearchRecord(recorded_settings(mode=mode, num_trials=len(params)))
    for number, values in enumerate(params):
        trial, value = trial_name(number, values), objective(values)
        search.apply(TrialStarted(trial=trial, params=values, answers={}, time=0.0))
        if value is not None:
            search.apply(EpochDone(trial=trial, epoch=1, objective=value, metrics={}, seconds=1.0, time=1.0))
        outcome = (outcomes or {}).get(number, Outcome.COMPLETED)
        search.apply(TrialEnded(trial=trial, outcome=outcome, epoch=1, time=1.0))
    return search


def decision_of(trial, *, epoch):
    """The line of the first rung's first decision."""
    decision = Decision(epoch=epoch, rung=1, value=0.5, cutoff=None, rank=1, of=1, action="continue")
    return Decided(trial=trial, decision=decision, time=1.0)


def sampled(num_trials, *, seed=0):
    draw = np.random.default_rng(seed)
    names = ("decisive", "idle", "also_idle")
    return [{name: float(draw.uniform()) for name in names} for _ in range(num_trials)]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_parameter_that_decides_has_most_of_the_importance(mode):
    importance = measure_importance(search_of(sampled(40), lambda values: values["decisive"], mode=mode))
    assert "decisive" in importance.beyond_chance
    assert importance.shares["decisive"] > 0.7
    assert sum(importance.shares.values()) == pytest.approx(1.0)


def test_values_without_any_cause_are_rarely_called_important():
    found = 0
    for seed in range(5):
        noise = np.random.default_rng(100 + seed)
        search = search_of(sampled(30, seed=seed), lambda _, noise=noise: float(noise.uniform()))
        importance = measure_importance(search)
        found += len(importance.beyond_chance)
    assert found <= 4


def test_a_parameter_that_makes_trials_diverge_is_important_although_they_have_no_value():
    params = sampled(40)
    diverged = {n: Outcome.DIVERGED for n, values in enumerate(params) if values["decisive"] > 0.5}
    noise = np.random.default_rng(1)
    search = search_of(params, lambda v: None if v["decisive"] > 0.5 else float(noise.uniform()), outcomes=diverged)
    importance = measure_importance(search)
    assert importance.num_ended_before == len(diverged) > 10
    assert "decisive" in importance.beyond_chance


def test_without_the_stopped_trials_the_wrong_parameter_would_be_the_important_one():
    """The parameter that decided which trials were stopped hardly varies among the others."""
    params = sampled(60)
    search = search_of(params, lambda values: values["decisive"] + 0.2 * values["idle"])
    for trial in search.trials:
        if trial.params["decisive"] < 0.6:
            trial.outcome = Outcome.STOPPED_AT_RUNG
        else:
            full_length = replace(trial.results[1], epoch=12, objective=0.8 + 0.2 * trial.params["idle"])
            trial.results[12] = full_length
    search.decisions.append(decision_of(search.trials[0].name, epoch=1))
    importance = measure_importance(search)
    assert (importance.epoch, importance.num_trials) == (1, 60)
    assert next(iter(importance.shares)) == "decisive"
    completed = [trial for trial in search.trials if trial.outcome is Outcome.COMPLETED]
    alone = search_of([trial.params for trial in completed], lambda values: 0.8 + 0.2 * values["idle"])
    assert next(iter(measure_importance(alone).shares)) == "idle"


def test_a_parameter_that_only_some_trials_have_is_weighed_too():
    params = [values | ({"rare": values["idle"]} if number % 2 else {}) for number, values in enumerate(sampled(40))]
    importance = measure_importance(search_of(params, lambda values: values["decisive"]))
    assert set(importance.shares) == {"decisive", "idle", "also_idle", "rare"}


def test_too_few_trials_or_parameters_that_never_vary_have_no_importance():
    assert measure_importance(search_of(sampled(19), lambda values: values["decisive"])) is None
    assert measure_importance(search_of([{"fixed": 1}] * 30, lambda _: 0.5)) is None
    assert measure_importance(search_of([], lambda _: 0.5)) is None


def test_one_number_written_as_whole_and_as_decimal_has_not_varied():
    params = [values | {"decay": 0.0 if number else 0} for number, values in enumerate(sampled(30))]
    importance = measure_importance(search_of(params, lambda values: values["decisive"]))
    assert "decay" not in importance.shares


def test_the_ranges_are_those_that_were_tried():
    rows = [(1e-4, 2, "off", True, 1), (1e-3, 4, "ema", True, 1.5), (1e-2, 3, None, False, 2)]
    names = ("lr", "experts", "averaging", "flag", "mixed")
    trials = search_of([dict(zip((*names, "fixed"), (*row, 7), strict=True)) for row in rows], lambda _: 0.0).trials
    assert distributions_of(trials) == {
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
        "experts": IntDistribution(2, 4),
        "averaging": CategoricalDistribution(["off", "ema", None]),
        "flag": CategoricalDistribution([True, False]),
        "mixed": FloatDistribution(1, 2),
    }


def test_orders_of_magnitude_are_distinguished_from_a_linear_range_that_starts_near_zero():
    draw = np.random.default_rng(0)
    assert is_logarithmic(10 ** draw.uniform(-4, -2, 40))
    assert not is_logarithmic(draw.uniform(0.001, 0.9, 40))
    assert not is_logarithmic([0.0, 1.0, 100.0])


def test_a_parameter_of_several_numbers_that_only_some_trials_have_is_a_choice():
    params = [
        values | ({"weights": [0.5, 1.5] if values["idle"] > 0.5 else [1.0, 1.0]} if number % 2 else {})
        for number, values in enumerate(sampled(40))
    ]
    importance = measure_importance(search_of(params, lambda values: values["decisive"]))
    assert importance.shares["decisive"] > 0.5
    assert "weights" in importance.shares


def test_shares_and_chance_are_those_of_the_evaluator_of_optuna():
    draw = np.random.default_rng(3)
    params = [
        {
            "rate": float(10 ** draw.uniform(-4, -1)),
            "share": float(draw.uniform()),
            "experts": int(draw.integers(2, 9)),
            "width": int(2 ** draw.integers(0, 8)),
            "kind": str(draw.choice(["a", "b", "c"])),
        }
        | ({"rare": float(draw.uniform())} if number % 3 == 0 else {})
        | ({"once": number} if number in (4, 5) else {})
        for number in range(80)
    ]
    search = search_of(params, lambda values: round(-np.log10(values["rate"]) + values["share"], 1))
    distributions = distributions_of(search.trials)
    study = optuna.create_study(direction="maximize")
    for trial in search.trials:
        used = {name: distributions[name] for name in trial.params}
        value = trial.results[1].objective
        study.add_trial(optuna.trial.create_trial(params=trial.params, distributions=used, value=value))
    rankings = [[trial.value for trial in study.trials]]
    rankings += [list(draw.permutation(rankings[0])) for _ in range(3)]
    is_best = np.array([ranking >= np.sort(ranking)[-20] for ranking in rankings])
    ours = {name: importance_of(name, params, one, is_best) for name, one in distributions.items()}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
    for row, ranking in enumerate(rankings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = evaluator.evaluate(study, target=lambda trial, ranking=ranking: -ranking[trial.number])
        assert {name: values[row] for name, values in ours.items()} == pytest.approx(theirs, rel=1e-6)
