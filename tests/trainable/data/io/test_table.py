"""Tables as people save them give the same rows, and what is none says why."""

from datetime import date
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from trainable.data.io.findings import BadFileError
from trainable.data.io.table import read_table, without_submissions

ROWS = [("image", "level"), ("é_1", "2"), ("b 2", "0")]


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_separators_encodings_and_line_ends_do_not_matter(tmp_path, encoding, separator, ending):
    text = ending.join(separator.join(row) for row in ROWS)
    table = read_table(written(tmp_path / "a.csv", text, encoding))
    assert [row.cells for row in table.rows] == ROWS


def test_a_table_of_windows_keeps_the_letters_that_latin_1_lacks(tmp_path):
    table = read_table(written(tmp_path / "a.csv", "image,label\na.png,Preis €\n", "cp1252"))
    assert table.body[0].cells == ("a.png", "Preis €")
    assert table.form.startswith("Windows-1252")


def test_runs_of_spaces_divide_what_nothing_else_does(tmp_path):
    table = read_table(written(tmp_path / "a.csv", "images/a.png  1.0   mono\nimages/b.png  0.0   poly\n"))
    assert [row.cells for row in table.rows] == [("images/a.png", "1.0", "mono"), ("images/b.png", "0.0", "poly")]
    assert table.form == "UTF-8, separated by spaces"


def test_a_separator_inside_quotes_or_numbers_divides_nothing(tmp_path):
    table = read_table(written(tmp_path / "a.csv", 'image;note;value\na;"x, y; z";1,5\nb;"p, q";2,5\n'))
    assert [row.cells for row in table.body] == [("a", "x, y; z", "1,5"), ("b", "p, q", "2,5")]


def test_rows_that_are_too_short_or_too_long_are_reported_by_their_line(tmp_path):
    table = read_table(written(tmp_path / "a.csv", "image,level,,\na,1,,\n\nb,2\ntotal\nc,1,,,7\n"))
    assert [row.number for row in table.body] == [2, 4]
    assert [row.number for row in table.uneven] == [5, 6]


def test_lines_of_json_are_a_table_of_all_their_names(tmp_path):
    lines = '{"file_name": " a.jpg", "label": 2}\n\n{"file_name": "b.jpg", "tags": ["x", 1.5]}\n'
    table = read_table(written(tmp_path / "metadata.jsonl", lines))
    assert [row.cells for row in table.rows] == [
        ("file_name", "label", "tags"),
        ("a.jpg", "2", ""),
        ("b.jpg", "", '["x", 1.5]'),
    ]
    assert [row.number for row in table.body] == [1, 3]
    assert table.form == "UTF-8, JSON lines"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("sample_submission.csv", True),
        ("Submission.csv", True),
        ("test-submission-3.csv", True),
        ("sampleSubmission.csv", True),
        ("train.csv", False),
        ("submissionsofpatients.csv", False),
    ],
)
def test_a_form_of_a_competition_is_known_by_its_name(name, is_one):
    kept, findings = without_submissions([Path("data", name)])
    assert (not kept, len(findings) == 1) == (is_one, is_one)


@pytest.mark.parametrize(
    ("line", "sentence"), [('{"a": 1', "line 2 is not JSON"), ("[1, 2]", "line 2 holds no JSON object")]
)
def test_a_line_that_is_no_json_object_is_reported_by_its_number(tmp_path, line, sentence):
    with pytest.raises(BadFileError, match=sentence):
        read_table(written(tmp_path / "metadata.jsonl", f'{{"a": 0}}\n{line}\n'))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'image,level\n"a,1\nb,2\n', "cannot be read as a table"),
        (b"PK\x03\x04 sheet", "is a spreadsheet or an archive"),
        (b"\xff\xfea\x00b", "is not UTF-16 text"),
        (b"a\x00b\x00\x00\x00", "is not text: it holds zero bytes"),
    ],
)
def test_what_is_no_table_says_why(tmp_path, content, sentence):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadFileError, match=sentence):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_separator_that_excel_writes_into_the_first_line_is_no_row(tmp_path, first, ending):
    table = read_table(written(tmp_path / "a.csv", ending.join([first, "image;note", "a;1,5", "b;2,5"])))
    assert [(row.number, row.cells) for row in table.rows] == [
        (2, ("image", "note")),
        (3, ("a", "1,5")),
        (4, ("b", "2,5")),
    ]


def test_parquet_gives_the_same_cells_as_csv(tmp_path):
    columns = {"image": ["a", " b"], "level": [2, None], "name": ["é", None], "day": [date(2026, 1, 2), None]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    csv = written(tmp_path / "a.csv", "image,level,name,day\na,2,é,2026-01-02\nb,,,\n")
    assert [row.cells for row in read_table(tmp_path / "a.parquet").rows] == [row.cells for row in read_table(csv).rows]


def test_pictures_inside_of_a_parquet_are_no_column(tmp_path):
    image = {"bytes": b"\x89PNG", "path": "a.png"}
    pyarrow.parquet.write_table(pyarrow.table({"image": [image], "raw": [b"1"], "label": [3]}), tmp_path / "a.parquet")
    assert [row.cells for row in read_table(tmp_path / "a.parquet").rows] == [("label",), ("3",)]


def test_a_damaged_parquet_is_a_sentence(tmp_path):
    with pytest.raises(BadFileError, match="cannot be read as parquet"):
        read_table(written(tmp_path / "a.parquet", "PAR1 and no more"))
