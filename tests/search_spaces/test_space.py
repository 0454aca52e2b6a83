import dataclasses

import pytest

from search_spaces.space import Situation, Space

SPACE = Space(
    name="toy",
    workload="toy",
    objective="val/score",
    mode="max",
    suggest=lambda trial, situation: {},
    defaults=lambda situation: {},
    recommended=lambda situation: [],
    max_epochs=12,
    grace_epochs=3,
    reduction_factor=2,
    max_warmup_fraction=0.2,
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "my space"}, "name is 'my space', but must be a word"),
        ({"mode": "best"}, "mode of toy is 'best', but must be one of max, min"),
        ({"grace_epochs": 0}, r"grace_epochs of toy is 0, but must be from 1 to max_epochs \(12\)"),
        ({"grace_epochs": 13}, "grace_epochs of toy is 13"),
        ({"num_trials": 0}, "num_trials of toy is 0, but must be at least 1"),
        ({"reduction_factor": 1}, "reduction_factor of toy is 1, but must be at least 2"),
        ({"max_warmup_fraction": 0.25}, "a warm-up of toy can take 3 epochs and reach past the first rung, epoch 3"),
    ],
)
def test_a_wrong_space_is_refused_at_construction(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(SPACE, **change)


@pytest.mark.parametrize(("field", "value"), [("num_train_images", 0), ("max_batch_size", 0), ("gpu_memory_gb", 0.0)])
def test_a_wrong_situation_is_refused_at_construction(field, value):
    right = Situation(num_train_images=240, pretrained=False)
    with pytest.raises(ValueError, match=f"{field} is 0.*, but must be"):
        dataclasses.replace(right, **{field: value})


@pytest.mark.parametrize(("max_epochs", "grace_epochs"), [(12, 3), (24, 6), (30, 8), (100, 25), (5, 2), (1, 1)])
def test_with_another_budget_the_first_rung_keeps_its_share_and_stays_behind_the_warmup(max_epochs, grace_epochs):
    space = SPACE.with_max_epochs(max_epochs)
    assert (space.max_epochs, space.grace_epochs) == (max_epochs, grace_epochs)
    assert space.grace_epochs > 0.2 * max_epochs


def test_a_budget_of_no_epochs_is_a_sentence():
    with pytest.raises(ValueError, match="max_epochs is 0, but must be at least 1"):
        SPACE.with_max_epochs(0)
