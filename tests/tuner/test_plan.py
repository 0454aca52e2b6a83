"""How many trials a search plans in a space that holds few configurations."""

from types import SimpleNamespace

import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from tuner.plan import _everything, no_more_than_there_are
from tuner.proposer import Proposer
from tuner.settings import SearchSettings

GRID = PinnedSpace(SPACES["dishes_grid"], Situation(num_train_images=100, pretrained=False))


@pytest.mark.parametrize(("asked", "held", "planned"), [(30, 18, 18), (18, 18, 18), (10, None, 10)])
def test_no_more_trials_are_planned_than_there_are_configurations(asked, held, planned):
    plan = SimpleNamespace(everything=held and tuple(range(held)))
    assert no_more_than_there_are(SearchSettings(num_trials=asked), plan).num_trials == planned


def test_what_another_search_has_tried_is_not_tried_again():
    everything = _everything(GRID, [], num_trials=30)
    known = [SimpleNamespace(frozen=SimpleNamespace(params=params)) for params in everything[3:8]]
    assert _everything(GRID, known, num_trials=13) == everything[:3] + everything[8:]
    assert _everything(GRID, known, num_trials=12) is None


def test_optunas_tpe_tries_all_of_them_and_none_twice():
    everything = _everything(GRID, [], num_trials=30)
    proposer = Proposer(GRID, metric="o", mode="max", max_epochs=1, seed=0, enqueue=(*GRID.first_points(), *everything))
    for number in range(len(everything)):
        proposer.suggest(str(number))
    tried = [trial.params for trial in proposer.study.trials]
    assert len(tried) == 18
    assert all(params in tried for params in everything)
