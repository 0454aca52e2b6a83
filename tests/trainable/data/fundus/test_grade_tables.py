"""Tables of grades as people have them: what is read as what, and what stops because two readings fit."""

import pytest

from trainable.data.fundus.grade_tables import read_grade_tables
from trainable.data.io.findings import DataError, Severity, errors_among
from trainable.data.io.picture_names import PictureKeys

PHOTOGRAPHS = [f"eye_{number:03d}" for number in range(5)]
GRADES = [0, 1, 2, 3, 4]


@pytest.fixture
def read(tmp_path):
    """Reads one table of this text as of these photographs."""

    def read_text(text, *, file="labels.csv", photographs=PHOTOGRAPHS, encoding="utf-8"):
        (tmp_path / file).write_bytes(text.encode(encoding))
        files = [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
        return read_grade_tables(tmp_path, files, PictureKeys(photographs))

    return read_text


def text_of(header, names=PHOTOGRAPHS, separator=","):
    rows = [separator.join((name, str(grade))) for name, grade in zip(names, GRADES, strict=True)]
    return "\n".join([header, *rows]) + "\n"


def retinopathy(tables):
    (table,) = tables
    return {image: grades[0] for image, grades in table.grades.items()}


EXPECTED = dict(zip(PHOTOGRAPHS, GRADES, strict=True))


@pytest.mark.parametrize(
    "header",
    [
        "image,level",
        "id_code,diagnosis",
        "Image name,Retinopathy grade",
        "image_id,adjudicated_dr_grade",
        "filename,dr",
    ],
)
def test_published_headers_are_known(read, header):
    tables, findings = read(text_of(header))
    assert retinopathy(tables) == EXPECTED
    assert not errors_among(findings)


@pytest.mark.parametrize(
    "written",
    [
        ["Grade 0", "grade_1", "DR2", "Stage 3", "4.0"],
        ["No DR", "Mild", "Moderate", "Severe", "Proliferative DR"],
        ["No_DR", "mild NPDR", "Moderate non-proliferative", "severe npdr", "Proliferate_DR"],
        ["normal", "Mild DR", "moderate diabetic retinopathy", "Severe NPDR", "PDR"],
    ],
)
def test_grades_may_be_words_of_the_international_scale(read, written):
    rows = [f"{name},{grade}" for name, grade in zip(PHOTOGRAPHS, written, strict=True)]
    tables, findings = read("\n".join(["image,dr_grade", *rows]))
    assert retinopathy(tables) == EXPECTED
    assert not errors_among(findings)


@pytest.mark.parametrize(
    "cell", ["mildly", "non proliferative", "DR", "Grade x", "1-2", "0 1", "5", "Grade 7", "-1", "Grade -1"]
)
def test_what_is_no_grade_is_reported_as_it_is_written(read, cell):
    _, findings = read(f"image,level\neye_000,0\neye_001,{cell}\n")
    (error,) = errors_among(findings)
    assert (
        f"row 3 (eye_001): the grade of retinopathy is {cell!r}, but must be a whole number from 0 to 4"
        in error.problem
    )


def test_a_text_of_photographs_and_what_is_no_grade_is_not_passed_over(read):
    with pytest.raises(DataError, match=r"labels.txt.*has no header: its first row is 'eye_000.jpg 5'"):
        read("eye_000.jpg 5\neye_001.jpg 0\n", file="labels.txt")


def test_placeholders_of_a_competition_are_no_grades(read):
    read(text_of("id_code,diagnosis"), file="train.csv")
    tables, findings = read("id_code,diagnosis\neye_004,0\n", file="sample_submission.csv")
    assert retinopathy(tables) == EXPECTED
    assert "sample_submission.csv" in [finding.file for finding in findings if finding.severity is Severity.WARNING]


def test_a_table_with_scores_is_reported_as_likely_predictions(read):
    _, findings = read(
        "image,level,probability\n" + "".join(f"{name},{grade},0.9\n" for name, grade in EXPECTED.items())
    )
    assert "has a column 'probability', as predictions have" in [finding.problem for finding in findings]


def test_a_list_of_photographs_is_no_table_of_grades(read):
    with pytest.raises(DataError, match="tables there: none") as raised:
        read("eye_000.jpg\neye_001.jpg\n", file="train.txt")
    assert not raised.value.findings


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("separator", [";", "\t", " "])
def test_encodings_and_separators_are_read_and_reported(read, encoding, separator):
    tables, findings = read(text_of(f"image{separator}level", separator=separator), encoding=encoding)
    assert retinopathy(tables) == EXPECTED
    word = {";": "semicolons", "\t": "tabs", " ": "spaces"}[separator]
    assert findings[0].problem.startswith("5 rows: photograph from 'image', retinopathy from 'level'")
    assert findings[0].problem.endswith(f"separated by {word})")


@pytest.mark.parametrize("file", ["LABELS.CSV", "labels.tsv", "labels.txt"])
def test_other_endings_are_tables_too(read, file):
    assert retinopathy(read(text_of("image,level"), file=file)[0]) == EXPECTED


@pytest.mark.parametrize(
    "name", ["images\\eye_{:03d}.png", "../a/eye_{:03d}.tif", "EYE_{:03d}", "eye_{}", "eye_{:05d}.JPEG"]
)
def test_names_may_have_folders_endings_other_case_and_other_zeros(read, name):
    assert retinopathy(read(text_of("image,level", [name.format(number) for number in range(5)]))[0]) == EXPECTED


def test_names_that_differ_in_zeros_are_reported_with_their_count(read):
    _, findings = read(text_of("image,level", [f"eye_{number}" for number in range(5)]))
    assert findings[1].problem.startswith("5 of 5 names differ in zeros or case: eye_0 as eye_000")


def test_a_name_that_may_mean_two_photographs_means_none(read):
    tables, _ = read("image,level\n1,2\n001,3\n", photographs=["01", "001"])
    assert retinopathy(tables) == {"1": 2, "001": 3}


def test_short_rows_are_left_out_and_reported_by_their_line(read):
    tables, findings = read(",image,dr,dme\n0,eye_000,1,2\n1,eye_001,0,0\ntotal\n")
    assert list(tables[0].grades) == ["eye_000", "eye_001"]
    (warning,) = [finding for finding in findings if finding.severity is Severity.WARNING]
    assert warning.problem == "1 of 3 rows have too few or too many cells: row 4 (total)"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("image,dr_grade,retinopathy", "2 columns that could be the grade of retinopathy: 'dr_grade', 'retinopathy'"),
        ("image,level,diagnosis", "2 columns that could be the grade of retinopathy: 'level', 'diagnosis'"),
        ("image,dme,edema risk", "2 columns that could be the grade of edema: 'dme', 'edema risk'"),
        ("image,dr,patient,subject_id", "2 columns that could be the patient: 'patient', 'subject_id'"),
    ],
)
def test_columns_in_doubt_are_an_error_that_names_them(read, header, sentence):
    values = ",".join(["eye_000", *"0" * header.count(",")])
    with pytest.raises(DataError) as error:
        read(f"{header}\n{values}\n")
    assert sentence in str(error.value)


def test_of_two_columns_of_images_the_one_that_names_the_photographs_is_read(read):
    tables, findings = read("id,image,dr\n17,eye_000,1\n18,eye_001,2\n")
    assert retinopathy(tables) == {"eye_000": 1, "eye_001": 2}
    assert "photograph from 'image'" in findings[0].problem


def test_two_columns_that_name_different_photographs_are_an_error(read):
    with pytest.raises(DataError, match="could be the picture: 'left image', 'right image'"):
        read("left image,right image,dr\neye_000,eye_001,1\n")


def test_a_column_of_patients_is_read(read):
    tables, _ = read("image,patient_id,dr\neye_000,7,1\neye_001,7,2\neye_002,,2\n")
    assert tables[0].patients == {"eye_000": "7", "eye_001": "7"}


def test_a_table_without_a_header_is_read_where_its_grades_can_only_be_of_retinopathy(read):
    tables, findings = read("eye_000.jpg 0\neye_001.jpg 4\n", file="train.txt")
    assert retinopathy(tables) == {"eye_000": 0, "eye_001": 4}
    assert "photograph from column 1, retinopathy from column 2 (no header" in findings[0].problem


@pytest.mark.parametrize("text", ["eye_000,0\neye_001,1\n", "eye_000,0,1\neye_001,3,1\n"])
def test_a_table_without_a_header_in_doubt_says_what_to_put_above_it(read, text):
    with pytest.raises(DataError, match="has no header: its first row is 'eye_000 0"):
        read(text)


@pytest.mark.parametrize("cell", ["", "nan", "NA", "None"])
def test_what_stands_for_no_grade_is_none(read, cell):
    assert retinopathy(read(f"image,dr\neye_000,1\neye_001,{cell}\n")[0]) == {"eye_000": 1, "eye_001": -1}


def test_a_spreadsheet_is_named_with_what_to_do(read):
    with pytest.raises(DataError, match=r"labels.xlsx \(a spreadsheet: save it as csv\)"):
        read("PK", file="labels.xlsx")


def test_one_image_of_two_patients_is_an_error(read):
    _, findings = read("image,patient,dr\neye_000,7,1\neye_000,8,1\n")
    assert errors_among(findings)[0].problem == "row 3: eye_000 is of patient 8 here, of 7 in a row above"


@pytest.mark.parametrize("header", ["image,No DR,Mild,Moderate,Severe,PDR", "image,no_dr,mild_dr,other,more,last"])
def test_a_column_for_each_grade_is_never_read_as_the_grade(read, header):
    rows = [f"{name},{','.join('1' if at == grade else '0' for at in GRADES)}" for name, grade in EXPECTED.items()]
    with pytest.raises(DataError, match=r"(?i)called as grades of retinopathy: 'no.dr', 'mild"):
        read("\n".join([header, *rows]))


def test_a_column_of_0_and_1_alone_is_reported_as_it_may_say_no_and_yes(read):
    rows = [f"{name},{grade % 2}" for name, grade in EXPECTED.items()]
    _, findings = read("\n".join(["image,referable_dr", *rows]))
    assert "retinopathy is 0 or 1 in every row" in [finding.problem for finding in findings]


def test_names_that_differ_in_folders_alone_say_that_folders_do_not_count(read):
    _, findings = read("image,dr\np1/eye_000.jpg,0\np2/eye_000.jpg,1\n")
    (error,) = errors_among(findings)
    assert error.problem == "row 3: p2/eye_000.jpg has other grades in a row above"
    assert "by names without folders" in error.action
