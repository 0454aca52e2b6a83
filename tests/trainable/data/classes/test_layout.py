"""Trees of class folders as people have them, and trees that only look like classes."""

from collections import Counter

import pytest

from trainable.data.classes.layout import find_class_images
from trainable.data.io.findings import DataError, Severity


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def read(root):
    """Class and split of each image."""
    return {image.file.as_posix(): (image.class_name, image.split) for image in find_class_images(root)[0]}


def reported(root, severity=Severity.WARNING):
    return [f"{one.file}: {one.problem}" for one in find_class_images(root)[1] if one.severity is severity]


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".Trash-1000", "@eaDir", "__MACOSX"])
def test_hidden_and_system_folders_are_no_classes_and_hold_no_images(tmp_path, hidden):
    touch(tmp_path, "a/1.png", "b/2.png", f"{hidden}/3.png", f"a/{hidden}/4.png", f"b/deep/{hidden}/5.png")
    assert read(tmp_path) == {"a/1.png": ("a", None), "b/2.png": ("b", None)}
    assert reported(tmp_path) == []


@pytest.mark.parametrize(("part", "split"), [("valid", "validation"), ("dev", "validation"), ("Test Set", "test")])
def test_splits_above_classes_are_kept(tmp_path, part, split):
    touch(tmp_path, *(f"{place}/{kind}/{place}.png" for place in ("train", part) for kind in "ab"))
    assert read(tmp_path)[f"{part}/a/{part}.png"] == ("a", split)


def test_a_folder_beside_the_splits_is_named_with_its_pictures(tmp_path):
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png", "extra/a/4.png", "extra/b/5.png")
    assert reported(tmp_path) == ["extra: lies beside the folders of the splits, with 2 pictures"]


def test_lists_name_the_splits_of_classes(tmp_path):
    touch(tmp_path, *(f"{kind}/{number}.png" for kind in "ab" for number in range(3)))
    (tmp_path / "train.txt").write_text("a/0\na/1\nb/0\n")
    (tmp_path / "test.txt").write_text("b/1\n")
    assert Counter(part for _, part in read(tmp_path).values()) == {"train": 3, "test": 1}
    assert reported(tmp_path) == ["a/2.png: and 1 more are in no list of a split"]


def test_copies_of_names_in_two_forms_of_unicode_are_one_class(tmp_path):
    touch(tmp_path, "train/caf\u00e9/1.png", "train/b/2.png", "test/cafe\u0301/3.png", "test/b/4.png")
    assert {kind for kind, _ in read(tmp_path).values()} == {"b", "caf\u00e9"}


def test_a_class_named_as_a_split_is_reported(tmp_path):
    touch(tmp_path, "bus/1.png", "car/2.png", "train/3.png")
    assert read(tmp_path)["train/3.png"] == ("train", None)
    assert reported(tmp_path) == ["train: is named as a split, but holds pictures and no class folders"]


def test_pictures_that_are_not_read_are_an_error(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png", "b/3.heic", "b/4.HEIC")
    assert reported(tmp_path, Severity.ERROR) == ["b: holds pictures that are not read: 2 .heic"]


WRONG = {
    "splits without classes": (
        ["train/1.png", "test/2.png"],
        "The folders test, train of {root} name splits, but hold images and no class folders: put a folder for each",
    ),
    "case twins": (
        ["clean/1.png", "Clean/2.png", "dirty/3.png"],
        "{root} holds one class under two names, Clean and clean: give the folder one name, in every split.",
    ),
    "case twins in two splits": (
        ["train/clean/1.png", "train/dirty/2.png", "test/Clean/3.png", "test/dirty/4.png"],
        "holds one class under two names, Clean and clean",
    ),
    "an extra level": (
        ["Plant Village/healthy/1.png", "Plant Village/rust/2.png"],
        "{root} holds one folder of images, Plant Village, and in it the folders healthy, rust: give "
        "--data '{root}/Plant Village'.",
    ),
    "an extra level above the splits": (
        ["set/train/a/1.png", "set/train/b/2.png", "set/test/a/3.png"],
        "holds one folder of images, set, and in it the folders test, train: give --data {root}/set.",
    ),
    "an extra level below the splits": (
        ["train/images/a/1.png", "train/images/b/2.png", "test/images/a/3.png"],
        "{root} holds one class, images, in each split, and in it the folders a, b: if these are",
    ),
    "variants": (
        [f"{variant}/{kind}/1.png" for variant in ("color", "grayscale", "segmented") for kind in ("healthy", "rust")],
        "{root} holds the same folders, healthy, rust ..., in each of color, grayscale, segmented: these look like "
        "variants of one set. Give one of them, such as --data {root}/color; ",
    ),
    "a level between splits and classes": (
        [f"{part}/{site}/{kind}/1.png" for part in ("train", "test") for site in ("s1", "s2") for kind in ("a", "b")],
        "holds the same folders, a, b ..., in each of s1, s2: put the folders of classes into those of splits, with "
        "nothing between: test/CLASS/*.jpg.",
    ),
    "splits below classes": (
        [f"{kind}/{part}/1.png" for kind in ("healthy", "rust") for part in ("train", "test")],
        "holds the same folders, test, train ..., in each of healthy, rust: put the folders of classes into those of",
    ),
    "splits below some classes": (
        ["rust/train/1.png", "rust/test/2.png", "healthy/train/3.png"],
        "{root} holds folders that name splits, test, train, in those of classes, healthy, rust: put the folders of",
    ),
    "a split below classes that hold pictures": (
        ["rust/1.png", "rust/test/2.png", "healthy/3.png"],
        "{root} holds folders that name splits, test, in those of classes, rust: put the folders of classes into those",
    ),
    "boxes of YOLO": (
        [f"{kind}/{part}/1.{end}" for kind, end in (("images", "jpg"), ("labels", "txt")) for part in ("train", "val")],
        "{root} holds no folders of classes, but pictures in images: the class of a picture is the folder it lies in, "
        "train/CLASS/*.jpg, or a column of a table. Boxes are read by --space agroforestry, masks by --space moe.",
    ),
    "boxes of YOLO in one split": (["images/train/1.jpg", "labels/train/1.txt"], "holds no folders of classes, but"),
    "boxes of YOLO below splits": (
        [f"{part}/{kind}/1.{end}" for kind, end in (("images", "jpg"), ("labels", "txt")) for part in ("train", "val")],
        "holds no folders of classes, but pictures in images",
    ),
    "masks": (["images/1.jpg", "masks/1.png"], "holds no folders of classes, but pictures in images, masks"),
    "one class": (["a/1.png"], "{root} holds images of one class, a; a classifier needs two or more."),
}


@pytest.mark.parametrize("tree", WRONG)
def test_a_tree_that_only_looks_like_classes_is_reported_with_the_right_folder(tmp_path, tree):
    files, sentence = WRONG[tree]
    touch(tmp_path, *files)
    with pytest.raises(DataError) as caught:
        find_class_images(tmp_path)
    assert sentence.format(root=tmp_path) in str(caught.value)


def test_originals_and_copies_below_each_class_are_no_variants(tmp_path):
    touch(tmp_path, *(f"{kind}/{inside}/1.png" for kind in ("blast", "blight") for inside in ("orig", "rotated")))
    assert {kind for kind, _ in read(tmp_path).values()} == {"blast", "blight"}


@pytest.mark.parametrize(
    ("one", "other"), [("rust", "rust "), ("late blight", "late_blight"), ("Clean", "clean"), ("1", "01")]
)
def test_two_names_that_mean_one_class_are_an_error_that_names_both(tmp_path, one, other):
    touch(tmp_path, f"{one}/1.png", f"{other}/2.png", "x/3.png")
    with pytest.raises(DataError, match="one class under two names") as caught:
        find_class_images(tmp_path)
    assert one in str(caught.value)
    assert other in str(caught.value)


def test_folds_of_one_set_are_no_variants_of_it(tmp_path):
    touch(tmp_path, *(f"fold_{fold}/{kind}/{fold}.png" for fold in range(3) for kind in "ab"))
    with pytest.raises(DataError, match="holds folds of one set, fold_0, fold_1, fold_2, each with the folders a, b"):
        find_class_images(tmp_path)


def test_masks_beside_the_pictures_are_no_images_of_the_class(tmp_path):
    touch(tmp_path, *(f"{kind}/{name}.png" for kind in ("benign", "malignant") for name in ("1", "1_mask", "1_mask_1")))
    touch(tmp_path, "benign/2.jpg", "benign/2-seg.png", "benign/3_Label.png", "malignant/gas_mask.jpg")
    assert sorted(read(tmp_path)) == [
        "benign/1.png",
        "benign/2.jpg",
        "benign/3_Label.png",
        "malignant/1.png",
        "malignant/gas_mask.jpg",
    ]
    (warning,) = reported(tmp_path)
    assert warning.startswith("pictures: 5 of 10 are named as the mask of one beside them: benign/1_mask.png, ")


def test_classes_that_lie_deeper_beside_another_folder_are_named_with_the_folder_to_give(tmp_path):
    touch(tmp_path, *(f"Leaves/Leaves/{part}/{kind}/1.png" for part in ("train", "valid") for kind in "ab"))
    touch(tmp_path, "test/test/1.png")
    with pytest.raises(DataError, match=r"one class, test, but Leaves/Leaves holds folders of several: give --data "):
        read(tmp_path)


def test_class_folders_of_other_folders_each_are_reported(tmp_path):
    touch(tmp_path, "apple/scab/1.png", "apple/healthy/2.png", "corn/rust/3.png", "corn/healthy/4.png")
    assert reported(tmp_path) == [
        "apple: holds no image itself, but the folders healthy, scab; 1 other class folder holds such as well"
    ]


def test_plants_above_classes_get_advice(tmp_path):
    touch(tmp_path, *(f"plant{number}/{kind}/1.png" for number in range(3) for kind in ("ok", "rust")))
    with pytest.raises(DataError, match="if ok is one, put the images of all into one folder ok"):
        read(tmp_path)


def food(root):
    """As Food-101 has it: lists of `CLASS/NAME` beside the folder of classes."""
    touch(root, *(f"images/{kind}/{number}.png" for kind in "ab" for number in range(3)), "meta/classes.txt")
    (root / "meta" / "train.txt").write_text("a/0\na/1\nb/0\nb/1\n")
    (root / "meta" / "test.txt").write_text("a/2\nb/2\n")


def birds(root):
    """As CUB-200 and NABirds have it: numbers of pictures, and which of them are of training."""
    touch(root, *(f"images/00{kind}.Bird/b_{number}.png" for kind in (1, 2) for number in range(3)))
    rows = [(f"00{kind}.Bird/b_{number}.png", number < 2) for kind in (1, 2) for number in range(3)]
    for name, column in (("images", 0), ("train_test_split", 1)):
        lines = (f"{number} {row[0] if column == 0 else int(row[1])}" for number, row in enumerate(rows, start=1))
        (root / f"{name}.txt").write_text("\n".join(lines))
    (root / "image_class_labels.txt").write_text("".join(f"{n} {1 + n // 4}\n" for n in range(1, 7)))


@pytest.mark.parametrize("write", [food, birds])
def test_lists_beside_the_folder_of_classes_say_its_splits(tmp_path, write):
    write(tmp_path)
    assert Counter(read(tmp_path).values()) == {
        (name, split): number
        for name in ("ab" if write is food else ("001.Bird", "002.Bird"))
        for split, number in (("train", 2), ("test", 1))
    }
    assert reported(tmp_path) == []


@pytest.mark.parametrize("write", [food, birds])
def test_a_folder_of_classes_without_its_lists_gets_a_warning_that_names_them(tmp_path, write):
    write(tmp_path)
    (warning,) = (one for one in find_class_images(tmp_path / "images")[1] if one.severity is Severity.WARNING)
    assert warning.action == f"To keep these splits, give the folder above: --data {tmp_path}."


def test_lists_above_that_name_other_pictures_are_of_another_set(tmp_path):
    touch(tmp_path, "mine/a/1.png", "mine/b/2.png")
    (tmp_path / "test.txt").write_text("a/9\nc/1\nc/8\n")
    assert reported(tmp_path / "mine") == []


def test_numbers_without_their_pictures_are_no_list(tmp_path):
    birds(tmp_path)
    (tmp_path / "images.txt").unlink()
    assert {split for _, split in read(tmp_path).values()} == {None}
    assert reported(tmp_path) == [
        "train_test_split.txt: is called as a split, but names no picture here: it begins with '1 1'"
    ]
