from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from trainable.data.fundus.crop import Box, crop_to_retina, find_retina, median_of_nine
from trainable.data.io.decoding import crop_image, read_upright
from trainable.data.io.findings import BadFileError

REAL_DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "idrid"


def photograph(size=(120, 200), *, centre=(60, 90), radius=50, light=120, ground=4, noise=3):
    """A disc on a nearly black ground, (H, W, 3)."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    inside = np.hypot(rows - centre[0], columns - centre[1]) < radius
    grey = np.where(inside, light, ground) + rng.normal(0, noise, size)
    return np.stack([grey, 0.5 * grey, 0.3 * grey], axis=2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("light", [35, 80, 220])
def test_the_box_touches_the_disc_on_all_sides_however_dark_it_is(light):
    box = find_retina(photograph(light=light))
    for found, drawn in zip((box.top, box.left, box.bottom, box.right), (11, 41, 110, 140), strict=True):
        assert abs(found - drawn) <= 2


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 1), (40, 31)])
@pytest.mark.parametrize("levels", [2, 256])
def test_the_median_of_nine_is_that_of_scipy(shape, levels):
    light = np.random.default_rng(0).integers(0, levels, shape, dtype=np.uint8)
    assert np.array_equal(median_of_nine(light), ndimage.median_filter(light, size=3))


def test_a_disc_cut_off_above_and_below_keeps_its_width():
    box = find_retina(photograph(radius=80))
    assert (box.top, box.bottom) == (0, 120)
    assert abs(box.width - 159) <= 3


def test_a_bright_speck_beside_the_disc_is_not_the_retina():
    pixels = photograph()
    pixels[5:10, 180:190] = 255
    assert find_retina(pixels).right < 145


def test_a_picture_without_dark_ground_is_kept_whole():
    assert find_retina(photograph(ground=100)) == Box(top=0, left=0, bottom=120, right=200)


@pytest.mark.parametrize("pixels", [np.zeros((50, 60, 3), np.uint8), photograph(radius=8)], ids=["black", "a dot"])
def test_a_picture_that_shows_no_retina_is_refused(pixels):
    with pytest.raises(BadFileError, match="shows no retina"):
        find_retina(pixels)


def test_the_crop_fills_the_longer_side_and_pads_the_other_with_black():
    """A disc 160 wide in a picture 120 high: a quarter of the square is padding, half of it above."""
    image = Image.fromarray(photograph(radius=80, noise=0))
    square = crop_to_retina(image, 80)
    assert square.shape == (80, 80, 3)
    middle = square[:, 40, 0] > 60
    assert (middle.argmax(), middle[::-1].argmax()) == (10, 10)
    assert square[40, [1, 78], 0].min() > 60


def test_large_pictures_are_cropped_like_small_ones():
    small = photograph(noise=0)
    large = np.asarray(Image.fromarray(small).resize((1600, 960), Image.Resampling.NEAREST))
    ours, theirs = (crop_to_retina(Image.fromarray(one), 64).astype(int) for one in (small, large))
    assert np.abs(ours - theirs).mean() < 4


def test_every_real_photograph_gives_a_disc_of_four_fifths_of_its_width():
    if not REAL_DATA.is_dir():
        pytest.skip("the shared real data is not beside this checkout")
    for path in sorted(REAL_DATA.rglob("*.jpg"))[::7]:
        box = find_retina(crop_image(read_upright(path), (170, 256)))
        assert box.width / 256 == pytest.approx(0.8, abs=0.02)
        assert box.height == 170
