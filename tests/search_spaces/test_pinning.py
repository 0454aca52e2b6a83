import dataclasses
import functools
import pickle

import optuna
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.space import Situation, Space
from search_spaces.stub_trials import given_or_middle

SITUATION = Situation(num_train_images=240, pretrained=False)
DEFAULT = {"max_lr": 3e-3, "num_experts": 4, "top_k": 2, "averaging": False}


def suggest(trial, situation):
    params = {"batch_size": 16, "max_lr": trial.suggest_float("max_lr", 1e-4, 1e-1, log=True)}
    params["num_experts"] = trial.suggest_categorical("num_experts", [1, 2, 4])
    params["top_k"] = 1 if params["num_experts"] == 1 else trial.suggest_int("top_k", 1, 2)
    params["averaging"] = trial.suggest_categorical("averaging", [False, True])
    if params["averaging"]:
        params["half_life_epochs"] = trial.suggest_float("half_life_epochs", 0.05, 2.0)
    return params


def defaults(situation):
    return DEFAULT


def recommended(situation):
    return [{"max_lr": 1e-2}, {}]


SPACE = Space(
    name="toy",
    workload="toy",
    objective="val/score",
    suggest=suggest,
    defaults=defaults,
    recommended=recommended,
)
pinned = functools.partial(PinnedSpace, SPACE, SITUATION)


def sampled(space, number=40):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(number)]
    return [(space(trial), trial.params) for trial in trials]


def test_without_pins_it_is_the_space_itself():
    assert pinned()(optuna.trial.FixedTrial(DEFAULT)) == DEFAULT | {"batch_size": 16}


def test_a_fixed_value_is_used_where_the_space_asks_for_it_and_not_where_it_is_off():
    space = pinned(pins={"half_life_epochs": 0.5})
    for is_on in (False, True):
        trial = given_or_middle({"averaging": is_on})
        assert space(trial).get("half_life_epochs") == (0.5 if is_on else None)
        assert space.pins_used_by(trial) == ({"half_life_epochs": 0.5} if is_on else {})


def test_a_pinned_parameter_has_its_value_in_every_configuration_and_is_never_asked_of_optuna():
    for params, asked in sampled(pinned(pins={"max_lr": 1})):
        assert params["max_lr"] == 1.0
        assert isinstance(params["max_lr"], float)
        assert "max_lr" not in asked


def test_parameters_that_depend_on_a_pinned_one_follow_it():
    assert not any("top_k" in asked for _, asked in sampled(pinned(pins={"num_experts": 1})))
    assert all("half_life_epochs" in asked for _, asked in sampled(pinned(pins={"averaging": True})))


def test_a_pinned_conditional_parameter_keeps_to_its_condition():
    tops = {(params["num_experts"] == 1, params["top_k"]) for params, _ in sampled(pinned(pins={"top_k": 2}))}
    assert tops == {(True, 1), (False, 2)}


def test_a_value_that_the_space_leaves_fixed_can_be_pinned_and_so_can_one_outside_the_range():
    params = pinned(pins={"batch_size": 8, "num_experts": 16})(optuna.trial.FixedTrial(DEFAULT))
    assert (params["batch_size"], params["num_experts"]) == (8, 16)


def test_the_points_to_evaluate_are_the_defaults_and_the_recommended_each_once():
    assert pinned().points_to_evaluate() == [DEFAULT, DEFAULT | {"max_lr": 1e-2}]


def test_the_points_to_evaluate_leave_out_what_is_no_longer_asked_and_fill_in_what_now_is():
    points = pinned(pins={"num_experts": 1, "averaging": True}).points_to_evaluate()
    assert points == [{"max_lr": lr, "half_life_epochs": pytest.approx(1.025)} for lr in (3e-3, 1e-2)]


def test_every_first_point_is_one_that_optuna_accepts():
    space = pinned(pins={"averaging": True})
    for point in space.points_to_evaluate():
        trial = optuna.trial.FixedTrial(point)
        space(trial)
        assert trial.params == point


def test_it_can_be_pickled():
    copy = pickle.loads(pickle.dumps(pinned(pins={"max_lr": 1e-3})))
    trial = optuna.trial.FixedTrial({name: value for name, value in DEFAULT.items() if name != "max_lr"})
    assert copy(trial)["max_lr"] == 1e-3


@pytest.mark.parametrize(
    ("pins", "sentence"),
    [
        (
            {"max_l": 1e-3},
            "the space toy has no parameter 'max_l'; the nearest is 'max_lr', all: averaging, batch_size",
        ),
        ({"top_k": 2, "num_experts": 1}, "--set top_k=2 has no effect together with --set num_experts=1"),
        ({"max_lr": "fast"}, "--set max_lr is 'fast'; it must be a number"),
        ({"max_lr": True}, "--set max_lr is True; it must be a number"),
        ({"top_k": 1.5}, "--set top_k is 1.5; it must be a whole number"),
        ({"averaging": "yes"}, "--set averaging is 'yes'; it must be like one of False, True"),
    ],
)
def test_a_wrong_pin_is_refused_before_the_search(pins, sentence):
    with pytest.raises(ValueError, match=sentence):
        pinned(pins=pins)


def test_a_space_whose_defaults_it_never_asks_for_is_reported():
    wrong = dataclasses.replace(SPACE, defaults=lambda situation: DEFAULT | {"max_lrr": 1e-3})
    with pytest.raises(
        ValueError, match="toy has a default or a recommended value of max_lrr, for which it never asks"
    ):
        PinnedSpace(wrong, SITUATION)
