"""A picture is found by what other programs and tables call it, and never by a name that may mean two."""

from pathlib import Path

import pytest

from trainable.data.io.picture_names import PictureKeys, PictureNames, picture_key

NAMES = PictureNames([Path("train/plot.1.jpg"), Path("val/plot.1.jpg"), Path("train/eye_007.png")])


@pytest.mark.parametrize(
    "name",
    ["plot.1.png", "C:\\data\\plot.1.tif", "https://host/a/plot.1.jpg?width=3", "./plot.1", " plot.1.JPG "],
)
def test_folders_endings_and_addresses_are_no_part_of_a_name(name):
    assert picture_key(name) == "plot.1"


@pytest.mark.parametrize(
    "name",
    ["s3://b/a%20b.png?X=1", "gs://b/a b.png", "git+ssh://h/a%20b.png#1", "S3://b/a%20b.png", "ABFSS://b/a%20b.png"],
)
def test_an_address_may_have_any_scheme(name):
    assert picture_key(name) == "a b"


@pytest.mark.parametrize("name", ["a%20b.png", "3d://b/a%20b.png", "plots/a%20b.png", "s3:a%20b.png"])
def test_what_is_no_address_keeps_its_percent_signs(name):
    assert picture_key(name).endswith("a%20b")


def test_pictures_of_one_name_are_told_apart_by_written_folders_then_by_those_of_the_annotation():
    assert NAMES.find("val/plot.1.jpg", Path("all.json")) == [Path("val/plot.1.jpg")]
    assert NAMES.find("plot.1.jpg", Path("labels/val/plot.1.txt")) == [Path("val/plot.1.jpg")]
    assert len(NAMES.find("plot.1.jpg", Path("all.json"))) == 2
    assert [NAMES.unique_name(Path(name)) for name in ("val/plot.1.jpg", "train/eye_007.png")] == [
        "val/plot.1",
        "eye_007",
    ]


def test_a_name_that_ends_as_two_kinds_of_pictures_is_found_without_the_last():
    names = PictureNames([Path("a.JPG.png"), Path("b.jpg"), Path("b.jpg.png")])
    assert names.find("a.JPG", Path("a.JPG.txt")) == [Path("a.JPG.png")]
    assert names.find("b.jpg", Path("b.jpg.txt")) == [Path("b.jpg")]
    assert PictureKeys(["a.JPG"]).find("a.JPG") == "a.JPG"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("IDRiD_007.jpg", "IDRiD_007"),
        ("idrid_7", "IDRiD_007"),
        ("0012", "12"),
        ("12.0", "12"),
        ("x_1", "x_1"),
        ("x_01", None),
        ("x_2", None),
        ("caf\u00e9.png", "caf\u00e9"),
    ],
)
def test_a_table_may_leave_out_zeros_and_change_the_case_where_one_picture_fits(name, key):
    assert PictureKeys([picture_key(one) for one in ("IDRiD_007", "12", "x_1", "X_1", "cafe\u0301")]).find(name) == key


def test_of_many_pictures_of_one_name_the_one_beside_the_annotation_is_meant():
    names = PictureNames([Path(f"{part}/s{number}/image.jpg") for part in ("images", "more") for number in range(3)])
    assert names.find("image.jpg", Path("labels/s1/image.txt")) == [Path("images/s1/image.jpg")]
    assert names.find("s2/image.jpg", Path("all.csv")) == [Path("images/s2/image.jpg")]
    assert names.find("more/s2/image.jpg", Path("all.csv")) == [Path("more/s2/image.jpg")]
    assert len(names.find("image.jpg", Path("all.csv"))) == 3


def test_what_label_studio_puts_before_an_uploaded_file_does_not_matter():
    names = PictureNames([Path("plots/a b.png"), Path("plots/0badcafe-c.png")])
    assert names.find("/data/upload/3/1f2e3d4c-a b.png", Path("tasks.json")) == [Path("plots/a b.png")]
    assert names.find("/data/upload/3/0badcafe-c.png", Path("tasks.json")) == [Path("plots/0badcafe-c.png")]
