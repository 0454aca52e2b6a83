"""Files of CVAT, Label Studio, CreateML, Supervisely and KITTI are read in pixels; bad objects are left out."""

import base64
import io
import itertools
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.formats.createml import read_createml
from trainable.data.annotations.formats.cvat import read_cvat
from trainable.data.annotations.formats.dota import is_dota, read_dota
from trainable.data.annotations.formats.kitti import is_kitti, read_kitti
from trainable.data.annotations.formats.label_studio import decode_brush, read_label_studio
from trainable.data.annotations.formats.supervisely import read_supervisely
from trainable.data.annotations.objects.annotation_file import OtherFileError
from trainable.data.annotations.objects.written_values import ObjectError

KITTI_LINE = "0.00 0 -1.58 10.0 12.0 50.0 42.0 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"


def cvat(*shapes):
    head = '<annotations><image id="0" name="a.png" width="8" height="4">'
    return read_cvat(ElementTree.fromstring(f"{head}{''.join(shapes)}</image></annotations>"))


def task(value, *, kind="rectanglelabels", image="a.png", number=1):
    region = {"type": kind, "original_width": 200, "original_height": 100, "value": value}
    return {"data": {"image": image}, "annotations": [{"result": [region]}] * number}


def supervisely(entry):
    content = {"size": {"height": 4, "width": 8}, "objects": [{"classTitle": "Palm"} | entry]}
    return read_supervisely(content, "a.png")


def only_shape(found, name="a.png"):
    assert not found.problems, found.problems
    (shape,) = found.pictures[name].shapes
    return shape


def reasons(found):
    return [problem.reason for problem in found.problems]


def test_polygons_of_cvat_are_outlines_and_the_size_is_stated():
    found = cvat('<polygon label="Palm" points="1.0,1.5;6,1;6,3"/>')
    assert only_shape(found).polygons == (((1.0, 1.5), (6.0, 1.0), (6.0, 3.0)),)
    assert found.pictures["a.png"].size == (4, 8)


def test_a_box_of_cvat_turns_about_its_centre():
    (outline,) = only_shape(cvat('<box label="a" xtl="2" ytl="0" xbr="6" ybr="2" rotation="90"/>')).polygons
    assert np.allclose(sorted(outline), [(3, -1), (3, 3), (5, -1), (5, 3)])


def test_a_mask_of_cvat_is_runs_in_its_box():
    shape = only_shape(cvat('<mask label="a" rle="1,2,1,2" left="2" top="1" width="3" height="2"/>'))
    expected = np.zeros((4, 8), bool)
    expected[1:3, 2:5] = [[False, True, True], [False, True, True]]
    assert (shape.run_length.decoded() == expected).all()
    assert shape.box == (3, 1, 5, 3)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<mask label="a" rle="1,2" left="2" top="1" width="3" height="2"/>', "have a damaged mask"),
        ('<points label="a" points="1,1"/>', "are points, which say"),
        ('<polyline label="a" points="1,1;2,2;3,1"/>', "are neither outline nor box"),
        ('<box label="a" xtl="2" ytl="0" xbr="6"/>', "have a coordinate that is not a number"),
        ('<polygon label="a" points="1,1;2"/>', "have a point that is not two numbers"),
    ],
)
def test_a_bad_shape_of_cvat_is_left_out(shape, reason):
    found = cvat(shape, '<box label="a" xtl="2" ytl="0" xbr="6" ybr="2"/>')
    assert len(found.pictures["a.png"].shapes) == 1
    assert [one.startswith(reason) for one in reasons(found)] == [True]


def test_a_frame_of_a_video_of_cvat_is_the_picture_of_its_number():
    meta = "<meta><task><original_size><width>8</width><height>4</height></original_size></task></meta>"
    boxes = "".join(
        f'<box frame="{frame}" outside="{outside}" xtl="1" ytl="0" xbr="{frame}" ybr="2"/>'
        for frame, outside in ((6, 0), (7, 0), (8, 1))
    )
    track = f'<track id="0" label="Palm">{boxes}</track>'
    found = read_cvat(ElementTree.fromstring(f"<annotations>{meta}{track}</annotations>"))
    assert {name: [(one.label, one.box) for one in own.shapes] for name, own in found.pictures.items()} == {
        "frame_000006": [("palm", (1, 0, 6, 2))],
        "frame_000007": [("palm", (1, 0, 7, 2))],
    }
    assert {own.size for own in found.pictures.values()} == {(4, 8)}


def test_regions_of_label_studio_are_percents_of_the_stated_size():
    found = read_label_studio([task({"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["Palm"]})])
    assert only_shape(found).box == (20, 20, 80, 60)
    assert (only_shape(found).label, found.pictures["a.png"].size) == ("palm", (100, 200))


def test_a_rectangle_of_label_studio_turns_about_its_upper_left_corner():
    found = read_label_studio([task({"x": 50, "y": 10, "width": 10, "height": 40, "rotation": 90})])
    assert np.allclose(only_shape(found).box, (60, 10, 100, 30))


def test_polygons_ellipses_and_files_on_the_server_of_label_studio(tmp_path):
    polygon = {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["Oak"]}
    found = read_label_studio([task(polygon, kind="polygonlabels", image="/data/local-files/?d=plots/a%20b.png")])
    assert only_shape(found, "plots/a b.png").polygons == (((0, 0), (100, 0), (100, 50)),)
    ellipse = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["Oak"]}
    assert np.allclose(only_shape(read_label_studio([task(ellipse, kind="ellipselabels")])).box, (80, 30, 120, 70))


def test_what_label_studio_holds_of_tasks_that_nobody_annotated_or_gave_up_says_nothing():
    good = task({"x": 10, "y": 20, "width": 30, "height": 40})
    given_up = {"data": {"image": "b.png"}, "annotations": [{"result": [], "was_cancelled": True}]}
    empty = {"data": {"image": "d.png"}, "annotations": [{"result": []}]}
    found = read_label_studio([good, given_up, {"data": {"image": "c.png"}, "annotations": []}, empty])
    assert {name: len(one.shapes) for name, one in found.pictures.items()} == {"a.png": 1, "d.png": 0}
    with pytest.raises(OtherFileError, match="without annotations"):
        read_label_studio([given_up])


def test_of_several_annotations_of_a_task_the_first_is_read_and_it_is_noted():
    found = read_label_studio([task({"x": 10, "y": 20, "width": 30, "height": 40}, number=2)])
    assert only_shape(found)
    assert found.notes == ["1 picture has several annotations, such as a.png; the first of each is read"]


def brush(pixels):
    """The runs that cover these pixels: a run of one level for each stretch of them, and one level written out."""
    levels = np.repeat(255 * pixels.astype(np.uint8).ravel(), 4)
    bits = f"{len(levels):032b}" + f"{7:05b}" + "".join(f"{length - 1:04b}" for length in (3, 4, 8, 16))
    edges = [0, *(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(levels)]
    for start, end in itertools.pairwise(edges):
        if end - start > 8:
            bits += f"0{0:02b}{0:03b}{levels[start]:08b}"
            start += 1
        bits += f"1{3:02b}{end - start - 1:016b}{levels[start]:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def test_what_is_painted_in_label_studio_comes_back_as_pixels():
    pixels = np.zeros((100, 200), bool)
    pixels[20:40, 30:90] = True
    found = read_label_studio([task({"rle": brush(pixels), "brushlabels": ["Palm"]}, kind="brushlabels")])
    assert (only_shape(found).run_length.decoded() == pixels).all()
    assert only_shape(found).label == "palm"


@pytest.mark.parametrize("rle", [[1], brush(np.zeros((9, 9), bool)), "AAAA", brush(np.zeros((100, 200), bool))[:-2]])
def test_a_damaged_brush_is_left_out(rle):
    assert reasons(read_label_studio([task({"rle": rle}, kind="brushlabels")])) == ["have a damaged brush"]


def test_corners_of_dota_are_an_outline_below_its_head(tmp_path):
    lines = ["imagesource:GoogleEarth", "gsd:0.14", "4 4 30 6 28 30 2 28 Palm 0", "1 1 1 1 1 1 1 1 Palm"]
    (tmp_path / "7.txt").write_text("\n".join(lines))
    assert is_dota(tmp_path / "7.txt")
    found = read_dota(tmp_path / "7.txt")
    (shape,) = found.pictures["7"].shapes
    assert (shape.label, shape.polygons) == ("palm", (((4, 4), (30, 6), (28, 30), (2, 28)),))
    assert [problem.place for problem in found.problems] == ["line 4"]


@pytest.mark.parametrize("line", ["0 0.1 0.1 0.6 0.1 0.6 0.6 0.1 0.6", "gsd:0.14", f"Car {KITTI_LINE}", ""])
def test_other_texts_are_not_of_dota(tmp_path, line):
    (tmp_path / "7.txt").write_text(f"{line}\n")
    assert not is_dota(tmp_path / "7.txt")


def test_x_and_y_of_createml_are_the_centre():
    at = {"x": 40, "y": 30, "width": 20, "height": 10}
    content = [{"image": "a.png", "annotations": [{"label": "Palm", "coordinates": at}, {"label": "Palm"}]}]
    found = read_createml([*content, {"image": "b.png", "annotations": []}])
    assert [shape.box for shape in found.pictures["a.png"].shapes] == [(30, 25, 50, 35)]
    assert found.pictures["b.png"].shapes == []
    assert reasons(found) == ["have no coordinates"]
    assert reasons(read_createml([{"image": "a.png", "annotations": 3}])) == ["have no coordinates"]


def test_holes_in_an_outline_of_supervisely_are_cut_out():
    points = {"exterior": [[1, 0], [7, 0], [7, 4], [1, 4]], "interior": [[[3, 1], [5, 1], [5, 3], [3, 3]]]}
    shape = only_shape(supervisely({"geometryType": "polygon", "points": points}))
    expected = np.zeros((4, 8), bool)
    expected[:, 1:7] = True
    expected[1:3, 3:5] = False
    assert (shape.run_length.decoded() == expected).all()


@pytest.mark.parametrize("interior", [[[[3, 1]]], [5], "x"])
def test_an_outline_of_supervisely_with_a_damaged_hole_is_reported(interior):
    points = {"exterior": [[1, 0], [7, 0], [7, 4], [1, 4]], "interior": interior}
    assert reasons(supervisely({"geometryType": "polygon", "points": points})) == ["have a damaged hole"]


def test_a_bitmap_of_supervisely_lies_at_its_origin():
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[:, 1:, 3] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    bitmap = {"origin": [4, 1], "data": base64.b64encode(zlib.compress(file.getvalue())).decode()}
    shape = only_shape(supervisely({"geometryType": "bitmap", "bitmap": bitmap}))
    assert shape.box == (5, 1, 7, 3)
    assert shape.run_length.decoded().sum() == 4


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"geometryType": "bitmap", "bitmap": {"origin": [0, 0], "data": "AAAA"}}, "have a damaged bitmap"),
        ({"geometryType": "bitmap"}, "have a damaged bitmap"),
        ({"geometryType": "polygon", "points": {"exterior": [[0, 0], [3, 3]]}}, "have fewer than three points"),
        ({"geometryType": "line", "points": {"exterior": [[0, 0], [3, 3]]}}, "are neither outline nor box"),
        ({"geometryType": "polygon"}, "have no points"),
    ],
)
def test_a_bad_object_of_supervisely_is_left_out(entry, reason):
    assert reasons(supervisely(entry)) == [reason]


def test_lines_of_kitti_are_boxes_in_pixels_and_what_was_not_annotated_is_reported(tmp_path):
    (tmp_path / "7.txt").write_text(f"Car {KITTI_LINE}\nDontCare {KITTI_LINE}\n")
    assert is_kitti(tmp_path / "7.txt")
    found = read_kitti(tmp_path / "7.txt")
    assert [(shape.label, shape.box) for shape in found.pictures["7"].shapes] == [("car", (10, 12, 50, 42))]
    assert reasons(found) == ["mark what was not annotated (DontCare)"]
    assert found.predicted == []


def test_a_score_behind_the_numbers_of_kitti_is_a_prediction(tmp_path):
    (tmp_path / "7.txt").write_text(f"Car {KITTI_LINE} 0.9\n")
    assert read_kitti(tmp_path / "7.txt").predicted == ["holds a score of its objects, as predictions do"]


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.1 0.1", "", "Car 1 2 3", "some words"])
def test_other_texts_are_not_of_kitti(tmp_path, line):
    (tmp_path / "7.txt").write_text(f"{line}\n")
    assert not is_kitti(tmp_path / "7.txt")


def test_a_brush_of_a_stated_size_beyond_any_picture_is_left_out_and_takes_no_memory():
    with pytest.raises(ObjectError, match="larger than any picture"):
        decode_brush([0] * 20, (10**6, 10**6))
