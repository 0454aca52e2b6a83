"""Embedded data is drawn, not read: options for reading a folder are errors there, or reported, never ignored."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from trainable.tasks.registry import TASKS, get_task

COUNTS = ("num_train", "num_validation", "num_test", "num_unlabelled")
OTHERS = {
    "image_size_px": 96,
    "image_height_px": 64,
    "image_width_px": 64,
    "long_side_px": 64,
    "inverted_masks": True,
    "foreground_values": ("255",),
    "tile_px": 128,
    "overlap_px": 32,
    "one_kind": True,
    "void_label": 0,
    "group_pattern": "[a-z]+",
    "split_seed": 1,
    "split_fractions": (0.5, 0.25, 0.25),
    "labels_per_class": 2,
}
"""Another value of each field."""
GIVEN_TOGETHER = {"image_height_px": ("image_width_px",), "image_width_px": ("image_height_px",)}
SAYS_HOW_A_PREDICTED_PICTURE_IS_READ = "resize"


def own_fields(workload):
    """Fields of the data other than its source and the settings of its generator."""
    data = get_task(workload).default_config().data
    named = [field.name for field in fields(data) if not is_dataclass(getattr(data, field.name))]
    return [name for name in named if name not in ("source", SAYS_HOW_A_PREDICTED_PICTURE_IS_READ)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def small(data):
    (generator,) = (field.name for field in fields(data) if is_dataclass(getattr(data, field.name)))
    drawn = getattr(data, generator)
    return replace(data, **{generator: replace(drawn, **{name: 20 for name in COUNTS if hasattr(drawn, name)})})


def pictures(splits):
    """Images of the training and the validation; of a probe, those in its bank."""
    return [getattr(data, "bank", data).images for data in (splits.train, splits.validation)]


def given(name):
    return {one: OTHERS[one] for one in (name, *GIVEN_TOGETHER.get(name, ()))}


def refusal(data, changes):
    try:
        replace(data, **changes)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("workload", "name"), [(task, name) for task in TASKS for name in own_fields(task)])
def test_a_field_of_embedded_data_has_an_effect_or_is_reported_or_refused(workload, name, cache, caplog):
    task = get_task(workload)
    config = task.default_config()
    config = replace(config, data=small(config.data), **({"dirty_variants": None} if workload == "dishes" else {}))
    if refused := refusal(config.data, given(name)):
        assert "give --data" in refused
        assert name in refused
        return
    changed = replace(config, data=replace(config.data, **given(name)))
    before = pictures(task.open_data(config, cache_dir=cache))
    assert caplog.messages == []
    caplog.set_level("INFO")
    after = pictures(task.open_data(changed, cache_dir=cache))
    is_reported = any(name in message and "give --data" in message for message in caplog.messages)
    has_effect = any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert is_reported != has_effect


def test_a_note_says_what_was_given_and_why_it_changes_nothing(cache, caplog):
    task = get_task("moe")
    config = task.default_config()
    caplog.set_level("INFO")
    splits = task.open_data(replace(config, data=small(replace(config.data, long_side_px=64))), cache_dir=cache)
    assert [finding.file for finding in splits.findings] == ["long_side_px"]
    assert caplog.messages == [
        "note: Has no effect here, since it says how a folder is read; give --data with it, or leave it out.\n"
        "  long_side_px  is 64, but the embedded scenes are drawn"
    ]
