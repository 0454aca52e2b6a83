"""In COCO json a bad object costs itself, and says which one it is and why."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from trainable.data.annotations.formats.coco import read_coco

SQUARE = [4, 4, 14, 4, 14, 14, 4, 14]
MASK = np.zeros((32, 48), np.uint8)
MASK[5:11, 7:20] = 1
RUN_LENGTH = coco_mask.encode(np.asfortranarray(MASK))


def read(*entries, images=({"id": 1, "file_name": "plot.png", "width": 48, "height": 32},), categories=None):
    first = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 6, 6]}
    return read_coco(
        {
            "images": list(images),
            "categories": categories or [{"id": 3, "name": "palm"}],
            "annotations": [first, *({"id": 9, "image_id": 1, "category_id": 3} | entry for entry in entries)],
        }
    )


def object_of(found):
    """The object beside the first, which is always sound."""
    (other,) = found.pictures["plot.png"].shapes[1:]
    return other


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"bbox": [5, 5, 0, 9]}, "have a box without area"),
        ({"bbox": [5, 5, -3, 9]}, "have a box without area"),
        ({"bbox": [5, 5, float("nan"), 9]}, "have a coordinate that is not finite"),
        ({"bbox": [5, 5, float("inf"), 9]}, "have a coordinate that is not finite"),
        ({"bbox": [5, None, 3, 9]}, "have a coordinate that is not a number"),
        ({"bbox": [5, 5, 9]}, "have a box that is not four numbers"),
        ({"bbox": {"x": 5}}, "have a box that is not four numbers"),
        ({"bbox": None}, "have neither outline nor box"),
        ({"segmentation": [[]]}, "have fewer than three points"),
        ({"segmentation": [[4, 4, 9, 9]]}, "have fewer than three points"),
        ({"segmentation": [[4, 4, 8, 8, 12, 12]]}, "have an outline without area"),
        ({"segmentation": [[4, 4, 14, 4, 14]]}, "have fewer than three points"),
        ({"segmentation": [SQUARE], "category_id": 7}, "are of no category of the file"),
        ({"segmentation": [SQUARE], "image_id": 7}, "name no picture of the file"),
        ({"segmentation": [SQUARE], "image_id": None}, "name no picture of the file"),
        ({"segmentation": [SQUARE], "iscrowd": 1}, "mark a crowd, not one object (iscrowd=1)"),
        ({"segmentation": {"size": [32, 48], "counts": [1, 2]}}, "have a damaged run-length mask"),
        ({"segmentation": {"size": [32, 48], "counts": "###"}}, "have a damaged run-length mask"),
        ({"segmentation": {"size": [32, 48]}}, "have a damaged run-length mask"),
        ({"segmentation": {"size": [32, 48], "counts": [32 * 48]}}, "have a run-length mask of no pixel"),
        ({"segmentation": {"size": [4, 4], "counts": [0, 16]}}, "have a run-length mask of another size"),
        ({"bbox": [1, 1, 6, 6]}, "are given twice"),
    ],
    ids=str,
)
def test_a_bad_object_is_left_out_with_the_reason(entry, reason):
    found = read(entry)
    (problem,) = found.problems
    assert problem.reason.startswith(reason)
    assert problem.place == "object 9"
    assert (found.num_objects, len(found.pictures["plot.png"].shapes)) == (2, 1)


@pytest.mark.parametrize("stray", [[20, 20], [20, 20, 22, 22], [], [20, 20, 22, 22, 24, 24], [1, 2, 3]])
def test_a_part_that_is_no_outline_is_left_out_and_reported(stray):
    found = read({"segmentation": [SQUARE, stray]})
    assert object_of(found).polygons == (((4, 4), (14, 4), (14, 14), (4, 14)),)
    assert "part that is not an outline" in found.problems[0].reason


def test_an_object_without_a_part_that_is_an_outline_is_its_box_and_reported():
    found = read({"segmentation": [[4, 4, 9, 9]], "bbox": [4, 4, 5, 5]})
    assert (object_of(found).box, object_of(found).polygons) == ((4, 4, 9, 9), ())
    assert "only a box" in found.problems[0].reason


@pytest.mark.parametrize("counts", [RUN_LENGTH["counts"].decode(), None])
def test_run_length_masks_are_decoded_compressed_or_not(counts):
    runs = np.flatnonzero(np.diff(np.concatenate([[0], MASK.T.ravel(), [0]])))
    plain = np.diff(np.concatenate([[0], runs, [MASK.size]])).tolist()
    shape = object_of(read({"segmentation": {"size": [32, 48], "counts": counts or plain}}))
    assert shape.box == (7, 5, 20, 11)
    np.testing.assert_array_equal(shape.run_length.decoded(), MASK)


@pytest.mark.parametrize("density", [0.02, 0.5, 0.98])
def test_compressed_runs_are_the_pixels_that_coco_encoded(density):
    masks = np.random.default_rng(0).random((20, 32, 48)) < density
    masks[0, :16], masks[1, 0, 0] = True, True
    for mask in masks:
        counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        shape = object_of(read({"segmentation": {"size": [32, 48], "counts": counts}}))
        np.testing.assert_array_equal(shape.run_length.decoded(), mask)


WHOLE = RUN_LENGTH["counts"].decode()


@pytest.mark.parametrize(
    "counts",
    [
        *(WHOLE[:length] for length in range(len(WHOLE))),
        WHOLE + "5",
        WHOLE + "P",
        WHOLE.replace(WHOLE[0], "\x01", 1),
        "zzzzzz~~~~",
        "0" * 4000,
        "o" * 4000,
        "\u00e9\u2603",
    ],
)
def test_compressed_runs_that_do_not_fill_the_picture_are_a_damaged_mask(counts):
    found = read({"segmentation": {"size": [32, 48], "counts": counts}})
    assert [problem.reason for problem in found.problems] == ["have a damaged run-length mask"]
    assert len(found.pictures["plot.png"].shapes) == 1


@pytest.mark.parametrize("segmentation", [SQUARE, [[[4, 4], [14, 4], [14, 14], [4, 14]]], [[str(n) for n in SQUARE]]])
def test_an_outline_without_its_list_in_pairs_or_in_texts_is_one_outline(segmentation):
    found = read({"segmentation": segmentation})
    assert object_of(found).polygons == (((4, 4), (14, 4), (14, 14), (4, 14)),)
    assert found.problems == []


def test_numbers_as_text_refer_to_the_same_things():
    found = read({"image_id": "1", "category_id": "3", "bbox": ["4", "5", "6", "7"]})
    assert (object_of(found).label, object_of(found).box) == ("palm", (4, 5, 10, 12))


def test_an_image_id_that_is_given_to_two_pictures_costs_the_objects_that_refer_to_it():
    found = read(images=[{"id": 1, "file_name": "plot.png"}, {"id": 1, "file_name": "other.png"}])
    assert found.pictures == {}
    assert (found.problems[0].reason, found.problems[0].detail) == (
        "name a picture that is given twice",
        "image_id 1 is plot.png and other.png",
    )


def test_a_category_id_that_is_given_twice_costs_its_objects_unless_the_names_are_the_same():
    two = [{"id": 3, "name": "palm"}, {"id": 3, "name": "cacao"}]
    assert read(categories=two).problems[0].detail == "category_id 3 is palm and cacao"
    assert read(categories=[two[0], two[0]]).problems == []


def test_a_picture_that_is_listed_under_two_ids_has_the_objects_of_both():
    images = [{"id": 1, "file_name": "plot.png"}, {"id": 2, "file_name": "plot.png"}]
    found = read({"image_id": 2, "bbox": [8, 8, 4, 4]}, images=images)
    assert len(found.pictures["plot.png"].shapes) == 2


def test_an_annotation_without_an_id_is_of_no_picture_and_no_category():
    found = read({"image_id": None}, images=({"file_name": "bare.png"}, {"id": 1, "file_name": "plot.png"}))
    assert [problem.reason for problem in found.problems] == ["name no picture of the file"]
    found = read({"category_id": None}, categories=[{"id": 3, "name": "palm"}, {"name": "ghost"}])
    assert [problem.reason for problem in found.problems] == ["are of no category of the file"]


def test_keypoints_without_a_box_are_reported_as_points():
    (problem,) = read({"bbox": None, "keypoints": [4, 4, 2, 9, 9, 2]}).problems
    assert problem.reason == "are points, which say where an object is and not how large: write a box around each"
