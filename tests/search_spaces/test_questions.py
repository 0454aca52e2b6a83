"""The questions of a space are checked before a search, and errors name them."""

import random
import re

import pytest

from search_spaces import LoopSpace
from search_spaces.pinning import PinnedSpace
from search_spaces.space import Situation


def _train(params, trial):
    """Nothing is trained here."""


def pinned(suggest, defaults=None) -> PinnedSpace:
    space = LoopSpace(
        name="mine", train=_train, objective="loss", suggest=suggest, defaults=defaults or {}, max_epochs=2
    )
    return PinnedSpace(space.as_space("mine:SPACE"), Situation(num_train_images=1, pretrained=False))


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda trial: trial.suggest_float("x", 1, 0), "x is asked for from 1 to 0; give the smaller first"),
        (lambda trial: trial.suggest_float("x", float("nan"), 1), "x is asked for from nan to 1; give finite numbers"),
        (lambda trial: trial.suggest_float("x", 0, float("inf")), "x is asked for from 0 to inf; give finite numbers"),
        (
            lambda trial: trial.suggest_float("x", 0, 1, log=True),
            "x is asked for from 0 to 1 with log; give a range ab",
        ),
        (lambda trial: trial.suggest_int("x", -1, 1, log=True), "x is asked for from -1 to 1 with log"),
        (lambda trial: trial.suggest_float("x", 0.1, 1, step=0.1, log=True), "from 0.1 to 1 with log"),
        (lambda trial: trial.suggest_float("x", 0, 1, step=0), "in steps of 0; give a step above 0"),
        (lambda trial: trial.suggest_int("x", 1.5, 4), "x is asked for from 1.5 to 4; give finite whole numbers"),
        (lambda trial: trial.suggest_int("x", 1, 10**30), "samplers tell whole numbers apart up to 9007199254740992"),
        (lambda trial: trial.suggest_float("x", -1e308, 1e308), "samplers compute with its width, which is no number"),
        (lambda trial: trial.suggest_float("x", 1e-300, 1e300, log=True), "from 1e-300 to 1e+300; samplers compute"),
        (lambda trial: trial.suggest_categorical("x", []), "x is asked for with no choices; give one or more"),
        (lambda trial: trial.suggest_categorical("x", [[1, 2]]), "x has the choice [1, 2], which no record can hold"),
        (lambda trial: trial.suggest_categorical("x", [dict]), "x has the choice <class 'dict'>, which no record"),
        (lambda trial: trial.suggest_categorical("x", [1, "a", True]), "x has the choices 1 and True, which are equal"),
        (lambda trial: trial.suggest_float("", 0, 1), "a parameter is called ''; give it a name of letters"),
        (lambda trial: trial.suggest_float("a\nb", 0, 1), "a parameter is called 'a\\nb'"),
        (lambda trial: trial.suggest_float(3, 0, 1), "a parameter is called 3"),
        (lambda trial: trial.suggest_loguniform("x", 1, 2), "a space's trial has suggest_float, suggest_int and"),
    ],
)
def test_a_question_that_no_sampler_can_answer_is_reported(ask, sentence):
    with pytest.raises((ValueError, AttributeError), match=re.escape(sentence)):
        pinned(lambda trial: {"x": ask(trial)})


def test_one_name_has_one_question_in_a_configuration_and_one_kind_in_all():
    with pytest.raises(ValueError, match=r"a is asked for twice in a configuration, over 0\.\.1 and 0\.\.2"):
        pinned(lambda trial: {"a": trial.suggest_float("a", 0, 1), "b": trial.suggest_float("a", 0, 2)})

    others = (
        lambda trial: trial.suggest_categorical("x", (0.1, 0.2)),
        lambda trial: trial.suggest_float("x", 0.1, 1, log=True),
    )
    for other in others:

        def by_optimizer(trial, other=other):
            if trial.suggest_categorical("optimizer", ("adam", "sgd")) == "adam":
                return {"x": trial.suggest_float("x", 0, 1)}
            return {"x": other(trial)}

        with pytest.raises(ValueError, match=r"x is asked for over .* and, in another configuration, over"):
            pinned(by_optimizer)


def test_the_same_question_twice_and_a_range_that_depends_on_an_answer_are_allowed():
    def suggest(trial):
        depth = trial.suggest_int("depth", 1, 4)
        assert trial.suggest_int("depth", 1, 4) == depth
        return {"depth": depth, "width": trial.suggest_int("width", 8, 16 * depth)}

    assert pinned(suggest, {"depth": 2, "width": 32}).points_to_evaluate() == [{"depth": 2, "width": 32}]


def test_a_space_that_waits_for_another_answer_or_draws_its_ranges_is_reported():
    def waiting(trial):
        while trial.suggest_float("x", 0, 1) >= 0:
            pass

    with pytest.raises(ValueError, match="x is asked for again and again; it has one answer in a configuration"):
        pinned(waiting)
    with pytest.raises(
        ValueError, match=r"the space asks for x=.*, and called again for x=.*; a resume calls it again"
    ):
        pinned(lambda trial: {"x": trial.suggest_float("x", 0, 1 + random.random())})


def test_values_and_branches_that_are_drawn_outside_of_the_trial_are_reported():
    with pytest.raises(
        ValueError, match=r"returns lr=0\..*, and called again with the same answers 0\..*: ask the trial"
    ):
        pinned(lambda trial: {"lr": random.random(), "x": trial.suggest_float("x", 0, 1)})
    with pytest.raises(ValueError, match="let its ranges depend on its answers alone"):
        pinned(lambda trial: {name: trial.suggest_float(name, 0, 1) for name in [random.choice("xy")]})


def test_a_constant_that_is_not_a_number_repeats():
    assert pinned(lambda trial: {"x": trial.suggest_float("x", 0, 1), "off": float("nan")}).asked.keys() == {"x"}


@pytest.mark.parametrize(("value", "is_right"), [(0.5, True), (1, True), (7.0, False), ("x", False), (True, False)])
def test_a_default_that_is_no_answer_is_reported(value, is_right):
    space = pinned(lambda trial: {"x": trial.suggest_float("x", 0, 1)}, {"x": value})
    if is_right:
        assert space.points_to_evaluate() == [{"x": value}]
        return
    with pytest.raises(ValueError, match=re.escape(f"recommended x is {value!r}, but the space asks for 0..1")):
        space.points_to_evaluate()


@pytest.mark.parametrize(("value", "is_right"), [(24, True), (56, True), (20, False), (60, False)])
def test_a_default_beside_the_steps_is_reported(value, is_right):
    """Optuna's samplers refuse it, in the middle of a search."""
    space = pinned(lambda trial: {"width": trial.suggest_int("width", 8, 60, step=16)}, {"width": value})
    if is_right:
        assert space.points_to_evaluate() == [{"width": value}]
        return
    with pytest.raises(ValueError, match=f"recommended width is {value}, but the space asks for 8..60 in steps of 16"):
        space.points_to_evaluate()


def test_a_default_without_a_value_that_is_asked_for_is_reported():
    def suggest(trial):
        params = {"x": trial.suggest_float("x", 0, 1), "is_on": trial.suggest_categorical("is_on", (False, True))}
        return params | ({"y": trial.suggest_float("y", 0, 1)} if params["is_on"] else {})

    assert pinned(suggest, {"x": 0.1, "is_on": False}).points_to_evaluate() == [{"x": 0.1, "is_on": False}]
    for defaults, missing in (({"is_on": False}, "x"), ({"x": 0.1, "is_on": True}, "y")):
        with pytest.raises(ValueError, match=f"asks for {missing}, and its default or recommended values have none"):
            pinned(suggest, defaults).points_to_evaluate()
