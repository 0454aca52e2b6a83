"""Names that are no UTF-8, with spaces, `#` and quotes, are read in every workload."""

import os

import numpy as np
import pytest
from PIL import Image

from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.fundus.folder import open_fundus_folder
from trainable.data.fundus.source import FundusFolderOptions
from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions

NO_UTF8 = [os.fsdecode(b"feuille_\xe9 %d" % number) for number in range(4)]
NAMES = [*NO_UTF8, "a #1 'b'", "c [2] (3)", "é", "d%20e", "f&g"]


def write_picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_masked(root):
    for seed, name in enumerate(NAMES):
        write_picture(root / "Imgs" / f"{name}.png", seed)
        mask = np.zeros((48, 64), np.uint8)
        mask[8:16, 8 : 20 + seed] = 255
        (root / "GT").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "GT" / f"{name}.png")


def write_classes(root):
    for seed, name in enumerate(NAMES):
        for kind in ("a b", os.fsdecode(b"\xe9")):
            write_picture(root / kind / f"{name}{kind}.png", [seed, len(kind)])


def write_crowns(root):
    for seed, name in enumerate(NAMES):
        write_picture(root / f"{name}.png", seed)
        box = "<bndbox><xmin>4</xmin><ymin>6</ymin><xmax>30</xmax><ymax>28</ymax></bndbox>"
        text = f"<annotation><object><name>palm</name>{box}</object></annotation>"
        (root / f"{name}.xml").write_text(text)


def write_photographs(root):
    for seed, name in enumerate(NAMES):
        write_picture(root / f"{name}.png", seed)
    rows = [f"{name},{seed % 2}" for seed, name in enumerate(NAMES) if name not in NO_UTF8]
    (root / "grades.csv").write_text("\n".join(["image,dr", *rows]) + "\n")


OPENED = {
    "moe": (write_masked, lambda root, cache: open_image_masks(root, FolderOptions(), cache_dir=cache), 9),
    "dishes": (write_classes, lambda root, cache: open_class_folder(root, ClassFolderOptions(), cache_dir=cache), 18),
    "agroforestry": (
        write_crowns,
        lambda root, cache: open_crown_folder(root, CrownFolderOptions(tile_px=64, overlap_px=0), cache_dir=cache),
        9,
    ),
    "retina": (
        write_photographs,
        lambda root, cache: open_fundus_folder(root, FundusFolderOptions(image_size_px=32), cache_dir=cache),
        5,
    ),
}


@pytest.mark.parametrize("workload", OPENED)
def test_odd_names_are_read_in_every_workload(tmp_path, workload):
    write, opened, number = OPENED[workload]
    root = tmp_path / os.fsdecode(b"donn\xe9es #1")
    root.mkdir()
    write(root)
    splits = opened(root, tmp_path / "cache")
    names = [name for part in (splits.train, splits.validation, splits.test) for name in part.names]
    assert len(names) == number
    assert "".join(names).isprintable()
