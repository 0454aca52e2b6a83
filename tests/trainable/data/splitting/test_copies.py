"""Copies of one photograph are found by their names; files that only look alike stay apart."""

from pathlib import Path

import pytest

from trainable.data.io.splits import group_ids
from trainable.data.splitting.copies import check_copies_across_splits, source_files
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
        ("rust/0a3-77___RS_HL 1.JPG", "rust/0a3-77___RS_HL 1_90deg.JPG"),
        ("rust/0a3-77___RS_HL 1.JPG", "rust/0a3-77___RS_HL 1_flipLR.JPG"),
        ("rust/0a3-77___RS_HL 1.JPG", "rust/0a3-77___RS_HL 1_flipTB.JPG"),
        ("rust/0a3-77___RS_HL 1.JPG", "rust/0a3-77___RS_HL 1_new30degFlipLR.JPG"),
        ("rust/leaf_12.png", "rust/leaf_12_aug_3.png"),
        ("rust/leaf_12.png", "rust/leaf_12_aug3.png"),
        ("rust/leaf_12.png", "rust/leaf_12-hflip.png"),
        ("rust/leaf_12.png", "rust/leaf_12_vertical_flip.png"),
        ("rust/leaf_12.png", "rust/leaf_12_blur_2.png"),
        ("rust/leaf_12.png", "rust/rotated_by_15_leaf_12.png"),
        ("rust/leaf_12.png", "rust/leaf_12_rotate90.png"),
        ("rust/leaf_12.png", "rust/leaf_12_rot_left.png"),
        ("rust/leaf_12.png", "rust/leaf_12_r270.png"),
        ("rust/leaf_12.png", "rust/leaf_12_shifted_3.png"),
        ("rust/leaf_12.png", "rust/leaf_12_scaled_1.2.png"),
        ("rust/leaf_12.png", "rust/leaf_12_gaussian_noise.png"),
        ("rust/leaf_12.png", "rust/leaf_12_salt_and_pepper.png"),
        ("rust/leaf_12.png", "rust/leaf_12_color_jitter.png"),
        ("rust/leaf_12.png", "rust/leaf_12_elastic-2.png"),
        ("rust/leaf 12.png", "rust/leaf 12 (copy).png"),
        ("rust/leaf 12.png", "rust/leaf 12 (3rd copy).png"),
        ("rust/leaf.png", "rust/leaf - Copy (2).png"),
        ("plots/tree7.jpg", "plots/tree7_jpg.rf.0f3c5a7e9b1d2c4f6a8e0b2d4c6f8a1e.jpg"),
        ("plots/tree7.png", "plots/tree7.rf.0f3c5a7e9b1d2c4f6a8e0b2d4c6f8a1e.png"),
        ("a/IMG_1.jpg", "a/set_original_IMG_1.jpg_1c7f0a2e-33f4-4b5c-9d6e-7f8091a2b3c4.jpg"),
    ],
)
def test_a_copy_has_the_name_of_its_original_whichever_comes_first(original, copy):
    for files in ([original, copy], [copy, original]):
        assert sources(files) == [original, original]


def test_what_is_no_copy_is_its_own_source():
    files = ["a/1.png", "a/2.png", "b/1.png", "a/blight_orig_001.png", "a/black_rot_3.png", "a/black_rot_4.png"]
    files += [
        "a/leaf (1).jpg",
        "a/leaf (2).jpg",
        "a/x.v2.jpg",
        "a/45degree_view.png",
        "a/flipper_3.png",
        "a/dark_1.png",
        "a/scene1_dark_0001.png",
        "a/scene1_dark_0002.png",
        "a/cam1_r90x.png",
    ]
    files += ["a/copyist_1.png", "a/plate_01_a.png", "a/plate_01_b.png", "a/plate-01-b.png"]
    assert sources(files) == files


def test_copies_without_their_original_have_one_source():
    files = [f"a/plate_01_rotated_{angle}.png" for angle in (90, 180)]
    assert sources(files) == ["a/plate_01_rotated_180.png"] * 2


def test_a_plate_keeps_its_dirty_variants_and_its_copies():
    names = ["plate_01", "plate_01_dirty_medium_02", "plate_01_rotated_90", "plate_01_dirty_light_1_flipped", "plate_1"]
    groups = group_ids(names, [name[::-1] for name in names], SOURCE_OF_A_FILE)
    assert groups == ["plate_01"] * 4 + ["plate_1"]


def sources(files):
    return [file.as_posix() for file in source_files([Path(file) for file in files])]


def reported(*files):
    parts = [{"train": "train", "valid": "validation", "test": "test"}[file.split("/")[0]] for file in files]
    return [finding.problem for finding in check_copies_across_splits([Path(file) for file in files], parts)]


def test_a_copy_in_another_split_than_its_original_is_reported():
    assert reported("train/rust/leaf_1.png", "test/rust/leaf_1_90deg.png") == [
        "(test) is named as a copy of train/rust/leaf_1.png (train)"
    ]
    roboflow = [f"tree7_jpg.rf.{number:032x}.jpg" for number in range(3)]
    assert reported(f"train/{roboflow[0]}", f"train/{roboflow[1]}", f"valid/{roboflow[2]}") == [
        f"(validation) is named as a copy of train/{roboflow[0]} (train)"
    ]


def test_copies_beside_their_original_and_equal_numbers_in_two_splits_are_none():
    assert reported("train/1.png", "test/1.png", "test/1_90deg.png", "train/1_flipLR.png") == []
