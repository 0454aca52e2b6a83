"""The recipes, each with its effect: what it changes, how often, and that every image has draws of its own."""

from dataclasses import fields, replace

import pytest
import torch

from trainable.techniques.augment.augmentation_recipes import RECIPES, AugmentationRecipe, get_recipe
from trainable.techniques.augment.batch_augmentation import Compose
from trainable.techniques.augment.image_augmentation import ImageAugmentation, ImageAugmentationConfig, augment_images
from trainable.techniques.augment.random_operations import OPERATIONS, random_operations

PARTS = {
    "crop": {"kept_area": (0.3, 0.6)},
    "flip": {"p_flip": 1.0},
    "rotation": {"max_rotation_degrees": 20.0},
    "affine": {"p_affine": 1.0},
    "colour": {"p_jitter": 1.0},
    "grey": {"p_grey": 1.0},
    "blur": {"p_blur": 1.0, "blur_sigma_px": (8.0, 16.0)},
    "operations": {"num_operations": 2},
    "cutout": {"p_cutout": 1.0},
    "bend": {"p_bend": 1.0},
}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(count: int, side: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=stream(9))


def same_image(count: int) -> torch.Tensor:
    return images_of(1).repeat(count, 1, 1, 1)


@pytest.mark.parametrize("changes", PARTS.values(), ids=PARTS)
def test_every_part_of_a_recipe_changes_images_and_at_strength_0_none(changes):
    images = images_of(8)
    recipe = AugmentationRecipe(**changes)
    changed = augment_images(images, recipe, strength=1.0, generator=stream())
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 1e-3).all()
    assert changed.min() >= 0
    assert changed.max() <= 1
    torch.testing.assert_close(augment_images(images, recipe, strength=0.0, generator=stream()), images)


def test_the_parts_above_are_all_there_are():
    switches = {name for changes in PARTS.values() for name in changes}
    extents = {field.name for field in fields(AugmentationRecipe)} - switches
    assert {name.split("_")[0] for name in extents} == {"max", "operation", "cutout"}


@pytest.mark.parametrize("name", RECIPES)
def test_copies_of_one_image_come_out_different_from_each_other(name):
    changed = augment_images(same_image(6), RECIPES[name], strength=1.0, generator=stream())
    assert all((changed[i] - changed[j]).abs().max() > 1e-3 for i in range(6) for j in range(i))


def test_the_severities_add_to_each_other_as_documented():
    light, moderate, aggressive = (RECIPES[name] for name in ("light", "moderate", "aggressive"))
    assert light == AugmentationRecipe(kept_area=light.kept_area, p_flip=0.5)
    added = {"p_jitter": 0, "p_blur": 0, "max_rotation_degrees": 0, "blur_sigma_px": light.blur_sigma_px}
    assert replace(moderate, **added) == light
    added = {"num_operations": 0, "p_cutout": 0, "p_bend": 0, "cutout_area": moderate.cutout_area}
    assert replace(aggressive, **added) == moderate
    assert min(moderate.p_jitter, aggressive.num_operations, aggressive.p_cutout, aggressive.p_bend) > 0


def test_photographs_are_augmented_by_the_documented_numbers():
    """But for the blur: the documented kernel of three pixels cannot blur by a sigma of 2."""
    assert RECIPES["photograph"] == AugmentationRecipe(
        kept_area=(1.1**-2, 1.1**-2),
        p_flip=0.5,
        max_rotation_degrees=15,
        p_jitter=1.0,
        max_brightness_change=0.2,
        max_contrast_change=0.2,
        max_saturation_change=0.2,
        max_hue_turns=0.1,
        p_blur=0.2,
        blur_sigma_px=(0.1, 0.8),
        p_affine=0.3,
        max_shift_share=0.1,
        max_scale_change=0.1,
        max_shear_degrees=5,
        p_cutout=0.1,
        cutout_area=(0.02, 0.1),
        max_cutout_log_aspect=1.2,
    )


def test_a_severer_recipe_moves_pixels_further():
    images = images_of(32)
    distances = [
        (augment_images(images, RECIPES[name], strength=1.0, generator=stream()) - images).abs().mean().item()
        for name in ("light", "moderate", "aggressive")
    ]
    assert distances == sorted(distances)


def test_a_chance_is_met_as_often_as_it_says_and_half_as_often_at_half_strength():
    images = torch.rand(2000, 3, 4, 4, generator=stream(1))
    for strength in (1.0, 0.5):
        recipe = AugmentationRecipe(p_flip=0.5)
        changed = augment_images(images, recipe, strength=strength, generator=stream())
        share = (changed != images).flatten(1).any(1).float().mean().item()
        assert share == pytest.approx(0.5 * strength, abs=0.04)


def test_cutout_hides_a_box_of_the_image_under_its_mean():
    images = images_of(64)
    recipe = AugmentationRecipe(p_cutout=1.0, cutout_area=(0.1, 0.1))
    hidden = (augment_images(images, recipe, strength=1.0, generator=stream()) != images).any(1).float()
    whole_boxes = hidden.mean(dim=(1, 2)).max().item()
    assert whole_boxes == pytest.approx(0.1, abs=0.02)
    row = int(hidden.mean(dim=(1, 2)).argmax())
    changed = augment_images(images, recipe, strength=1.0, generator=stream())[row, :, hidden[row].bool()]
    torch.testing.assert_close(changed, images[row].mean(dim=(1, 2))[:, None].expand_as(changed))


def test_every_random_operation_is_drawn_and_none_at_count_0():
    images = same_image(200)
    changed, moves = random_operations(images, count=1, magnitude=0.6, generator=stream())
    kinds = {tuple(pixels.flatten()[:50].tolist()) for pixels in changed}
    moved = {tuple(move.flatten().tolist()) for move in moves}
    assert len(kinds) >= 7
    assert len(moved) == 1 + 2 * 5, "the identity, and five moves to either side"
    assert len(OPERATIONS) == 12
    assert random_operations(images, count=0, magnitude=0.6, generator=stream())[0] is images


def test_strength_follows_training():
    config = ImageAugmentationConfig(initial_strength=0.2, max_strength=1.0, start_fraction=0.25, ramp_fraction=0.5)
    augmentation = config.build(max_epochs=8, seed=0)
    strengths = []
    for epoch in (0, 1, 2, 4, 6, 7):
        augmentation.update_epoch(epoch)
        strengths.append(augmentation.current_strength)
    assert strengths == pytest.approx([0.2, 0.2, 0.2, 0.6, 1.0, 1.0])


def test_the_saved_state_draws_what_would_have_been_drawn():
    config = ImageAugmentationConfig(severity="aggressive")
    images, labels = images_of(4), torch.arange(4)
    first, second = (Compose([config.build(4, seed)]) for seed in (1, 2))
    first.apply(images, labels)
    second.load_state_dict(first.state_dict())
    expected, kept = first.apply(images, labels)
    assert torch.equal(second.apply(images, labels)[0], expected)
    assert kept is labels


def test_the_global_random_state_is_not_touched():
    before = torch.get_rng_state()
    augment_images(images_of(4), RECIPES["aggressive"], strength=1.0, generator=stream())
    assert torch.equal(torch.get_rng_state(), before)


def test_pixels_outside_the_unit_range_are_refused():
    with pytest.raises(ValueError, match=r"reach from"):
        ImageAugmentation(get_recipe("light"), generator=stream()).apply(images_of(2) * 3, None)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"severity": "mild"}, "mild is not an augmentation severity"),
        ({"severity": "agressive"}, "did you mean aggressive"),
        ({"initial_strength": 0.9, "max_strength": 0.3}, "strength rises"),
        ({"start_fraction": 0.8, "ramp_fraction": 0.5}, "together at most 1"),
    ],
)
def test_a_wrong_setting_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        ImageAugmentationConfig(**changes)
