"""One mask a picture that numbers its objects, and label images that only look like it."""

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.sources import find_sources
from trainable.data.io.findings import DataError

SIDE_PX = 48


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def plots(root, draw, *, folder="masks", kind=np.uint8, num_plots=4):
    """A picture of noise each, and the mask that `draw(number, pixels)` fills."""
    for number in range(num_plots):
        noise = np.random.default_rng(number).integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        write(root / "images" / f"p{number}.png", noise)
        pixels = np.zeros((SIDE_PX, SIDE_PX), kind)
        draw(number, pixels)
        write(root / folder / f"p{number}.png", pixels)


def numbered(number, pixels):
    """As many objects as the picture's number and one, each a square of its own."""
    for object_number in range(1, number + 2):
        pixels[9 * object_number - 8 : 9 * object_number - 1, 5:15] = object_number


def one_blob_a_class(number, pixels):
    for label in (1, 2):
        pixels[10 * label : 10 * label + 8, 5 + number : 20] = label


def scattered_classes(number, pixels):
    pixels[:] = np.random.default_rng(number).integers(0, 3 + number, pixels.shape)


def black_and_white(number, pixels):
    pixels[5:20, 5 : 20 + number] = 255


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_each_number_is_an_object(tmp_path, kind):
    plots(tmp_path, numbered, kind=kind)
    sources = find_sources(tmp_path)
    assert [len(image.shapes) for image in sources.images] == [1, 2, 3, 4]
    assert [shape.box for shape in sources.images[1].shapes] == [(5, 1, 15, 8), (5, 10, 15, 17)]
    assert "4 masks number their objects, 1 to 4: 10 objects" in [one.problem for one in sources.findings]


def test_a_picture_without_numbers_has_no_object(tmp_path):
    plots(tmp_path, lambda number, pixels: numbered(number, pixels) if number else None)
    assert [len(image.shapes) for image in find_sources(tmp_path).images] == [0, 2, 3, 4]


@pytest.mark.parametrize("draw", [one_blob_a_class, scattered_classes, black_and_white])
def test_label_images_of_classes_and_of_two_colours_are_no_numbers_of_objects(tmp_path, draw):
    plots(tmp_path, draw)
    with pytest.raises(DataError, match=r"a number of its own in the one mask of its picture: 1, 2, 3"):
        find_sources(tmp_path)


def test_a_folder_that_is_called_after_instances_may_hold_as_many_in_each_picture(tmp_path):
    plots(tmp_path, one_blob_a_class, folder="instance_masks")
    assert [len(image.shapes) for image in find_sources(tmp_path).images] == [2, 2, 2, 2]


def test_two_folders_that_could_number_the_objects_are_both_left_out(tmp_path):
    plots(tmp_path, numbered)
    plots(tmp_path, numbered, folder="labels")
    with pytest.raises(DataError, match="8 pictures have the name of another, in a folder of masks"):
        find_sources(tmp_path)
