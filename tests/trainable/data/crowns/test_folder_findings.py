"""Findings about a folder with bad annotations: no crown is lost or moved without a word."""

import json

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.sources import find_sources
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.io.findings import DataError, Severity, errors_among

OUTLINE = [[10, 12, 50, 12, 50, 42, 10, 42]]


def write_pictures(root, number=6, size=(64, 96), *, first=0, **options):
    root.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + number):
        pixels = np.random.default_rng(index).integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"plot{index}.png", **options)


def coco(number=6, **crown):
    sizes = {"width": 96, "height": 64}
    images = [{"id": index, "file_name": f"plot{index}.png", **sizes} for index in range(number)]
    sound = {"category_id": 1, "segmentation": OUTLINE} | crown
    return {
        "images": images,
        "categories": [{"id": 1, "name": "palm"}],
        "annotations": [{"id": index, "image_id": index, **sound} for index in range(number)],
    }


def write_voc(root, name, *, label="palm", filename=None, size=""):
    box = "<bndbox><xmin>10</xmin><ymin>12</ymin><xmax>50</xmax><ymax>42</ymax></bndbox>"
    crown = f"<object><name>{label}</name>{box}</object>"
    head = f"<filename>{filename or f'{name}.png'}</filename>{size}"
    (root / f"{name}.xml").write_text(f"<annotation>{head}{crown}</annotation>")


@pytest.fixture
def root(tmp_path):
    """Six pictures of 96x64."""
    write_pictures(tmp_path / "plots")
    return tmp_path / "plots"


@pytest.fixture
def opened(tmp_path):
    def open_folder(root, content=None, **options):
        if content is not None:
            (root / "crowns.json").write_text(json.dumps(content))
        options = CrownFolderOptions(**{"tile_px": 64, "overlap_px": 32} | options)
        return open_crown_folder(root, options, cache_dir=tmp_path / "cache")

    return open_folder


def said(folder):
    return {finding.file: finding.problem for finding in folder.findings}


def test_one_bad_crown_is_reported_with_file_picture_number_and_reason_and_the_others_train(root, opened):
    content = coco()
    content["annotations"][3] |= {"segmentation": None, "bbox": [5, 5, 0, 9]}
    folder = opened(root, content)
    (warning,) = [finding for finding in folder.findings if finding.severity is Severity.WARNING]
    assert warning.file == "crowns.json"
    assert warning.problem == "1 of 6 objects have a box without area: plot3.png object 3 (from (5, 5) to (5, 14))"
    splits = folder
    assert splits.train.num_crowns + splits.validation.num_crowns + splits.test.num_crowns == 5 * 2


def test_a_file_that_cannot_be_read_stops_the_search_beside_others_that_can(root, opened):
    (root / "more.json").write_text("{")
    with pytest.raises(DataError, match=r"more.json  cannot be read as annotations: it is not JSON"):
        opened(root, coco())


@pytest.mark.parametrize("stated", [(192, 128), (96, 66), (64, 96)])
def test_a_stated_size_that_moves_the_crowns_is_an_error_with_both_sizes(root, opened, stated):
    content = coco(segmentation=[[10, 12, 95, 12, 95, 42, 10, 42]])
    if stated == (64, 96):
        content = coco(segmentation=[[10, 12, 50, 12, 50, 90, 10, 90]])
    for image in content["images"]:
        image["width"], image["height"] = stated
    with pytest.raises(DataError) as error:
        opened(root, content)
    sizes = f"6 pictures are stated with another size: plot0.png is 96x64, stated {stated[0]}x{stated[1]}"
    assert sizes in str(error.value)


def test_swapped_sides_alone_are_a_warning(root, opened):
    content = coco()
    content["images"][0] |= {"width": 64, "height": 96}
    folder = opened(root, content)
    assert not errors_among(folder.findings)
    assert "1 picture is stated with another size: plot0.png is 96x64, stated 64x96" in said(folder)["crowns.json"]


def test_the_size_before_an_exif_turn_is_an_error_since_two_readings_fit(tmp_path, opened):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_pictures(tmp_path / "turned", size=(96, 64), exif=exif)
    content = coco()
    assert not errors_among(opened(tmp_path / "turned", content).findings)
    for image in content["images"]:
        image["width"], image["height"] = 64, 96
    with pytest.raises(DataError, match="Two readings fit"):
        opened(tmp_path / "turned", content)


def test_the_size_that_an_xml_states_is_checked_too(root, opened):
    for index in range(6):
        size = "<size><width>480</width><height>320</height></size>" if index == 2 else ""
        write_voc(root, f"plot{index}", size=size)
    with pytest.raises(DataError, match=r"plot2\.png is 96x64, stated 480x320"):
        opened(root)


@pytest.mark.parametrize(
    ("crown", "sentence"),
    [
        ({"segmentation": None, "bbox": [0.1, 0.2, 0.4, 0.3]}, "They look like fractions of the sides: give pixels."),
        ({"segmentation": None, "bbox": [500000, 4000000, 20, 30]}, r"is 96x64 pixels\."),
        ({"segmentation": None, "bbox": [5, 5, 3, 3]}, "are smaller than 16 px"),
        ({"iscrowd": 1}, "Not one of 6 annotated pictures of .* has a crown that can be used"),
    ],
)
def test_where_no_crown_is_left_an_example_stands_beside_the_size_of_its_picture(root, opened, crown, sentence):
    with pytest.raises(DataError, match=sentence):
        opened(root, coco(**crown))


def test_crowns_that_no_tile_shows_are_counted_by_reason(root, opened):
    content = coco()
    content["annotations"] += [
        {"id": 10, "image_id": 0, "category_id": 1, "bbox": [2000, 5, 30, 30]},
        {"id": 11, "image_id": 1, "category_id": 1, "bbox": [5, 5, 3, 3]},
        {"id": 12, "image_id": 2, "category_id": 1, "bbox": [0, 0, 96, 64]},
    ]
    problems = [finding.problem for finding in opened(root, content, tile_px=32, overlap_px=0).findings]
    assert any("1 of 9 objects lie outside of their picture: plot0.png object 10" in problem for problem in problems)
    assert any("1 of 9 objects are smaller than 16 px: plot1.png object 11" in problem for problem in problems)
    assert any("1 of 9 objects are too large: no tile of 32 px" in problem for problem in problems)


def test_crowns_that_reach_beyond_their_picture_are_counted(root, opened):
    folder = opened(root, coco(segmentation=None, bbox=[50, 12, 80, 30]))
    assert "6 of 6 objects reach beyond their picture: plot0.png object 0" in said(folder)["crowns.json"]


def test_an_unnamed_crown_among_named_ones_is_reported_and_left_out_unless_all_are_of_one_kind(root, opened):
    for index in range(6):
        write_voc(root, f"plot{index}", label="" if index == 3 else "palm")
    folder = opened(root)
    assert said(folder)["*.xml"].startswith("1 of 6 objects have no name: plot3.png object 1")
    assert folder.train.kinds == ("palm",)
    whole = opened(root, one_kind=True)
    assert whole.train.num_crowns + whole.validation.num_crowns + whole.test.num_crowns == 12


def test_crowns_of_which_none_has_a_name_are_of_one_kind(root, opened):
    for index in range(6):
        write_voc(root, f"plot{index}", label="")
    assert opened(root).train.kinds == ("crown",)


def test_an_xml_that_names_a_missing_picture_is_read_for_the_one_with_its_own_name(root, opened):
    for index in range(6):
        write_voc(root, f"plot{index}", filename=f"IMG_{index}.jpg")
    problem = said(opened(root))["annotations"]
    assert problem == "6 files name a picture that is not here: plot0.xml, plot1.xml, plot2.xml and 3 more"


def test_an_xml_that_names_another_picture_than_the_one_beside_it_is_an_error(root, opened):
    for index in range(6):
        write_voc(root, f"plot{index}", filename="plot0.png" if index == 1 else None)
    with pytest.raises(
        DataError, match=r"plot1.xml  names plot0.png, but has the name of plot1.png; both are here"
    ) as raised:
        opened(root)
    assert "of another split" not in str(raised.value)


def test_lists_of_splits_are_not_blamed_where_nothing_is_annotated(root, opened):
    for file in root.glob("*.xml"):
        file.unlink()
    for number, split in enumerate(("train", "val", "test")):
        (root / f"{split}.txt").write_text(f"plot{number}\n")
    with pytest.raises(DataError, match="has no image with objects or semantic classes") as raised:
        opened(root)
    assert "names no picture here" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    ["images\\plot{}.png", "https://host/a/plot{}.png?width=3", "../plot{}.tif", "PLOT{}.PNG", "plot{}"],
)
def test_a_picture_is_found_by_what_other_programs_call_it(root, opened, name):
    content = coco()
    for index, image in enumerate(content["images"]):
        image["file_name"] = name.format(index)
    assert said(opened(root, content))["crowns"] == "6 on 6 pictures: 6 palm"


def test_yolo_labels_in_a_parallel_folder_are_read_by_the_names_of_their_classes(tmp_path, opened):
    for part in ("train", "val", "test"):
        write_pictures(tmp_path / "yolo/images" / part, number=3)
        (tmp_path / "yolo/labels" / part).mkdir(parents=True)
        for index in range(3):
            (tmp_path / f"yolo/labels/{part}/plot{index}.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    for number, path in enumerate(sorted((tmp_path / "yolo/images").rglob("*.png"))):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
    (tmp_path / "yolo/data.yaml").write_text("names: [cacao, palm]\n")
    (tmp_path / "yolo/README.txt").write_text("about")
    folder = opened(tmp_path / "yolo")
    assert said(folder)["crowns"] == "9 on 9 pictures: 9 palm"
    assert folder.train.crowns_of(0)[0].box == (24, 16, 64, 48)


def test_run_length_masks_come_back_as_pixels(root, opened):
    content = coco(segmentation={"size": [64, 96], "counts": [64 * 10 + 12, 30, 64 * 86 - 42]})
    crown = opened(root, content, tile_px=96).train.crowns_of(0)[0]
    assert (crown.box, crown.mask.shape) == ((10, 12, 11, 42), (30, 1))


def test_one_file_may_write_the_name_of_a_picture_in_two_ways(root, opened):
    content = coco()
    content["images"].append({"id": 9, "file_name": "images/plot0.jpg"})
    content["annotations"].append({"id": 9, "image_id": 9, "category_id": 1, "bbox": [60, 20, 20, 20]})
    assert said(opened(root, content))["crowns"] == "7 on 6 pictures: 7 palm"


def test_other_names_of_yolo_s_classes_are_other_data(root, opened):
    for index in range(6):
        (root / f"plot{index}.txt").write_text("0 0.5 0.5 0.5 0.5")
    kinds = []
    for name in ("palm", "cacao"):
        (root / "obj.names").write_text(name)
        kinds.append(opened(root).train.kinds)
    assert kinds == [("palm",), ("cacao",)]


PREDICTED = {
    "boxes.csv": "image_path,xmin,ymin,xmax,ymax,label,score\n"
    + "".join(f"plot{index}.png,{x},20,{x + 20},40,palm,0.4\n" for index in range(6) for x in (10, 40)),
    "predictions.json": json.dumps(coco(score=0.4, segmentation=[[60, 30, 90, 30, 90, 60, 60, 60]])),
}


@pytest.mark.parametrize("name", PREDICTED)
def test_predictions_beside_annotations_are_reported_and_not_read_as_the_truth(root, opened, name):
    (root / name).write_text(PREDICTED[name])
    folder = opened(root, coco())
    assert "as predictions" in said(folder)[name]
    assert said(folder)["annotations"].startswith(f"crowns.json is used, {name} not, for 6 pictures")
    (root / "crowns.json").unlink()
    assert "as predictions" in said(opened(root))[name]


def test_points_are_reported_with_what_to_write_instead(root, opened):
    (root / "csv").mkdir()
    for index in range(6):
        (root / "csv" / f"plot{index}.csv").write_text("x,y\n10,12\n40,30\n")
    with pytest.raises(DataError, match=r"6 files, such as plot0.csv: holds points \(x, y\).* Write a box around each"):
        opened(root)


def write_noise(root, places):
    for seed, place in enumerate(places):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{place}.png")


@pytest.mark.parametrize("file", ["train/boxes.csv", "boxes_train.csv", "boxes/train.csv"])
def test_annotations_of_one_split_by_their_folder_or_name_say_nothing_of_a_picture_in_another(tmp_path, file):
    write_noise(tmp_path, ("train/a", "train/b", "test/c"))
    rows = (f"{name}.png,4,4,30,30,palm" for name in "abc")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *rows]))
    sources = find_sources(tmp_path)
    assert [image.file.as_posix() for image in sources.images] == ["train/a.png", "train/b.png"]
    assert "annotates 1 picture of another split: c.png" in [finding.problem for finding in sources.findings]


@pytest.mark.parametrize(
    "file",
    [
        "labels/train/c.csv",
        "labels/train/c.txt",
        "train/semantic/c.png",
        "train/annot/c.png",
        "train/instance_masks/c.png",
    ],
)
def test_what_has_the_name_of_a_picture_in_another_split_alone_says_nothing_of_it(tmp_path, file):
    write_noise(tmp_path, ("images/train/a", "images/train/b", "images/test/c"))
    (tmp_path / "all.csv").write_text("image_path,xmin,ymin,xmax,ymax,label\na.png,4,4,30,30,palm\n")
    (tmp_path / file).parent.mkdir(parents=True)
    if file.endswith("png"):
        crowns = np.zeros((64, 64), np.uint8)
        crowns[4:20, 4:20], crowns[30:50, 30:50], crowns[30:50, 5:25] = 1, 2, 3
        Image.fromarray(crowns).save(tmp_path / file)
    else:
        header = "image_path,xmin,ymin,xmax,ymax,label\ngone.png,4,4,30,30,palm\n"
        (tmp_path / file).write_text(header if file.endswith("csv") else "0 0.5 0.5 0.4 0.4\n")
    assert [image.file.as_posix() for image in find_sources(tmp_path).images] == ["images/train/a.png"]


def test_a_file_called_trainval_annotates_pictures_of_train_and_of_validation(tmp_path):
    write_noise(tmp_path, ("train/a", "val/b", "test/c"))
    rows = (f"{name}.png,4,4,30,30,palm" for name in "abc")
    (tmp_path / "trainval.csv").write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *rows]))
    assert [image.file.as_posix() for image in find_sources(tmp_path).images] == ["train/a.png", "val/b.png"]


def test_of_two_pictures_of_one_name_the_one_in_the_split_that_the_file_names_is_meant(tmp_path):
    write_noise(tmp_path, ("train/a", "val/a"))
    (tmp_path / "instances_val.csv").write_text("image_path,xmin,ymin,xmax,ymax,label\na.png,4,4,30,30,palm\n")
    assert [image.file.as_posix() for image in find_sources(tmp_path).images] == ["val/a.png"]


@pytest.mark.parametrize("name", ["test_7.csv", "Test_7.csv"])
def test_a_picture_whose_own_name_sounds_like_another_split_keeps_its_annotations(tmp_path, name):
    write_noise(tmp_path, ("train/test_7", "train/b", "test/c"))
    (tmp_path / name).write_text("image_path,xmin,ymin,xmax,ymax,label\ntest_7.png,4,4,30,30,palm\n")
    assert [(image.file.as_posix(), image.split) for image in find_sources(tmp_path).images] == [
        ("train/test_7.png", "train")
    ]


def test_a_list_of_boxes_of_all_pictures_is_named_with_what_to_export(root):
    (root / "_annotations.txt").write_text("plot0.png 10,12,50,42,0\n")
    with pytest.raises(
        DataError, match=r"_annotations\.txt  lists boxes of all pictures, which is not read; export it as"
    ):
        find_sources(root)


def test_a_kind_that_a_split_has_no_tile_of_is_reported(tmp_path, opened):
    for index, (split, label) in enumerate({"train": "palm", "val": "palm", "test": "cacao"}.items()):
        write_pictures(tmp_path / split, number=1, first=index)
        write_voc(tmp_path / split, f"plot{index}", label=label)
    reported = {finding.file: finding for finding in opened(tmp_path).findings if "has no tile with" in finding.problem}
    assert {split: finding.problem for split, finding in reported.items()} == {
        "train": "has no tile with cacao crowns",
        "validation": "has no tile with cacao crowns",
        "test": "has no tile with palm crowns",
    }
    assert "cannot learn" in reported["train"].action
    assert "The metrics of that split leave them out" in reported["test"].action


def test_a_class_that_a_split_has_no_pixel_of_is_reported(tmp_path, opened):
    for index, (split, label) in enumerate({"train": 1, "val": 0, "test": 0}.items()):
        write_pictures(tmp_path / split, number=1, first=index)
        (tmp_path / split / "semantic").mkdir()
        write_voc(tmp_path / split, f"plot{index}")
        labels = np.zeros((64, 96), np.uint8)
        labels[:, :48] = label
        labels[:4] = 255
        Image.fromarray(labels).save(tmp_path / split / "semantic" / f"plot{index}.png")
    reported = {finding.file: finding.problem for finding in opened(tmp_path).findings}
    assert reported["validation"] == reported["test"] == "has no tile with class 1"
    assert "train" not in reported
