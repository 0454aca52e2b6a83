"""A folder of class folders: which file is read, where it goes, and what is said of the files that are wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.io.findings import DataError, Severity
from trainable.data.io.splits import stratified_class_split
from trainable.tasks.dishes import SOURCE_OF_A_FILE

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data"
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def write(path, seed, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def plates(tmp_path):
    """Ten clean plates and five dirty ones, in mixed spellings of the endings."""
    for number in range(10):
        write(tmp_path / "plates" / "clean" / f"plate_{number}{'.JPG' if number % 2 else '.png'}", number)
    for number in range(5):
        write(tmp_path / "plates" / "dirty" / f"bowl_{number}.jpeg", 100 + number)
    return tmp_path / "plates"


@pytest.fixture
def opened(tmp_path):
    def open_it(root, **options):
        options = ClassFolderOptions(image_size_px=16, **options)
        return open_class_folder(root, options, cache_dir=tmp_path / "cache")

    return open_it


def all_names(splits):
    return [name for part in (splits.train, splits.validation, splits.test) for name in part.names]


def messages(findings):
    return [f"{finding.severity} {finding.file} {finding.problem}" for finding in findings]


def test_every_image_is_in_one_split_and_every_class_in_every_split(plates, opened):
    splits = opened(plates)
    assert len(all_names(splits)) == len(set(all_names(splits))) == 15
    assert splits.train.class_names == ("clean", "dirty")
    assert [part.class_counts() for part in (splits.train, splits.validation, splits.test)] == [(6, 3), (2, 1), (2, 1)]


def test_images_of_a_patient_that_a_table_states_stay_together(plates, opened):
    rows = [f"{name},p{place % 5}" for place, name in enumerate(sorted(all_names(opened(plates))))]
    (plates / "patients.csv").write_text("\n".join(["image,patient", *rows]))
    patient_of = dict(row.split(",") for row in rows)
    splits = opened(plates)
    patients = [{patient_of[name] for name in part.names} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 5
    assert "note patients.csv names 5 groups of 15 pictures in 'patient'" in messages(splits.findings)


def test_tables_that_are_called_as_splits_keep_images_of_class_folders_apart(plates, opened):
    tested = ["clean/plate_0.png", "clean/plate_3.JPG", "dirty/bowl_2.jpeg"]
    trained = [name for name in all_names(opened(plates)) if name not in tested]
    for file, names in (("train.csv", trained), ("test.csv", tested)):
        (plates / file).write_text("\n".join(["image,label", *(f"{name},{name.split('/')[0]}" for name in names)]))
    assert sorted(opened(plates).test.names) == tested


def test_labels_are_those_of_the_folders(plates, opened):
    for part in (opened(plates).train, opened(plates).test):
        assert [part.class_names[label] for label in part.labels] == [name.split("/")[0] for name in part.names]


def test_a_crop_keeps_shapes_and_a_squash_keeps_everything(tmp_path, opened):
    """A wide image, black at both ends: the crop sees none of them."""
    picture = np.full((40, 80, 3), 255, np.uint8)
    picture[:, :20] = picture[:, -20:] = 0
    for number in range(8):
        path = tmp_path / "wide" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture[0, 40] = number
        Image.fromarray(picture).save(path)
    crop, squash = (
        opened(tmp_path / "wide", resize=resize, keep_alike=False).train.images[0] for resize in ("crop", "squash")
    )
    assert crop.shape == squash.shape == (16, 16, 3)
    assert (crop[8, 1:-1] > 250).all()
    assert (squash[8, :3] < 5).all()
    assert (squash[8, 6:10] > 250).all()


@pytest.mark.parametrize(
    ("folder", "words", "pattern"),
    [("dirty", "dirty_medium", "(.+?)(_dirty_.*)?$"), ("clean", "rotated", None)],
    ids=["by a pattern", "as copies are named"],
)
def test_files_of_one_source_stay_together(tmp_path, opened, folder, words, pattern):
    write(tmp_path / "plates" / "dirty" / "cup_00.png", 999)
    for number in range(12):
        write(tmp_path / "plates" / "clean" / f"plate_{number:02d}.png", number)
        for soil in range(2):
            seed = 1000 + 50 * number + soil
            write(tmp_path / "plates" / folder / f"plate_{number:02d}_{words}_{soil:02d}.png", seed)
    splits = opened(tmp_path / "plates", group_pattern=pattern)
    parts = (splits.train, splits.validation, splits.test)
    sources = [{name[6:14] for name in part.names if "plate" in name} for part in parts]
    assert sum(map(len, sources)) == 12
    assert len(set().union(*sources)) == 12


def test_the_splits_that_folders_name_are_kept(tmp_path, opened):
    for number in range(6):
        for kind in "ab":
            write(tmp_path / "set" / "train" / kind / f"{number}.png", 10 * number + (kind == "b"))
    for kind in "ab":
        write(tmp_path / "set" / "test" / kind / "x.png", 900 + (kind == "b"))
    splits = opened(tmp_path / "set")
    assert sorted(splits.test.names) == ["test/a/x.png", "test/b/x.png"]
    assert len(splits.train) + len(splits.validation) == 12
    assert splits.validation.class_counts() == (2, 2)


def test_a_second_opening_decodes_nothing(plates, opened, monkeypatch):
    first = opened(plates)
    monkeypatch.setattr("trainable.data.classes.folder.read_upright", None)
    assert opened(plates).fingerprint == first.fingerprint


def test_files_that_are_no_images_are_reported_and_left_alone(plates, opened):
    (plates / "dirty" / "bowl_0.xml").write_text("<annotation/>")
    (plates / "notes.txt").write_text("")
    write(plates / "lost.png", 7)
    found = messages(opened(plates).findings)
    assert "note dirty also holds files that are not images: 1 .xml" in found
    assert "warning lost.png is in no class folder" in found


def test_the_classes_of_each_split_are_reported_with_their_numbers(plates, opened):
    found = messages(opened(plates).findings)
    assert {"note train clean 6, dirty 3", "note validation clean 2, dirty 1", "note test clean 2, dirty 1"} <= set(
        found
    )


def test_unreadable_files_are_all_named_at_once(plates, opened):
    (plates / "clean" / "plate_3.JPG").write_bytes(b"not a picture")
    (plates / "dirty" / "bowl_1.jpeg").write_bytes(b"")
    with pytest.raises(DataError, match="2 problems in 15 images") as error:
        opened(plates)
    assert "clean/plate_3.JPG" in str(error.value)
    assert "dirty/bowl_1.jpeg  is empty: 0 bytes" in str(error.value)


def test_one_picture_under_two_classes_is_refused(plates, opened):
    (plates / "dirty" / "again.png").write_bytes((plates / "clean" / "plate_2.png").read_bytes())
    with pytest.raises(DataError, match=r"dirty/again.png  is the same picture as clean/plate_2.png"):
        opened(plates)


def test_copies_within_a_class_are_a_warning_and_stay_in_one_split(plates, opened):
    (plates / "clean" / "zz_copy.png").write_bytes((plates / "clean" / "plate_2.png").read_bytes())
    folder = opened(plates)
    assert "warning clean/zz_copy.png is the same picture as clean/plate_2.png" in messages(folder.findings)
    parts = (folder.train, folder.validation, folder.test)
    assert [("clean/zz_copy.png" in part.names) == ("clean/plate_2.png" in part.names) for part in parts] == [True] * 3


def test_a_source_in_two_named_splits_is_refused(tmp_path, opened):
    for part, number in (("train", 1), ("train", 2), ("train", 3), ("test", 4)):
        for kind in "ab":
            write(tmp_path / "set" / part / kind / f"{part}{number}{kind}.png", 10 * number + (kind == "b"))
    write(tmp_path / "set" / "test" / "a" / "train1a_dirty_light_01.png", 99)
    with pytest.raises(DataError, match="has the same source as"):
        opened(tmp_path / "set", group_pattern="(.+?)(_dirty_.*)?$")


def numbered_anew(root):
    """Three splits whose plates all begin at 0."""
    for place, part in enumerate(("train", "valid", "test")):
        for number in range(3):
            write(root / part / "clean" / f"{number}.png", 10 * place + number)
            write(root / part / "dirty" / f"{number}_dirty_light.png", 100 + 10 * place + number)
    return root


BY_PLATE = {"group_pattern": SOURCE_OF_A_FILE, "keep_alike": True}


def test_splits_may_number_their_images_anew(tmp_path, opened):
    folder = opened(numbered_anew(tmp_path / "set"), **BY_PLATE)
    assert [len(part.names) for part in (folder.train, folder.validation, folder.test)] == [6] * 3


@pytest.mark.parametrize(
    ("original", "options"),
    [("test/clean/0.png", BY_PLATE), (None, {"group_pattern": "[0-9]+"})],
    ids=["its original is in another split", "the user says that numbers mean the same"],
)
def test_a_variant_without_its_original_or_the_users_word_makes_it_one_source(tmp_path, opened, original, options):
    root = numbered_anew(tmp_path / "set")
    if original is not None:
        (root / original).unlink()
    with pytest.raises(DataError, match="has the same source as"):
        opened(root, **options)


def test_one_class_alone_and_a_folder_without_classes_are_refused(tmp_path, opened):
    write(tmp_path / "one" / "clean" / "a.png", 1)
    with pytest.raises(DataError, match="images of one class, clean; a classifier needs two"):
        opened(tmp_path / "one")
    write(tmp_path / "flat" / "a.png", 1)
    with pytest.raises(DataError, match=r"No class folder with images was found in .*it holds a\.png"):
        opened(tmp_path / "flat")
    (tmp_path / "some" / "empty").mkdir(parents=True)
    write(tmp_path / "some" / "a" / "a.png", 1)
    write(tmp_path / "some" / "b" / "b.png", 2)
    with pytest.raises(DataError, match="empty  holds no image"):
        opened(tmp_path / "some")


def test_a_class_folder_of_folders_beside_one_of_pictures_is_reported_with_the_folder_to_give(tmp_path, opened):
    for number in range(8):
        for place in ("cells/defective", "cells/functional", "unsure"):
            write(tmp_path / "solar" / place / f"{number}.png", seed=len(place) * 100 + number)
    (reported,) = [finding for finding in opened(tmp_path / "solar").findings if finding.file == "cells"]
    assert reported.severity is Severity.WARNING
    assert reported.problem == "holds no image itself, but the folders defective, functional"
    assert reported.action.endswith(f"such as --data {tmp_path / 'solar' / 'cells'}.")


def test_folders_of_copies_and_classes_that_all_hold_pictures_are_no_such_folder(tmp_path, opened):
    for number in range(8):
        for place in ("a/orig", "a/rotated", "b", "b/more"):
            write(tmp_path / "leaves" / place / f"{place[0]}_{number}.png", seed=[number, *place.encode()])
    assert not [
        finding for finding in opened(tmp_path / "leaves").findings if "holds no image itself" in finding.problem
    ]


def test_a_split_without_images_says_how_many_sources_there_are(tmp_path, opened):
    for number in range(2):
        for name in "ab":
            write(tmp_path / "few" / name / f"{name}{number}.png", seed=ord(name) * 10 + number)
    with pytest.raises(DataError, match="test  gets no image: no class has images of more than 2 sources"):
        opened(tmp_path / "few")


def test_a_spreadsheet_of_classes_is_named_with_what_to_do(tmp_path, opened):
    write(tmp_path / "flat" / "images" / "a.png", seed=1)
    (tmp_path / "flat" / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a spreadsheet, labels.xlsx, which is not read: save it as csv"):
        opened(tmp_path / "flat")


def test_a_class_too_small_for_every_split_is_a_warning(plates, opened):
    write(plates / "broken" / "only.png", 500)
    findings = opened(plates).findings
    assert "warning broken has no image in the test split" in messages(findings)
    assert all(finding.severity is not Severity.ERROR for finding in findings)


def test_classes_are_dealt_out_by_share_whatever_the_order_of_files():
    groups = [f"g{number}" for number in range(50)]
    labels = [int(number % 5 == 0) for number in range(50)]
    parts = stratified_class_split(groups, labels, SHARES)
    by_part = {part: [label for own, label in zip(parts, labels, strict=True) if own == part] for part in SHARES}
    assert {part: (values.count(0), values.count(1)) for part, values in by_part.items()} == {
        "train": (24, 6),
        "validation": (8, 2),
        "test": (8, 2),
    }
    assert stratified_class_split(groups[::-1], labels[::-1], SHARES) == parts[::-1]
    assert stratified_class_split(groups, labels, SHARES, seed=1) != parts


def test_a_group_of_two_classes_is_dealt_with_its_rarer_one():
    groups = ["a", "a", "b", "b", "c", "c", *map(str, range(9))]
    labels = [0, 1, 0, 1, 0, 1, *[0] * 9]
    parts = stratified_class_split(groups, labels, SHARES)
    assert sorted(parts[1:6:2]) == ["test", "train", "validation"]
    assert parts[0:6:2] == parts[1:6:2]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sizes", [(1, 2, 10), (1, 1, 1), (1, 1, 30, 1), (2, 3), (40, 1, 1, 1, 1, 1)])
def test_a_class_of_few_sources_of_unequal_size_is_mostly_trained_on(sizes, seed):
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    parts = stratified_class_split(groups, ["rust"] * len(groups), SHARES, seed=seed)
    assert set(parts) == {*list(SHARES)[: len(sizes)]}
    assert parts.count("train") >= 0.3 * len(parts)


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_three_sources_is_in_every_split_though_they_hold_rarer_classes_too(seed):
    groups = [f"g{number}" for number in range(12) for _ in range(2)]
    pairs = [("a", "b")] * 3 + [("b", "c")] * 2 + [("c", "d")] * 3 + [("d", "d")] * 4
    labels = [label for pair in pairs for label in pair]
    parts = stratified_class_split(groups, labels, SHARES, seed=seed)
    assert {*zip(labels, parts, strict=True)} == {(label, part) for label in "abcd" for part in SHARES}


def test_a_class_of_two_sources_is_trained_on_first():
    groups = ["x", "x", "y", "y", *map(str, range(9))]
    for seed in range(10):
        parts = stratified_class_split(groups, ["a", "b", "a", "b", *"c" * 9], SHARES, seed=seed)
        assert {parts[0], parts[2]} == {"train", "validation"}


@pytest.mark.parametrize("bad", [{"image_size_px": 8}, {"resize": "pad"}, {"group_pattern": "("}, {"split_seed": -1}])
def test_impossible_options_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ClassFolderOptions(**bad)


def test_the_real_plates_never_leak_a_parent(opened):
    if not (SHARED / "dishes").is_dir():
        pytest.skip("the real plates are not beside the project")
    splits = opened(SHARED / "dishes", group_pattern="(.+?)(_dirty_.*)?$")
    parts = (splits.train, splits.validation, splits.test)
    assert sum(map(len, parts)) == 17
    assert [part.class_counts()[1] for part in parts] == [1, 1, 1]
    for part in parts:
        for name in part.names:
            if "plate_01" in name:
                assert {"clean_labeled/plate_01.jpg", "dirty_labeled/plate_01_dirty_medium_02.jpg"} <= set(part.names)


def test_the_real_leaves_are_read_beside_their_annotations(opened):
    if not (SHARED / "rice_leaf").is_dir():
        pytest.skip("the real leaves are not beside the project")
    folder = opened(SHARED / "rice_leaf")
    assert len(all_names(folder)) == 276
    assert any(".xml" in finding.problem for finding in folder.findings)


def test_a_split_with_none_of_the_classes_of_train_is_an_error_that_names_both(tmp_path):
    for seed, place in enumerate([*(f"train/{kind}" for kind in ("ok", "rust")), "val/images"]):
        for number in range(4):
            (tmp_path / "data" / place).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([seed, number]).integers(0, 255, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / place / f"{seed}{number}.png")
    with pytest.raises(DataError, match="validation  holds images, but none of the classes of train: ok, rust"):
        open_class_folder(tmp_path / "data", ClassFolderOptions(), cache_dir=tmp_path / "cache")
