"""A folder of masks, one for each object, beside the picture; and masks that are none of these."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.instance_masks import masks_of_samples, read_instance_masks
from trainable.data.annotations.sources import find_sources
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.io import files
from trainable.data.io.folder_layout import files_below


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def plot(path, seed):
    write(path, np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8))


def object_mask(path, top):
    pixels = np.zeros((48, 64), np.uint8)
    pixels[top : top + 9, 5:25] = 255
    write(path, pixels)


@pytest.fixture
def root(tmp_path):
    """Six samples with two objects each."""
    for number in range(6):
        sample = tmp_path / "stage1_train" / f"0{number}ae"
        plot(sample / "images" / f"0{number}ae.png", number)
        for name, top in (("1b44d", 2), ("60cb1", 20)):
            object_mask(sample / "masks" / f"{name}{number}.png", top)
    return tmp_path / "stage1_train"


def test_each_mask_in_the_folder_of_a_sample_is_an_object(root):
    (image, *others) = find_sources(root).images
    assert len(others) == 5
    assert [shape.box for shape in image.shapes] == [(5, 2, 25, 11), (5, 20, 25, 29)]
    opened = open_crown_folder(root, CrownFolderOptions(tile_px=64, overlap_px=32), cache_dir=root.parent / "cache")
    assert "12 on 6 pictures: 12 crown" in [finding.problem for finding in opened.findings]


def test_a_mask_that_cannot_be_used_is_left_out(root):
    (root / "00ae" / "masks" / "60cb10.png").write_bytes(b"no picture")
    sources = find_sources(root)
    assert [len(image.shapes) for image in sources.images] == [1, 2, 2, 2, 2, 2]
    (reported,) = [one.problem for one in sources.findings if "00ae/masks" in one.file]
    assert reported.startswith("1 of 2 objects have a mask that cannot be used: 00ae.png 60cb10.png")


def test_masks_are_not_in_memory_all_at_once(root, monkeypatch):
    monkeypatch.setattr(files, "_NUM_THREADS", 1)
    for number in range(200):
        object_mask(root / "00ae" / "masks" / f"more{number}.png", 2 + number % 30)
    samples = masks_of_samples(files_below(root))
    tracemalloc.start()
    read_instance_masks(root, samples)
    most_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most_bytes < 212 * 48 * 64 / 2


def test_one_mask_of_all_objects_is_no_picture_and_no_object(tmp_path):
    for number in range(4):
        plot(tmp_path / "JPEGImages" / f"{number}.png", number)
        object_mask(tmp_path / "SegmentationClass" / f"{number}.png", 5)
    rows = [f"{number}.png,9,9,30,30,tree" for number in range(4)]
    (tmp_path / "boxes.csv").write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *rows]))
    sources = find_sources(tmp_path)
    assert [image.file.parent.name for image in sources.images] == ["JPEGImages"] * 4
    assert "4 pictures have the name of another, in a folder of masks" in [
        finding.problem for finding in sources.findings
    ]
