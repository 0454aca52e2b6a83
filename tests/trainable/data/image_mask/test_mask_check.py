"""Masks that are read, read with a warning, or refused."""

import io

import numpy as np
import pytest
from PIL import Image

from trainable.data.image_mask.mask_check import (
    MaskFacts,
    binarise,
    check_polarity,
    check_size,
    describe_foreground,
    facts_of,
)
from trainable.data.io.decoding import Header
from trainable.data.io.findings import BadFileError, Severity

DISC = np.hypot(*(np.mgrid[:60, :80] - np.array([30, 40])[:, None, None])) < 15


def grey(*levels: int) -> Image.Image:
    """A disc of the last level on a ground of the first; those between are stripes of 3 % of the picture each."""
    values = np.where(DISC, levels[-1], levels[0]).astype(np.uint8)
    for row, level in enumerate(levels[1:-1]):
        values[row, :] = level
        values[59 - row, :] = level
    return Image.fromarray(values)


def facts(*shares: tuple[float, float]) -> list[MaskFacts]:
    return [
        MaskFacts(file=f"GT/{number}.png", foreground=foreground, border_foreground=border)
        for number, (foreground, border) in enumerate(shares)
    ]


@pytest.mark.parametrize("image", [grey(0, 255), grey(0, 255).convert("1"), grey(0, 255).convert("P"), grey(3, 250)])
def test_two_level_masks_are_read_without_a_word(image):
    mask, findings = binarise(image, "m.png")
    assert findings == []
    np.testing.assert_array_equal(mask, DISC)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize(("level", "object_pixel"), [(126, 0), (127, 0), (128, 1), (129, 1)])
def test_levels_above_127_are_object(level, object_pixel):
    values = np.where(np.arange(80) < 40, 0, 255) * np.ones((60, 1))
    values[:, 40] = level
    mask, _ = binarise(Image.fromarray(values.astype(np.uint8)), "m.png")
    assert mask[0, 40] == object_pixel


def test_jpeg_noise_is_binarised_with_a_warning():
    stream = io.BytesIO()
    grey(0, 255).save(stream, "JPEG", quality=70)
    mask, findings = binarise(Image.open(stream), "m.jpg")
    np.testing.assert_array_equal(mask, DISC)
    assert [finding.severity for finding in findings] == [Severity.WARNING]
    assert "grey levels" in findings[0].problem
    assert "compression or smoothed edges" in findings[0].action


def test_a_black_mask_stays_empty_through_jpeg_noise():
    noise = np.random.default_rng(0).integers(0, 12, (60, 80), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    mask, _ = binarise(Image.open(stream), "m.jpg")
    assert not mask.any()


def test_real_grey_levels_get_the_stronger_warning():
    ramp = np.clip(4 * np.arange(80) - 20, 0, 255) * np.ones((60, 1))
    _, findings = binarise(Image.fromarray(ramp.astype(np.uint8)), "m.png")
    assert "check that these levels mean nothing else" in findings[0].action


def test_masks_of_zero_and_one_are_read_with_a_warning():
    mask, findings = binarise(grey(0, 1), "m.png")
    np.testing.assert_array_equal(mask, DISC)
    assert findings[0].problem == "its values are 0 and 1"


def test_equal_channels_are_read_with_a_warning():
    mask, findings = binarise(grey(0, 255).convert("RGB"), "m.png")
    np.testing.assert_array_equal(mask, DISC)
    assert findings[0].problem == "is a mask of 3 channels (RGB)"


def test_an_inverted_mask_is_flipped_only_when_told():
    plain, _ = binarise(grey(0, 255), "m.png")
    flipped, _ = binarise(grey(0, 255), "m.png", inverted=True)
    np.testing.assert_array_equal(plain + flipped, 1)


def test_class_ids_are_not_taken_for_an_empty_mask():
    with pytest.raises(BadFileError, match="its brightest value is 11 of 255, so that nothing would be object"):
        binarise(grey(0, 4, 11), "m.png")


def test_coloured_masks_stop_also_in_a_palette():
    colours = np.zeros((60, 80, 3), np.uint8)
    colours[DISC] = (200, 0, 0)
    for image in (Image.fromarray(colours), Image.fromarray(colours).quantize(4)):
        with pytest.raises(BadFileError, match="is a mask in colours"):
            binarise(image, "m.png")


def test_facts_are_the_fractions_of_area_and_border():
    mask = np.zeros((4, 5), np.uint8)
    mask[0] = 1
    fact = facts_of(mask, "m.png")
    assert fact.foreground == 5 / 20
    assert fact.border_foreground == 5 / 14


def test_inverted_masks_are_seen_by_their_median_or_their_borders():
    assert check_polarity(facts((0.8, 0.0), (0.7, 0.0), (0.1, 0.0)), None)
    assert check_polarity(facts((0.4, 0.9), (0.4, 0.9), (0.1, 0.0)), None)
    assert not check_polarity(facts((0.4, 0.0), (0.3, 0.9), (0.1, 0.0)), None)


def test_empty_masks_do_not_hide_inverted_ones():
    assert check_polarity(facts((0, 0), (0, 0), (0, 0), (0.9, 1.0)), None)


def test_the_users_word_that_large_objects_are_objects_is_taken():
    assert check_polarity(facts((0.8, 1.0), (0.9, 1.0)), False) == []


def test_one_inverted_mask_among_good_ones_is_a_warning_with_its_name():
    (finding,) = check_polarity(facts((0.1, 0.0), (0.2, 0.0), (0.9, 1.0)), None)
    assert (finding.file, finding.severity) == ("GT/2.png", Severity.WARNING)


def test_empty_masks_are_legal_and_counted():
    (finding,) = describe_foreground(facts((0, 0), (0.005, 0), (0.03, 0), (0.3, 0)))
    assert finding.severity is Severity.NOTE
    assert finding.problem == (
        "object from 0.5 to 30 % of the image, median 3 % "
        "(0-1 %: 1, 1-5 %: 1, 5-20 %: 0, 20-50 %: 1, 50-100 %: 0; empty: 1 of 4)"
    )


@pytest.mark.parametrize(
    ("mask_size", "is_turned", "reported"),
    [
        ((30, 40), False, []),
        ((30, 41), False, ["is 41x30 but its image is 40x30"]),
        ((40, 30), False, ["is 30x40 but its image is 40x30: width and height are swapped"]),
        ((40, 30), True, ["is 30x40 but its image is 40x30, which is the image before its EXIF turn"]),
    ],
)
def test_only_a_picture_that_exif_turns_is_called_turned(mask_size, is_turned, reported):
    image = Header(size=(30, 40), has_alpha=False, orientation=6 if is_turned else 1)
    assert [finding.problem for finding in check_size(image, mask_size, "m.png")] == reported


def test_a_mask_whose_ground_is_transparent_is_read_where_colour_and_opacity_say_the_same():
    levels = np.where(DISC, 255, 0).astype(np.uint8)
    mask, _ = binarise(Image.fromarray(np.dstack([levels] * 4)), "a.png")
    assert (mask == DISC).all()
    with pytest.raises(BadFileError, match="a mask with transparency"):
        binarise(Image.fromarray(np.dstack([*[np.full_like(levels, 255)] * 3, levels])), "a.png")
