"""Classes from a table beside a flat folder: what is read as what, what is left out, and what stops."""

import numpy as np
import pytest
from PIL import Image

from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.classes.label_table import find_tabled_images
from trainable.data.io.findings import DataError, Severity

NAMES = [f"leaf_{number:03d}" for number in range(12)]
LABELS = ["rust", "healthy", "miner"] * 4


def write_images(root, names=NAMES, folder="images", ending=".png"):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        pixels = np.random.default_rng([*f"{folder}{name}".encode()]).integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / folder / f"{name}{ending}")


def write_table(root, header, *columns, file="labels.csv"):
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    (root / file).write_text("\n".join([*([header] if header else []), *rows]) + "\n")


def classes_of(root):
    images, _ = find_tabled_images(root)
    return {image.file.stem: image.class_name for image in images}


def said(root):
    return {finding.problem: finding.severity for finding in find_tabled_images(root)[1]}


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / "leaves")
    return tmp_path / "leaves"


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("id_code,diagnosis", NAMES),
        ("image,level", [f"{name}.jpeg" for name in NAMES]),
        ("filename,species", [f"C:\\images\\{name}.png" for name in NAMES]),
        ("id,whatever", [name.replace("leaf_0", "LEAF_") for name in NAMES]),
        ("", NAMES),
    ],
)
def test_a_column_of_labels_gives_the_classes(root, header, names):
    write_table(root, header, names, LABELS)
    assert classes_of(root) == dict(zip(NAMES, LABELS, strict=True))


def test_each_split_may_have_lines_of_json_of_its_own(tmp_path):
    for part, names in (("train", NAMES[:8]), ("test", NAMES[8:])):
        write_images(tmp_path, names, folder=part)
        lines = [f'{{"file_name": "{name}.png", "label": "{LABELS[NAMES.index(name)]}"}}' for name in names]
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(lines))
    images, _ = find_tabled_images(tmp_path)
    assert [(image.file.as_posix(), image.class_name, image.split) for image in images] == [
        (f"{part}/{name}.png", label, part)
        for part, rows in (("test", range(8, 12)), ("train", range(8)))
        for name, label in ((NAMES[row], LABELS[row]) for row in rows)
    ]


def test_placeholders_of_a_competition_never_label_the_test_images(root):
    write_images(root, ["test_0"], folder="test_images")
    write_table(root, "image_id,label", NAMES, LABELS, file="train.csv")
    write_table(root, "image_id,label", ["test_0"], ["rust"], file="sample_submission.csv")
    assert "test_0" not in classes_of(root)
    assert said(root)["is named a submission: its labels are placeholders or guesses"] is Severity.WARNING


def test_a_table_with_scores_is_reported_as_likely_predictions(root):
    write_table(root, "image,label,confidence", NAMES, LABELS, [0.7] * len(NAMES))
    assert said(root)["has a column 'confidence', as predictions have"] is Severity.WARNING


def test_a_column_of_0_and_1_for_each_class_gives_the_classes(root):
    flags = [[float(label == kind) for label in LABELS] for kind in ("rust", "healthy", "miner")]
    write_table(root, "image,rust,healthy,miner", NAMES, *flags)
    assert classes_of(root) == dict(zip(NAMES, LABELS, strict=True))
    assert "12 rows: image from 'image', class from 3 columns of 0 and 1 (UTF-8, separated by commas)" in said(root)


def test_rows_and_images_that_are_left_out_are_counted_by_reason(root):
    write_table(root, "image,label", [*NAMES[:10], "gone", NAMES[10]], [*LABELS[:10], "rust", ""])
    problems = said(root)
    assert problems["1 of 12 name an image that is not here: gone"] is Severity.WARNING
    assert problems["1 of 12 have no class, or several: row 13"] is Severity.WARNING
    assert problems["2 of 12 have no class in a table: images/leaf_010.png, images/leaf_011.png"] is Severity.WARNING


@pytest.mark.parametrize(
    ("header", "columns", "sentence"),
    [
        ("image,label,class", (LABELS, LABELS), "2 columns that could be the class: 'label', 'class'"),
        ("image,colour,shape", (LABELS, LABELS), "says the class in none of its columns for sure: 'colour', 'shape'"),
        ("", (LABELS, LABELS), "has no header: its first row is 'leaf_000 rust rust'"),
        ("image,label", (range(12),), "12 different values on 12 images are not classes: 0, 1, 2"),
    ],
)
def test_a_column_in_doubt_is_an_error_that_names_it(root, header, columns, sentence):
    write_table(root, header, NAMES, *columns)
    with pytest.raises(DataError) as error:
        find_tabled_images(root)
    assert sentence in str(error.value)


def test_an_image_of_two_classes_is_an_error(root):
    write_table(root, "image,label", [*NAMES, NAMES[0]], [*LABELS, "miner"])
    with pytest.raises(DataError, match=r"row 14: leaf_000.png is miner here, rust above"):
        find_tabled_images(root)


def test_a_column_of_lesions_groups_and_a_column_of_splits_is_kept(root, tmp_path):
    parts = ["train"] * 8 + ["val", "val", "test", "test"]
    write_table(root, "image,lesion_id,split,dx", NAMES, [f"l{number // 2}" for number in range(12)], parts, LABELS)
    options = ClassFolderOptions(image_size_px=16)
    splits = open_class_folder(root, options, cache_dir=tmp_path / "cache")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [8, 2, 2]
    assert splits.test.names == ("images/leaf_010.png", "images/leaf_011.png")
    assert {image.group for image in find_tabled_images(root)[0]} == {f"l{number}" for number in range(6)}


def test_images_of_one_name_in_two_splits_take_their_split_s_table(tmp_path):
    for part in ("train", "test"):
        write_images(tmp_path / "set", NAMES[:4], folder=part)
    write_table(tmp_path / "set", "image,label", NAMES[:4], ["a", "b", "a", "b"], file="train.csv")
    write_table(tmp_path / "set", "image,label", NAMES[:4], ["b", "a", "b", "a"], file="test.csv")
    images, _ = find_tabled_images(tmp_path / "set")
    labels = {image.file.as_posix(): image.class_name for image in images}
    assert (labels["train/leaf_000.png"], labels["test/leaf_000.png"]) == ("a", "b")


def test_class_folders_are_not_overruled_by_a_table_and_a_table_of_other_names_is_none(root):
    write_table(root, "image,label", ["x", "y"], ["a", "b"])
    assert find_tabled_images(root) is None
    for kind in ("healthy", "rust"):
        write_images(root, [f"{kind}_1"], folder=kind)
    write_table(root, "image,label", NAMES, LABELS)
    assert find_tabled_images(root) is None


def test_the_name_of_a_table_says_the_split_of_its_images(root):
    write_table(root, "image,label", NAMES[:8], LABELS[:8], file="train.csv")
    write_table(root, "image,label", NAMES[8:], LABELS[8:], file="valid.csv")
    images, _ = find_tabled_images(root)
    assert [image.split for image in images] == ["train"] * 8 + ["validation"] * 4


def test_a_table_of_one_split_says_nothing_of_an_image_in_another(tmp_path):
    for part, names in (("train", NAMES[:8]), ("val", NAMES[8:])):
        write_images(tmp_path / "set", names, folder=part)
    write_table(tmp_path / "set", "image,label", NAMES[:7], LABELS[:7], file="train.csv")
    write_table(tmp_path / "set", "image,label", NAMES[7:], LABELS[7:], file="val.csv")
    assert NAMES[7] not in classes_of(tmp_path / "set")
    assert said(tmp_path / "set")[f"1 of 5 name an image of another split: {NAMES[7]}"] is Severity.WARNING


@pytest.mark.parametrize("whole", ["labels.csv", "whole.csv"])
def test_a_table_of_all_images_keeps_the_splits_and_groups_that_others_say(root, whole):
    write_table(root, "image,label,patient", NAMES, LABELS, [f"p{number // 2}" for number in range(12)], file=whole)
    write_table(root, "image,label", NAMES[:8], LABELS[:8], file="train.csv")
    write_table(root, "image,label", NAMES[8:], LABELS[8:], file="test.csv")
    images, _ = find_tabled_images(root)
    assert [image.split for image in images] == ["train"] * 8 + ["test"] * 4
    assert [image.group for image in images] == [f"p{number // 2}" for number in range(12)]


def test_an_image_in_the_tables_of_two_splits_is_an_error(root):
    write_table(root, "image,label", NAMES[:8], LABELS[:8], file="train.csv")
    write_table(root, "image,label", NAMES[7:], LABELS[7:], file="test.csv")
    with pytest.raises(DataError, match=f"row 9: {NAMES[7]}.png is of train here, of test above"):
        find_tabled_images(root)


def test_a_table_of_training_and_validation_does_not_contradict_one_of_them(root):
    write_table(root, "image,label", NAMES[:10], LABELS[:10], file="trainval.csv")
    write_table(root, "image,label", NAMES[8:10], LABELS[8:10], file="val.csv")
    write_table(root, "image,label", NAMES[10:], LABELS[10:], file="test.csv")
    splits = {image.file.stem: image.split for image in find_tabled_images(root)[0]}
    assert [name for name in NAMES if splits[name] == "validation"] == NAMES[8:10]


def test_a_row_that_trains_on_an_image_of_a_test_folder_is_an_error(tmp_path):
    for part, names in (("train", NAMES[:8]), ("test", NAMES[8:])):
        write_images(tmp_path / "set", names, folder=part)
    write_table(tmp_path / "set", "image,label,split", NAMES, LABELS, ["train"] * 12)
    with pytest.raises(DataError, match=f"row 10: {NAMES[8]}.png is of train here, of test by its folder"):
        find_tabled_images(tmp_path / "set")


@pytest.mark.parametrize("first_lines", ["# made by hand\nimage,label\n", "image\n"])
def test_a_table_that_says_no_classes_is_named_where_no_folders_say_them(root, first_lines):
    (root / "labels.csv").write_text(first_lines + "\n".join(f"{name},rust" for name in NAMES))
    with pytest.raises(DataError, match=r"labels.csv was not read as a table of classes: it needs a first line that"):
        open_class_folder(root, ClassFolderOptions(), cache_dir=root.parent / "cache")


def test_a_column_of_splits_that_names_none_is_reported_once(root):
    write_table(root, "image,label,fold", NAMES, LABELS, [0, 1, 2] * 4)
    assert [one.problem for one in find_tabled_images(root)[1]].count(
        "the column 'fold' names no split, but holds 0, 1, 2"
    ) == 1


def test_a_table_that_leaves_one_class_is_an_error(root):
    write_table(root, "image,healthy,rust", NAMES, ["0", "1"] * 6, ["1"] * 12)
    with pytest.raises(DataError, match="there is one class alone, rust, on 6 images that can be used"):
        find_tabled_images(root)


@pytest.mark.parametrize("labels", [["Rust", "rust", "ok"] * 4, ["0", "0.0", "1"] * 4])
def test_a_class_under_two_names_is_an_error(root, labels):
    write_table(root, "image,label", NAMES, labels)
    with pytest.raises(DataError, match=r"one class has two names, (Rust and rust|0 and 0\.0)"):
        find_tabled_images(root)


@pytest.mark.parametrize("column", ["split", "Usage"])
def test_rows_of_a_split_that_nobody_knows_are_left_out_beside_training(root, column):
    write_table(root, f"image,label,{column}", NAMES, LABELS, ["Training"] * 6 + ["PrivateTest"] * 3 + ["holdout"] * 3)
    images, _ = find_tabled_images(root)
    assert [image.split for image in images] == ["train"] * 6 + ["test"] * 3
    assert said(root)["3 of 12 name no split as the others do: row 11, row 12, row 13"] is Severity.WARNING


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("data set", ["train"] * 8 + ["test"] * 4),
        ("phase", ["Train"] * 8 + ["Test"] * 4),
        ("is_test", ["0"] * 8 + ["1"] * 4),
        ("is_train", ["True"] * 8 + ["False"] * 4),
    ],
)
def test_a_column_of_splits_has_many_names(root, column, values):
    write_table(root, f"image,label,{column}", NAMES, LABELS, values)
    assert [image.split for image in find_tabled_images(root)[0]] == ["train"] * 8 + ["test"] * 4


def test_a_column_of_splits_that_names_none_is_reported_and_not_used(root):
    write_table(root, "image,label,split", NAMES, LABELS, [0, 1, 2] * 4)
    assert {image.split for image in find_tabled_images(root)[0]} == {None}
    assert said(root)["the column 'split' names no split, but holds 0, 1, 2"] is Severity.WARNING


def test_images_of_one_name_are_told_apart_by_the_folder_that_the_table_writes(tmp_path):
    write_images(tmp_path, folder="images_1")
    write_images(tmp_path, folder="images_2")
    names = [f"images_{folder}/{name}.png" for folder in (1, 2) for name in NAMES]
    write_table(tmp_path, "path,label", names, LABELS * 2)
    assert len(find_tabled_images(tmp_path)[0]) == 24


def test_folders_of_numbers_are_no_classes_where_a_table_labels_their_images(tmp_path):
    for number in range(4):
        write_images(tmp_path, NAMES[3 * number : 3 * number + 3], folder=f"images/{number:03d}")
    write_table(tmp_path, "path,label", [f"images/{row // 3:03d}/{name}.png" for row, name in enumerate(NAMES)], LABELS)
    assert classes_of(tmp_path) == dict(zip(NAMES, LABELS, strict=True))
    assert said(tmp_path)["000, 001, 002 and 1 more are not the classes that a table says"] is Severity.WARNING


@pytest.mark.parametrize("header", ["image,label", "image,species"])
def test_class_folders_stay_the_classes_where_a_table_numbers_them_or_says_something_else(tmp_path, header):
    for folder, names in (("rust", NAMES[:6]), ("healthy", NAMES[6:])):
        write_images(tmp_path, names, folder=folder)
    labels = [0] * 6 + [1] * 6 if header.endswith("label") else LABELS
    write_table(tmp_path, header, NAMES, labels)
    assert find_tabled_images(tmp_path) is None


def test_lists_of_images_with_their_classes_name_the_splits_too(root):
    for file, rows in (("train.txt", range(8)), ("val.txt", range(8, 12))):
        write_table(root, "", [f"images/{NAMES[row]}.png {LABELS[row]}" for row in rows], file=file)
    (root / "classes.txt").write_text("rust\nhealthy\n")
    images, _ = find_tabled_images(root)
    assert {image.file.stem: (image.class_name, image.split) for image in images} == {
        name: (label, "train" if row < 8 else "validation")
        for row, (name, label) in enumerate(zip(NAMES, LABELS, strict=True))
    }


def test_a_label_that_is_also_the_name_of_an_image_is_a_label(tmp_path):
    write_images(tmp_path, range(6))
    write_table(tmp_path, "", [f"images/{number}.png {number % 2}" for number in range(6)], file="list.txt")
    assert classes_of(tmp_path) == {str(number): str(number % 2) for number in range(6)}


def test_a_table_of_other_facts_beside_that_of_the_classes_is_a_warning(root):
    write_table(root, "image,width,height", NAMES, [24] * 12, [20] * 12, file="sizes.csv")
    with pytest.raises(DataError, match="says the class in none of its columns for sure"):
        find_tabled_images(root)
    write_table(root, "image,label", NAMES[:9], LABELS[:9])
    with pytest.raises(DataError, match="says the class in none of its columns for sure"):
        find_tabled_images(root)
    write_table(root, "image,label", NAMES, LABELS)
    assert classes_of(root) == dict(zip(NAMES, LABELS, strict=True))
    assert said(root)["says the class in none of its columns for sure: 'width', 'height'"] is Severity.WARNING


@pytest.mark.parametrize("between", ["/", "\\"])
def test_the_folders_that_a_table_writes_before_its_images_name_their_splits(root, between):
    of_test = [f"test{between}{name}" for name in NAMES[:2]]
    write_table(root, "image,label", [*of_test, *(f"train{between}{name}" for name in NAMES[2:])], LABELS)
    images, findings = find_tabled_images(root)
    assert {image.file.stem for image in images if image.split == "test"} == {*NAMES[:2]}
    assert any("2 pictures of test" in finding.problem for finding in findings)


def test_a_folder_that_all_rows_of_a_table_name_is_of_another_machine(root):
    write_table(root, "image,label", [f"/home/test/{name}" for name in NAMES], LABELS)
    images, _ = find_tabled_images(root)
    assert {image.split for image in images} == {None}


def test_a_list_of_test_images_is_kept_beside_a_table_of_classes(root):
    write_table(root, "image,label", NAMES, LABELS)
    (root / "test.txt").write_text(f"{NAMES[3]}\n/home/me/{NAMES[4]}.png\n")
    images, _ = find_tabled_images(root)
    assert [image.file.stem for image in images if image.split == "test"] == [NAMES[3], NAMES[4]]
