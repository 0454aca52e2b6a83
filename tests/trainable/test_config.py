import json

import pytest

from trainable.config import flat_params, from_dict, from_params, to_dict
from trainable.tasks.registry import TASKS, get_task

BASE = get_task("moe").default_config()


def test_flat_parameters_reach_their_sections():
    config = from_params({"max_lr": 1e-4, "num_experts": 6, "alpha_l2": 0.5, "batch_size": 4}, BASE)
    assert config.optimizer.max_lr == 1e-4
    assert config.model.num_experts == 6
    assert config.load_balance.alpha_l2 == 0.5
    assert config.batch_size == 4
    assert config.schedule == BASE.schedule


def test_a_section_is_switched_by_its_own_name():
    config = from_params({"augmentation": False, "averaging": True, "half_life_epochs": 2}, BASE)
    assert config.augmentation is None
    assert config.averaging.half_life_epochs == 2.0


def test_no_parameters_leave_the_default():
    assert from_params({}, BASE) == BASE


def test_no_two_sections_share_the_name_of_a_field():
    off = ("averaging", "contrastive", "crop", "early_stopping", "test_time_augmentation", "unfreezing")
    everything_on = from_params(dict.fromkeys(off, True), BASE)
    names = [name for name, value in to_dict(everything_on).items() if not isinstance(value, dict)]
    for section in to_dict(everything_on).values():
        names += list(section) if isinstance(section, dict) else []
    assert len(names) == len(set(names)) == len(flat_params(everything_on))


@pytest.mark.parametrize("workload", TASKS)
def test_a_configuration_survives_json_whole(workload):
    base = get_task(workload).default_config()
    changed = from_params({"averaging": True, "early_stopping": True, "seed": 3}, base)
    assert from_dict(json.loads(json.dumps(to_dict(changed))), base) == changed


def test_flat_parameters_give_the_configuration_back():
    config = from_params({"averaging": True, "max_lr": 0.1}, BASE)
    plain = {name: value for name, value in flat_params(config).items() if name != "workload"}
    assert from_params({**plain, "averaging": True}, BASE) == config


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"max_lrr": 1}, "max_lrr is not a parameter; did you mean max_lr"),
        ({"lr": 1e-3}, "lr is not a parameter; did you mean max_lr"),
        ({"wd": 1e-3}, "wd is not a parameter; did you mean weight_decay"),
        ({"bs": 4}, "bs is not a parameter; did you mean batch_size"),
        ({"image_size_px": 352}, "image_size_px is not a parameter; did you mean long_side_px"),
        ({"max_lr": "fast"}, "max_lr is 'fast'; it must be a finite number"),
        ({"num_experts": 2.5}, "num_experts is 2.5; it must be a whole number"),
        ({"num_experts": True}, "num_experts is True"),
        ({"max_lr": -1.0}, "max_lr is -1.0; it must be positive"),
        ({"averaging": False, "half_life_epochs": 1.0}, "half_life_epochs given while averaging is off"),
        ({"half_life_epochs": 1.0}, "half_life_epochs given while averaging is off"),
        ({"averaging": "ema"}, "averaging is 'ema'; allowed: true or false"),
        ({"top_k": 5}, "top_k is 5; with num_experts=4"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"precision": "fp8"}, "precision is 'fp8'; allowed"),
        ({"compile_backend": "eager", "gradient_checkpointing": True}, "recomputes dropout with new draws"),
        ({"routing": "pixel"}, "routing is 'pixel'; it must be image, token"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_is_allowed(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_params(params, BASE)


def test_a_file_with_an_unknown_or_missing_field_is_refused():
    data = to_dict(BASE)
    with pytest.raises(ValueError, match=r"lacks seed"):
        from_dict({name: value for name, value in data.items() if name != "seed"}, BASE)
    with pytest.raises(ValueError, match=r"batchsize is not a field of .*; did you mean batch_size"):
        from_dict({**data, "batchsize": 3}, BASE)
    with pytest.raises(ValueError, match=r"max_lrs is not a field of optimizer; did you mean max_lr"):
        from_dict({**data, "optimizer": {**data["optimizer"], "max_lrs": 3}}, BASE)


@pytest.mark.parametrize(("workload", "named"), [("moe", "long_side_px"), ("leaf", "image_size_px")])
def test_the_size_of_images_is_found_under_its_usual_name(workload, named):
    with pytest.raises(ValueError, match=f"resolution is not a parameter; did you mean {named}"):
        from_params({"resolution": 352}, get_task(workload).default_config())
