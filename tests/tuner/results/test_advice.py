"""Each piece of advice follows from a measurement, and appears only where that was made."""

from dataclasses import replace

import pytest

from tuner.records import read_search
from tuner.results.advice import advice_for

SMALL = {"object_share": 0.01, "object_side_px": 10.0, "file_side_px": 800.0}


@pytest.fixture
def search(finished_folder):
    return read_search(finished_folder)


def advice_of(search, values, *, losses=None, facts=None, is_below_probe=False, params=None, **changed):
    """The advice to a trial with this curve, whose settings may differ."""
    trial = search.leader
    search.settings = replace(search.settings, **changed)
    template = trial.last_result
    trial.results = {
        epoch: replace(template, epoch=epoch, objective=value, metrics={"train/loss": loss} if losses else {})
        for epoch, (value, loss) in enumerate(zip(values, losses or values, strict=True), start=1)
    }
    trial.params.update(params or {})
    return advice_for(search, trial, facts=facts or {}, is_below_probe=is_below_probe)


def base(**sections):
    return {"model": {"weights": "package:somewhere"}, "init_weights": None, "crop": None, "max_epochs": 12} | sections


RISING, FLAT = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0.5, 0.52, 0.51, 0.5, 0.51, 0.5, 0.51, 0.5]


def test_a_curve_that_still_rises_asks_for_longer_trainings_with_a_number(search):
    assert advice_of(search, RISING, base_config=base()) == (
        "The curve still rose by 0.200 in its last quarter: train longer (--max-epochs 24)."
    )


def test_a_curve_that_has_settled_says_that_longer_trainings_will_not_help(search):
    assert advice_of(search, FLAT, base_config=base(batch_size=16), images={"train": 16 * 29}) == (
        "The best of 8 epochs was 2, so longer trainings alone will not help."
    )


def test_after_few_updates_a_flat_curve_says_nothing_of_longer_trainings(search):
    of_four = {"base_config": base(batch_size=8, accumulation_steps=2), "images": {"train": 50}}
    assert advice_of(search, FLAT, **of_four) == (
        "It was trained for 32 updates, where 230 may be needed: train longer (--max-epochs 58)."
    )
    of_four["base_config"] |= {"model": {"weights": "scratch"}}
    assert "32 updates, where 1100 may be needed: train longer (--max-epochs 275)" in advice_of(search, FLAT, **of_four)
    assert "updates" not in advice_of(search, FLAT, base_config=base(), images={})


def test_where_less_is_better_a_falling_curve_still_improves(search):
    assert "train longer" in advice_of(search, RISING[::-1], base_config=base(), mode="min")


def test_few_epochs_have_no_direction(search):
    early = advice_of(search, [0.5, 0.4], losses=[0.7, 0.69], base_config=base())
    assert "loss" not in early
    assert "It was trained for 2 of the 4 epochs that a curve needs to have a direction: train longer" in advice_of(
        search, [0.5, 0.4], base_config=base()
    )


def test_trained_weights_are_advised_only_to_a_network_from_scratch(search):
    fresh = base(model={"weights": "scratch"})
    images = {"train": 204, "validation": 67, "test": 120}
    assert "The network started from scratch, on 204 images: give trained weights" in advice_of(
        search, FLAT, base_config=fresh, images=images
    )
    own = base(model={"weights": "scratch", "network": "nets.py:Net"})
    assert "give trained weights (--init)." in advice_of(search, FLAT, base_config=own)
    for given in (base(), {**fresh, "init_weights": "weights.pt"}, {"max_epochs": 12}):
        assert "from scratch" not in advice_of(search, FLAT, base_config=given)


def test_a_training_below_the_probe_gets_advice_to_keep_the_pre_trained_features(search):
    assert advice_of(search, FLAT, base_config=base(), is_below_probe=True).startswith(
        "Training loses the pre-trained features: train the head first (--set unfreezing=true)"
    )


def test_a_training_loss_that_does_not_fall_points_at_labels_and_rates_and_one_that_does_at_images(search):
    stuck = advice_of(search, FLAT, losses=[0.70, 0.7, 0.7, 0.69, 0.7, 0.69, 0.69, 0.69], base_config=base())
    learned = advice_of(search, FLAT, losses=[0.70, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.05], base_config=base())
    assert "The training loss hardly fell, from 0.700 to 0.690: check the labels" in stuck
    assert "fell from 0.700 to 0.050, but the validation objective stayed poor: add images" in learned


def test_a_curve_that_still_rises_is_not_said_to_have_not_improved(search):
    found = advice_of(search, RISING, losses=[0.70, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.05], base_config=base())
    assert "still rose" in found
    assert "not improve" not in found


def test_small_objects_ask_for_crops_unless_there_are_any_and_for_larger_images_where_the_files_are(search):
    size = {"image_size_px": (180, 240)}
    both = advice_of(search, FLAT, facts=SMALL, base_config=base(), **size)
    assert "The median object covers 1.0% of an image: train on crops (--set crop=true)." in both
    assert "a side of 10 px at 240 px, and the files have 800: train on larger images (--set long_side_px=480)" in both
    cropped = advice_of(search, FLAT, facts=SMALL, base_config=base(crop={"crop_px": 96}), **size)
    assert "crops" not in cropped
    assert "larger images" in cropped
    as_large = advice_of(search, FLAT, facts={**SMALL, "file_side_px": 250.0}, base_config=base(), **size)
    large = advice_of(
        search, FLAT, facts={**SMALL, "object_share": 0.3, "object_side_px": 60.0}, base_config=base(), **size
    )
    assert "larger images" not in as_large + large
    assert "crops" not in large
