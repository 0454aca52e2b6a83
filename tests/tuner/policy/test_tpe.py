"""The sampler sees an excerpt of a long study, and its best are the best of all."""

import random

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from tuner.excerpt import Excerpt, ExcerptTPESampler

RANGE = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("num_complete", [3, 40])
def test_the_best_of_the_excerpt_are_those_that_tpe_takes_of_the_whole(direction, num_complete):
    study = study_of(num_complete, direction=direction)
    excerpt = Excerpt(num_best=25, num_latest=20).of(study)
    everything = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(excerpt) < len(everything)
    best, of_excerpt = (_split_trials(study, trials, 25)[0] for trials in (everything, excerpt))
    assert [trial.number for trial in of_excerpt] == [trial.number for trial in best]


def test_the_excerpt_goes_on_with_what_is_new_and_shows_what_runs():
    study, excerpt = optuna.create_study(), Excerpt(num_best=2, num_latest=2)
    asked = [study.ask(RANGE) for _ in range(6)]
    assert [trial.number for trial in excerpt.of(study)] == [0, 1, 2, 3, 4, 5]
    for number in (5, 0, 1, 2, 3):
        study.tell(asked[number], float(number))
        excerpt.of(study)
    # The best two, the two that ended last, and the one that has not ended.
    assert [trial.number for trial in excerpt.of(study)] == [0, 1, 2, 3, 4]
    study.tell(asked[4], state=TrialState.FAIL)
    assert [trial.number for trial in excerpt.of(study)] == [0, 1, 2, 3]


def test_a_study_that_fits_is_searched_as_by_optuna_itself():
    proposals = [
        values_by(sampler(seed=3, multivariate=True, group=True)) for sampler in (ExcerptTPESampler, TPESampler)
    ]
    assert proposals[0] == proposals[1]


def values_by(sampler: TPESampler) -> list[dict]:
    study = optuna.create_study(sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1.0, 1.0)
        return (x - trial.suggest_float("y", 0.0, 1.0)) ** 2 if trial.suggest_categorical("both", [True, False]) else x

    study.optimize(objective, n_trials=25)
    return [trial.params for trial in study.trials]


def study_of(num_complete: int, *, direction: str) -> optuna.Study:
    """Complete, pruned at several epochs, infeasible and failed trials, in a random order."""
    study, draw = optuna.create_study(direction=direction), random.Random(0)
    kinds = ["complete"] * num_complete + ["pruned"] * 50 + ["infeasible"] * 20 + ["failed"] * 5
    draw.shuffle(kinds)
    for kind in kinds:
        trial = study.ask(RANGE)
        for epoch in range(1, draw.randint(1, 4)):
            trial.report(draw.random(), epoch)
        if kind == "infeasible":
            trial.set_constraint("outcome", 1.0)
        states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
        study.tell(trial, draw.random() if kind == "complete" else None, state=states.get(kind, TrialState.PRUNED))
    return study
