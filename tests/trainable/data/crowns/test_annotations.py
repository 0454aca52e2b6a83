"""The same crowns in every form give the same typed annotations."""

import json

import pytest

from trainable.data.crowns.annotations import read_annotations
from trainable.data.io.findings import BadFileError

TRIANGLE = ((4.0, 4.0), (12.0, 4.0), (4.0, 14.0))
BOX = (20.0, 2.0, 30.0, 12.0)
VOC = """<annotation><filename>plot_1.tif</filename>
<object><name>Palm</name><bndbox><xmin>20</xmin><ymin>2</ymin><xmax>30</xmax><ymax>12</ymax></bndbox></object>
</annotation>"""
COCO = {
    "images": [{"id": 7, "file_name": "deep/plot_1.tif"}, {"id": 8, "file_name": "plot_2.tif"}],
    "categories": [{"id": 3, "name": "Cacao"}, {"id": 4, "name": "palm"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [[4, 4, 12, 4, 4, 14]], "bbox": [4, 4, 8, 10]},
        {"id": 2, "image_id": 7, "category_id": 4, "bbox": [20, 2, 10, 10]},
    ],
}
BOX_CSV = "image_path,xmin,ymin,xmax,ymax,label\nplot_1.png,20,2,30,12,Palm\nplot_2.png,0,0,0,0,\n"
POLYGON_CSV = 'image_path,label,geometry\nplot_1.png,cacao,"POLYGON ((4 4, 12 4, 4 14))"\n'


@pytest.fixture
def read(tmp_path):
    def read_text(name, text):
        (tmp_path / name).write_text(text)
        return read_annotations(tmp_path / name)

    return read_text


def as_tuples(shapes):
    return [(shape.label, shape.box, shape.polygons) for shape in shapes]


PALM, CACAO = ("palm", BOX, ()), ("cacao", (4.0, 4.0, 12.0, 14.0), (TRIANGLE,))


def test_coco_gives_outlines_where_there_are_some_and_boxes_elsewhere(read):
    found = read("crowns.json", json.dumps(COCO))
    assert as_tuples(found["plot_1"]) == [CACAO, PALM]
    assert found["plot_2"] == []


def test_pascal_voc_gives_boxes_of_the_image_that_it_names(read):
    assert {name: as_tuples(shapes) for name, shapes in read("a.xml", VOC).items()} == {"plot_1": [PALM]}


def test_a_csv_of_boxes_knows_images_without_crowns(read):
    found = read("boxes.csv", BOX_CSV)
    assert as_tuples(found["plot_1"]) == [PALM]
    assert found["plot_2"] == []


def test_a_csv_of_polygons_gives_their_outlines(read):
    assert as_tuples(read("polygons.csv", POLYGON_CSV)["plot_1"]) == [CACAO]


def test_several_parts_are_one_crown_and_holes_are_left_out(read):
    wkt = "MULTIPOLYGON (((4 4, 12 4, 4 14), (5 5, 6 5, 5 6)), ((20 2, 30 2, 30 12)))"
    (crown,) = read("parts.csv", f'image_path,label,geometry\nplot_1.png,palm,"{wkt}"\n')["plot_1"]
    assert crown.polygons == (TRIANGLE, ((20.0, 2.0), (30.0, 2.0), (30.0, 12.0)))
    assert crown.box == (4.0, 2.0, 30.0, 14.0)


def test_a_box_that_was_written_as_a_polygon_is_a_box(read):
    wkt = "POLYGON ((20 2, 30 2, 30 12, 20 12, 20 2))"
    assert as_tuples(read("a.csv", f'image_path,label,geometry\nplot_1.png,palm,"{wkt}"\n')["plot_1"]) == [PALM]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("classes.csv", "Dead,0\nAlive,1\n", "has the columns 0, Dead"),
        ("a.json", "{not json", "JSONDecodeError"),
        ("a.json", '{"images": []}', "KeyError: 'categories'"),
        ("a.xml", "<annotation>", "ParseError"),
        ("a.xml", VOC.replace("<name>Palm</name>", ""), "object has no name"),
        ("a.csv", "image_path,label,geometry\na.png,x,POINT (3 4)\n", "is no POLYGON or MULTIPOLYGON"),
        ("a.csv", "image_path,label,xmin,ymin,xmax,ymax\na.png,x,9,1,3,4\n", r"from \(9, 1\) to \(3, 4\) has no area"),
    ],
)
def test_what_is_no_annotation_says_why(read, name, text, sentence):
    with pytest.raises(BadFileError, match=sentence):
        read(name, text)


def test_run_length_masks_are_refused_with_what_to_do(read):
    crown = COCO["annotations"][0] | {"segmentation": {"counts": [1], "size": [4, 4]}}
    with pytest.raises(BadFileError, match="crown 1 has a run-length mask"):
        read("a.json", json.dumps(COCO | {"annotations": [crown]}))
