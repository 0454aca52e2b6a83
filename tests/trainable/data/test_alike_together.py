"""Pictures that look the same under unrelated names stay in one split wherever the division is ours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.classes.folder import ClassFolderOptions, open_class_folder
from trainable.data.crowns.folder import CrownFolderOptions, open_crown_folder
from trainable.data.fundus.folder import open_fundus_folder
from trainable.data.fundus.source import FundusFolderOptions
from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.io.findings import DataError, Severity

NUM_SCENES, NUM_TWINS = 24, 8


def scene(seed: int) -> Image.Image:
    """A bright picture with detail of all sizes: 96 x 96 pixels."""
    coarse = np.random.default_rng(seed).integers(96, 256, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)


def write_pictures(folder: Path) -> list[str]:
    """Scenes as a00.jpg and on, and the first eight of them once more, saved again at a quality of 60."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(NUM_SCENES):
        scene(number).save(folder / f"a{number:02d}.jpg", quality=95)
    for number in range(NUM_TWINS):
        scene(number).save(folder / f"z{number:02d}.jpg", quality=60)
    return sorted(path.stem for path in folder.glob("*.jpg"))


def image_masks(root, cache, **options):
    names = write_pictures(root / "Imgs")
    (root / "GT").mkdir()
    for number, name in enumerate(names):
        mask = np.zeros((96, 96), np.uint8)
        mask[10 : 20 + number, 10:40] = 255
        Image.fromarray(mask).save(root / "GT" / f"{name}.png")
    return open_image_masks(root, FolderOptions(**options), cache_dir=cache)


def classes(root, cache, **options):
    for number, name in enumerate(write_pictures(root / "all")):
        (root / "ab"[number % 2]).mkdir(exist_ok=True)
        (root / "all" / f"{name}.jpg").rename(root / "ab"[number % 2] / f"{name}.jpg")
    (root / "all").rmdir()
    return open_class_folder(root, ClassFolderOptions(**options), cache_dir=cache)


def fundus(root, cache, **options):
    names = write_pictures(root / "images")
    rows = [f"{name},{number % 2}" for number, name in enumerate(names)]
    (root / "train.csv").write_text("\n".join(["id_code,diagnosis", *rows]))
    return open_fundus_folder(root, FundusFolderOptions(image_size_px=64, **options), cache_dir=cache)


def crowns(root, cache, **options):
    rows = [f"{name}.jpg,10,10,40,40,palm" for name in write_pictures(root)]
    (root / "boxes.csv").write_text("\n".join(["image_path,xmin,ymin,xmax,ymax,label", *rows]))
    return open_crown_folder(root, CrownFolderOptions(tile_px=96, overlap_px=0, **options), cache_dir=cache)


def parts_by_scene(opened) -> dict[str, set[str]]:
    """The splits that a00 and z00, a01 and z01 ... lie in."""
    parts: dict[str, set[str]] = {}
    for part in ("train", "validation", "test"):
        for name in getattr(opened, part).names:
            stem = Path(name).name.split(".")[0].split("_")[0]
            parts.setdefault(stem[1:], set()).add(part)
    return parts


@pytest.mark.parametrize("open_folder", [image_masks, classes, fundus, crowns])
def test_a_picture_and_its_copy_of_another_name_are_in_one_split_and_counted(tmp_path, open_folder: Callable):
    opened = open_folder(tmp_path / "data", tmp_path / "cache")
    parts = parts_by_scene(opened)
    assert len(parts) == NUM_SCENES
    assert all(len(own) == 1 for own in parts.values())
    (reported,) = [finding for finding in opened.findings if "look the same" in finding.problem]
    assert reported.severity is Severity.WARNING
    assert reported.problem.startswith("8 look the same as another: ")


@pytest.mark.parametrize("open_folder", [image_masks, classes, fundus, crowns])
def test_a_group_pattern_divides_by_names_alone_and_what_looks_the_same_across_splits_is_reported(
    tmp_path, open_folder: Callable
):
    opened = open_folder(tmp_path / "data", tmp_path / "cache", group_pattern=".+")
    across = [scene for scene, parts in parts_by_scene(opened).items() if len(parts) > 1]
    reported = [finding for finding in opened.findings if "looks the same" in finding.problem]
    assert len(across) == len(reported) > 0


@pytest.mark.parametrize("open_folder", [image_masks, classes, fundus, crowns])
def test_where_all_splits_are_named_nothing_is_said_of_pictures_of_one_split_that_look_the_same(
    tmp_path, open_folder: Callable
):
    root = tmp_path / "data"
    root.mkdir()
    for split, numbers in (("train", range(20)), ("val", range(20, 22)), ("test", range(22, 24))):
        names = [f"{first}{number:02d}" for first in "az" for number in numbers]
        (root / f"{split}.txt").write_text("\n".join(names))
    opened = open_folder(root, tmp_path / "cache")
    assert (len(opened.validation), len(opened.test)) == (2, 2)
    assert not [finding for finding in opened.findings if "look the same" in finding.problem]


@pytest.mark.parametrize("open_folder", [image_masks, classes, fundus, crowns])
def test_where_all_pictures_look_the_same_the_error_says_so_and_how_to_divide_them(
    tmp_path, open_folder: Callable, monkeypatch
):
    one = scene(0)
    monkeypatch.setitem(globals(), "scene", lambda number: one.point(lambda level: 0.8 * level + number))
    with pytest.raises(DataError) as refused:
        open_folder(tmp_path / "data", tmp_path / "cache")
    assert "31 look the same as another: " in str(refused.value)
    assert "--set group_pattern='.+' divides them by their files' names" in str(refused.value)
