"""Images whose objects a label tool outlined are images with masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.outlined_pairs import outlined_pairs
from trainable.data.image_mask.folder import open_image_masks
from trainable.data.image_mask.folder_source import FolderOptions
from trainable.data.io.findings import DataError, Severity
from trainable.data.io.splits import SPLIT_NAMES

HEIGHT, WIDTH = 32, 48


def rectangle(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def inside(left, top, right, bottom):
    """The pixels of a rectangle with whole sides."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


class Coco:
    """A folder with one COCO file, whose category 1 is crack and 2 is ruler."""

    def __init__(self, root: Path):
        self.root, self.images, self.annotations = root, [], []
        root.mkdir(parents=True)

    def add(self, *annotations, name=None):
        """A picture of noise with annotations, each a category and the four sides of an outline."""
        number = len(self.images)
        name = name or f"p{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        (self.root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(self.root / name)
        self.images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for category, sides in annotations:
            outline = {"image_id": number, "category_id": category, "segmentation": rectangle(*sides)}
            self.annotations.append(outline | {"id": len(self.annotations), "bbox": box_of(sides), "iscrowd": 0})

    def write(self):
        categories = [{"id": 1, "name": "Crack"}, {"id": 2, "name": "ruler"}]
        content = {"images": self.images, "annotations": self.annotations, "categories": categories}
        (self.root / "outlines.json").write_text(json.dumps(content))
        return self.root


def box_of(sides):
    left, top, right, bottom = sides
    return [left, top, right - left, bottom - top]


@pytest.fixture
def coco(tmp_path):
    return Coco(tmp_path / "data")


def masks_of(root, *, cache, **options):
    """Native masks by name, and the findings."""
    splits = open_image_masks(root, FolderOptions(**options), cache_dir=cache, outlined=outlined_pairs)
    parts = [getattr(splits, split) for split in SPLIT_NAMES]
    masks = {name: part.native_mask(row) for part in parts for row, name in enumerate(part.names)}
    return masks, splits


def with_one_crack_each(coco, number=10):
    for _ in range(number):
        coco.add((1, (4, 6, 20, 16)))
    return coco


def test_what_lies_inside_an_outline_is_object_and_all_outlines_of_an_image_are_one_mask(coco, tmp_path):
    with_one_crack_each(coco)
    coco.add((1, (2, 3, 10, 9)), (2, (8, 5, 30, 20)))
    coco.add()
    masks, splits = masks_of(coco.write(), cache=tmp_path / "cache")
    np.testing.assert_array_equal(masks["p0"], inside(4, 6, 20, 16))
    np.testing.assert_array_equal(masks["p10"], inside(2, 3, 10, 9) | inside(8, 5, 30, 20))
    assert not masks["p11"].any()
    (said,) = (one for one in splits.findings if one.file == "outlines")
    assert said.problem == "12 outlines on 12 images: crack, ruler"


def test_of_several_labels_those_that_are_named_are_the_object(coco, tmp_path):
    with_one_crack_each(coco)
    coco.add((1, (2, 3, 10, 9)), (2, (8, 5, 30, 20)))
    masks, _ = masks_of(coco.write(), cache=tmp_path / "cache", foreground_values=("Crack",))
    np.testing.assert_array_equal(masks["p10"], inside(2, 3, 10, 9))


def test_a_label_that_no_outline_has_is_refused_with_those_that_there_are(coco, tmp_path):
    root = with_one_crack_each(coco).write()
    with pytest.raises(DataError, match=r"holds 'tree', which no outline has as its label; labels: crack\."):
        masks_of(root, cache=tmp_path / "cache", foreground_values=("tree",))


def test_outlines_can_not_be_inverted(coco, tmp_path):
    root = with_one_crack_each(coco).write()
    with pytest.raises(DataError, match="leave out --inverted-masks"):
        masks_of(root, cache=tmp_path / "cache", inverted_masks=True)


@pytest.mark.parametrize("inverted_masks", [None, False])
def test_what_lies_inside_an_outline_is_object_however_large(coco, tmp_path, inverted_masks):
    sides = (1, 1, WIDTH - 1, HEIGHT - 1)
    for _ in range(10):
        coco.add((1, sides))
    masks, _ = masks_of(coco.write(), cache=tmp_path / "cache", inverted_masks=inverted_masks)
    np.testing.assert_array_equal(masks["p0"], inside(*sides))


def test_an_image_with_a_box_and_no_outline_is_left_out_with_a_warning(coco, tmp_path):
    with_one_crack_each(coco)
    coco.add((1, (2, 3, 10, 9)))
    del coco.annotations[-1]["segmentation"]
    masks, splits = masks_of(coco.write(), cache=tmp_path / "cache")
    assert "p10" not in masks
    (said,) = (one for one in splits.findings if "box without an outline" in one.problem)
    assert (said.severity, said.problem) == (Severity.WARNING, "1 of 11 images have a box without an outline: p10.png")


@pytest.mark.parametrize(
    ("outlines", "labels", "problem"),
    [
        ([rectangle(4, 6, 20, 16), None], (), "10 of 10 images have a box without an outline"),
        ([rectangle(4, 6, 20, 16), None], ("ruler",), "10 of 10 images have a box without an outline"),
        ([rectangle(100, 6, 120, 16)], (), "10 of 10 objects lie outside of their picture"),
    ],
)
def test_a_folder_without_an_outline_that_can_be_drawn_is_refused(coco, tmp_path, outlines, labels, problem):
    for _ in range(10):
        coco.add(*((category, (4, 6, 20, 16)) for category in range(1, len(outlines) + 1)))
        for annotation, outline in zip(coco.annotations[-len(outlines) :], outlines, strict=True):
            annotation["segmentation"] = outline or []
    with pytest.raises(DataError, match=rf"shows an object whose outline can be drawn[^@]*{problem}"):
        masks_of(coco.write(), cache=tmp_path / "cache", foreground_values=labels)


def test_boxes_alone_are_no_masks(coco, tmp_path):
    root = with_one_crack_each(coco).write()
    content = json.loads((root / "outlines.json").read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    (root / "outlines.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"outlines\.json holds no outline that can be read\. A box is no mask"):
        masks_of(root, cache=tmp_path / "cache")


def test_pictures_of_masks_are_the_truth_where_there_are_both(coco, tmp_path):
    for number in range(10):
        coco.add((1, (4, 6, 20, 16)), name=f"images/p{number}.png")
    root = coco.write()
    (root / "masks").mkdir()
    for number in range(10):
        Image.fromarray(255 * inside(0, 0, 8, 8)).save(root / "masks" / f"p{number}.png")
    masks, _ = masks_of(root, cache=tmp_path / "cache")
    assert all((mask == inside(0, 0, 8, 8)).all() for mask in masks.values())


@pytest.mark.parametrize(
    ("masks", "problem"),
    [
        (("masks/p{}_final.png",), "names must be equal"),
        (("GT/p{}.png", "Mask/p{}.png"), "holds more than one mask folder"),
    ],
)
def test_outlines_do_not_replace_pictures_of_masks_that_do_not_fit(coco, tmp_path, masks, problem):
    for number in range(10):
        coco.add((1, (4, 6, 20, 16)), name=f"images/p{number}.png")
        for mask in masks:
            file = coco.root / mask.format(number)
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(255 * inside(0, 0, 8, 8)).save(file)
    with pytest.raises(DataError, match=problem):
        masks_of(coco.write(), cache=tmp_path / "cache")


def test_the_splits_of_folders_are_kept(coco, tmp_path):
    for split, number in (("train", 4), ("valid", 2), ("test", 3)):
        for one in range(number):
            coco.add((1, (4, 6, 20, 16)), name=f"{split}/{split}{one}.png")
    _, splits = masks_of(coco.write(), cache=tmp_path / "cache")
    assert [len(getattr(splits, split)) for split in SPLIT_NAMES] == [4, 2, 3]
    assert set(splits.test.names) == {f"test{one}" for one in range(3)}


def test_an_outline_that_moves_is_other_data_and_a_label_of_another_name_is_not(coco, tmp_path):
    root, cache = with_one_crack_each(coco).write(), tmp_path / "cache"
    before = masks_of(root, cache=cache)[1].fingerprint["all"]
    file = root / "outlines.json"
    file.write_text(file.read_text().replace("Crack", "Fissure"))
    assert masks_of(root, cache=cache)[1].fingerprint["all"] == before
    coco.annotations[0]["segmentation"] = rectangle(5, 6, 20, 16)
    coco.write()
    masks, splits = masks_of(root, cache=cache)
    assert splits.fingerprint["all"] != before
    np.testing.assert_array_equal(masks["p0"], inside(5, 6, 20, 16))


def test_what_is_wrong_with_an_outline_is_said_of_an_object_not_of_a_crown(coco, tmp_path):
    with_one_crack_each(coco)
    coco.add((1, (2, 3, 10, 9)), name="crown.png")
    coco.annotations[-1]["segmentation"] = [[1, 1, 4, 4]]
    masks, splits = masks_of(coco.write(), cache=tmp_path / "cache")
    assert "crown" not in masks
    (said,) = (one for one in splits.findings if "no outline that can be used" in one.problem)
    assert said.problem.startswith("1 of 11 objects have no outline that can be used, only a box: crown.png")
    assert said.action == "Outline them again: an image with such an object is left out."


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ({"segmentation": rectangle(100, 100, 120, 110)}, "1 of 11 objects lie outside of their picture: p10.png"),
        ({"segmentation": {"size": [1, 1], "counts": [9]}}, "1 of 11 objects have a damaged run-length mask: p10.png"),
    ],
)
def test_an_outline_that_is_not_drawn_is_reported_as_background(coco, tmp_path, annotation, problem):
    with_one_crack_each(coco)
    coco.add((1, (2, 3, 10, 9)))
    coco.annotations[-1] |= annotation
    masks, splits = masks_of(coco.write(), cache=tmp_path / "cache")
    assert not masks["p10"].any()
    (said,) = (one for one in splits.findings if one.problem.startswith(problem))
    assert said.action == "They are not drawn, so that their pixels count as background; put them right."


@pytest.mark.parametrize("place", ["", "images/"])
def test_outlines_in_a_damaged_file_are_refused_with_what_is_wrong_with_it(coco, tmp_path, place):
    for number in range(10):
        coco.add((1, (4, 6, 20, 16)), name=f"{place}p{number}.png")
    file = coco.write() / "outlines.json"
    file.write_text(file.read_text()[:-9])
    with pytest.raises(DataError, match=r"outlines\.json  cannot be read as annotations: it is not JSON"):
        masks_of(coco.root, cache=tmp_path / "cache")
