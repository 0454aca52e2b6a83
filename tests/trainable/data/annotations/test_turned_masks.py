"""Masks of objects and label images that EXIF turns otherwise than their pictures: nothing is turned in silence."""

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.sources import find_sources


def write(path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)


MASKS = {
    "a label image": ("images/p{}.jpg", "semantic/p{}.png"),
    "numbers of objects": ("images/p{}.jpg", "instance_masks/p{}.png"),
    "a mask for each object": ("p{0}/images/p{0}.jpg", "p{}/masks/first.png"),
}


@pytest.fixture(params=MASKS)
def reported(tmp_path, request):
    """The findings about two pictures, each with a mask of that kind, by severity."""

    def read(*, picture, mask, size=(64, 64)):
        image_name, mask_name = MASKS[request.param]
        for number in range(2):
            noise = np.random.default_rng(number).integers(0, 255, (*size, 3), np.uint8)
            write(tmp_path / image_name.format(number), noise, picture)
            pixels = np.zeros(size, np.uint8)
            pixels[5:25, 5:25] = 255 if "first" in mask_name else 1
            pixels[30:50, 5:25] = 0 if "first" in mask_name else 2
            write(tmp_path / mask_name.format(number), pixels, mask)
        findings = find_sources(tmp_path).findings
        return [(one.severity.value, one.problem.split(":")[0]) for one in findings if one.severity.value != "note"]

    return read


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_mask_that_is_turned_as_its_picture_is_not_named(reported, orientation):
    assert not [one for one in reported(picture=orientation, mask=orientation) if "their pictures" in one[1]]


def test_a_mask_that_exif_turns_alone_is_reported(reported):
    assert reported(picture=1, mask=3) == [("warning", "2 of 2 are turned by EXIF, and their pictures are not so")]


def test_a_picture_that_exif_turns_alone_is_reported(reported):
    assert reported(picture=3, mask=1) == [("warning", "2 of 2 are turned by EXIF, and keep their size")]


def test_a_mask_of_the_picture_before_its_quarter_turn_is_an_error(reported):
    errors = [problem for severity, problem in reported(picture=6, mask=1, size=(48, 64)) if severity == "error"]
    assert len(errors) in (1, 2)
    assert all("before" in problem and "EXIF turn" in problem for problem in errors)
