"""LabelMe and VIA: polygons, boxes and circles are objects; points, lines and a label in doubt are told."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.file_forms import read_annotations
from trainable.data.io.findings import BadFileError

SQUARE = [[4, 4], [14, 4], [14, 14], [4, 14]]


@pytest.fixture
def labelme(tmp_path):
    def read(*shapes, **fields):
        content = {"imagePath": "..\\images\\plot.png", "shapes": list(shapes)} | fields
        (tmp_path / "plot.json").write_text(json.dumps(content))
        return read_annotations(tmp_path / "plot.json")

    return read


@pytest.fixture
def via(tmp_path):
    def read(place, attributes=None):
        region = {"shape_attributes": place, "region_attributes": attributes or {}}
        (tmp_path / "via.json").write_text(json.dumps({"k": {"filename": "plot.png", "regions": {"0": region}}}))
        return read_annotations(tmp_path / "via.json")

    return read


def shapes(found):
    (picture,) = found.pictures.values()
    return picture.shapes


def test_labelme_rectangles_may_begin_at_any_corner_and_circles_are_round(labelme):
    rectangle = {"label": "Palm", "points": [[14, 4], [4, 14]], "shape_type": "rectangle"}
    circle = {"label": "palm", "points": [[30, 30], [30, 40]], "shape_type": "circle"}
    first, second = shapes(labelme(rectangle, circle))
    assert (first.label, first.box) == ("palm", (4, 4, 14, 14))
    assert second.box == pytest.approx((20, 20, 40, 40))


def test_labelme_shapes_of_one_group_are_one_object(labelme):
    parts = [
        {"label": "palm", "points": [[x + left, y] for x, y in SQUARE], "shape_type": "polygon", "group_id": 1}
        for left in (0, 20)
    ]
    (shape,) = shapes(labelme(*parts))
    assert (len(shape.polygons), shape.box) == (2, (4, 4, 34, 14))


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"points": [[3, 4]], "shape_type": "point"}, "are neither outline nor box"),
        ({"points": SQUARE[:2], "shape_type": "polygon"}, "have fewer than three points"),
        ({"points": [[3]], "shape_type": "polygon"}, "have a point that is not two numbers"),
        ({"shape_type": "polygon"}, "have no points"),
    ],
)
def test_a_labelme_shape_that_is_no_object_is_left_out(labelme, shape, reason):
    found = labelme({"label": "palm", "points": SQUARE}, {"label": "palm"} | shape)
    (problem,) = found.problems
    assert (problem.place, problem.reason) == ("shape 2", reason)


def test_labelme_states_the_size_of_its_picture(labelme):
    (picture,) = labelme(imageHeight=32, imageWidth=48).pictures.values()
    assert picture.size == (32, 48)


@pytest.mark.parametrize(
    ("place", "box"),
    [
        ({"name": "rect", "x": 4, "y": 4, "width": 10, "height": 10}, (4, 4, 14, 14)),
        ({"name": "polygon", "all_points_x": [4, 14, 4], "all_points_y": [4, 4, 14]}, (4, 4, 14, 14)),
        ({"name": "circle", "cx": 9, "cy": 9, "r": 5}, (4, 4, 14, 14)),
        ({"name": "ellipse", "cx": 9, "cy": 9, "rx": 5, "ry": 2}, (4, 7, 14, 11)),
    ],
)
def test_via_regions_are_objects(via, place, box):
    (shape,) = shapes(via(place, {"species": {"Palm": True, "cacao": False}}))
    assert (shape.label, shape.box) == ("palm", pytest.approx(box))


def test_a_via_point_is_left_out(via):
    assert via({"name": "point", "cx": 9, "cy": 9}).problems[0].detail == "shape 'point'"


def test_two_via_attributes_that_could_be_the_label_are_an_error_that_names_them(via):
    with pytest.raises(BadFileError, match="could be the label: health, species"):
        via({"name": "rect", "x": 4, "y": 4, "width": 10, "height": 10}, {"species": "palm", "health": "dead"})


def test_the_csv_of_via_is_read_as_its_json(tmp_path):
    place = json.dumps({"name": "rect", "x": 4, "y": 4, "width": 10, "height": 10}).replace('"', '""')
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    rows = [f'plot.png,9,{{}},1,0,"{place}","{{""a"":""palm""}}"', "bare.png,9,{},0,0,{},{}"]
    (tmp_path / "via.csv").write_text("\n".join([header, *rows]))
    found = read_annotations(tmp_path / "via.csv")
    assert (found.pictures["plot.png"].shapes[0].label, found.pictures["bare.png"].shapes) == ("palm", [])


def test_entries_of_via_for_one_picture_belong_together(tmp_path):
    def entry(x):
        region = {"shape_attributes": {"name": "circle", "cx": x, "cy": 30, "r": 9}, "region_attributes": {}}
        return {"filename": "plot.png", "regions": [region]}

    (tmp_path / "via.json").write_text(json.dumps({"plot.png1": entry(20), "plot.png2": entry(45)}))
    assert len(shapes(read_annotations(tmp_path / "via.json"))) == 2


def test_the_csv_of_vias_first_version_is_read_and_one_without_names_is_an_error(tmp_path):
    place = json.dumps({"name": "rect", "x": 4, "y": 4, "width": 10, "height": 10}).replace('"', '""')
    header = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    (tmp_path / "via.csv").write_text(f'{header}\nplot.png,9,{{}},1,0,"{place}",{{}}')
    assert len(shapes(read_annotations(tmp_path / "via.csv"))) == 1
    (tmp_path / "via.csv").write_text(f'region_shape_attributes,region_attributes\n"{place}",{{}}')
    with pytest.raises(BadFileError, match="without the column filename"):
        read_annotations(tmp_path / "via.csv")


def test_a_mask_of_labelme_lies_at_its_first_corner(labelme):
    inside = np.array([[1, 1, 0], [0, 1, 1]], np.uint8)
    file = io.BytesIO()
    Image.fromarray(255 * inside).convert("1").save(file, "PNG")
    shape = {
        "label": "Palm",
        "shape_type": "mask",
        "points": [[4, 1], [6, 2]],
        "mask": base64.b64encode(file.getvalue()).decode(),
    }
    found = labelme(shape, shape | {"mask": "AAAA"}, imageHeight=8, imageWidth=9)
    ((shape,),) = (picture.shapes for picture in found.pictures.values())
    expected = np.zeros((8, 9), bool)
    expected[1:3, 4:7] = inside
    assert (shape.run_length.decoded() == expected).all()
    assert [problem.reason for problem in found.problems] == ["have a damaged mask"]
