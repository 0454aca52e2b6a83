"""The promoting policy over every space that there is: conditions, choices, pinned values; without Ray or training."""

import zlib
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from tuner.policy import Terms
from tuner.promoting import PromotingProposer, PromotingScheduler
from tuner.replay_loop import ReplayedSearch
from tuner.replay_policies import Forgetful
from tuner.replay_problems import Curve, Problem

NUM_TRIALS, LONGEST = 30, 4
NUM_CONFIGURATIONS = {"dishes_grid": 6}
"""Three weight decays and two algorithms, with the rate pinned."""


class OfSpace(Problem):
    """Level curves over a pinned space, each configuration at a height of its own."""

    mode, max_epochs = "max", LONGEST

    def __init__(self, pinned):
        self.space = pinned

    def curve(self, params):
        level = zlib.crc32(repr(sorted(params.items())).encode()) / 2**32
        return Curve(np.full(LONGEST, level), np.arange(1.0, LONGEST + 1))


@pytest.fixture(scope="module", params=SPACES)
def searched(request):
    """The whole search, with the first parameter of the defaults pinned."""
    space, situation = SPACES[request.param], Situation(num_train_images=100, pretrained=False)
    name, value = next(iter(PinnedSpace(space, situation).first_points()[0].items()))
    pinned = PinnedSpace(space, situation, pins={name: value})
    problem = OfSpace(pinned)
    first = pinned.first_points()
    options = {"mode": "max", "slots": 2, "seed": 0, "num_trials": NUM_TRIALS}
    terms = Terms(rung_epochs=(1, 2), max_epochs=LONGEST, reduction_factor=2, **options)
    proposer = PromotingProposer(pinned, terms, metric="objective", enqueue=first)
    search = ReplayedSearch(
        problem, proposer, PromotingScheduler(proposer, Forgetful()), slots=2, stops_non_finite=False
    )
    search.run(10_000, on_epoch=lambda: None)
    asked = {"pinned": pinned, "first": first, "pin": (name, value)}
    return SimpleNamespace(space=space.name, search=search, trials=proposer.study.trials, **asked)


def test_it_tries_as_many_configurations_as_asked_or_as_there_are(searched):
    assert len(searched.trials) == NUM_CONFIGURATIONS.get(searched.space, NUM_TRIALS)


def test_the_defaults_come_first_and_nothing_comes_twice(searched):
    asked = [trial.params for trial in searched.trials]
    assert asked[: len(searched.first)] == searched.first
    assert len({tuple(sorted(params.items())) for params in asked}) == len(asked)


def test_what_is_pinned_is_in_every_configuration_and_never_asked_for(searched):
    name, value = searched.pin
    assert {trial.config[name] for trial in searched.search.get_trials()} == {value}
    assert not any(name in trial.params for trial in searched.trials)


def test_a_configuration_holds_exactly_what_the_space_asks_under_its_conditions(searched):
    for trial in searched.trials:
        asked = optuna.trial.FixedTrial(trial.params)
        searched.pinned(asked)
        assert asked.params == trial.params


def test_the_rungs_sort_them_and_every_one_ends(searched):
    epochs = [trial.epoch for trial in searched.search.get_trials()]
    assert 1 <= epochs.count(LONGEST) < epochs.count(1)
    for trial in searched.trials:
        reached = max(trial.intermediate_values)
        assert trial.state is (TrialState.COMPLETE if reached == LONGEST else TrialState.PRUNED)
