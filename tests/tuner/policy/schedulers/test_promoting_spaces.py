"""The promoting policy over every space that there is: conditions, choices, pinned values; without Ray or training."""

import zlib
from types import SimpleNamespace

import optuna
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.simulation import SimulatedSearch

NUM_TRIALS, LONGEST = 30, 4
NUM_CONFIGURATIONS = {"dishes_grid": 6}
"""Three weight decays and two algorithms, with the rate pinned."""


@pytest.fixture(scope="module", params=SPACES)
def searched(request):
    """The whole search, with the first parameter of the defaults pinned; each configuration has a value of its own."""
    space, situation = SPACES[request.param], Situation(num_train_images=100, pretrained=False)
    name, value = next(iter(PinnedSpace(space, situation).points_to_evaluate()[0].items()))
    pinned = PinnedSpace(space, situation, pins={name: value})
    first = pinned.points_to_evaluate()
    source = SpaceSource(pinned)
    options = {"mode": "max", "slots": 2, "seed": 0, "num_trials": NUM_TRIALS}
    config = HalvingConfig(rung_epochs=(1, 2), max_epochs=LONGEST, reduction_factor=2, **options)
    search = SimulatedSearch(
        PromotingPolicy(source, config, first=[source.of(point) for point in first]),
        slots=2,
        max_epochs=LONGEST,
        value=lambda trial: zlib.crc32(repr(sorted(trial.candidate.answers.items())).encode()) / 2**32,
        seconds=lambda trial, begins: 1.0,
    )
    search.run()
    asked = {"pinned": pinned, "first": first, "pin": (name, value)}
    return SimpleNamespace(space=space.name, trials=search.trials, **asked)


def test_it_tries_as_many_configurations_as_asked_or_as_there_are(searched):
    assert len(searched.trials) == NUM_CONFIGURATIONS.get(searched.space, NUM_TRIALS)


def test_the_defaults_come_first_and_nothing_comes_twice(searched):
    asked = [trial.candidate.answers for trial in searched.trials]
    assert asked[: len(searched.first)] == searched.first
    assert len({tuple(sorted(answers.items())) for answers in asked}) == len(asked)


def test_what_is_pinned_is_in_every_configuration_and_never_asked_for(searched):
    name, value = searched.pin
    assert {trial.candidate.params[name] for trial in searched.trials} == {value}
    assert not any(name in trial.candidate.answers for trial in searched.trials)


def test_a_configuration_holds_exactly_what_the_space_asks_under_its_conditions(searched):
    for trial in searched.trials:
        asked = optuna.trial.FixedTrial(trial.candidate.answers)
        assert searched.pinned(asked) == trial.candidate.params
        assert asked.params == trial.candidate.answers


def test_the_rungs_sort_them(searched):
    epochs = [trial.epoch for trial in searched.trials]
    assert set(epochs) <= {1, 2, LONGEST}
    assert 1 <= epochs.count(LONGEST) < epochs.count(1)
