"""How many trials a search has when its user does not say."""

import pytest

from search_spaces.registry import SPACES
from tuner.search import _parser, _settings


@pytest.mark.parametrize("space", SPACES)
def test_a_space_says_how_many_trials_suit_it_and_the_user_has_the_last_word(space):
    def num_trials(*options):
        return _settings(_parser().parse_args(["--space", space, *options])).num_trials

    assert num_trials() == SPACES[space].num_trials
    assert num_trials("--trials", "7") == 7
