"""Boxes that state no size of their picture, which EXIF turns by a quarter: nothing is guessed in silence."""

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.sources import find_sources

BOTH, BEFORE_ALONE, AFTER_ALONE = (10, 12, 40, 42), (70, 12, 90, 42), (10, 70, 40, 90)
"""Left, top, right and bottom on pictures of 96x64 before, 64x96 after their turn."""


@pytest.fixture
def reported(tmp_path):
    """The findings about a csv of one box for each picture, by severity."""

    def read(boxes, *, orientation=6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for index in range(len(boxes)):
            Image.fromarray(np.full((64, 96, 3), 30 * index, np.uint8)).save(tmp_path / f"plot{index}.jpg", exif=exif)
        rows = [f"plot{index}.jpg,{','.join(map(str, box))},palm" for index, box in enumerate(boxes)]
        (tmp_path / "boxes.csv").write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *rows]))
        findings = find_sources(tmp_path).findings
        return {one.severity.value: one.problem for one in findings if "no size is stated" in one.problem}

    return read


def test_boxes_that_fit_both_ways_are_counted_in_a_warning_with_an_example(reported):
    assert reported([BOTH, BOTH]) == {
        "warning": "2 pictures are turned by EXIF; no size is stated, and the objects fit before and after the turn: "
        "plot0.jpg is 64x96 as you see it, row 2 reaches from (10, 12) to (40, 42)"
    }


def test_boxes_that_fit_the_picture_before_its_turn_alone_are_an_error(reported):
    (sentence,) = reported([BOTH, BEFORE_ALONE, BEFORE_ALONE]).values()
    assert sentence.startswith("2 pictures are turned by EXIF; no size is stated, and the objects fit only before")
    assert list(reported([BOTH, BEFORE_ALONE, BEFORE_ALONE])) == ["error"]


def test_one_picture_whose_boxes_fit_as_it_is_seen_alone_speaks_for_the_file(reported):
    assert reported([BOTH, AFTER_ALONE]) == {}


@pytest.mark.parametrize("orientation", [1, 3])
def test_pictures_that_are_not_turned_by_a_quarter_are_not_named(reported, orientation):
    assert reported([BOTH, BEFORE_ALONE], orientation=orientation) == {}


def test_fractions_of_the_sides_fit_both_ways(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (96, 64)).save(tmp_path / "plot.jpg", exif=exif)
    (tmp_path / "plot.txt").write_text("0 0.5 0.9 0.1 0.1\n")
    (warning,) = [one for one in find_sources(tmp_path).findings if one.severity.value == "warning"]
    assert warning.file == "*.txt"
    assert warning.problem.startswith("1 picture is turned by EXIF; no size is stated")
