"""Files that cannot be read are named with advice, in every workload: archives, arrays, pictures of other kinds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.config import from_params
from trainable.data.io.findings import DataError
from trainable.data.io.unread import what_to_unpack
from trainable.tasks.registry import get_task

WORKLOADS = ["moe", "dishes", "leaf", "agroforestry", "retina"]


def refused(space, root):
    task = get_task(space)
    with pytest.raises(DataError) as error:
        task.open_data(from_params({}, task.default_config(source=str(root))), cache_dir=root.parent / "cache")
    return str(error.value)


@pytest.mark.parametrize("space", WORKLOADS)
def test_a_folder_of_archives_says_to_unpack_them(tmp_path, space):
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "images.tar.gz").write_bytes(b"x")
    assert "train/images.tar.gz is an archive: unpack it there, and remove it." in refused(space, tmp_path / "data")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("images.zip", "is an archive"),
        ("archive.7z.001", "is an archive"),
        ("all.h5", "may hold pictures, which are not read from inside of it: write each into a file."),
        ("train/a.npz", "may hold pictures"),
        ("data/train-00000.parquet", "may hold pictures"),
        ("train.tfrecord", "may hold pictures"),
    ],
)
def test_files_that_hold_pictures_are_named(file, said):
    assert f" {file} {said}" in what_to_unpack([Path("a.txt"), Path(file)])


def test_a_folder_of_other_files_needs_no_such_sentence():
    assert what_to_unpack([Path("a.txt"), Path("b.csv"), Path("c.png")]) == ""


@pytest.mark.parametrize("space", ["moe", "agroforestry", "retina"])
def test_pictures_of_a_telephone_are_reported_with_their_number(tmp_path, space):
    root = tmp_path / "data"
    for place in ("images", "masks"):
        (root / place).mkdir(parents=True)
    for name in "abc":
        (root / "images" / f"{name}.HEIC").write_bytes(b"x")
        Image.fromarray(np.zeros((20, 20), np.uint8)).save(root / "masks" / f"{name}.png")
    (root / "labels.csv").write_text("image_path,xmin,ymin,xmax,ymax,dr\na.HEIC,1,1,9,9,0\n")
    assert "images  holds pictures that are not read: 3 .heic" in refused(space, root)


@pytest.mark.parametrize("masks", ["npy", "mat"])
def test_masks_that_are_no_pictures_are_reported(tmp_path, masks):
    root = tmp_path / "data"
    for place in ("images", "GT"):
        (root / place).mkdir(parents=True)
    for name in "abc":
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(root / "images" / f"{name}.png")
        (root / "GT" / f"{name}.{masks}").write_bytes(b"x")
    assert f"GT  holds pictures that are not read: 3 .{masks}" in refused("moe", root)


@pytest.mark.parametrize("mode", ["F", "I;16"])
@pytest.mark.parametrize("space", ["moe", "agroforestry", "leaf"])
def test_a_picture_of_more_than_8_bits_is_reported_by_its_name(tmp_path, space, mode):
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rows = ["image_path,xmin,ymin,xmax,ymax,label"]
    for number in range(6):
        grey = np.random.default_rng(number).integers(0, 255, (48, 48)).astype(np.float32 if mode == "F" else np.uint16)
        Image.fromarray(grey).save(root / "images" / f"{number}.tif")
        mask = np.zeros((48, 48), np.uint8)
        mask[9:20, 9:20] = 255
        if space == "moe":
            Image.fromarray(mask).save(root / "masks" / f"{number}.png")
        rows.append(f"{number}.tif,9,9,30,30,{'ab'[number % 2]}")
    (root / "labels.csv").write_text("\n".join(rows))
    said = refused(space, root)
    assert f"images/0.tif  has more than 8 bits per pixel (mode {mode})" in said


@pytest.mark.parametrize(("space", "place"), [("moe", "evaluation/Imgs"), ("agroforestry", "evaluation/RGB")])
def test_a_folder_of_one_split_alone_says_that_nothing_is_left_to_train_on(tmp_path, space, place):
    root = tmp_path / "data"
    for folder in (place, "evaluation/GT"):
        (root / folder).mkdir(parents=True)
    for number in range(4):
        grey = np.random.default_rng(number).integers(0, 255, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(grey).save(root / place / f"{number}.png")
        mask = np.zeros((48, 48), np.uint8)
        mask[9:20, 9:20] = 255
        if space == "moe":
            Image.fromarray(mask).save(root / "evaluation" / "GT" / f"{number}.png")
    rows = [f"{number}.png,9,9,30,30,tree" for number in range(4)]
    (root / "boxes.csv").write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *rows]))
    assert "no picture is of train: folders or lists say another split of each" in refused(space, root)
