"""Photographs in folders that are named by their grades, without a table."""

import numpy as np
import pytest
from PIL import Image

from trainable.data.classes.labelled_images import MISSING
from trainable.data.fundus.source import FundusFolderOptions, FundusSource
from trainable.data.io.findings import DataError


@pytest.fixture
def read(tmp_path):
    def find(*files):
        for number, file in enumerate(files):
            path = tmp_path / "data" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(path)
        return FundusSource.find(tmp_path / "data", FundusFolderOptions(image_size_px=16), tmp_path / "cache")

    return find


@pytest.mark.parametrize(
    "folders", [("0", "1", "2", "3", "4"), ("No_DR", "Mild", "Moderate", "Severe", "Proliferate_DR")]
)
def test_the_folder_says_the_grade_of_retinopathy(read, folders):
    source = read(*(f"images/{folder}/{grade}.png" for grade, folder in enumerate(folders)))
    assert {int(file.stem): label for file, label in zip(source.files, source.labels, strict=True)} == {
        grade: (grade, MISSING) for grade in range(5)
    }
    assert any(one.problem.startswith("name grades: images/") for one in source.findings)


def test_one_name_in_two_folders_is_two_photographs_and_one_patient(read):
    source = read("0/1_left.png", "3/1_right.png", "3/1_left.png", "3/2_left.png")
    assert [label[0] for label in source.labels] == [0, 3, 3, 3]
    assert len(set(source.groups)) == 2
    assert len({group for file, group in zip(source.files, source.groups, strict=True) if "1_" in file.name}) == 1


def test_folders_of_splits_above_those_of_grades_are_kept(read):
    source = read("train/0/a.png", "train/1/b.png", "test/0/a.png")
    splits = {file.as_posix(): split for file, split in zip(source.files, source.splits, strict=True)}
    assert splits == {"train/0/a.png": "train", "train/1/b.png": "train", "test/0/a.png": "test"}


def test_masks_beside_photographs_are_not_graded(read):
    assert [file.name for file in read("0/a.png", "0/a_mask.png", "1/b.png").files] == ["a.png", "b.png"]


@pytest.mark.parametrize("other", ["7/c.png", "c.png", "left/c.png"])
def test_a_folder_that_names_no_grade_makes_them_all_no_grades(read, other):
    with pytest.raises(DataError, match="or all photographs in folders named 0 to 4; tables there: none"):
        read("0/a.png", "1/b.png", other)
