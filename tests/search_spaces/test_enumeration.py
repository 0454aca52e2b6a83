import itertools

import pytest

from search_spaces.enumeration import configurations
from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation


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
