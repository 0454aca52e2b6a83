"""The page beside an exported network."""

from dataclasses import replace

import pytest

from tuner.records import read_search
from tuner.results.model_card import LOADING, model_card
from tuner.selection.comparison import Confirmation


@pytest.fixture
def search(finished_folder):
    return read_search(finished_folder)


def test_it_says_data_metric_interval_what_differs_and_how_to_load_it_in_three_lines(search):
    winner = search.leader
    values = {"values": {0: 0.9, 1: 0.91, 2: 0.92}, "default_values": {0: 0.8, 1: 0.8, 2: 0.8}}
    confirmation = Confirmation(trial=winner.name, **values, higher_is_better=True)
    card = model_card(search, winner, [confirmation])
    assert card.startswith(f"# moe: trial {winner.name}\n")
    assert "`camouflage scenes`" in card
    assert "train 400, validation 80, test 80 images" in card
    assert confirmation.sentence in card
    assert "95 % interval" in card
    assert f"| `max_lr` | `{winner.params['max_lr']:.3g}` | `0.003` |" in card
    assert LOADING in card
    assert len(LOADING.splitlines()) == 3


def test_without_a_confirmation_it_claims_nothing_of_new_data(search):
    assert "Not confirmed: the validation split chose it" in model_card(search, search.leader, [])


def test_what_an_interrupted_search_would_still_do_comes_first(search):
    card = model_card(search, search.leader, [], "Interrupted: 3 of 40 trials ended")
    assert card.splitlines()[2] == "**Interrupted: 3 of 40 trials ended.**"


def test_the_default_differs_in_nothing(search):
    assert "Nothing: it is the default configuration." in model_card(search, search.default_trial, [])


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a|b", "`rm`", "[a](http://b)", "line\nbreak"])
def test_a_name_of_the_users_stays_text(search, name):
    search.settings = replace(search.settings, data=name)
    row = next(line for line in model_card(search, search.leader, []).splitlines() if line.startswith("| data |"))
    shown = row.removeprefix("| data |").removesuffix("|").strip()
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    inner = shown.removeprefix(fence).removesuffix(fence)
    assert shown == fence + inner + fence
    assert fence not in inner
    assert len(row.replace("\\|", "").split("|")) == 4
