"""Lists of pictures name their splits: with folders or without, with or without endings, never two splits of one."""

from pathlib import Path

import pytest

from trainable.data.io.findings import Severity
from trainable.data.splitting.split_lists import LEFT_OUT, listed_splits

PICTURES = [Path(f"images/a {number}.jpg") for number in range(5)]


def write(root, **lists):
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "line",
    [
        "a {}",
        "a {}.jpg",
        "images/a {}.jpg",
        "/home/me/images/a {}.png",
        "images\\a {}.jpg",
        "images/a {}.jpg masks/a {}.png",
    ],
)
def test_a_line_names_a_picture_however_it_is_written(tmp_path, line):
    write(tmp_path, train=[line.format(n, n) for n in (0, 1, 2)], valid=[line.format(3, 3)], test=[line.format(4, 4)])
    parts, findings = listed_splits(tmp_path, PICTURES)
    assert parts == ["train", "train", "train", "validation", "test"]
    assert {finding.severity for finding in findings} == {Severity.NOTE}


@pytest.mark.parametrize(
    ("header", "row", "values"),
    [
        ("image,split", "a {},{}", ("train", "val", "test")),
        ("id,filepaths,data set", "7,images\\a {}.jpg,{}", ("Training", "Validation", "Testing")),
        ("image_path,xmin,ymin,xmax,ymax,phase", "a {}.jpg,1,1,9,9,{}", ("train", "dev", "test")),
    ],
)
def test_a_column_of_a_table_names_splits(tmp_path, header, row, values):
    train, validation, test = values
    rows = [row.format(number, part) for number, part in enumerate([train, train, validation, test, "holdout"])]
    (tmp_path / "of.csv").write_text("\n".join([header, *rows, row.format(9, train)]) + "\n")
    parts, findings = listed_splits(tmp_path, PICTURES)
    assert parts == ["train", "train", "validation", "test", LEFT_OUT]
    assert "names 1 picture of test, 2 pictures of train, 1 picture of validation, 1 not here" in [
        finding.problem for finding in findings
    ]


def test_the_number_of_a_row_is_not_taken_for_the_name_of_a_picture(tmp_path):
    rows = [f"{row},{4 - row}.jpg,{'test' if row < 2 else 'train'}" for row in range(5)]
    (tmp_path / "of.csv").write_text("\n".join([",filename,split", *rows]) + "\n")
    parts, _ = listed_splits(tmp_path, [Path(f"{number}.jpg") for number in range(5)])
    assert parts == ["train", "train", "train", "test", "test"]


def test_tables_that_are_called_as_splits_are_lists_where_there_are_two(tmp_path):
    (tmp_path / "train.csv").write_text("filename,label\na 0.jpg,x\na 1.jpg,y\n")
    assert listed_splits(tmp_path, PICTURES) == ([None] * 5, [])
    (tmp_path / "test.csv").write_text("filename\na 2.jpg\na 3.jpg\n")
    (tmp_path / "trainval.csv").write_text("filename\na 2.jpg\n")
    assert listed_splits(tmp_path, PICTURES)[0] == ["train", "train", "test", "test", LEFT_OUT]


def test_rows_of_one_picture_in_two_splits_are_an_error_and_a_column_of_folds_is_reported(tmp_path):
    (tmp_path / "boxes.csv").write_text("image,split\na 0,train\na 0,test\n")
    (error,) = [one for one in listed_splits(tmp_path, PICTURES)[1] if one.severity is Severity.ERROR]
    assert (error.file, error.problem) == ("images/a 0.jpg", "is in boxes.csv (train) and boxes.csv (test)")
    (tmp_path / "boxes.csv").write_text("image,fold\na 0,0\na 1,1\n")
    parts, (reported,) = listed_splits(tmp_path, PICTURES)
    assert (parts, reported.problem) == ([None] * 5, "the column 'fold' names no split, but holds 0, 1")


def test_the_folder_of_an_entry_counts_where_names_are_the_same(tmp_path):
    write(tmp_path, train=["one/1"], test=["two/1"])
    assert listed_splits(tmp_path, [Path("one/1.png"), Path("two/1.png")])[0] == ["train", "test"]


def test_what_no_list_names_is_left_out_where_training_is_listed(tmp_path):
    write(tmp_path, train=["a 0", "a 1"], test=["a 2"])
    parts, findings = listed_splits(tmp_path, PICTURES)
    assert parts[2:] == ["test", LEFT_OUT, LEFT_OUT]
    assert "and 1 more are in no list of a split" in [finding.problem for finding in findings]


def test_what_no_list_names_is_divided_where_only_the_test_is_listed(tmp_path):
    write(tmp_path, test=["a 2"])
    assert listed_splits(tmp_path, PICTURES)[0] == [None, None, "test", None, None]


def test_a_picture_in_two_lists_is_an_error(tmp_path):
    write(tmp_path, train=["a 0", "a 1"], test=["a 1"])
    (error,) = [one for one in listed_splits(tmp_path, PICTURES)[1] if one.severity is Severity.ERROR]
    assert (error.file, error.problem) == ("images/a 1.jpg", "is in test.txt (test) and train.txt (train)")


def test_a_text_that_is_called_as_a_split_and_names_no_picture_is_reported_and_not_used(tmp_path):
    write(tmp_path, test=["epoch 1 loss 0.3"], readme=["a 0"])
    parts, (reported,) = listed_splits(tmp_path, PICTURES)
    assert (parts, reported.file, reported.severity) == ([None] * 5, "test.txt", Severity.WARNING)
    assert reported.problem == "is called as a split, but names no picture here: it begins with 'epoch 1 loss 0.3'"


def test_a_text_of_the_name_of_a_picture_is_no_list(tmp_path):
    write(tmp_path, test=["0 0.5 0.5 0.2 0.2"])
    assert listed_splits(tmp_path, [Path("test.jpg"), Path("b.jpg")]) == ([None] * 2, [])
