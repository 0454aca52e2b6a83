"""Holds for every search space: its names and ranges are those of the configuration that its workload trains.

Nothing here names a workload: a space that is registered is held to all of it.
"""

import warnings
from dataclasses import replace

import optuna
import pytest

from search_spaces.glossary import MEANINGS
from search_spaces.pinning import PinnedSpace
from search_spaces.registry import SPACES, get_space
from search_spaces.space import Situation
from search_spaces.stub_trials import ends_or_inside
from trainable.build_trainer import build_trainer
from trainable.config import from_params, parameters_of, to_dict
from trainable.tasks.registry import get_task
from trainable.workloads.registry import read_config

NUM_SAMPLES = 50
SITUATIONS = {
    "small set from scratch": Situation(num_train_images=70, pretrained=False),
    "small set, pre-trained": Situation(num_train_images=70, pretrained=True),
    "large set, pre-trained": Situation(num_train_images=20_000, pretrained=True),
    "network and weights of the user's own": Situation(
        num_train_images=70, pretrained=True, own_weights=True, own_network=True
    ),
    "weights of the user's own": Situation(num_train_images=70, pretrained=True, own_weights=True),
    "small GPU, pre-trained": Situation(num_train_images=3_000, pretrained=True, gpu_memory_gb=8.5),
    "large GPU from scratch": Situation(num_train_images=70, pretrained=False, gpu_memory_gb=80.0),
}
HELD_AS = {
    "augmentation": "augmentation",
    "averaging": "averaging",
    "load_balance": "load_balancer",
    "collapse": "collapse_response",
}
"""Sections of a configuration, and the technique that each switches on; a workload may lack them."""


@pytest.fixture(scope="module", params=SPACES.values(), ids=SPACES)
def space(request):
    return request.param


@pytest.fixture(scope="module", params=SITUATIONS.values(), ids=SITUATIONS)
def situation(request):
    return request.param


@pytest.fixture
def base(space):
    return replace(get_task(space.workload).default_config(), max_epochs=space.max_epochs)


@pytest.fixture(scope="module")
def sampled(space, situation):
    """The parameters of fifty configurations, half of them with many values at the ends of their ranges."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() if number % 2 else ends_or_inside(number) for number in range(NUM_SAMPLES)]
    return [space.suggest(trial, situation) for trial in trials]


def split_config(config):
    """Its values by their own names, and for each section whether it is on."""
    sections = {name: value for name, value in to_dict(config).items() if isinstance(value, dict) or value is None}
    values = {name: value for name, value in to_dict(config).items() if name not in sections}
    for section in sections.values():
        values |= section or {}
    return values, {name: value is not None for name, value in sections.items()}


def test_a_space_names_a_workload_and_an_objective_that_its_task_measures(space):
    task = get_task(space.workload)
    assert (space.objective, space.mode) == (task.objective, task.mode)
    assert space.objective in task.metric_names


@pytest.mark.parametrize("name", [name for name, space in SPACES.items() if name == space.workload])
def test_the_default_of_a_workload_is_trial_0_of_its_space(name):
    base = replace(get_task(name).default_config(), max_epochs=SPACES[name].max_epochs)
    situation = Situation(num_train_images=300, pretrained=False, max_batch_size=base.batch_size)
    pinned = PinnedSpace(SPACES[name], situation)
    assert from_params(pinned(optuna.trial.FixedTrial(pinned.points_to_evaluate()[0])), base) == base


def test_every_sampled_parameter_arrives_in_the_configuration_under_its_name(sampled, base):
    """Parameters of a section that is off are refused by `from_params`, so that none of them is drawn in vain."""
    for params in sampled:
        values, switches = split_config(from_params(params, base))
        assert {name: (values | switches)[name] for name in params} == params


def test_every_parameter_of_a_built_in_space_says_what_it_means(space, situation, sampled):
    asked = PinnedSpace(space, situation).asked
    used = set(asked).union(*sampled)
    assert used <= MEANINGS.keys(), f"add them to search_spaces/glossary.py: {sorted(used - MEANINGS.keys())}"


def test_every_sampled_configuration_survives_the_file_that_hands_it_over(sampled, base):
    for params in sampled:
        config = from_params(params, base)
        assert read_config(to_dict(config)) == config


def test_every_sampled_configuration_builds_what_it_switches_on(space, sampled, base):
    for params in sampled[::5]:
        config = from_params(params, base)
        built = build_trainer(get_task(space.workload), config, updates_per_epoch=4, device="cpu").techniques
        for technique, part in HELD_AS.items():
            if hasattr(config, technique):
                assert (getattr(built, part) is None) == (getattr(config, technique) is None), technique


def test_the_default_and_the_recommended_values_lie_inside_the_ranges_and_nothing_of_them_is_ignored(space, situation):
    pinned = PinnedSpace(space, situation)
    for point in pinned.points_to_evaluate():
        trial = optuna.trial.FixedTrial(point)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pinned(trial)
        assert trial.params == point


@pytest.mark.parametrize("name", ["moe", "dishes", "leaf", "retina"])
def test_beside_a_network_of_the_users_own_nothing_of_the_built_in_network_is_searched(name):
    base = get_task(name).default_config()
    pinned, asked = PinnedSpace(SPACES[name], SITUATIONS["network and weights of the user's own"]), set()
    for number in range(NUM_SAMPLES):
        pinned(trial := ends_or_inside(number))
        asked |= trial.params.keys()
    sections = {parameter: known.section for parameter, known in parameters_of(base).items()}
    assert [parameter for parameter in asked if sections.get(parameter) in ("model", "load_balance", "collapse")] == []
    assert "gradnorm_alpha" not in asked  # it needs the last layer that the tasks share


@pytest.mark.parametrize("max_epochs", [1, 2, 3, 5, 8, 12, 13, 50, 100, 300])
def test_the_warmup_of_every_sampled_configuration_ends_before_the_first_rung(space, sampled, max_epochs):
    longest = max(params.get("warmup_fraction", 0.0) for params in sampled) * max_epochs
    assert longest < space.with_max_epochs(max_epochs).grace_epochs


def test_an_unknown_space_is_a_sentence_with_the_nearest_and_all_known():
    known = ", ".join(SPACES)
    with pytest.raises(ValueError, match=rf"moo is not a search space, known: {known}; did you mean moe\?"):
        get_space("moo")
    with pytest.raises(ValueError, match=rf"xyzzy is not a search space, known: {known}; or give a space of your own"):
        get_space("xyzzy")
