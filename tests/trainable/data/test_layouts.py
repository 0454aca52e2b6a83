"""Builds and opens every layout that docs/data.md and docs/data_annotations.md draw.

A search prints of a folder what `open_data` logs: at most fifteen lines.
"""

import json
import logging
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainable.data import layouts_of_tools as tools
from trainable.config import from_params
from trainable.tasks.registry import get_task

SIZE = (64, 64)


def picture(path: Path) -> None:
    """Noise that only this path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.as_posix().encode()))
    Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path, quality=95)


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIZE, np.uint8)
    pixels[16:40, 20 : 30 + zlib.crc32(path.name.encode()) % 16] = 255
    Image.fromarray(pixels).save(path)


def pairs(root: Path, images: str, masks: str, names: str) -> None:
    """Such as `train/images/{}.jpg` and `train/masks/{}.png`."""
    for name in names:
        picture(root / images.format(name))
        mask(root / masks.format(name))


def pictures(root: Path, pattern: str, names: str) -> list[str]:
    for name in names:
        picture(root / pattern.format(name))
    return list(names)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def side_by_side(root):
    pairs(root, "Imgs/{}.jpg", "GT/{}.png", "abcdefghij")


def parts_below(root):
    pairs(root, "images/train/{}.jpg", "masks/train/{}.png", "abcdef")
    pairs(root, "images/val/{}.jpg", "masks/val/{}.png", "gh")


def camo(root):
    pairs(root, "Images/Train/{}.jpg", "GT/{}.png", "abcdef")
    pairs(root, "Images/Test/{}.jpg", "GT/{}.png", "gh")


def duts(root):
    pairs(root, "DUTS-TR/DUTS-TR-Image/{}.jpg", "DUTS-TR/DUTS-TR-Mask/{}.png", "abcdef")
    pairs(root, "DUTS-TE/DUTS-TE-Image/{}.jpg", "DUTS-TE/DUTS-TE-Mask/{}.png", "gh")


def parts_above(root):
    pairs(root, "train/images/{}.jpg", "train/masks/{}.png", "abcdef")
    pairs(root, "valid/images/{}.jpg", "valid/masks/{}.png", "gh")


def carvana(root):
    pairs(root, "train/{}.jpg", "train_masks/{}_mask.gif", "abcdefghij")


def isic_segmentation(root):
    images = "ISIC2018_Task1-2_Training_Input/ISIC_{}.jpg"
    pairs(root, images, "ISIC2018_Task1_Training_GroundTruth/ISIC_{}_segmentation.png", "abcdefghij")


def voc_segmentation(root):
    pairs(root, "JPEGImages/{}.jpg", "SegmentationClass/{}.png", "abcdefgh")
    pictures(root, "JPEGImages/{}.jpg", "xy")
    for part, names in (("train", "abcd"), ("val", "ef"), ("test", "gh")):
        text(root / "ImageSets" / "Segmentation" / f"{part}.txt", *names)


def several_test_sets(root):
    pairs(root, "TrainDataset/Imgs/{}.jpg", "TrainDataset/GT/{}.png", "abcdef")
    pairs(root, "TestDataset/CAMO/Imgs/{}.jpg", "TestDataset/CAMO/GT/{}.png", "gh")


def cod10k(root):
    pairs(root, "Train/Image/{}.jpg", "Train/GT_Object/{}.png", "abcdef")
    pairs(root, "Test/Image/{}.jpg", "Test/GT_Object/{}.png", "gh")
    for name in "abcdef":
        mask(root / "Train" / "GT_Instance" / f"{name}.png")


def one_folder_by_mark(root):
    pairs(root, "set/{}.jpg", "set/{}_mask.png", "abcdefghij")


def one_folder_with_parts(root):
    pairs(root, "train/{}_sat.jpg", "train/{}_mask.png", "abcdefghij")


def one_folder_by_ending(root):
    pairs(root, "MT_Crack/Imgs/{}.jpg", "MT_Crack/Imgs/{}.png", "abcdefghij")


def a_folder_for_each_sample(root):
    for number in range(10):
        picture(root / f"sample{number}" / "image.png")
        mask(root / f"sample{number}" / "mask.png")


def class_folders(root):
    pictures(root, "clean/{}.jpg", "abcdef")
    pictures(root, "dirty/{}.jpg", "klmnop")


def class_folders_in_parts(root):
    for part, names in (("train", "abcd"), ("valid", "ef"), ("test", "gh")):
        pictures(root, f"{part}/healthy/{{}}.jpg", names)
        pictures(root, f"{part}/rust/{{}}.jpg", names)


def deeper_class_folders(root):
    for kind in ("healthy", "rust"):
        pictures(root, f"{kind}/orig/{{}}.jpg", "abcdef")
        pictures(root, f"{kind}/rotated/{{}}.jpg", "abcdef")


def aptos_classes(root):
    names = pictures(root, "train_images/{}.png", "abcdefghijklmnop")
    text(root / "train.csv", "id_code,diagnosis", *(f"{name},{row % 2}" for row, name in enumerate(names)))


def isic_classes(root):
    names = pictures(root, "ISIC_2019_Training_Input/{}.jpg", "abcdefghijkl")
    rows = (f"{name},{row % 2}.0,{1 - row % 2}.0" for row, name in enumerate(names))
    text(root / "ISIC_2019_Training_GroundTruth.csv", "image,MEL,NV", *rows)


def ham_classes(root):
    names = pictures(root, "HAM10000_images_part_1/{}.jpg", "abcdef")
    names += pictures(root, "HAM10000_images_part_2/{}.jpg", "ghijkl")
    rows = (f"lesion{row // 2},{name},{('nv', 'mel')[row // 2 % 2]}" for row, name in enumerate(names))
    text(root / "HAM10000_metadata.csv", "lesion_id,image_id,dx", *rows)


def coco(root, folder="", names="abcdefgh"):
    pictures(root, f"{folder}{{}}.jpg", names)
    images = [{"id": row, "file_name": f"{name}.jpg", "width": 64, "height": 64} for row, name in enumerate(names)]
    boxes = [{"id": row, "image_id": row, "category_id": 1, "bbox": [4, 6, 30, 30]} for row in range(len(names))]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "palm"}]}
    text(root / folder / "_annotations.coco.json", json.dumps(content))


def coco_in_parts(root):
    for part, names in (("train", "abcd"), ("valid", "ef"), ("test", "gh")):
        coco(root, f"{part}/", names)


def coco_above(root):
    coco(root)
    (root / "_annotations.coco.json").rename(root / "crowns.json")
    (root / "images").mkdir()
    for path in root.glob("*.jpg"):
        path.rename(root / "images" / path.name)


def yolo(root):
    text(root / "data.yaml", "names: [palm]")
    for part, names in (("train", "abcdef"), ("val", "gh")):
        for name in pictures(root, f"images/{part}/{{}}.jpg", names):
            text(root / "labels" / part / f"{name}.txt", "0 0.5 0.5 0.4 0.4")


def yolo_outlines(root):
    text(root / "classes.txt", "palm")
    for name in pictures(root, "{}.jpg", "abcdefgh"):
        text(root / f"{name}.txt", "0 0.1 0.1 0.6 0.1 0.6 0.6 0.1 0.6")


def coco_masks(root):
    coco(root)
    path = root / "_annotations.coco.json"
    content = json.loads(path.read_text())
    for crown in content["annotations"]:
        crown["segmentation"] = {"size": [64, 64], "counts": [640, 30 * 64, 64 * 64 - 640 - 30 * 64]}
    path.write_text(json.dumps(content))


def voc_boxes(root):
    for name in pictures(root, "{}.jpg", "abcdefgh"):
        box = "<bndbox><xmin>4</xmin><ymin>6</ymin><xmax>34</xmax><ymax>36</ymax></bndbox>"
        content = f"<annotation><filename>{name}.jpg</filename><object><name>palm</name>{box}</object></annotation>"
        text(root / f"{name}.xml", content)


def labelme(root):
    for name in pictures(root, "{}.jpg", "abcdefgh"):
        shape = {"label": "palm", "shape_type": "polygon", "points": [[4, 4], [30, 4], [30, 30], [4, 30]]}
        content = {"imagePath": f"{name}.jpg", "imageHeight": 64, "imageWidth": 64, "shapes": [shape]}
        text(root / f"{name}.json", json.dumps(content))


def via(root):
    regions = [{"shape_attributes": {"name": "circle", "cx": 30, "cy": 30, "r": 12}, "region_attributes": {}}]
    names = pictures(root, "{}.jpg", "abcdefgh")
    text(root / "via.json", json.dumps({name: {"filename": f"{name}.jpg", "regions": regions} for name in names}))


def via_project(root):
    via(root)
    text(root / "via.json", json.dumps({"_via_img_metadata": json.loads((root / "via.json").read_text())}))


def via_csv(root):
    names = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    place = json.dumps({"name": "rect", "x": 4, "y": 6, "width": 30, "height": 30}).replace('"', '""')
    label = json.dumps({"species": "palm"}).replace('"', '""')
    rows = (f'{name}.jpg,9,{{}},1,0,"{place}","{label}"' for name in pictures(root, "{}.jpg", "abcdefgh"))
    text(root / "via.csv", names, *rows)


def csv_boxes_with_sizes(root):
    rows = (f"{name}.jpg,64,64,palm,4,6,34,36" for name in pictures(root, "{}.jpg", "abcdefgh"))
    text(root / "boxes.csv", "filename,width,height,class,xmin,ymin,xmax,ymax", *rows)


def csv_boxes(root):
    rows = (f"{name}.jpg,4,6,34,36,palm" for name in pictures(root, "{}.jpg", "abcdefgh"))
    text(root / "boxes.csv", "image_path,xmin,ymin,xmax,ymax,label", *rows)


def csv_outlines(root):
    outline = '"POLYGON ((4 4, 30 4, 30 30, 4 30, 4 4))"'
    rows = (f"{name}.jpg,{outline},palm" for name in pictures(root, "{}.jpg", "abcdefgh"))
    text(root / "crowns.csv", "image_path,geometry,label", *rows)


def csv_without_a_header(root):
    text(root / "boxes.csv", *(f"{name}.jpg,4,6,34,36,palm" for name in pictures(root, "{}.jpg", "abcdefgh")))


def label_images(root):
    csv_boxes(root)
    for name in "abcdefgh":
        classes = np.zeros(SIZE, np.uint8)
        classes[:20], classes[20:30] = 1, 2
        (root / "semantic").mkdir(exist_ok=True)
        Image.fromarray(classes).save(root / "semantic" / f"{name}.png")


def aptos(root):
    names = pictures(root, "images/{}.png", "abcdefghijkl")
    text(root / "train.csv", "id_code,diagnosis", *(f"{name},{row % 3}" for row, name in enumerate(names)))


def grades_without_a_header(root):
    text(
        root / "all.txt",
        *(f"{name}.png {row % 5}" for row, name in enumerate(pictures(root, "{}.png", "abcdefghijkl"))),
    )


def idrid(root):
    for part, names, table in (("a. Training Set", "abcdefghij", "Training"), ("b. Testing Set", "kl", "Testing")):
        pictures(root, f"1. Original Images/{part}/{{}}.jpg", names)
        rows = (f"{name},{row % 3},{row % 2}" for row, name in enumerate(names))
        header = "Image name,Retinopathy grade,Risk of macular edema "
        text(root / "2. Groundtruths" / f"{part[0]}. IDRiD_Disease Grading_{table} Labels.csv", header, *rows)


def odir(root):
    names = pictures(root, "images/{}_left.jpg", "abcdefghijkl")
    rows = (f"{name}_left,{row // 2},{row // 2 % 2}" for row, name in enumerate(names))
    text(root / "labels.csv", "image,patient,retinopathy grade", *rows)


LAYOUTS = {
    "moe": [
        (side_by_side, ["10 images with the masks of GT"]),
        (parts_below, ["8 images with the masks of masks", "train is train (6), val is validation (2)"]),
        (camo, ["Test is test (2)", "Train is train (6)"]),
        (duts, ["6 images with the masks of DUTS-TR/DUTS-TR-Mask (train)", "(test)"]),
        (parts_above, ["(train)", "(validation)"]),
        (carvana, ["10 images with the masks of train_masks"]),
        (isic_segmentation, ["10 images with the masks of ISIC2018_Task1_Training_GroundTruth"]),
        (voc_segmentation, ["names 4 pictures of train", "2 images have no mask in SegmentationClass"]),
        (several_test_sets, ["TestDataset is test (2)"]),
        (cod10k, ["Train/GT_Instance  pictures: 6", "Left out"]),
        (one_folder_by_mark, ["10 images with the masks in this folder"]),
        (one_folder_with_parts, ["10 images with the masks in this folder (train)"]),
        (one_folder_by_ending, ["10 images with the masks in this folder"]),
        (tools.instances, ["0a/images  1 image with the 2 masks, united, of 0a/masks"]),
        (tools.cityscapes, ["8 images with the masks of gtFine", "train is train (6), val is validation (2)"]),
        (tools.drive, ["6 images with the masks of test/1st_manual (test)"]),
        (tools.voc_of_both, ["8 images with the masks of SegmentationClass", "SegmentationObject  pictures: 8"]),
        (a_folder_for_each_sample, ["sample0  1 image with the masks in this folder"]),
        (coco_masks, ["8 outlines on 8 images: palm"]),
        (yolo_outlines, ["8 outlines on 8 images: palm"]),
        (labelme, ["8 outlines on 8 images: palm"]),
        (via, ["8 outlines on 8 images: no label"]),
    ],
    "leaf": [
        (class_folders, ["train       clean 4, dirty 4"]),
        (class_folders_in_parts, ["train       healthy 4, rust 4", "test        healthy 2, rust 2"]),
        (deeper_class_folders, ["healthy 8, rust 8"]),
        (aptos_classes, ["'id_code'", "'diagnosis'"]),
        (isic_classes, ["MEL", "NV"]),
        (ham_classes, ["'lesion_id'", "'dx'"]),
        (tools.classes_in_lists, ["test.txt   2 rows: image from column 1, class from column 2"]),
        (tools.numbered_folders, ["000, 001, 002 and 1 more are not the classes that a table says"]),
    ],
    "agroforestry": [
        (coco, ["8 on 8 pictures: 8 palm"]),
        (coco_in_parts, ["test is test (2), train is train (4), valid is validation (2)"]),
        (coco_above, ["8 on 8 pictures: 8 palm"]),
        (coco_masks, ["8 on 8 pictures: 8 palm"]),
        (yolo, ["8 on 8 pictures: 8 palm"]),
        (yolo_outlines, ["8 on 8 pictures: 8 palm"]),
        (voc_boxes, ["8 on 8 pictures: 8 palm"]),
        (labelme, ["8 on 8 pictures: 8 palm"]),
        (via, ["8 on 8 pictures: 8 crown"]),
        (via_project, ["8 on 8 pictures: 8 crown"]),
        (via_csv, ["8 on 8 pictures: 8 palm"]),
        (csv_boxes, ["8 on 8 pictures: 8 palm"]),
        (csv_boxes_with_sizes, ["8 on 8 pictures: 8 palm"]),
        (csv_outlines, ["8 on 8 pictures: 8 palm"]),
        (csv_without_a_header, ["is read with no header", "8 on 8 pictures: 8 palm"]),
        (label_images, ["the label images hold 0"]),
        (tools.cvat, ["8 on 8 pictures: 8 palm"]),
        (tools.cvat_video, ["8 on 8 pictures: 8 palm"]),
        (tools.label_studio, ["8 on 8 pictures: 8 palm"]),
        (tools.supervisely, ["8 on 8 pictures: 8 palm"]),
        (tools.createml, ["8 on 8 pictures: 8 palm"]),
        (tools.kitti, ["8 on 8 pictures: 8 palm"]),
        (tools.dota, ["8 on 8 pictures: 8 palm"]),
        (tools.parquet, ["8 on 8 pictures: 8 palm"]),
        (tools.instances, ["16 on 8 pictures: 16 crown"]),
    ],
    "retina": [
        (aptos, ["train.csv", "12 rows: photograph from 'id_code', retinopathy from 'diagnosis'"]),
        (grades_without_a_header, ["12 rows: photograph from column 1, retinopathy from column 2 (no header"]),
        (idrid, ["a. Training Set is train (10)", "edema from 'Risk of macular edema'"]),
        (odir, ["patient from 'patient'", "Only retinopathy is trained and measured"]),
    ],
}
CASES = [(space, build, said) for space, layouts in LAYOUTS.items() for build, said in layouts]


def opened(space, root):
    task = get_task(space)
    return task.open_data(from_params({}, task.default_config(source=str(root))), cache_dir=root.parent / "cache")


@pytest.mark.parametrize(
    ("space", "build", "said"), CASES, ids=[f"{space}-{build.__name__}" for space, build, _ in CASES]
)
def test_what_was_found_is_reported_in_at_most_fifteen_lines(tmp_path, caplog, space, build, said):
    root = tmp_path / "data"
    build(root)
    with caplog.at_level(logging.INFO, "trainable"):
        splits = opened(space, root)
    reported = "\n".join(record.getMessage() for record in caplog.records)
    assert min(len(splits.train), len(splits.validation), len(splits.test)) > 0
    assert 0 < len(reported.splitlines()) <= 15, reported
    assert [words for words in said if words not in reported] == [], reported


@pytest.mark.parametrize(
    ("space", "build"),
    [
        ("moe", side_by_side),
        ("moe_pretrain", parts_above),
        ("dishes", class_folders),
        ("leaf", aptos_classes),
        ("leaf_pretrain", class_folders_in_parts),
        ("agroforestry", coco_above),
        ("retina", aptos),
        ("retina", idrid),
    ],
)
def test_links_to_folders_are_followed_and_circles_end_in_every_workload(tmp_path, space, build):
    root, store = tmp_path / "data", tmp_path / "store"
    build(root)
    before = opened(space, root)
    store.mkdir()
    for number, folder in enumerate(sorted(path for path in root.iterdir() if path.is_dir())):
        folder.rename(store / str(number))
        folder.symlink_to(store / str(number))
        (folder / "up").symlink_to(root)
    (root / "again").symlink_to(root)
    assert opened(space, root).fingerprint == before.fingerprint


def masks_name_parts(root):
    for part, names in (("train", "abcdef"), ("test", "gh")):
        pairs(root, "images/{}.jpg", f"masks/{part}/{{}}.png", names)


def json_names_parts(root):
    for part, names in (("train", "abcde"), ("val", "f"), ("test", "gh")):
        coco(root, f"{part}/", names)
        (root / "annotations").mkdir(exist_ok=True)
        (root / part / "_annotations.coco.json").rename(root / "annotations" / f"instances_{part}.json")
        for name in names:
            (root / part / f"{name}.jpg").rename(root / f"{name}.jpg")
        (root / part).rmdir()


def labels_name_parts(root):
    for part, names in (("train", "abcdef"), ("test", "gh")):
        for name in pictures(root, "images/{}.jpg", names):
            text(root / "labels" / part / f"{name}.txt", "0 0.5 0.5 0.4 0.4")


def tables_name_parts(root):
    for part, names in (("train", "abcdefij"), ("test", "gh")):
        rows = (f"{name},{row % 3}" for row, name in enumerate(pictures(root, "images/{}.png", names)))
        text(root / f"{part}.csv", "image,level", *rows)


@pytest.mark.parametrize(
    ("space", "build"),
    [
        ("moe", masks_name_parts),
        ("agroforestry", json_names_parts),
        ("agroforestry", labels_name_parts),
        ("retina", tables_name_parts),
    ],
)
def test_splits_that_only_masks_annotations_or_tables_name_are_kept_too(tmp_path, caplog, space, build):
    build(tmp_path / "data")
    with caplog.at_level(logging.INFO, "trainable"):
        splits = opened(space, tmp_path / "data")
    assert {Path(name).stem[0] for name in splits.test.names} == {"g", "h"}
    assert "is test (2)" in caplog.text
