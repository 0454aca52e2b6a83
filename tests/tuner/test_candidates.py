"""Spaces with every kind of parameter, answered at random, nearby and as given."""

import math
import random

import numpy as np
import optuna
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from tuner.candidates import NUM_NEAR, NUM_RANDOM, Encoding, SpaceSource


def space(trial):
    params = {
        "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "share": trial.suggest_float("share", 0.0, 0.5, step=0.1),
        "layers": trial.suggest_int("layers", 1, 4),
        "kind": trial.suggest_categorical("kind", ("plain", "mixed")),
    }
    if params["kind"] == "mixed":
        params["experts"] = trial.suggest_int("experts", 2, 32, log=True)
    return params


SOURCE = SpaceSource(space)


def test_places_worked_by_hand():
    one = SOURCE.of({"rate": 1e-3, "share": 0.2, "layers": 4, "kind": "mixed", "experts": 8})
    half = math.sqrt(0.5)
    assert one.places == {
        "rate": (pytest.approx(1 / 3),),
        "share": (pytest.approx(0.4),),
        "layers": (1.0,),
        "kind": (0.0, half),
        "experts": (pytest.approx(0.5),),
    }


def test_different_choices_are_as_far_apart_as_the_ends_of_a_range_and_what_is_not_asked_lies_in_the_middle():
    common = {"rate": 1e-3, "share": 0.2, "layers": 4}
    pair = [SOURCE.of(common | {"kind": "plain"}), SOURCE.of(common | {"kind": "mixed", "experts": 8})]
    encoding = Encoding()
    assert encoding.learn(reversed(pair))
    plain, mixed = encoding.encode(pair)
    assert np.linalg.norm(plain - mixed) == pytest.approx(1.0)


def test_a_parameter_that_is_met_later_gets_its_column_then():
    encoding = Encoding()
    plain = SOURCE.of({"rate": 1e-3, "share": 0.2, "layers": 4, "kind": "plain"})
    assert encoding.learn([plain])
    assert not encoding.learn([plain])
    width = encoding.width
    assert encoding.learn([SOURCE.of({"rate": 1e-3, "share": 0.2, "layers": 4, "kind": "mixed", "experts": 2})])
    assert encoding.width == width + 1


@pytest.mark.parametrize("name", SPACES)
def test_what_is_drawn_is_what_optuna_would_accept(name):
    """Optuna's own fixed trial warns of any value outside its range, and refuses an unknown choice."""
    situation = Situation(num_train_images=100, pretrained=False)
    pinned = PinnedSpace(SPACES[name], situation)
    source, generator = SpaceSource(pinned), random.Random(0)
    centre = source.of(pinned.first_points()[0])
    for one in source.draw(generator, near=[centre])[::10]:
        trial = optuna.trial.FixedTrial(one.params)
        pinned(trial)
        assert trial.params == one.params


def test_candidates_near_a_good_one_are_nearer_than_random_ones():
    generator = random.Random(0)
    centre = SOURCE.any(generator)
    drawn = SOURCE.draw(generator, near=[centre])
    assert len(drawn) == NUM_RANDOM + NUM_NEAR
    encoding = Encoding()
    encoding.learn(drawn)
    distances = np.linalg.norm(encoding.encode(drawn) - encoding.encode([centre]), axis=1)
    assert np.median(distances[NUM_RANDOM:]) < 0.5 * np.median(distances[:NUM_RANDOM])


def test_the_ends_of_whole_numbers_are_as_likely_as_the_rest():
    generator = random.Random(0)
    layers = [SOURCE.any(generator).params["layers"] for _ in range(2000)]
    counts = np.bincount(layers, minlength=5)[1:]
    assert counts.min() > 0.2 * len(layers)


def test_what_is_given_is_kept_to_the_last_bit():
    given = {"rate": 3e-3, "share": 0.2, "layers": 3, "kind": "mixed", "experts": 7}
    assert SOURCE.of(given).params == given


def test_a_place_and_its_value_agree():
    """The same configuration, asked for again by its values, lies where it lay when it was drawn."""
    for one in SOURCE.draw(random.Random(1), near=[SOURCE.any(random.Random(2))])[::7]:
        again = SOURCE.of(one.params)
        assert again.params == one.params
        for name, place in one.places.items():
            assert again.places[name] == pytest.approx(place, abs=1e-9)
