"""Photographs of one name in a folder for each patient, and lists without a header: matched, or reported."""

import pytest

from trainable.data.fundus.source import FundusFolderOptions, FundusSource
from trainable.data.io.findings import DataError, Severity

PATIENTS = [f"patient_{number:03d}" for number in range(4)]
EYES = ("left", "right")


def write(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)


def find(root):
    return FundusSource.find(root, FundusFolderOptions(image_size_px=16), root / "cache")


def grades(source):
    return {file.as_posix(): labels[0] for file, labels in zip(source.files, source.labels, strict=True)}


def serious(source):
    return [one.problem for one in source.findings if one.severity is not Severity.NOTE and one.file != "grades"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,level", "{patient}/{eye},{grade}"),
        ("image,level", "D:\\export\\{patient}\\{eye}.jpg,{grade}"),
        ("patient,file,level", "{patient},{eye}.jpg,{grade}"),
    ],
)
def test_photographs_of_one_name_are_told_apart_by_the_folders_of_their_patients(tmp_path, header, row):
    write(tmp_path, *(f"{patient}/{eye}.jpg" for patient in PATIENTS for eye in EYES))
    places = [(patient, eye) for patient in PATIENTS for eye in EYES]
    rows = [row.format(patient=patient, eye=eye, grade=at % 5) for at, (patient, eye) in enumerate(places)]
    (tmp_path / "labels.csv").write_text("\n".join([header, *rows]))
    source = find(tmp_path)
    assert serious(source) == []
    assert grades(source) == {f"{patient}/{eye}.jpg": at % 5 for at, (patient, eye) in enumerate(places)}
    assert any("rows are matched with their folder, as patient_000/left" in one.problem for one in source.findings)
    assert len(set(source.groups)) == len(PATIENTS)
    assert len(set(zip(source.groups, (file.parent for file in source.files), strict=True))) == len(PATIENTS)


def test_names_that_repeat_without_such_folders_stay_in_doubt(tmp_path):
    write(tmp_path, "photos/left.jpg", "photos/right.jpg")
    rows = ["patient,file,level", "1,left.jpg,0", "1,right.jpg,1", "2,left.jpg,2", "2,right.jpg,3"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    error = next(one for one in find(tmp_path).findings if one.severity is Severity.ERROR)
    assert error.problem == "row 4: left is of patient 2 here, of 1 in a row above"
    assert "folders named as their patients" in error.action


def test_folders_of_splits_with_the_same_numbers_are_matched_with_their_folders(tmp_path):
    write(tmp_path, *(f"{split}/{number}.jpg" for split in ("train", "test") for number in range(3)))
    rows = [f"{split}/{number}.jpg,{number + (split == 'test')}" for split in ("train", "test") for number in range(3)]
    (tmp_path / "all.csv").write_text("\n".join(["image,level", *rows]))
    source = find(tmp_path)
    assert (grades(source)["train/1.jpg"], grades(source)["test/1.jpg"]) == (1, 2)
    assert dict(zip(map(str, source.files), source.splits, strict=True))["test/1.jpg"] == "test"


def test_a_list_without_a_header_up_to_grade_two_is_read_with_a_warning(tmp_path):
    write(tmp_path, *(f"images/g{number}.jpg" for number in range(6)))
    (tmp_path / "train.txt").write_text("".join(f"g{number}.jpg {number % 3}\n" for number in range(6)))
    source = find(tmp_path)
    assert grades(source) == {f"images/g{number}.jpg": number % 3 for number in range(6)}
    assert serious(source) == ["has no header, and no grade above 2: it may be of retinopathy or of edema"]


def test_a_list_beside_one_with_higher_grades_is_in_no_doubt(tmp_path):
    write(tmp_path, *(f"images/g{number}.jpg" for number in range(8)))
    (tmp_path / "train.txt").write_text("".join(f"g{number}.jpg {number}\n" for number in range(5)))
    (tmp_path / "test.txt").write_text("g5.jpg 0\ng6.jpg 1\ng7.jpg 2\n")
    assert serious(find(tmp_path)) == []


def test_a_list_of_no_and_yes_without_a_header_is_refused(tmp_path):
    write(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "train.txt").write_text("a.jpg 0\nb.jpg 1\n")
    with pytest.raises(DataError, match=r"has no header: its first row is 'a\.jpg 0'"):
        find(tmp_path)


def test_another_patient_in_the_table_is_not_found_in_the_cache_of_the_former(tmp_path):
    write(tmp_path, *(f"{name}.jpg" for name in "abcd"))
    keys = []
    for patient in ("p2", "p3"):
        rows = ["image,patient,level", "a,p1,0", "b,p1,1", "c,p2,2", f"d,{patient},3"]
        (tmp_path / "labels.csv").write_text("\n".join(rows))
        keys.append(find(tmp_path).key())
    assert keys[0] != keys[1]
