"""Pairs that a table names, and masks of several observers: read, left out with a word, or refused with both names."""

import pytest

from trainable.data.image_mask.pairs import find_pairs
from trainable.data.io.findings import DataError, Severity


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def read(root):
    """Image, mask and split of each pair, and what is no note."""
    pairs, findings = find_pairs(root)
    reported = [f"{one.file}: {one.problem}" for one in findings if one.severity is not Severity.NOTE]
    return [(pair.image.as_posix(), pair.mask.as_posix(), pair.split) for pair in pairs], reported


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(("image", "mask"), [("image", "mask"), ("img_path", "mask_path"), ("filename", "gt")])
def test_a_table_says_which_mask_belongs_to_which_image(tmp_path, separator, image, mask):
    touch(tmp_path, "photos/p1.jpg", "photos/p2.jpg", "truth/q8.png", "truth/q9.png")
    rows = (
        [image, mask, "split"],
        ["photos/p1.jpg", "truth/q9.png", "train"],
        ["photos/p2.jpg", "truth/q8.png", "test"],
    )
    (tmp_path / "pairs.csv").write_text("\n".join(map(separator.join, rows)))
    assert read(tmp_path) == (
        [("photos/p1.jpg", "truth/q9.png", "train"), ("photos/p2.jpg", "truth/q8.png", "test")],
        [],
    )


def test_tables_named_as_splits_name_them(tmp_path):
    touch(tmp_path, "photos/p1.jpg", "photos/p2.jpg", "truth/q1.png", "truth/q2.png")
    (tmp_path / "train.csv").write_text("image,mask\nphotos/p1.jpg,truth/q1.png\n")
    (tmp_path / "test.csv").write_text("image,mask\nphotos/p2.jpg,truth/q2.png\n")
    assert [split for *_, split in read(tmp_path)[0]] == ["train", "test"]


@pytest.mark.parametrize("whole", ["all.csv", "whole.csv"])
def test_a_table_of_all_pairs_keeps_the_splits_that_others_name(tmp_path, whole):
    touch(tmp_path, "photos/p1.jpg", "photos/p2.jpg", "truth/q1.png", "truth/q2.png")
    rows = ["photos/p1.jpg,truth/q1.png", "photos/p2.jpg,truth/q2.png"]
    for name, own in (("train.csv", rows[:1]), ("test.csv", rows[1:]), (whole, rows)):
        (tmp_path / name).write_text("\n".join(["image,mask", *own]))
    assert [split for *_, split in read(tmp_path)[0]] == ["train", "test"]


def test_an_image_in_the_tables_of_two_splits_is_an_error(tmp_path):
    touch(tmp_path, "photos/p1.jpg", "photos/p2.jpg", "truth/q1.png", "truth/q2.png")
    rows = ["photos/p1.jpg,truth/q1.png", "photos/p2.jpg,truth/q2.png"]
    (tmp_path / "train.csv").write_text("\n".join(["image,mask", *rows]))
    (tmp_path / "test.csv").write_text("\n".join(["image,mask", *rows[1:]]))
    assert read(tmp_path)[1] == ["photos/p2.jpg: is in test (test) and train (train)"]


def test_one_name_in_the_folders_of_images_and_of_masks_means_each_in_its_own_column(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", "images/b.png", "masks/b.png")
    (tmp_path / "pairs.csv").write_text("image,mask\na.png,b.png\nb.png,a.png\n")
    assert [pair[:2] for pair in read(tmp_path)[0]] == [
        ("images/a.png", "masks/b.png"),
        ("images/b.png", "masks/a.png"),
    ]


def test_a_column_of_labels_that_are_no_files_names_no_masks(tmp_path):
    touch(tmp_path, *(f"{folder}/{number}.png" for folder in ("Imgs", "GT") for number in (1, 2)))
    (tmp_path / "labels.csv").write_text("image,label,mask\n1.png,2,1\n2.png,1,0\n")
    assert read(tmp_path) == ([("Imgs/1.png", "GT/1.png", None), ("Imgs/2.png", "GT/2.png", None)], [])


def test_what_a_table_lacks_is_reported(tmp_path):
    touch(tmp_path, *(f"photos/p{number}.jpg" for number in range(5)), *(f"truth/q{number}.png" for number in range(3)))
    rows = ["p0.jpg,q0.png", "p1.jpg,q7.png", "p2.jpg,", "p9.jpg,q2.png", "p3.jpg,q0.png", "p0.jpg,q1.png"]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,mask", *rows]))
    pairs, reported = read(tmp_path)
    assert pairs == [("photos/p0.jpg", "truth/q0.png", None)]
    assert reported == [
        "pairs.csv: row 3: q7.png, the mask of p1.jpg, is not here",
        "pairs.csv: row 6: q0.png is the mask of p3.jpg here, of p0.jpg above",
        "pairs.csv: row 7: p0.jpg has the mask q1.png here, q0.png above",
        "pairs.csv: 1 of 6 rows have no mask: p2.jpg",
        "pairs.csv: 1 of 6 rows name an image that is not here: p9.jpg",
        "pictures: 6 pictures are in no row: photos/p1.jpg, photos/p2.jpg, photos/p3.jpg and 3 more",
    ]


def test_two_columns_of_masks_are_named_where_no_folders_say_more(tmp_path):
    touch(tmp_path, "photos/p1.jpg", "truth/q1.png", "other/r1.png")
    (tmp_path / "pairs.csv").write_text("image,mask,gt\nphotos/p1.jpg,truth/q1.png,other/r1.png\n")
    with pytest.raises(DataError, match="has 2 columns that could be the mask: 'mask', 'gt'"):
        find_pairs(tmp_path)


@pytest.mark.parametrize("marks", [("1stHO", "2ndHO"), ("manual1", "manual2"), ("expert_1", "expert_3")])
def test_of_numbered_observers_the_first_is_the_truth(tmp_path, marks):
    first, second = marks
    touch(tmp_path, "Image_01L.jpg", f"Image_01L_{first}.png", f"Image_01L_{second}.png")
    pairs, reported = read(tmp_path)
    assert (pairs, reported) == ([("Image_01L.jpg", f"Image_01L_{first}.png", None)], [])
    assert f"Image_01L_{second}.png" in next(
        one.problem for one in find_pairs(tmp_path)[1] if "observers" in one.problem
    )


def test_the_folder_of_a_second_observer_is_left_out(tmp_path):
    touch(tmp_path, "images/01_test.tif", "1st_manual/01_manual1.gif", "2nd_manual/01_manual2.gif")
    pairs, reported = read(tmp_path)
    assert pairs == [("images/01_test.tif", "1st_manual/01_manual1.gif", None)]
    assert reported == ["2nd_manual: pictures: 1"]


def test_pictures_named_by_who_took_them_keep_their_own_masks(tmp_path):
    names = [f"a_expert{number}" for number in (1, 2)]
    touch(tmp_path, *(f"Imgs/{name}.jpg" for name in names), *(f"GT/{name}.png" for name in names))
    assert read(tmp_path) == ([(f"Imgs/{name}.jpg", f"GT/{name}.png", None) for name in names], [])


def test_two_kinds_of_masks_of_one_image_are_both_named(tmp_path):
    touch(tmp_path, "a.jpg", "a_mask.png", "a_seg.png", "b.jpg", "b_mask.png")
    _, reported = read(tmp_path)
    assert reported == ["a.jpg: has 2 masks: a_mask.png and a_seg.png"]
