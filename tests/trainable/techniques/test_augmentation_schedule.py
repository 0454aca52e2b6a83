import pytest
import torch

from trainable import CODProgressiveAugmentation
from trainable.techniques.augment.image_augmentation import ImageAugmentationConfig
from trainable.techniques.augment.progressive_augmentation import AugmentationConfig


def batch_of(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(count, 3, 24, 24, generator=torch.Generator().manual_seed(7))
    return images, (images[:, :1] > 0.5).float()


# The schedule.


def test_the_documented_strengths():
    augmentation = CODProgressiveAugmentation()
    strengths = {}
    for epoch in (0, 19, 20, 25, 29, 30, 99):
        augmentation.update_epoch(epoch)
        assert augmentation.current_epoch == epoch
        strengths[epoch] = augmentation.current_strength
    assert strengths == pytest.approx({0: 0.3, 19: 0.3, 20: 0.3, 25: 0.55, 29: 0.75, 30: 0.8, 99: 0.8})


def test_the_documented_order_of_arguments():
    augmentation = CODProgressiveAugmentation(0.2, 0.6, 30, 20)
    augmentation.update_epoch(40)
    assert augmentation.current_strength == pytest.approx(0.4)


def strengths_at(epochs, **ramp):
    augmentation, strengths = CODProgressiveAugmentation(**ramp), []
    for epoch in epochs:
        augmentation.update_epoch(epoch)
        strengths.append(augmentation.current_strength)
    return strengths


def test_fractions_of_an_epoch_move_the_strength():
    ramp = {"initial_strength": 0.0, "max_strength": 1.0, "transition_epoch": 2.5, "transition_duration": 2.0}
    assert strengths_at((2.25, 2.5, 3.0, 4.5), **ramp) == pytest.approx([0.0, 0.0, 0.25, 1.0])


def test_a_ramp_of_no_length_is_a_step():
    step = {"initial_strength": 0.1, "max_strength": 0.9, "transition_epoch": 3, "transition_duration": 0}
    assert strengths_at((2.99, 3), **step) == [0.1, 0.9]


# The configuration.


def test_a_config_places_its_ramp_by_the_planned_length():
    config = AugmentationConfig(start_fraction=0.2, ramp_fraction=0.1)
    for max_epochs in (10, 100, 300):
        augmentation = config.build(max_epochs, seed=0)
        augmentation.update_epoch(0.25 * max_epochs)
        assert augmentation.current_strength == pytest.approx(0.55)


@pytest.mark.parametrize("config", [AugmentationConfig, ImageAugmentationConfig])
def test_a_step_that_was_asked_for_at_a_whole_epoch_comes_at_that_one(config):
    """7 / 25 times 25 is a little more than 7."""
    options = {"start_fraction": 7 / 25, "ramp_fraction": 0.0, "initial_strength": 0.1, "max_strength": 0.8}
    augmentation, strengths = config(**options).build(25, 0), []
    for epoch in (6, 7):
        augmentation.update_epoch(epoch)
        strengths.append(augmentation.current_strength)
    assert strengths == [0.1, 0.8]


def test_a_config_hands_its_settings_and_seed_over():
    config = AugmentationConfig(initial_strength=0.8, p_contrastive=0.0, p_mirror=0.0, fourier_sigma=0.3)
    batch = batch_of(8)
    first, again, other = (config.build(20, seed=seed).apply(*batch)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    narrow = AugmentationConfig(initial_strength=0.8, p_contrastive=0.0, p_mirror=0.0, fourier_sigma=0.05)
    assert not torch.equal(narrow.build(20, seed=1).apply(*batch)[0], first)


# What is refused.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"initial_strength": -0.1}, "inside \\[0, 1\\]"),
        ({"max_strength": 1.5}, "inside \\[0, 1\\]"),
        ({"initial_strength": 0.9}, "lower the first"),
        ({"p_mirror": 2.0}, "p_mirror is 2.0"),
        ({"magnitude_fourier": float("nan")}, "magnitude_fourier is nan"),
        ({"fourier_sigma": 0.0}, "p_fourier=0 switches it off"),
        ({"start_fraction": 0.8, "ramp_fraction": 0.3}, "together at most 1"),
        ({"start_fraction": -0.1}, "at least 0"),
    ],
)
def test_a_wrong_config_is_refused_at_construction(options, words):
    with pytest.raises(ValueError, match=words):
        AugmentationConfig(**options)


def test_a_negative_epoch_is_refused():
    with pytest.raises(ValueError, match="transition_epoch is -1"):
        CODProgressiveAugmentation(transition_epoch=-1)
