"""Ranges of the user's: what is asked for, where, where trial 0 stands, and that a resume asks for the same."""

import functools

import optuna
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.ranges import OneOf, Range, SearchedRange
from search_spaces.space import Situation, Space
from search_spaces.stub_trials import configurations

SITUATION = Situation(num_train_images=240, pretrained=False)
DEFAULT = {"max_lr": 3e-3, "effective_batch": 16, "averaging": False}


def suggest(trial, situation):
    effective_batch = trial.suggest_categorical("effective_batch", [8, 16, 32])
    params = {"batch_size": 8, "accumulation_steps": effective_batch // 8, "collapse": False}
    params["max_lr"] = trial.suggest_float("max_lr", 1e-4, 1e-1, log=True)
    params["averaging"] = trial.suggest_categorical("averaging", [False, True])
    if params["averaging"]:
        params["half_life_epochs"] = trial.suggest_float("half_life_epochs", 0.05, 2.0)
    return params


SPACE = Space(
    name="toy",
    workload="toy",
    objective="val/score",
    suggest=suggest,
    defaults=lambda situation: DEFAULT,
    recommended=lambda situation: [{"max_lr": 5e-2}],
)
searched = functools.partial(PinnedSpace, SPACE, SITUATION)
HALF_LIFE = SearchedRange(low=0.1, high=0.2, section="averaging", is_section_on=False)
CLIPPING = SearchedRange(low=0.5, high=5.0, log=True, own_value=1.0)
PATIENCE = SearchedRange(low=2, high=5, section="early_stopping", is_section_on=False, own_value=None)


def sampled(space, number=60):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(number)]
    return [(space(trial), trial.params) for trial in trials]


def test_a_range_takes_the_place_of_the_spaces_own():
    values = [params["max_lr"] for params, _ in sampled(searched(ranges={"max_lr": SearchedRange(low=0.2, high=0.4)}))]
    assert 0.2 <= min(values) < 0.22
    assert 0.38 < max(values) <= 0.4


def test_a_conditional_parameter_is_asked_only_where_the_space_asks_for_it():
    drawn = sampled(searched(ranges={"half_life_epochs": HALF_LIFE}))
    assert {("half_life_epochs" in asked, params["averaging"]) for params, asked in drawn} == {
        (True, True),
        (False, False),
    }
    assert all(0.1 <= asked.get("half_life_epochs", 0.1) <= 0.2 for _, asked in drawn)


def test_a_parameter_that_the_space_leaves_alone_is_asked_for_too():
    for params, asked in sampled(searched(ranges={"max_grad_norm": CLIPPING})):
        assert 0.5 <= params["max_grad_norm"] == asked["max_grad_norm"] <= 5.0


def test_what_belongs_to_a_part_is_asked_where_a_drawn_switch_turns_the_part_on():
    switch = SearchedRange(choices=(True, False), own_value=False)
    drawn = sampled(searched(ranges={"patience_epochs": PATIENCE, "early_stopping": switch}))
    assert {("patience_epochs" in params, params["early_stopping"]) for params, _ in drawn} == {
        (True, True),
        (False, False),
    }


def test_what_belongs_to_a_part_that_is_always_off_is_refused():
    with pytest.raises(ValueError, match=r"no effect, because early_stopping is off: add --set early_stopping=true"):
        searched(ranges={"patience_epochs": PATIENCE})


def test_a_choice_of_lists_is_text_for_optuna_and_a_list_for_the_configuration():
    weights = SearchedRange(choices=("[1.0, 2.0]", "[2.0, 1.0]"), own_value=None)
    params, asked = sampled(searched(ranges={"class_weights": weights}))[0]
    assert asked["class_weights"] in weights.choices
    assert params["class_weights"] in ([1.0, 2.0], [2.0, 1.0])


def test_a_range_of_batch_size_is_whole_updates_in_place_of_the_images_per_update():
    for params, asked in sampled(searched(ranges={"batch_size": SearchedRange(low=8, high=64)})):
        assert 8 <= params["batch_size"] == asked["batch_size"] <= 64
        assert params["accumulation_steps"] == 1
        assert "effective_batch" not in asked


def test_the_first_points_have_the_nearest_value_inside():
    space = searched(ranges={"max_lr": SearchedRange(low=1e-2, high=2e-2), "max_grad_norm": CLIPPING})
    assert [(point["max_lr"], point["max_grad_norm"]) for point in space.points_to_evaluate()] == [
        (1e-2, 1.0),
        (2e-2, 1.0),
    ]
    batch = searched(ranges={"batch_size": SearchedRange(low=2, high=12)}).points_to_evaluate()[0]["batch_size"]
    assert batch == 12


@pytest.mark.parametrize(
    ("one", "value", "nearest"),
    [
        (SearchedRange(choices=(2, 8, 32)), 5, 2),
        (SearchedRange(choices=(2, 8, 32)), 6, 8),
        (SearchedRange(choices=("fp32", "bf16")), "auto", "fp32"),
        (SearchedRange(choices=("fp32", "bf16")), "bf16", "bf16"),
        (SearchedRange(choices=(None, 1.0)), 3.0, 1.0),
        (SearchedRange(choices=(None, 1.0)), None, None),
        (SearchedRange(low=2, high=6), None, 4),
        (SearchedRange(low=0.0, high=1.0), 7, 1.0),
    ],
)
def test_the_nearest_of_choices_without_an_order_is_the_first(one, value, nearest):
    assert one.nearest(value) == nearest


def test_every_end_of_a_range_is_among_the_points_at_ends():
    space = searched(ranges={"max_lr": SearchedRange(low=1e-2, high=2e-2), "max_grad_norm": CLIPPING})
    points = [(point["max_lr"], point["max_grad_norm"]) for point in space.points_at_ends()]
    assert points == [(1e-2, 1.0), (2e-2, 1.0), (1e-2, 0.5), (1e-2, 5.0)]


def test_a_space_of_few_configurations_is_enumerated_with_the_users_choices():
    space = searched(
        pins={"averaging": False, "effective_batch": 8},
        ranges={"max_lr": SearchedRange(choices=(1e-3, 1e-2)), "label_smoothing": SearchedRange(choices=(0.0, 0.1))},
    )
    found = configurations(space, at_most=10)
    assert found is not None
    assert len(found) == 4


def test_pins_and_ranges_that_exclude_each_other_are_refused():
    with pytest.raises(ValueError, match=r"half_life_epochs=0.1..0.2 has no effect together with"):
        searched(pins={"averaging": False}, ranges={"half_life_epochs": HALF_LIFE})
    with pytest.raises(ValueError, match=r"batch_size=8..64 takes the place of effective_batch: leave one of them out"):
        searched(pins={"effective_batch": 8}, ranges={"batch_size": SearchedRange(low=8, high=64)})


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Range(low=2, high=1), r"2..1 is not a range; give two finite numbers, the smaller first"),
        (lambda: Range(low=1, high=float("inf")), r"1..inf is not a range"),
        (lambda: Range(low=0, high=1, log=True), r"0..1 can't be logarithmic; begin above 0"),
        (lambda: OneOf(values=(1,)), r"1 is one value; give two or more"),
        (lambda: OneOf(values=(4, 6, 4)), r"4,6,4 has 4 twice; give each value once"),
    ],
)
def test_what_is_no_range_is_refused(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
