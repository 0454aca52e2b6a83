"""The stand-in for an Optuna trial; the oracle is Optuna's own fixed trial."""

import itertools
import random
from collections import Counter

import optuna
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from search_spaces.stub_trials import (
    Choices,
    FloatRange,
    IntRange,
    StubTrial,
    configurations,
    ends_or_inside,
    given_or_middle,
    passing_on,
)
from tuner.policy.candidates import SpaceSource


def space(trial):
    return {
        "rate": trial.suggest_float("rate", 1e-4, 1e-2, log=True),
        "share": trial.suggest_float("share", 0.0, 0.5, step=0.1),
        "width": trial.suggest_int("width", 8, 40, step=16),
        "experts": trial.suggest_int("experts", 2, 32, log=True),
        "kind": trial.suggest_categorical("kind", ("plain", "mixed")),
    }


@pytest.mark.parametrize("trial", [given_or_middle({}), *map(ends_or_inside, range(20))])
def test_what_is_answered_is_what_optuna_would_accept(trial):
    """It warns of a value outside its range, and refuses an unknown choice."""
    params = space(trial)
    fixed = optuna.trial.FixedTrial(trial.params)
    assert space(fixed) == params == trial.params


def uneven(trial):
    """No range ends on a step."""
    return {
        "width": trial.suggest_int("width", 8, 60, step=16),
        "share": trial.suggest_float("share", 0.1, 0.35, step=0.1),
        "rate": trial.suggest_float("rate", 0.0, 1.0, step=0.6),
    }


@pytest.mark.filterwarnings("ignore:The distribution is specified by")
def test_only_steps_are_answered_where_a_range_does_not_end_on_one():
    drawn = [SpaceSource(uneven).any(random.Random(seed)).answers for seed in range(200)]
    asked = [*drawn, *(uneven(ends_or_inside(seed)) for seed in range(50)), *configurations(uneven, at_most=30)]
    uneven(trial := optuna.create_study().ask())
    for answers in asked:
        # It refuses a value beside a step.
        optuna.trial.create_trial(value=0.0, params=answers, distributions=trial.distributions)
    counts = Counter(answers["width"] for answers in drawn)
    assert set(counts) == {8, 24, 40, 56}
    assert min(counts.values()) > 30
    assert len(configurations(uneven, at_most=30)) == 4 * 3 * 2


def test_the_middle_worked_by_hand():
    assert space(given_or_middle({})) == {
        "rate": pytest.approx(1e-3),
        "share": pytest.approx(0.2),
        "width": 24,
        "experts": 8,
        "kind": "plain",
    }


def test_the_ends_are_drawn_as_often_as_the_inside():
    rates = [space(ends_or_inside(seed))["rate"] for seed in range(300)]
    for end in (1e-4, 1e-2):
        assert 60 < rates.count(end) < 140


def test_whole_numbers_between_the_ends_are_drawn_too():
    widths = [space(ends_or_inside(seed))["width"] for seed in range(300)]
    assert set(widths) == {8, 24, 40}
    assert len({space(ends_or_inside(seed))["experts"] for seed in range(300)}) > 20


def test_a_parameter_that_is_asked_for_again_keeps_its_answer():
    trial = ends_or_inside(0)
    assert len({trial.suggest_float("rate", 0.0, 1.0) for _ in range(20)}) == 1


def test_distributions_are_remembered_in_their_order_whoever_answers():
    fixed = optuna.trial.FixedTrial(space(given_or_middle({})))
    trial = passing_on(fixed)
    assert space(trial) == fixed.params
    assert list(trial.distributions.items()) == [
        ("rate", FloatRange(1e-4, 1e-2, log=True)),
        ("share", FloatRange(0.0, 0.5, step=0.1)),
        ("width", IntRange(8, 40, step=16)),
        ("experts", IntRange(2, 32, log=True)),
        ("kind", Choices(("plain", "mixed"))),
    ]


def test_an_answer_of_the_callers_own():
    trial = StubTrial(lambda name, distribution: len(name))
    assert space(trial) == {"rate": 4, "share": 5, "width": 5, "experts": 7, "kind": 4}


def conditional(trial):
    """Two without averaging, and six with it."""
    params = {"rate": trial.suggest_float("rate", 0.1, 0.2, step=0.1)}
    if trial.suggest_categorical("averaging", [False, True]):
        params["half_life"] = trial.suggest_int("half_life", 2, 6, step=2)
    return params


def endless(trial):
    return {"side": trial.suggest_categorical("side", "ab"), "rate": trial.suggest_float("rate", 0.1, 0.2)}


def test_every_configuration_is_found_once_with_what_its_conditions_ask():
    rates = (0.1, 0.2)
    expected = [{"rate": rate, "averaging": False} for rate in rates]
    expected += [
        {"rate": rate, "averaging": True, "half_life": epochs} for rate, epochs in itertools.product(rates, (2, 4, 6))
    ]
    found = configurations(conditional, at_most=8)
    assert len(found) == 8
    assert all(one in found for one in expected)


@pytest.mark.parametrize(("space", "at_most"), [(conditional, 7), (endless, 50)])
def test_a_space_that_holds_more_is_left_alone(space, at_most):
    assert configurations(space, at_most=at_most) is None


def test_the_documents_grid_has_eighteen():
    grid = PinnedSpace(SPACES["dishes_grid"], Situation(num_train_images=100, pretrained=False))
    found = configurations(grid, at_most=30)
    assert len(found) == 18
    assert all(point in found for point in grid.points_to_evaluate())
