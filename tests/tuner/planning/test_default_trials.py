"""How many trials a search has, and how many of the best are confirmed, when its user does not say."""

import pytest

from search_spaces.registry import SPACES
from tuner.search import _settings
from tuner.search_options import search_parser


@pytest.mark.parametrize("space", SPACES)
def test_a_space_says_how_many_trials_suit_it_and_the_user_has_the_last_word(space):
    def asked(*options):
        settings = _settings(search_parser().parse_args(["--space", space, *options]))
        return settings.num_trials, settings.confirm

    num_trials, confirm = SPACES[space].num_trials, SPACES[space].confirm
    assert asked() == (num_trials, confirm)
    assert asked("--trials", "7") == (7, confirm)
    assert asked("--confirm", "0") == (num_trials, 0)
