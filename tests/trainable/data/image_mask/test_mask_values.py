"""Classes and void are areas of their own; smoothed edges and compression are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from trainable.data.image_mask.mask_check import MaskFacts, binarise, check_conventions
from trainable.data.image_mask.mask_values import class_levels, in_eight_bits, value_counts
from trainable.data.io.findings import BadFileError, errors_among

ROWS, COLUMNS = np.mgrid[:120, :160]
DISTANCE = np.hypot(ROWS - 60, COLUMNS - 80)
DISC = Image.fromarray(((DISTANCE < 30) * 255).astype(np.uint8))


def rings(*levels: int) -> np.ndarray:
    """Rings of 10 pixels around the middle, from the inside out; the last level is the ground."""
    return np.array(levels, np.uint8)[np.minimum(DISTANCE // 10, len(levels) - 1).astype(int)]


def as_jpeg(values: np.ndarray, quality: int = 75) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def test_a_slope_without_any_area_has_no_classes():
    slope = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    assert class_levels(slope, is_jpeg=False) == []


@pytest.mark.parametrize(
    "values",
    [
        rings(1, 1, 255, 0),
        rings(255, 255, 128, 0),
        rings(255, 255, 1, 0),
        rings(1, 1, 254, 0),
        rings(1, 2, 3, 4, 5, 255, 0),
        rings(50, 100, 150, 200, 0),
        np.where(ROWS == 50, 128, rings(255, 0)).astype(np.uint8),
    ],
    ids=["0/1/void", "three classes", "void is 1", "void is 254", "ids and void", "grey levels", "a thin class"],
)
def test_masks_of_more_than_two_classes_or_with_void_are_refused_with_their_values(values):
    with pytest.raises(BadFileError, match="holds more than two classes, or void") as error:
        binarise(Image.fromarray(values), "m.png")
    assert f"{values[0, 0]} (" in error.value.problem


def test_three_classes_are_seen_through_jpeg():
    with pytest.raises(BadFileError, match="holds more than two classes, or void"):
        binarise(as_jpeg(rings(255, 255, 128, 128, 0)), "m.jpg")


@pytest.mark.parametrize("quality", [30, 60, 75, 95])
def test_jpeg_noise_is_no_class_also_when_it_was_saved_again_as_png(quality):
    noisy = as_jpeg(np.asarray(DISC), quality)
    again = Image.fromarray(np.asarray(noisy))
    for image in (noisy, again):
        mask, _ = binarise(image, "m")
        assert (mask != (np.asarray(DISC) > 0)).mean() < 0.005


@pytest.mark.parametrize(
    "image",
    [
        DISC.filter(ImageFilter.GaussianBlur(3)),
        DISC.resize((80, 60), Image.Resampling.BILINEAR),
        DISC.resize((53, 41), Image.Resampling.LANCZOS),
        DISC.resize((320, 240), Image.Resampling.BICUBIC),
    ],
    ids=["blurred", "halved", "shrunk", "enlarged"],
)
def test_smoothed_edges_are_no_classes(image):
    assert class_levels(np.asarray(image), is_jpeg=False) == []


def test_masks_of_zero_and_one_beside_masks_of_255_are_an_error_that_names_both():
    def facts(file, brightest):
        return MaskFacts(file=file, foreground=0.1, border_foreground=0, brightest=brightest)

    (error,) = errors_among(check_conventions([facts("a.png", 1), facts("b.png", 255), facts("c.png", 0)]))
    assert error.problem == "1 hold 0 and 1 (a.png), 1 hold up to 255 (b.png), which may be void"
    assert check_conventions([facts("a.png", 1), facts("c.png", 0)]) == []
    assert check_conventions([facts("b.png", 255), facts("c.png", 0)]) == []


def test_a_coloured_object_of_few_pixels_is_not_dropped():
    values = np.zeros((120, 160, 3), np.uint8)
    values[:, :40] = 255
    values[60, 80:84] = (255, 0, 0)
    with pytest.raises(BadFileError, match="is a mask in colours, as of several classes: 0/0/0"):
        binarise(Image.fromarray(values), "m.png")


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.fromarray(np.array([[0, 0, 0, 255]], np.uint8)), "0 (75 %), 255 (25 %)"),
        (Image.fromarray(np.array([[0, 7, 7, 7]], np.uint16)), "0 (25 %), 7 (75 %)"),
        (Image.new("RGB", (2, 2), (255, 0, 3)), "255/0/3 (100 %)"),
        (Image.fromarray(np.arange(8, dtype=np.uint8)[None]), "5 (12 %) and 2 more"),
    ],
)
def test_values_are_reported_with_their_shares(image, said):
    assert value_counts(image).endswith(said)


@pytest.mark.parametrize("row", [500, 1023, 1024, 2098])
def test_an_area_of_a_large_mask_is_found_wherever_it_lies(row):
    """2.1 megapixels, which are checked in strips of 1024 rows."""
    values = np.zeros((2100, 1024), np.uint8)
    values[:, 300:600] = 255
    values[row : row + 2] = 128
    assert class_levels(values, is_jpeg=False) == [128]


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize(("held", "read"), [([0, 255], [0, 255]), ([0, 1, 200], [0, 1, 200]), ([0, 0], [0, 0])])
def test_more_than_eight_bits_that_hold_no_more_than_eight_are_read_so(kind, held, read):
    assert in_eight_bits(Image.fromarray(np.array([held], kind))).mode == "L"
    assert np.asarray(in_eight_bits(Image.fromarray(np.array([held], kind)))).tolist() == [read]


def test_the_whole_range_of_sixteen_bits_is_that_of_eight():
    image = Image.fromarray(np.array([[0, 257, 65535]], np.uint16))
    assert np.asarray(in_eight_bits(image)).tolist() == [[0, 1, 255]]


@pytest.mark.parametrize("held", [[0, 300], [0, 1, 65535], [0, 65534], [0, 257]])
def test_values_that_may_be_instances_or_void_stay_in_sixteen_bits(held):
    image = Image.fromarray(np.array([held], np.uint16))
    assert in_eight_bits(image) is image
    with pytest.raises(BadFileError, match="more than 8 bits"):
        binarise(image, "a.png")


@pytest.mark.parametrize("held", [[0.5, 1], [-1, 1], [np.nan, 1], [np.inf, 1]])
def test_numbers_that_are_no_levels_stay_as_they_are(held):
    image = Image.fromarray(np.array([held], np.float32))
    assert in_eight_bits(image) is image
