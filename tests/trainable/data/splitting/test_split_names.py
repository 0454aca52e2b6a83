"""Which split a folder's name says, and who is dealt to the splits that no folder names."""

import unicodedata
from pathlib import Path

import pytest

from trainable.data.splitting.split_names import keep_named_splits, share_a_split, split_of, split_of_all


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("train", "train"),
        ("TRAIN", "train"),
        ("Training_data", "train"),
        ("trainval", "train"),
        ("train2017", "train"),
        ("DUTS-TR", "train"),
        ("imagesTr", "train"),
        ("trainannot", "train"),
        ("a. Training Set", "train"),
        ("ISIC2018_Task1-2_Training_Input", "train"),
        ("valid", "validation"),
        ("val", "validation"),
        ("dev", "validation"),
        ("eval", "validation"),
        ("validation", "validation"),
        ("valid_images", "validation"),
        ("ISIC2018_Task1_Validation_GroundTruth", "validation"),
        ("test", "test"),
        ("Test Set", "test"),
        ("DUTS-TE", "test"),
        ("masks_test", "test"),
        ("TestDataset/CAMO", "test"),
        ("1. Original Images/b. Testing Set", "test"),
        ("train_test_split/test", "test"),
        ("train_val/val/cats", "validation"),
        ("train_val/cats", "train"),
        ("train/test_tubes", "train"),
        ("COD10K-v3", None),
        ("valley", None),
        ("trains_and_boats", None),
        ("device", None),
        ("JPEGImages", None),
        ("Forêts", None),
        ("FORÊTS", None),
        ("BLØTE", None),
        ("Geräte", None),
        (unicodedata.normalize("NFD", "Forêts"), None),
        ("données_test", "test"),
        ("", None),
    ],
)
def test_the_first_or_last_word_of_a_folder_says_the_split(place, part):
    assert split_of(Path(place)) == part


@pytest.mark.parametrize(
    ("places", "split"),
    [
        ([], None),
        (["plots", "labels"], None),
        (["plots", "test"], "test"),
        (["trainval", "val"], "validation"),
        (["trainval", "train"], "train"),
        (["trainval"], "train"),
        (["train", "test"], "train"),
    ],
)
def test_of_several_paths_the_one_that_says_most_names_the_split(places, split):
    assert split_of_all([*map(Path, places)]) == split


def deal_in_turn(rows, shares):
    return [list(shares)[row % len(shares)] for row in rows]


def test_what_is_named_stays_and_a_split_with_its_own_folder_takes_no_others():
    named = ["train", "train", "test", "train", "validation", None]
    assert keep_named_splits(named, (0.6, 0.2, 0.2), deal_in_turn)[2:5] == ["test", "train", "validation"]
    named = ["train", "train", "test", "test"]
    assert keep_named_splits(named, (0.6, 0.2, 0.2), deal_in_turn) == ["train", "validation", "test", "test"]


def test_without_a_name_every_split_takes_its_share():
    assert keep_named_splits([None] * 3, (0.6, 0.2, 0.2), deal_in_turn) == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("one", "other", "may_be"),
    [
        ("train", "images/training", True),
        ("train", "val", False),
        ("annotations/instances_val", "train", False),
        ("plots", "test", True),
        ("plots", "crowns", True),
        ("trainval", "train", True),
        ("trainval", "val", True),
        ("trainval", "test", False),
        ("train_val_boxes", "valid", True),
        ("train_val_boxes", "test", False),
        ("train_test_split/test", "train", False),
        ("train_test_split", "test", True),
    ],
)
def test_two_paths_may_be_of_one_split_unless_their_names_exclude_it(one, other, may_be):
    assert share_a_split(Path(one), Path(other)) == share_a_split(Path(other), Path(one)) == may_be
