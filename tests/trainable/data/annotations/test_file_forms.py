"""Each form is known by its ending and its content; what is none of them says why."""

import json

import pytest

from trainable.data.annotations.file_forms import read_annotations
from trainable.data.annotations.objects.annotation_file import OtherFileError
from trainable.data.io.findings import BadFileError

BOX = (20.0, 2.0, 30.0, 12.0)
CORNERS = [[20, 2], [30, 2], [30, 12], [20, 12]]
COCO = {
    "images": [{"id": 7, "file_name": "plot.png"}],
    "categories": [{"id": 3, "name": "Palm"}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [20, 2, 10, 10]}],
}
VOC = (
    "<annotation><filename>plot.png</filename><object><name>Palm</name>"
    "<bndbox><xmin>20</xmin><ymin>2</ymin><xmax>30</xmax><ymax>12</ymax></bndbox></object></annotation>"
)
LABELME = {"imagePath": "plot.png", "shapes": [{"label": "palm", "points": CORNERS, "shape_type": "polygon"}]}
REGION = {"name": "rect", "x": 20, "y": 2, "width": 10, "height": 10}
VIA = {
    "plot.png99": {
        "filename": "plot.png",
        "regions": [{"shape_attributes": REGION, "region_attributes": {"a": "Palm"}}],
    }
}
CVAT = (
    '<annotations><image id="0" name="plot.png" width="96" height="64">'
    '<box label="Palm" xtl="20" ytl="2" xbr="30" ybr="12"/></image></annotations>'
)
PERCENT = {"x": 20.0, "y": 2.0, "width": 10.0, "height": 10.0, "rotation": 0, "rectanglelabels": ["Palm"]}
REGIONS = [{"type": "rectanglelabels", "original_width": 100, "original_height": 100, "value": PERCENT}]
TASK = {"data": {"image": "plot.png"}, "annotations": [{"result": REGIONS}]}
CREATEML = [
    {
        "image": "plot.png",
        "annotations": [{"label": "palm", "coordinates": {"x": 25, "y": 7, "width": 10, "height": 10}}],
    }
]
RECTANGLE = {"classTitle": "Palm", "geometryType": "rectangle", "points": {"exterior": [[30, 12], [20, 2]]}}
FORMS = {
    "cvat.xml": CVAT,
    "tasks.json": json.dumps([TASK]),
    "_annotations.createml.json": json.dumps(CREATEML),
    "plot.png.json": json.dumps({"size": {"height": 64, "width": 96}, "objects": [RECTANGLE]}),
    "coco.json": json.dumps(COCO),
    "plot.xml": VOC,
    "plot.json": json.dumps(LABELME),
    "via.json": json.dumps(VIA),
    "via_project.json": json.dumps({"_via_img_metadata": VIA}),
    "boxes.csv": "image_path,xmin,ymin,xmax,ymax,label\nplot.png,20,2,30,12,Palm\n",
    "boxes.CSV": "filename;xmin;ymin;xmax;ymax;class\nplot.png;20;2;30;12;palm\n",
    "outlines.csv": 'image_path,label,geometry\nplot.png,palm,"POLYGON ((20 2, 30 2, 30 12, 20 12, 20 2))"\n',
    "retinanet.csv": "plot.png,20,2,30,12,palm\n",
}


@pytest.mark.parametrize(("name", "text"), FORMS.items(), ids=FORMS)
def test_the_same_object_in_every_form_is_the_same_object(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = read_annotations(tmp_path / name)
    ((shape,),) = (picture.shapes for picture in found.pictures.values())
    assert (list(found.pictures), found.problems) == (["plot.png"], [])
    assert (shape.label, shape.box) == ("palm", BOX)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", "{not json", "cannot be read as annotations: it is not JSON"),
        ("a.json", "[" * 100_000, "cannot be read as annotations: it is not JSON"),
        ("a.json", '{"images": [], "annotations": []}', "its section categories is missing"),
        ("a.json", '{"images": 3, "annotations": [], "categories": []}', "its section images is not a list"),
        ("a.xml", "<annotation>", "cannot be read as annotations: it is not XML"),
        ("a.csv", 'image_path,label\n"plot.png,palm\n', "cannot be read as a table"),
        ("a.csv", "image,filename,xmin,ymin,xmax,ymax\n", "2 columns that could be the picture: image, filename"),
        ("a.csv", "image,label,class,xmin,ymin,xmax,ymax\n", "2 columns that could be the label: label, class"),
    ],
)
def test_a_damaged_file_is_an_error_of_that_file(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadFileError, match=sentence):
        read_annotations(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("classes.csv", "Dead,0\nAlive,1\n", "has the columns 0, Dead"),
        ("points.csv", "image_path,x,y\nplot.png,3,4\n", r"holds points \(x, y\)"),
        ("other.csv", "image_path,size\nplot.png,3\n", "a csv needs image_path and either geometry or xmin"),
        ("empty.csv", "", "has the columns none"),
        ("package.json", '{"name": "x"}', "is JSON with name, not COCO, LabelMe, VIA"),
        ("results.json", "[]", "holds a JSON list"),
        ("captions.json", '{"images": [], "annotations": [{"caption": "a tree"}]}', "holds captions of pictures"),
        ("plot.tif.aux.xml", "<PAMDataset></PAMDataset>", "is xml of <PAMDataset>"),
    ],
)
def test_a_whole_file_of_another_kind_is_no_damaged_one(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(OtherFileError, match=sentence):
        read_annotations(tmp_path / name)


def test_xml_in_an_encoding_that_nobody_knows_is_reported(tmp_path):
    (tmp_path / "plot.xml").write_text(f'<?xml version="1.0" encoding="klingon-7"?>{VOC}')
    with pytest.raises(BadFileError, match="unknown encoding"):
        read_annotations(tmp_path / "plot.xml")


def test_map_coordinates_are_reported_as_such_also_under_another_ending(tmp_path):
    (tmp_path / "crowns.json").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(OtherFileError, match="holds map coordinates"):
        read_annotations(tmp_path / "crowns.json")
