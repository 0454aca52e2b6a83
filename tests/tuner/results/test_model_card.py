"""The page beside an exported network."""

from dataclasses import replace

import pytest
import torch
from torch import nn

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


def test_of_a_loop_it_claims_no_data_and_its_code_loads_weights_into_a_model_of_ones_own(search, tmp_path, monkeypatch):
    search.settings = replace(search.settings, images={}, data=None)
    card = model_card(search, search.leader, [])
    assert "| data | the loop's own |" in card
    assert "TrainedModel" not in card
    trained, built = nn.Linear(3, 1), []
    (tmp_path / "best").mkdir()
    torch.save(trained.state_dict(), tmp_path / "best" / "weights.pt")
    (tmp_path / "best" / "config.json").write_text('{"config": {"params": {"width": 3}}}')
    monkeypatch.chdir(tmp_path)
    code = card.partition("```python\n")[2].partition("```")[0]
    exec(code, {"build": lambda params: built.append(nn.Linear(params["width"], 1)) or built[0]})
    assert torch.equal(built[0].weight, trained.weight)


def test_the_data_of_a_loop_that_is_given_some_is_named(search):
    search.settings = replace(search.settings, images={}, data="pairs.csv")
    assert "| data | `pairs.csv` |" in model_card(search, search.leader, [])


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
