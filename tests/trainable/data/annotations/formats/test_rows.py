"""Crowns as rows of a table: a bad row costs itself, whatever the separator and the encoding."""

import pytest

from trainable.data.annotations.formats.rows import read_rows
from trainable.data.annotations.objects.annotation_file import OtherFileError

HEADER = "image_path,label,xmin,ymin,xmax,ymax,geometry"
GOOD = "plot.png,palm,4,4,12,14,"
TRIANGLE = ((4.0, 4.0), (12.0, 4.0), (4.0, 14.0))


@pytest.fixture
def read(tmp_path):
    def read_text(*rows, header=HEADER, encoding="utf-8"):
        (tmp_path / "crowns.csv").write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
        return read_rows(tmp_path / "crowns.csv")

    return read_text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("plot.png,palm,9,1,3,4,", "have a box without area"),
        ("plot.png,palm,9,1,,4,", "have a coordinate that is not a number"),
        ("plot.png,palm,1,1,1e999,4,", "have a coordinate that is not finite"),
        ("plot.png,palm,,,,,POLYGON EMPTY", "have a geometry that is not a POLYGON or MULTIPOLYGON"),
        (
            "plot.png,palm,,,,,POINT (3 4)",
            "are points, which say where an object is and not how large: write a box around each",
        ),
        ('plot.png,palm,,,,,"POLYGON ((3 4, 5 6))"', "have fewer than three points"),
        ('plot.png,palm,,,,,"POLYGON ((3 4, 5 x, 7 8))"', "have a coordinate that is not a number"),
        (",palm,1,1,3,4,", "name no picture"),
        ("plot.png,palm", "have too few or too many cells"),
        ("plot.png,palm,1,1,3,4,,5", "have too few or too many cells"),
        (GOOD, "are given twice"),
    ],
)
def test_a_bad_row_is_left_out_and_named(read, row, reason):
    found = read(GOOD, "", row)
    (problem,) = found.problems
    assert (problem.place, problem.reason) == ("row 4", reason)
    assert (found.num_objects, len(found.pictures["plot.png"].shapes)) == (2, 1)


def test_several_parts_are_one_object_and_holes_are_left_out(read):
    wkt = "MULTIPOLYGON ( ((4 4, 12 4, 4 14), (5 5, 6 5, 5 6)), ((20 2, 30 2, 30 12)))"
    (shape,) = read(f'plot.png,palm,"{wkt}"', header="image_path,label,geometry").pictures["plot.png"].shapes
    assert shape.polygons == (TRIANGLE, ((20.0, 2.0), (30.0, 2.0), (30.0, 12.0)))
    assert shape.box == (4.0, 2.0, 30.0, 14.0)


def test_an_outline_longer_than_pythons_limit_of_a_cell_is_read(read):
    points = ", ".join(f"{4 + (number % 2)}.{number:06d} {number}" for number in range(20_000))
    (shape,) = (
        read(f'plot.png,palm,"POLYGON (({points}))"', header="image_path,label,geometry").pictures["plot.png"].shapes
    )
    assert len(shape.polygons[0]) == 20_000


def test_a_row_without_a_place_says_that_its_picture_has_no_object(read):
    found = read("bare.png,,0,0,0,0,", "empty.png,,,,,,")
    assert {name: picture.shapes for name, picture in found.pictures.items()} == {"bare.png": [], "empty.png": []}
    assert found.problems == []


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-16"), (";", "latin-1")])
def test_other_separators_and_encodings_are_read_and_reported(read, separator, encoding):
    row = "plot.png,pâlm,4,4,12,14,".replace(",", separator)
    found = read(row, header=HEADER.replace(",", separator), encoding=encoding)
    assert found.pictures["plot.png"].shapes[0].label == "pâlm"
    assert len(found.notes) == 1


def test_the_size_that_a_row_states_is_that_of_its_picture(read):
    found = read("plot.png,48,32,palm,4,4,12,14", header="filename,width,height,class,xmin,ymin,xmax,ymax")
    assert found.pictures["plot.png"].size == (32, 48)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("image_path,x,y,label", "holds points"),
        ("image_path,x,y,width,height", "may be a corner of the box or its centre"),
    ],
)
def test_columns_of_points_or_of_boxes_in_doubt_are_reported_with_those_to_write(read, header, sentence):
    with pytest.raises(OtherFileError, match=f"{sentence}.*image_path, xmin, ymin, xmax, ymax"):
        read("plot.png,4,5,6,7", header=header)
