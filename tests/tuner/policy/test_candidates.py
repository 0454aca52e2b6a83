"""Spaces with every kind of parameter, answered at random, nearby and as given."""

import json
import math
import random

import numpy as np
import optuna
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES
from search_spaces.space import Situation
from tuner.policy.candidates import NUM_ANYWHERE, NUM_FRESH, NUM_NEAR, Encoding, SpaceSource


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


def test_coordinates_worked_by_hand():
    one = SOURCE.of({"rate": 1e-3, "share": 0.2, "layers": 4, "kind": "mixed", "experts": 8})
    encoding = Encoding()
    encoding.extend([one])
    point = encoding.encode([one])[0]
    assert {name: point[columns].tolist() for name, columns in encoding.columns.items()} == {
        "rate": [pytest.approx(1 / 3)],
        "share": [pytest.approx(0.4)],
        "layers": [1.0],
        "kind": [0.0, math.sqrt(0.5)],
        "experts": [pytest.approx(0.5)],
    }


def test_different_choices_are_as_far_apart_as_the_ends_of_a_range_and_what_is_not_asked_lies_in_the_middle():
    common = {"rate": 1e-3, "share": 0.2, "layers": 4}
    pair = [SOURCE.of(common | {"kind": "plain"}), SOURCE.of(common | {"kind": "mixed", "experts": 8})]
    encoding = Encoding()
    assert encoding.extend(reversed(pair))
    plain, mixed = encoding.encode(pair)
    assert np.linalg.norm(plain - mixed) == pytest.approx(1.0)


def test_a_parameter_that_is_met_later_gets_its_column_then():
    encoding = Encoding()
    plain = SOURCE.of({"rate": 1e-3, "share": 0.2, "layers": 4, "kind": "plain"})
    assert encoding.extend([plain])
    assert not encoding.extend([plain])
    width = encoding.width
    assert encoding.extend([SOURCE.of({"rate": 1e-3, "share": 0.2, "layers": 4, "kind": "mixed", "experts": 2})])
    assert encoding.width == width + 1


@pytest.mark.parametrize("name", SPACES)
def test_what_is_drawn_is_what_optuna_would_accept(name):
    """Optuna's own fixed trial warns of any value outside its range, and refuses an unknown choice."""
    situation = Situation(num_train_images=100, pretrained=False)
    pinned = PinnedSpace(SPACES[name], situation)
    source, generator = SpaceSource(pinned), random.Random(0)
    centre = source.of(pinned.points_to_evaluate()[0])
    for one in source.pool(0).draw(0, generator, near=[centre])[::10]:
        trial = optuna.trial.FixedTrial(one.answers)
        pinned(trial)
        assert trial.params == one.answers


def test_candidates_near_a_good_one_are_nearer_than_random_ones():
    generator = random.Random(0)
    centre = SOURCE.any(generator)
    drawn = SOURCE.pool(0).draw(0, generator, near=[centre])
    assert len(drawn) == NUM_ANYWHERE + NUM_NEAR
    encoding = Encoding()
    encoding.extend(drawn)
    distances = np.linalg.norm(encoding.encode(drawn) - encoding.encode([centre]), axis=1)
    assert np.median(distances[NUM_ANYWHERE:]) < 0.5 * np.median(distances[:NUM_ANYWHERE])


def drawn_for(pool, number):
    return [one.answers for one in pool.draw(number, random.Random(number), near=[])]


def test_a_resumed_search_chooses_among_the_same_candidates_whatever_was_drawn_before():
    """A resume replays its records, and draws nothing for the decisions that they hold."""
    pool = SOURCE.pool(3)
    for number in (*range(40), 38):
        drawn = drawn_for(pool, number)
    assert drawn_for(SOURCE.pool(3), 38) == drawn != drawn_for(SOURCE.pool(4), 38)


def test_of_the_candidates_anywhere_some_are_new_for_each_decision_and_all_after_a_few():
    pool, seen = SOURCE.pool(0), []
    for number in range(5):
        drawn = drawn_for(pool, number)
        assert len(drawn) == NUM_ANYWHERE
        if seen:
            assert sum(one not in seen[-1] for one in drawn) == NUM_FRESH
        seen.append(drawn)
    assert not any(one in seen[0] for one in seen[4])


def test_the_ends_of_whole_numbers_are_as_likely_as_the_rest():
    generator = random.Random(0)
    layers = [SOURCE.any(generator).params["layers"] for _ in range(2000)]
    counts = np.bincount(layers, minlength=5)[1:]
    assert counts.min() > 0.2 * len(layers)


GIVEN = {"rate": 3e-3, "share": 0.2, "layers": 3, "kind": "mixed", "experts": 7}


def test_what_is_given_is_kept_to_the_last_bit():
    assert SOURCE.of(GIVEN).answers == SOURCE.of(GIVEN).params == GIVEN


def test_a_configuration_is_the_same_when_it_comes_back_from_its_answers():
    """To the last bit, and through JSON: a resumed search predicts from these coordinates."""
    encoding = Encoding()
    for one in SOURCE.pool(0).draw(0, random.Random(1), near=[SOURCE.any(random.Random(2))]):
        encoding.extend([one])
        again = SOURCE.of(json.loads(json.dumps(one.answers)))
        assert (again.answers, again.params) == (one.answers, one.params)
        assert encoding.encode([again]).tolist() == encoding.encode([one]).tolist()
        assert again.identity == one.identity


def test_parameters_are_what_the_space_makes_of_the_answers():
    source = SpaceSource(lambda trial: {"rate": 10.0 ** -trial.suggest_int("digits", 1, 3), "fixed": 7})
    one = source.of({"digits": 2})
    assert (one.answers, one.params) == ({"digits": 2}, {"rate": 0.01, "fixed": 7})


@pytest.mark.parametrize(("given", "answer"), [(0.1 + 0.2, 0.3), (0.09999999999999999, 0.1), (0.2, 0.2)])
def test_a_default_that_misses_an_end_of_its_range_by_a_rounding_has_the_end(given, answer):
    source = SpaceSource(lambda trial: {"share": trial.suggest_float("share", 0.1, 0.3, step=0.1)})
    assert source.of({"share": given}).answers == {"share": answer}


def test_a_tuple_that_json_made_a_list_is_the_same_choice():
    source = SpaceSource(lambda trial: {"pair": trial.suggest_categorical("pair", ((1, 2), (3, 4)))})
    assert source.of({"pair": [3, 4]}).answers == {"pair": (3, 4)}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rate": 5.0}, "rate is 5.0, but must be from 0.0001 to 0.1"),
        ({"rate": "high"}, "rate is 'high', but must be from"),
        ({"layers": 5}, "layers is 5, but must be from 1 to 4"),
        ({"kind": "new"}, "kind is 'new', but must be one of 'plain', 'mixed'"),
        ({"depth": 3}, "does not ask for 'depth', but for experts, kind, layers, rate, share"),
        ({"kind": "plain"}, "does not ask for 'experts'"),
    ],
)
def test_answers_that_the_space_would_not_give_are_refused(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        SOURCE.of(GIVEN | changed)


def test_an_answer_that_is_missing_is_named():
    with pytest.raises(ValueError, match="the space asks for 'experts', which this configuration does not have"):
        SOURCE.of({name: value for name, value in GIVEN.items() if name != "experts"})
