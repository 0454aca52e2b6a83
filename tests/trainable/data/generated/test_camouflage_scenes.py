"""Promises of the embedded data: repeatable scenes, exact masks, opposite rules, difficulty that is felt."""

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from trainable.data.generated.camouflage_scenes import SceneConfig, fresh_scenes, scene_splits
from trainable.data.io.splits import SPLIT_NAMES

CONFIG = SceneConfig(num_train=6, num_validation=4, num_test=5)
QUIET = replace(CONFIG, noise=0.0, colour_gap=0.0)


def domains_of(scenes):
    return np.array([int(name.rpartition("domain")[2]) for name in scenes.names])


@lru_cache
def colour_marks(count):
    """How far each pixel moves, (N, H, W, 3) grey levels, when both blobs get colours; NaN where a level is clipped."""
    marked, plain = (fresh_scenes(replace(QUIET, colour_gap=gap), 0, count).images for gap in (0.1, 0.0))
    moved = marked.astype(float) - plain
    moved[(marked == 0) | (marked == 255)] = np.nan
    return moved


def decoys_of(scenes):
    marked = (np.nan_to_num(colour_marks(len(scenes)), nan=1.0) != 0).any(axis=-1)
    return marked & (scenes.masks == 0)


def mean_frequency(image, region):
    """Root mean square frequency, by Parseval: spread of the slopes over spread of the values."""
    grey = image.mean(axis=-1)
    down, across = np.gradient(grey)
    inner = ndimage.binary_erosion(region)
    return np.sqrt((down[inner] ** 2 + across[inner] ** 2).mean() / grey[inner].var())


def frequency_ratios(config, *, of_decoy=False, count=48):
    """How many times finer than its ground each object (or decoy) is, and its domain; too small ones left out."""
    scenes = fresh_scenes(config, 0, count)
    decoys = decoys_of(scenes)
    ratios, domains = [], []
    for image, mask, decoy, domain in zip(scenes.images, scenes.masks, decoys, domains_of(scenes), strict=True):
        region = decoy if of_decoy else mask > 0
        ground = ~ndimage.binary_dilation(decoy | (mask > 0), iterations=2)
        if ndimage.binary_erosion(region).sum() > 150:
            ratios.append(mean_frequency(image, region) / mean_frequency(image, ground))
            domains.append(domain)
    return np.array(ratios), np.array(domains)


def test_a_scene_is_the_same_however_many_are_drawn():
    few, many = fresh_scenes(CONFIG, 3, 2), fresh_scenes(CONFIG, 3, 7)
    np.testing.assert_array_equal(few.images, many.images[:2])
    np.testing.assert_array_equal(few.masks, many.masks[:2])
    assert few.names == many.names[:2]


def test_the_sizes_of_splits_change_no_scene_of_any_split(tmp_path):
    small = scene_splits(CONFIG, tmp_path)
    large = scene_splits(replace(CONFIG, num_train=9, num_validation=6), tmp_path)
    for split in SPLIT_NAMES:
        scenes, others = getattr(small, split), getattr(large, split)
        np.testing.assert_array_equal(scenes.images, others.images[: len(scenes)])
        np.testing.assert_array_equal(scenes.masks, others.masks[: len(scenes)])


def test_no_scene_is_in_two_places(tmp_path):
    splits = scene_splits(replace(CONFIG, num_train=20, num_validation=20, num_test=20), tmp_path)
    sets = [getattr(splits, split) for split in SPLIT_NAMES] + [fresh_scenes(CONFIG, seed, 20) for seed in (0, 1)]
    images = {image.tobytes() for scenes in sets for image in scenes.images}
    names = {name for scenes in sets for name in scenes.names}
    assert len(images) == len(names) == 5 * 20


def test_another_seed_is_another_data_set():
    ours, theirs = fresh_scenes(CONFIG, 0, 4), fresh_scenes(replace(CONFIG, seed=1), 0, 4)
    assert all((a != b).any() for a, b in zip(ours.masks, theirs.masks, strict=True))


def test_the_second_opening_draws_nothing_and_reads_the_same(tmp_path):
    reported = []
    first = scene_splits(CONFIG, tmp_path, lambda drawn, total: reported.append((drawn, total)))
    assert reported == [(drawn, 15) for drawn in range(1, 16)]
    second = scene_splits(CONFIG, tmp_path, lambda drawn, total: reported.append((drawn, total)))
    assert len(reported) == 15
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(second.test.images, first.test.images)


def test_every_setting_is_another_cache_folder(tmp_path):
    changes = {"texture_gap": 0.5, "colour_gap": 0.1, "noise": 0.1, "num_domains": 3, "image_size_px": 64, "seed": 9}
    prints = {
        scene_splits(replace(CONFIG, **{name: value}), tmp_path).fingerprint["all"] for name, value in changes.items()
    }
    assert len(prints | {scene_splits(CONFIG, tmp_path).fingerprint["all"]}) == len(changes) + 1


def test_names_carry_split_number_and_domain(tmp_path):
    splits = scene_splits(CONFIG, tmp_path)
    assert splits.test.names[:5] == tuple(f"test_{row:04d}_domain{row % 4}" for row in range(5))
    assert fresh_scenes(CONFIG, 12, 2).names == ("fresh12_0000_domain0", "fresh12_0001_domain1")


@pytest.mark.parametrize("image_size_px", [64, 96, 160])
def test_every_mask_is_one_piece_of_moderate_size(image_size_px):
    scenes = fresh_scenes(replace(CONFIG, image_size_px=image_size_px), 1, 60)
    assert scenes.images.shape == (60, image_size_px, image_size_px, 3)
    assert set(np.unique(scenes.masks)) == {0, 1}
    diagonals_too = np.ones((3, 3))
    assert all(ndimage.label(mask, diagonals_too)[1] == 1 for mask in scenes.masks)
    shares = scenes.masks.mean(axis=(1, 2))
    assert shares.min() > 0.015
    assert shares.max() < 0.35
    assert 0.07 < np.median(shares) < 0.13


def test_the_native_mask_is_the_mask(tmp_path):
    scenes = scene_splits(CONFIG, tmp_path).validation
    for row in range(len(scenes)):
        np.testing.assert_array_equal(scenes.native_mask(row), scenes.masks[row])


def test_a_mask_is_exactly_where_the_object_is():
    """Object and decoy are given one colour each: the mask is every pixel that moved as the object's middle did."""
    scenes = fresh_scenes(QUIET, 0, 48)
    for moved, mask in zip(colour_marks(48), scenes.masks > 0, strict=True):
        own_move = np.nanmedian(moved[mask], axis=0)
        moved_alike = ~(np.abs(moved - own_move) > 1).any(axis=-1)
        np.testing.assert_array_equal(moved_alike, mask)


@pytest.mark.parametrize("of_decoy", [False, True])
def test_siblings_obey_opposite_rules_and_a_decoy_its_siblings(of_decoy):
    ratios, domains = frequency_ratios(QUIET, of_decoy=of_decoy)
    finer = (domains % 2 == 0) != of_decoy
    assert len(ratios) > 24
    assert np.median(ratios[finer]) > 1.3
    assert np.median(ratios[~finer]) < 1 / 1.3
    assert ((ratios > 1) == finer).mean() > 0.9


def test_a_smaller_texture_gap_is_harder_to_see():
    separability = [
        np.median(np.abs(np.log(frequency_ratios(replace(QUIET, texture_gap=texture_gap))[0])))
        for texture_gap in (0.2, 0.5, 1.0)
    ]
    assert separability[0] < 0.7 * separability[1]
    assert separability[1] < 0.7 * separability[2]


def test_difficulty_moves_no_object():
    masks = [
        fresh_scenes(replace(CONFIG, texture_gap=gap, noise=noise), 4, 6).masks
        for gap, noise in ((0.2, 0.1), (1.2, 0.0))
    ]
    np.testing.assert_array_equal(*masks)


def test_noise_has_the_standard_deviation_that_was_asked_for():
    noisy, clean = (fresh_scenes(replace(CONFIG, noise=noise), 0, 12).images.astype(float) for noise in (0.05, 0.0))
    unclipped = (noisy > 0) & (noisy < 255) & (clean > 60) & (clean < 195)
    assert (noisy - clean)[unclipped].std() == pytest.approx(0.05 * 255, rel=0.03)


def test_the_colour_gap_shifts_the_object_by_its_length():
    shifted, same = (fresh_scenes(replace(QUIET, colour_gap=gap), 0, 12) for gap in (0.04, 0.0))
    for image, plain, mask in zip(shifted.images, same.images, same.masks, strict=True):
        shift = image[mask > 0].mean(axis=0) - plain[mask > 0].mean(axis=0)
        assert np.linalg.norm(shift) == pytest.approx(0.04 * 255, rel=0.1)


@pytest.fixture(scope="module")
def many_scenes():
    return fresh_scenes(CONFIG, 0, 120)


def share_of_domains_found(features, domains):
    """Nearest centre of the first half, asked about the second half."""
    half = len(domains) // 2
    centres = np.stack([features[:half][domains[:half] == domain].mean(axis=0) for domain in range(4)])
    nearest = np.linalg.norm(features[half:, None] - centres, axis=-1).argmin(axis=1)
    return (nearest == domains[half:]).mean()


def test_the_mean_colour_tells_the_domain_and_a_standardised_image_hides_it(many_scenes):
    pixels = many_scenes.images.reshape(120, -1, 3).astype(float)
    standardised = (pixels - pixels.mean(axis=1, keepdims=True)) / pixels.std(axis=1, keepdims=True)
    moments = np.concatenate([(standardised**power).mean(axis=1) for power in (3, 4)], axis=1)
    assert share_of_domains_found(pixels.mean(axis=1), domains_of(many_scenes)) > 0.97
    assert share_of_domains_found(moments, domains_of(many_scenes)) < 0.5


def test_neighbours_on_the_circle_of_hues_obey_opposite_rules(many_scenes):
    """By hue alone, without the light, no straight line divides the finer from the coarser domains."""
    colours = many_scenes.images.mean(axis=(1, 2))
    hue_plane = np.column_stack([colours - colours.mean(axis=1, keepdims=True), np.ones(120)])
    is_finer = 2 * (domains_of(many_scenes) % 2 == 0) - 1
    weights, *_ = np.linalg.lstsq(hue_plane, is_finer, rcond=None)
    assert (np.sign(hue_plane @ weights) == is_finer).mean() < 0.8


def test_object_and_decoy_are_alike_in_place_and_size():
    scenes = fresh_scenes(QUIET, 0, 96)
    regions = {"object": scenes.masks, "decoy": decoys_of(scenes)}
    off_centre = {
        name: np.mean([np.hypot(*np.subtract(ndimage.center_of_mass(one), 48)) for one in each if one.any()])
        for name, each in regions.items()
    }
    assert off_centre["object"] == pytest.approx(off_centre["decoy"], rel=0.15)
    assert regions["object"].mean() == pytest.approx(regions["decoy"].mean(), rel=0.25)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_size_px": 20}, "image_size_px is 20; give a whole number, 48 to 1024."),
        ({"image_size_px": 96.0}, "image_size_px is 96.0; give a whole number, 48 to 1024."),
        ({"num_domains": 0}, "num_domains is 0; give a whole number, 1 to 12."),
        ({"num_domains": 13}, "num_domains is 13; give a whole number, 1 to 12."),
        ({"num_train": 0}, "num_train is 0; give a whole number, 1 or more."),
        ({"num_validation": -3}, "num_validation is -3; give a whole number, 1 or more."),
        ({"num_test": True}, "num_test is True; give a whole number, 1 or more."),
        ({"seed": -1}, "seed is -1; give a whole number, 0 or more."),
        ({"texture_gap": -0.1}, "texture_gap is -0.1; give a number from 0 to 1.5."),
        ({"colour_gap": 2}, "colour_gap is 2; give a number from 0 to 0.3."),
        ({"noise": float("nan")}, "noise is nan; give a number from 0 to 0.3."),
        ({"noise": "0.1"}, "noise is '0.1'; give a number from 0 to 0.3."),
    ],
)
def test_a_wrong_setting_is_reported_in_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SceneConfig(**settings)


@pytest.mark.parametrize(("seed", "count"), [(-1, 4), (0, 0), (0, 2.5)])
def test_fresh_scenes_want_a_seed_and_a_count(seed, count):
    with pytest.raises(ValueError, match="give a whole number"):
        fresh_scenes(CONFIG, seed, count)
