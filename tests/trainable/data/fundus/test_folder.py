"""A folder of photographs with tables of their grades: which rows count, where patients go, what is said of errors."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.fundus import folder
from trainable.data.fundus.folder import open_fundus_folder
from trainable.data.fundus.source import FundusFolderOptions, FundusSource, patient_of
from trainable.data.generated.fundus_drawing import draw_fundus
from trainable.data.io.findings import DataError, Severity

REAL_DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "idrid"
IMAGES, TABLES = "1. Original Images", "2. Groundtruths"
TRAINING, TESTING = f"{IMAGES}/a. Training Set", f"{IMAGES}/b. Testing Set"
TRAINING_TABLE = f"{TABLES}/a. IDRiD_Disease Grading_Training Labels.csv"
TESTING_TABLE = f"{TABLES}/b. IDRiD_Disease Grading_Testing Labels.csv"
HEADER = ["Image name", "Retinopathy grade", "Risk of macular edema ", "", ""]


def write_photograph(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = draw_fundus(np.random.default_rng(seed), 48, retinopathy=0, edema=0, is_left=True, contrast=1.0)
    wide = np.zeros((48, 72, 3), np.uint8)
    wide[:, 12:60] = drawn
    Image.fromarray(wide).save(path)


def write_table(path, rows, header=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def root(tmp_path):
    """Twelve training and three testing photographs, of the same names, and four more rows in the training table."""
    root = tmp_path / "idrid"
    grades = [(index % 3, index % 2) for index in range(12)]
    for index in range(12):
        write_photograph(root / TRAINING / f"IDRiD_{index:03d}.png", index)
    for index in range(3):
        write_photograph(root / TESTING / f"IDRiD_{index:03d}.png", 100 + index)
    more = [(f"IDRiD_{index}", 4, 2, "", "") for index in range(500, 504)]
    write_table(root / TRAINING_TABLE, [(f"IDRiD_{i:03d}", *both, "", "") for i, both in enumerate(grades)] + more)
    write_table(root / TESTING_TABLE, [(f"IDRiD_{i:03d}", 4, 2) for i in range(3)], HEADER[:3])
    return root


def opened(root, **options):
    return open_fundus_folder(root, FundusFolderOptions(image_size_px=32, **options), cache_dir=root.parent / "cache")


def test_one_grade_of_all_photographs_is_an_error_unless_the_other_task_has_several(root):
    header, pictures = ["image", "retinopathy", "edema"], [f"IDRiD_{index:03d}" for index in range(12)]
    write_table(root / TRAINING_TABLE, [(name, index % 3, 0) for index, name in enumerate(pictures)], header)
    write_table(root / TESTING_TABLE, [(name, 1, 0) for name in pictures[:3]], header)
    said = [finding for finding in opened(root).findings if "every photograph has grade 0 of edema" in finding.problem]
    assert [finding.severity for finding in said] == [Severity.WARNING]
    write_table(root / TRAINING_TABLE, [(name, 1, 0) for name in pictures], header)
    assert "every photograph has grade 1 of retinopathy" in refused(root)


def refused(root):
    with pytest.raises(DataError) as error:
        opened(root)
    return str(error.value)


def with_rows(root, *rows):
    """The training table with other rows at its end; the first of two rows of one image counts."""
    with (root / TRAINING_TABLE).open("a", newline="") as file:
        csv.writer(file).writerows(rows)


def test_official_splits_are_kept_and_names_that_are_in_both_are_not_mixed_up(root):
    splits = opened(root)
    assert all(name.startswith(TRAINING) for name in (*splits.train.names, *splits.validation.names))
    assert splits.test.names == tuple(f"{TESTING}/IDRiD_{index:03d}" for index in range(3))
    assert splits.test.labels.tolist() == [[4, 2]] * 3
    for part in (splits.train, splits.validation):
        for name, labels in zip(part.names, part.labels.tolist(), strict=True):
            assert labels == [int(name[-3:]) % 3, int(name[-3:]) % 2]


def test_every_grade_of_the_training_folder_is_in_training_and_validation(root):
    splits = opened(root)
    assert set(splits.train.labels[:, 0]) == set(splits.validation.labels[:, 0]) == {0, 1, 2}


def test_rows_without_a_photograph_are_a_note_and_count_for_the_class_weights(root):
    folder = opened(root)
    (note,) = (finding for finding in folder.findings if "no photograph here" in finding.problem)
    assert (note.severity, note.problem) == (Severity.NOTE, "4 of 16 rows have no photograph here")
    assert folder.class_counts[0][4] == folder.class_counts[1][2] == 4


def test_class_counts_know_nothing_of_validation_and_test(root):
    splits = opened(root)
    trained = np.bincount(splits.train.labels[:, 0], minlength=5)
    assert splits.class_counts[0] == (*trained[:4].tolist(), 4)


def test_one_table_for_all_splits_does_not_tell_the_grades_of_the_test(tmp_path):
    root = tmp_path / "eyes"
    rows = [(f"eye{index:02d}", 4 if index < 3 else index % 2, 0) for index in range(15)]
    for index, (name, *_) in enumerate(rows):
        write_photograph(root / ("test" if index < 3 else "train") / f"{name}.png", index)
    write_table(root / "grades.csv", rows)
    splits = opened(root)
    assert set(splits.test.labels[:, 0]) == {4}
    assert splits.class_counts == tuple(splits.train.class_counts(task) for task in range(2))


def test_photographs_are_cropped_to_the_retina(root):
    image = opened(root).test.images[0].astype(int)
    assert image[16, [2, 29]].sum(axis=1).min() > 60


def test_an_empty_cell_is_a_missing_label(root):
    write_photograph(root / TRAINING / "IDRiD_040.png", 40)
    with_rows(root, ("IDRiD_040", "2", "", "", ""))
    splits = opened(root)
    labels = dict(
        zip(
            splits.train.names + splits.validation.names,
            [*splits.train.labels.tolist(), *splits.validation.labels.tolist()],
            strict=True,
        )
    )
    assert labels[f"{TRAINING}/IDRiD_040"] == [2, -1]


def test_both_eyes_of_a_patient_go_to_one_split(tmp_path):
    names = [f"patient{number:02d}_{eye}" for number in range(15) for eye in ("left", "right")]
    for index, name in enumerate(names):
        write_photograph(tmp_path / "eyes" / "photographs" / f"{name}.png", index)
    write_table(tmp_path / "eyes" / "grades.csv", [(f"{name}.png", index % 2, 0) for index, name in enumerate(names)])
    splits = opened(tmp_path / "eyes")
    parts = [
        {patient_of(Path(name).stem) for name in part.names} for part in (splits.train, splits.validation, splits.test)
    ]
    assert all(parts)
    assert sum(map(len, parts)) == 15


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("12_left", "12"),
        ("12_right", "12"),
        ("p3-OD", "p3"),
        ("p3 OS", "p3"),
        ("OD_003", "003"),
        ("left-003", "003"),
        ("003_OD_2", "003_2"),
        ("right", ""),
        ("12_r", "12"),
        ("r_12", "r_12"),
        ("leftover_3", "leftover_3"),
        ("IDRiD_001", "IDRiD_001"),
        ("bright", "bright"),
    ],
)
def test_the_mark_of_the_eye_is_no_part_of_the_patient(name, patient):
    assert patient_of(name) == patient


def test_a_photograph_whose_row_says_no_grade_is_left_out_with_a_warning(root):
    header = ["image", "retinopathy", "edema"]
    rows = [(f"IDRiD_{index:03d}", *((index % 3, index % 2) if index > 1 else ("", ""))) for index in range(12)]
    write_table(root / TRAINING_TABLE, rows, header)
    splits = opened(root)
    assert len(splits.train) + len(splits.validation) == 10
    problem = f"2 of 15 have rows without a grade: {TRAINING}/IDRiD_000.png, {TRAINING}/IDRiD_001.png"
    assert {one.problem: one.severity for one in splits.findings}[problem] is Severity.WARNING
    assert not [one for one in splits.findings if "have no grade of" in one.problem]


def test_a_photograph_without_a_row_is_left_out_with_a_warning(root):
    write_photograph(root / TRAINING / "IDRiD_077.png", 77)
    folder = opened(root)
    (warning,) = (finding for finding in folder.findings if "IDRiD_077" in finding.file)
    assert warning.severity is Severity.WARNING
    assert (warning.file, warning.problem) == (f"{TRAINING}/IDRiD_077.png", "has no row in a table of its split")
    assert not any("077" in name for name in folder.train.names + folder.validation.names)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            ("IDRiD_600", 5, 1),
            "row 18 (IDRiD_600): the grade of retinopathy is '5', but must be a whole number from 0 to 4",
        ),
        (("IDRiD_600", 1, 1.5), "the grade of edema is '1.5', but must be a whole number from 0 to 2"),
        (("IDRiD_600", "grave", 1), "the grade of retinopathy is 'grave'"),
        (("IDRiD_003", 4, 2), "row 18: IDRiD_003 has other grades in a row above"),
    ],
)
def test_a_wrong_row_is_reported_with_its_number(root, row, sentence):
    with_rows(root, row)
    message = refused(root)
    assert TRAINING_TABLE in message
    assert sentence in message


def test_every_bad_photograph_is_reported_by_its_name(root):
    (root / TRAINING / "IDRiD_001.png").write_bytes(b"no image")
    Image.new("RGB", (60, 40)).save(root / TRAINING / "IDRiD_002.png")
    message = refused(root)
    assert "2 problems in 15 photographs" in message
    assert f"{TRAINING}/IDRiD_001.png  is not an image" in message
    assert f"{TRAINING}/IDRiD_002.png  shows no retina" in message


def test_one_picture_in_training_and_testing_is_an_error(root):
    (root / TESTING / "IDRiD_002.png").write_bytes((root / TRAINING / "IDRiD_001.png").read_bytes())
    assert "is the same picture as" in refused(root)


def test_a_folder_without_a_table_says_what_it_should_hold(root):
    (root / TRAINING_TABLE).unlink()
    write_table(root / TESTING_TABLE, [("a", 1)], ["Image No", "Optic disc"])
    message = refused(root)
    assert "expected a csv file with a column of image names" in message
    assert TESTING_TABLE in message


def test_a_set_of_one_grade_is_read_for_that_task_alone_and_says_so(root):
    for table in (TRAINING_TABLE, TESTING_TABLE):
        write_table(root / table, [(f"IDRiD_{index:03d}", index % 3) for index in range(12)], ["image", "diagnosis"])
    folder = opened(root)
    assert folder.tasks == ("retinopathy",)
    assert folder.test.labels.tolist() == [[0], [1], [2]]
    assert [len(counts) for counts in folder.class_counts] == [5]
    said = {finding.problem: finding.action for finding in folder.findings}
    assert said["no photograph has a grade of edema"] == "Only retinopathy is trained and measured."


def test_a_grade_that_a_split_lacks_is_an_error(root):
    write_table(root / TESTING_TABLE, [(f"IDRiD_{index:03d}", index) for index in range(3)], ["image", "diagnosis"])
    assert "has no photograph with a grade of edema" in refused(root)


def test_the_second_opening_decodes_nothing(root, monkeypatch):
    first = opened(root)
    monkeypatch.setattr(folder, "read_upright", None)
    second = opened(root)
    assert second.fingerprint == first.fingerprint
    assert second.findings == first.findings


def test_the_published_tables_are_read_whole(tmp_path):
    """Counted in the tables by hand: 413 rows less the validation photographs, of ten with a row each."""
    if not REAL_DATA.is_dir():
        pytest.skip("the shared real data is not beside this checkout")
    options = FundusFolderOptions(image_size_px=32)
    folder = open_fundus_folder(REAL_DATA, options, cache_dir=tmp_path)
    validation = np.array([np.bincount(folder.validation.labels[:, 0], minlength=5)])
    assert (np.array(folder.class_counts[0]) + validation[0]).tolist() == [134, 20, 136, 74, 49]
    assert [len(part) for part in (folder.train, folder.validation, folder.test)] == [8, 2, 10]
    assert any(finding.problem == "403 of 413 rows have no photograph here" for finding in folder.findings)


def test_a_patient_of_the_table_goes_to_one_split(tmp_path):
    rows = [(f"photograph{index:02d}", f"p{index // 2}", index // 2 % 2, 0) for index in range(30)]
    for index, (name, *_) in enumerate(rows):
        write_photograph(tmp_path / "eyes" / f"{name}.png", index)
    write_table(tmp_path / "eyes" / "grades.csv", rows, ["image", "patient", "dr", "dme"])
    splits = opened(tmp_path / "eyes")
    patients = {name: patient for name, patient, *_ in rows}
    parts = [{patients[name] for name in part.names} for part in (splits.train, splits.validation, splits.test)]
    assert all(parts)
    assert sum(map(len, parts)) == 15


def test_a_patient_of_a_table_without_grades_goes_to_one_split(tmp_path):
    root = tmp_path / "eyes"
    names = [f"e{index}" for index in range(12)]
    for index, name in enumerate(names):
        write_photograph(root / f"{name}.png", index)
    write_table(root / "grades.csv", [(name, index % 3) for index, name in enumerate(names)], ["image", "retinopathy"])
    write_table(root / "who.csv", [(name, index // 3) for index, name in enumerate(names)], ["image", "patient"])
    source = FundusSource.find(root, FundusFolderOptions(image_size_px=32), tmp_path / "cache")
    assert source.groups == [f"group {int(file.stem[1:]) // 3}" for file in source.files]


def test_where_no_photograph_has_a_row_one_sentence_shows_a_name_of_each(tmp_path):
    for index in range(3):
        write_photograph(tmp_path / "eyes" / f"eye{index}.png", index)
    write_table(tmp_path / "eyes" / "grades.csv", [("patient 1", 1, 1)])
    message = refused(tmp_path / "eyes")
    assert "Not one of 3 photographs" in message
    assert "grades.csv names 'patient 1', a photograph is eye0.png." in message
    assert "has no row in a table" not in message


def test_hidden_files_of_other_systems_are_passed_over(root):
    (root / TABLES / "._a. Training Labels.csv").write_bytes(b"\x00\x05\x16\x07")
    (root / TRAINING / "._IDRiD_001.png").write_bytes(b"\x00\x05\x16\x07")
    assert len(opened(root).test) == 3


def test_valid_is_validation_and_a_folder_beside_the_splits_is_left_out_and_reported(tmp_path):
    root = tmp_path / "eyes"
    names = [f"{part}{index}" for part in ("train", "valid", "test", "more") for index in range(4)]
    for index, name in enumerate(names):
        write_photograph(root / f"{name[:-1]}_images" / f"{name}.png", index)
    write_table(root / "grades.csv", [(name, index % 2, 0) for index, name in enumerate(names)], HEADER[:3])
    folder = opened(root)
    parts = (folder.train, folder.validation, folder.test)
    assert [{Path(name).parent.name for name in part.names} for part in parts] == [
        {"train_images"},
        {"valid_images"},
        {"test_images"},
    ]
    assert any(one.file == "more_images" and "says no split" in one.problem for one in folder.findings)


def test_turned_copies_of_a_photograph_are_of_its_patient(tmp_path):
    root = tmp_path / "eyes"
    names = [f"{index}_left{mark}" for index in range(6) for mark in ("", "_flipLR", "_90deg")]
    for index, name in enumerate(names):
        write_photograph(root / f"{name}.png", index)
    write_table(root / "grades.csv", [(name, index % 2, 0) for index, name in enumerate(names)], HEADER[:3])
    splits = opened(root)
    patients = [{name.split("_")[0] for name in part.names} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 6


def test_photographs_behind_a_link_are_read(tmp_path, root):
    (tmp_path / "store").mkdir()
    (root / TRAINING).rename(tmp_path / "store" / "training")
    (root / TRAINING).symlink_to(tmp_path / "store" / "training")
    assert len(opened(root).train) > 0


def test_grades_that_a_split_lacks_are_reported_once_for_each_task(root):
    reported = [(one.file, one.problem) for one in opened(root).findings if one.severity is Severity.WARNING]
    assert ("test", "has no photograph of retinopathy grade 0, 1, 2") in reported
    assert ("test", "has no photograph of edema grade 0, 1") in reported
    assert ("train", "has no photograph of retinopathy grade 4") in reported


@pytest.mark.parametrize("places", [("images", "masks"), ("train", "test")])
def test_a_row_that_speaks_of_two_pictures_is_an_error_that_names_both(tmp_path, places):
    root = tmp_path / "eyes"
    for place_seed, place in enumerate(places):
        for index in range(3):
            write_photograph(root / place / f"{index}.png", 10 * place_seed + index)
    write_table(root / "grades.csv", [(str(index), index % 2, 0) for index in range(3)], HEADER[:3])
    with pytest.raises(DataError, match=f"{places[1]}/0.png|{places[0]}/0.png") as caught:
        opened(root)
    assert "one row of grades.csv speaks of both" in str(caught.value)


def test_a_photograph_in_the_tables_of_two_splits_is_an_error(tmp_path):
    root = tmp_path / "eyes"
    for index in range(8):
        write_photograph(root / f"{index}.png", index)
    for part, indices in (("train", range(6)), ("test", range(5, 8))):
        write_table(root / f"{part}.csv", [(str(index), index % 2, 0) for index in indices], HEADER[:3])
    with pytest.raises(DataError, match=r"5\.png  is in test\.csv \(test\) and train\.csv \(train\)"):
        opened(root)


@pytest.mark.parametrize(
    ("column", "test", "train"), [("split", "test", "train"), ("data set", "Test", "Train"), ("is_test", "1", "0")]
)
def test_a_column_of_splits_is_kept_and_the_rest_is_left_out_beside_it(tmp_path, column, test, train):
    root = tmp_path / "graded"
    for index in range(12):
        write_photograph(root / f"{index}.png", index)
    rows = [(index, index % 2, "?" if index == 0 else test if index > 8 else train) for index in range(12)]
    write_table(root / "grades.csv", rows, ["image", "dr", column])
    found = opened(root)
    splits = found
    assert set(splits.test.names) == {"9", "10", "11"}
    assert "0" not in {*splits.train.names, *splits.validation.names}
    assert sum(splits.class_counts[0]) == len(splits.train)
    assert "left out 1, test 3, train 8" in str([finding.problem for finding in found.findings])


def test_a_row_that_says_train_of_a_photograph_in_the_test_folder_is_an_error(tmp_path):
    root = tmp_path / "graded"
    for index in range(9):
        write_photograph(root / ("test" if index > 5 else "train") / f"{index}.png", index)
    write_table(root / "grades.csv", [(index, index % 2, "train") for index in range(9)], ["image", "dr", "split"])
    with pytest.raises(DataError, match=r"6\.png +is of test by its folder and train"):
        opened(root)


def test_a_table_for_each_grade_is_read_as_one_and_a_grade_that_differs_is_an_error(tmp_path):
    root = tmp_path / "graded"
    for index in range(12):
        write_photograph(root / f"{index}.png", index)
    write_table(root / "dr.csv", [(index, index % 3) for index in range(12)], ["image", "dr"])
    write_table(root / "dme.csv", [(index, index % 2) for index in range(12)], ["image", "dme"])
    splits = opened(root)
    assert all(tuple(labels) == (int(name) % 3, int(name) % 2) for labels, name in pairs_of(splits.train))
    write_table(root / "dme.csv", [(index, index % 2, 1) for index in range(12)], ["image", "dme", "dr"])
    with pytest.raises(DataError, match="has other grades in another table"):
        opened(root)


def pairs_of(part):
    return zip(part.labels.tolist(), part.names, strict=True)


def test_a_list_of_test_photographs_is_kept_where_no_folder_and_no_table_names_a_split(tmp_path):
    root = tmp_path / "data"
    rows = [(f"eye{index:02d}", index % 2) for index in range(12)]
    for index, (name, _) in enumerate(rows):
        write_photograph(root / f"{name}.png", index)
    write_table(root / "labels.csv", rows, ["image", "dr"])
    (root / "test.txt").write_text("eye03\n/home/bob/eye04.png\n")
    read = opened(root)
    assert set(read.test.names) == {"eye03", "eye04"}
    assert "names 2 pictures of test, 0 not here" in [finding.problem for finding in read.findings]
    (root / "test.txt").write_text("eye05\neye06\n")
    assert set(opened(root).test.names) == {"eye05", "eye06"}
