"""The space of a loop of the user's own, in the form that every search takes."""

import pickle
import re

import pytest

from search_spaces import LoopSpace
from search_spaces.pinning import PinnedSpace
from search_spaces.space import Situation
from search_spaces.stub_trials import given_or_middle

ANY = Situation(num_train_images=1, pretrained=False)


def train(params, trial):
    """Nothing is trained here."""


def measured(params, trial):
    return {"test/loss": 0.5}


def epochs_as_generator(params, trial):
    yield 1


async def epochs_as_coroutine(params, trial):
    """Nothing is awaited."""


class CalledAsync:
    async def __call__(self, params, trial):
        """Nothing is awaited."""


def suggest(trial):
    params = {"optimizer": trial.suggest_categorical("optimizer", ("adam", "sgd"))}
    if params["optimizer"] == "sgd":
        params["momentum"] = trial.suggest_float("momentum", 0.5, 0.99)
    return params


def space(**changes) -> LoopSpace:
    given = {"name": "mine", "train": train, "objective": "val/loss", "mode": "min", "suggest": suggest}
    return LoopSpace(**given | {"defaults": {"optimizer": "adam"}, "max_epochs": 8} | changes)


def test_it_asks_what_the_user_asks_and_begins_with_their_defaults_and_recommendations():
    found = space(recommended=[{"optimizer": "sgd", "momentum": 0.9}]).as_space("mine:SPACE")
    assert (found.workload, found.objective, found.mode, found.max_epochs) == ("mine:SPACE", "val/loss", "min", 8)
    pinned = PinnedSpace(found, ANY)
    assert pinned.points_to_evaluate() == [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}]
    assert pinned(given_or_middle({"optimizer": "sgd", "momentum": 0.7})) == {"optimizer": "sgd", "momentum": 0.7}


def test_a_parameter_that_is_asked_for_at_times_may_be_fixed():
    pinned = PinnedSpace(space().as_space("mine:SPACE"), ANY, pins={"momentum": 0.8})
    assert pinned(given_or_middle({"optimizer": "sgd"})) == {"optimizer": "sgd", "momentum": 0.8}


def test_only_a_loop_that_returns_something_is_confirmed_unless_the_space_says_otherwise():
    assert space().as_space("mine:SPACE").confirm == 0
    assert space(train=measured).as_space("mine:SPACE").confirm == 3
    assert space(confirm=5).as_space("mine:SPACE").confirm == 5


def test_it_can_be_sent_to_another_process():
    found = space().as_space("mine:SPACE")
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": "train.py"}, "train of mine is 'train.py'; give a function."),
        ({"suggest": None}, "suggest of mine is None; give a function."),
        ({"defaults": [1]}, "defaults of mine is [1]; it must be a dict of parameters by name."),
        ({"defaults": {"seed": 1}}, "defaults of mine holds seed, a name that every run has"),
        ({"grace_epochs": 9}, "grace_epochs of mine is 9, but must be from 1 to max_epochs (8)"),
        ({"objective": ""}, "objective of mine is ''; name a metric of every report."),
        ({"train": suggest}, "train of mine is called with (params, trial): too many positional arguments"),
        ({"suggest": train}, "suggest of mine is called with (trial): missing a required argument: 'trial'"),
        ({"train": epochs_as_generator}, "train of mine is a generator or async, which a call does not run"),
        ({"train": epochs_as_coroutine}, "train of mine is a generator or async, which a call does not run"),
        ({"train": CalledAsync()}, "train of mine is a generator or async, which a call does not run"),
        (
            {"train": CalledAsync},
            "train of mine is the class CalledAsync, which a call makes an object of; give a function.",
        ),
        ({"suggest": dict}, "suggest of mine is the class dict, which a call makes an object of; give a function."),
        ({"mode": "best"}, "mode of mine is 'best', but must be one of max, min"),
    ],
)
def test_a_mistake_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        space(**changes)


def test_names_that_are_no_text_are_reported():
    found = space(suggest=lambda trial: {1: 2}, defaults={}).as_space("mine:SPACE")
    with pytest.raises(ValueError, match="holds the name 1; names of parameters are text"):
        PinnedSpace(found, ANY)


def test_a_suggest_that_returns_nothing_is_named():
    found = space(suggest=lambda trial: None).as_space("mine:SPACE")
    with pytest.raises(ValueError, match="what <lambda> returns is None; it must be a dict of parameters by name"):
        PinnedSpace(found, ANY)
