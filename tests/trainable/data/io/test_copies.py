"""Copies of one photograph are found by their names; files that only look alike stay apart."""

from pathlib import Path

import pytest

from trainable.data.io.leakage import source_names
from trainable.data.io.splits import group_ids
from trainable.tasks.dishes import SOURCE_OF_A_FILE


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("clean/plate_01.jpg", "clean/plate_01_rotated_90.jpg"),
        ("clean/plate_01.jpg", "clean/rotated_plate_01.jpg"),
        ("clean/plate_01.jpg", "clean/plate_01_rot180.png"),
        ("clean/IMG-7.JPG", "clean/IMG-7 - Copy (2).JPG"),
        ("blight/orig/blight_orig_001.jpg", "blight/rotated/blight_rotated_001.jpg"),
        ("blight/leaf 3.png", "blight/augmented/leaf 3_flipped.png"),
    ],
)
def test_a_copy_has_the_name_of_its_original_whichever_comes_first(original, copy):
    for files in ([original, copy], [copy, original]):
        assert source_names([Path(file) for file in files]) == [original, original]


def test_what_is_no_copy_is_its_own_source():
    files = ["a/1.png", "a/2.png", "b/1.png", "a/blight_orig_001.png", "a/black_rot_3.png", "a/black_rot_4.png"]
    files += ["a/copyist_1.png", "a/plate_01_a.png", "a/plate_01_b.png", "a/plate-01-b.png"]
    assert source_names([Path(file) for file in files]) == files


def test_copies_without_their_original_have_one_source():
    files = [Path(f"a/plate_01_rotated_{angle}.png") for angle in (90, 180)]
    assert source_names(files) == ["a/plate_01_rotated_180.png"] * 2


def test_a_plate_keeps_its_dirty_variants_and_its_copies():
    names = ["plate_01", "plate_01_dirty_medium_02", "plate_01_rotated_90", "plate_01_dirty_light_1_flipped", "plate_1"]
    groups = group_ids(names, [name[::-1] for name in names], SOURCE_OF_A_FILE)
    assert groups == ["plate_01"] * 4 + ["plate_1"]
