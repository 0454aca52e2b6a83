"""A label image is read as numbers of classes, or refused with its values."""

import numpy as np
import pytest
from PIL import Image

from trainable.data.crowns.crown_set import VOID
from trainable.data.crowns.label_images import read_label_image, semantic_classes
from trainable.data.io.findings import BadFileError, errors_among


def labels(*levels):
    return np.repeat(np.array(levels, np.uint8), 20).reshape(-1, 10)


@pytest.fixture
def saved(tmp_path):
    def save(*values, file="a.png"):
        Image.fromarray(labels(*values)).save(tmp_path / file)
        return tmp_path

    return save


def test_palette_images_are_read_by_their_indices(tmp_path):
    image = Image.fromarray(labels(0, 1, 2)).convert("P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.putdata(labels(0, 1, 2).ravel().tolist())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.png", 255), labels(0, 1, 2))


def test_one_bit_images_are_two_classes(tmp_path):
    Image.fromarray(labels(0, 255)).convert("1").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_image(tmp_path / "a.png", 255), labels(0, 1))


def test_void_is_void(saved):
    root = saved(0, 1, 11)
    np.testing.assert_array_equal(read_label_image(root / "a.png", 11), labels(0, 1, VOID))


@pytest.mark.parametrize("values", [(0, 255), (0, 50, 100), (0, 127, 254), (0, 128, 255), (0, 100, 200, 255)])
def test_masks_and_grey_levels_are_no_class_numbers(saved, values):
    (error,) = errors_among(semantic_classes(saved(*values), ["a.png"], VOID)[1])
    assert error.problem.startswith(f"the label images hold 0 ({100 / len(values):.0f} %)")


@pytest.mark.parametrize("values", [(0, 1, 2, 255), (1, 2), (0, 7), (0, 3, 9, 12)])
def test_numbers_of_classes_are_read(saved, values):
    names, findings = semantic_classes(saved(*values), ["a.png"], VOID)
    assert len(names) == max(value for value in values if value != VOID) + 1
    assert not errors_among(findings)


def test_a_jpeg_is_refused_since_compression_changes_numbers(saved):
    with pytest.raises(BadFileError, match="is a JPEG, whose compression changes class numbers"):
        read_label_image(saved(0, 1, 2, file="a.jpg") / "a.jpg", VOID)
