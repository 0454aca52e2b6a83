"""Options that change a configuration: under its own names, those of other scripts, and as absolute values."""

import argparse

import pytest

from trainable.configuration.config_options import add_config_options, config_file, params_of, with_params
from trainable.tasks.registry import get_task
from trainable.techniques.optim.unfreezing import UnfreezingConfig


@pytest.fixture
def config():
    return get_task("moe").default_config()


def changed(config, *arguments):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return with_params(config, params_of(parser.parse_args(arguments)))


def test_the_names_of_other_scripts_change_the_same_fields(config):
    found = changed(config, "--lr", "2e-3", "--batch-size", "4", "--epochs", "20", "--grad-accum", "8", "--seed", "3")
    assert (found.optimizer.max_lr, found.batch_size, found.max_epochs) == (2e-3, 4, 20)
    assert (found.accumulation_steps, found.seed) == (8, 3)


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("--mixed-precision", "precision", "auto"),
        ("--no-mixed-precision", "precision", "fp32"),
        ("--compile", "compile_backend", "inductor"),
        ("--no-compile", "compile_backend", None),
    ],
)
def test_switches_set_their_field(config, option, field, value):
    before = with_params(config, {"precision": "bf16", "compile_backend": "eager"})
    assert getattr(changed(before, option), field) == value


def test_a_field_of_any_section_can_be_set(config):
    found = changed(config, "--set", "num_experts=6", "--set", "averaging=true", "--set", "weight_decay=0")
    assert (found.model.num_experts, found.averaging is None, found.optimizer.weight_decay) == (6, False, 0.0)


def test_a_field_of_a_part_can_be_set(config):
    found = changed(config, "--set", "scenes.num_train=16", "--set", "scenes.seed=1")
    assert (found.data.scenes.num_train, found.data.scenes.seed, found.data.scenes.num_test) == (16, 1, 120)


def test_shares_of_the_budget_and_of_the_rate_can_be_given_as_absolute_values(config):
    found = changed(config, "--epochs", "50", "--set", "warmup_epochs=5", "--set", "start_epochs=15", "--lr", "1e-3")
    assert (found.schedule.warmup_fraction, found.augmentation.start_fraction) == (0.1, 0.3)
    assert changed(config, "--lr", "1e-3", "--set", "min_lr=1e-6").schedule.min_lr_ratio == pytest.approx(1e-3)


def test_the_steps_of_the_unfreezing_can_be_given_as_epochs(config):
    steps = "milestone_epochs=[[0, 0], [6, 0.25], [11, 0.5], [16, 1]]"
    found = changed(config, "--epochs", "50", "--set", "unfreezing=true", "--set", steps)
    assert found.unfreezing == UnfreezingConfig()


def test_an_absolute_value_of_a_section_that_is_switched_on_counts(config):
    off = changed(config, "--set", "augmentation=false")
    found = changed(off, "--epochs", "50", "--set", "augmentation=true", "--set", "start_epochs=15")
    assert found.augmentation.start_fraction == 0.3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "unfreezing=true", "--set", "milestone_epochs=6"), "milestone_epochs is 6; it must be a list"),
        (("--set", "milestone_epochs=[[0, 1]]"), "milestones given while unfreezing is off"),
        (("--lr", "1e-3", "--set", "max_lr=1e-2"), "max_lr is given by --set max_lr=0.01 and by its own option"),
        (("--set", "warmup_epochs=2", "--set", "warmup_fraction=0.1"), "are the same parameter"),
        (("--set", "warmup_epochs=long"), "warmup_epochs is 'long'; it must be a number"),
        (("--set", "max_lrr=1"), "did you mean max_lr"),
        (("--set", "scene.num_train=1"), "scene is not a part with fields of its own; did you mean scenes"),
        (("--set", "scenes.num_trains=1"), "num_trains is not a field of scenes; did you mean num_train"),
        (("--set", "warmup_epochs=500"), "warmup_fraction is .*; it must lie between 0 and 0.5"),
        (("--set", "max_lr"), "give name=value"),
    ],
)
def test_what_cannot_be_set_is_a_sentence(config, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        changed(config, *arguments)


def test_a_configuration_may_be_given_by_its_file_its_folder_or_that_of_its_search(tmp_path):
    exported = tmp_path / "best" / "config.json"
    exported.parent.mkdir()
    exported.write_text("{}")
    for place in (exported, exported.parent, tmp_path):
        assert config_file(str(place)) == exported


def test_a_folder_without_a_configuration_stays_what_was_given_for_the_error(tmp_path):
    assert config_file(str(tmp_path)) == tmp_path
