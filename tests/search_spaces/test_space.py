import dataclasses

import pytest

from search_spaces.space import Situation, Space, longest_warmup_fraction, warmup_ends_by

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
        ({"name": 3}, "name is 3, but must be a word"),
        ({"max_epochs": "3"}, "max_epochs of .* is '3', but must be a whole number"),
        ({"max_epochs": 12.5}, "max_epochs of .* is 12.5, but must be a whole number"),
        ({"num_trials": True}, "num_trials of .* is True, but must be a whole number"),
        ({"mode": "best"}, "mode of toy is 'best', but must be one of max, min"),
        ({"grace_epochs": 0}, r"grace_epochs of toy is 0, but must be from 1 to max_epochs \(12\)"),
        ({"grace_epochs": 13}, "grace_epochs of toy is 13"),
        ({"num_trials": 0}, "num_trials of toy is 0, but must be at least 1"),
        ({"reduction_factor": 1}, "reduction_factor of toy is 1, but must be at least 2"),
        (
            {"max_warmup_fraction": 0.3},
            "a warm-up of toy can take 3.6 epochs and reach past the first rung, epoch 3: .* lower .* to 0.25",
        ),
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


@pytest.mark.parametrize("max_epochs", [1, 7, 12, 24, 100, 333])
def test_a_warmup_may_last_to_the_end_of_a_rungs_epoch_however_floats_are_rounded(max_epochs):
    for epoch in range(1, max_epochs + 1):
        for fraction in (epoch / max_epochs, float(f"{epoch / max_epochs:.15g}")):
            assert warmup_ends_by(epoch, warmup_fraction=fraction, max_epochs=max_epochs)
            assert not warmup_ends_by(epoch, warmup_fraction=fraction + 0.001, max_epochs=max_epochs)


@pytest.mark.parametrize(
    ("epoch", "max_epochs", "longest"), [(3, 12, 0.25), (3, 7, 0.428), (2, 3, 0.666), (7, 100, 0.07)]
)
def test_the_longest_warmup_that_is_advised_is_accepted(epoch, max_epochs, longest):
    assert longest_warmup_fraction(epoch, max_epochs=max_epochs) == longest
    assert warmup_ends_by(epoch, warmup_fraction=longest, max_epochs=max_epochs)
    dataclasses.replace(SPACE, max_epochs=max_epochs, grace_epochs=epoch, max_warmup_fraction=longest)
