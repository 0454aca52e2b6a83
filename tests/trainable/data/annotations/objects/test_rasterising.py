"""The pixels of a shape are those whose centres lie in it, as COCO's tools draw them."""

from itertools import pairwise

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from trainable.data.annotations.objects.rasterising import rasterise
from trainable.data.annotations.objects.shapes import ObjectShape


def polygon(*points, label="palm"):
    across, down = zip(*points, strict=True)
    return ObjectShape(label=label, box=(min(across), min(down), max(across), max(down)), polygons=(points,))


def test_an_outline_holds_the_pixels_whose_centres_lie_inside():
    found = rasterise(polygon((2.0, 3.0), (10.0, 3.0), (10.0, 9.0), (2.0, 9.0)), (20, 20))
    assert found.box == (2, 3, 10, 9)
    assert found.mask.all()
    triangle = rasterise(polygon((0.0, 0.0), (16.0, 0.0), (0.0, 16.0)), (20, 20))
    rows, columns = np.mgrid[:16, :16] + 0.5
    assert np.abs(triangle.mask.astype(int) - (rows + columns < 16)).sum() <= 16


def outline(rng, *, radius, middle, num_points=16):
    """Corners of a round shape with a rough edge."""
    turns = np.linspace(0, 2 * np.pi, num_points, endpoint=False)
    radii = radius * (1 + 0.15 * rng.normal(size=num_points))
    return [*zip(middle[0] + radii * np.cos(turns), middle[1] + radii * np.sin(turns), strict=True)]


def area_and_centre(points):
    """By the shoelace formula."""
    x, y = np.array(points).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    twice = x * next_y - next_x * y
    return twice.sum() / 2, np.array([((x + next_x) * twice).sum(), ((y + next_y) * twice).sum()]) / (3 * twice.sum())


def is_inside(points, side_px):
    """bool, shape (side_px, side_px): whether a ray to the left of a pixel's centre crosses the outline an odd number
    of times.
    """
    inside = np.zeros((side_px, side_px), bool)
    down, across = np.mgrid[:side_px, :side_px] + 0.5
    for (x, y), (next_x, next_y) in pairwise([*points, points[0]]):
        if y != next_y:
            crossing = x + (down - y) * (next_x - x) / (next_y - y)
            inside ^= ((y > down) != (next_y > down)) & (crossing < across)
    return inside


def whole_mask(found, size):
    mask = np.zeros(size, bool)
    if found is not None:
        left, top, right, bottom = found.box
        mask[top:bottom, left:right] = found.mask
    return mask


@pytest.mark.parametrize("radius", [4, 8, 15])
def test_a_drawn_outline_has_its_area_its_place_and_the_pixels_whose_centres_it_holds(radius):
    rng, areas, shifts, overlaps = np.random.default_rng(0), [], [], []
    for _ in range(50):
        points = outline(rng, radius=radius, middle=rng.uniform(25, 35, 2))
        mask, truth = whole_mask(rasterise(polygon(*points), (60, 60)), (60, 60)), is_inside(points, 60)
        area, centre = area_and_centre(points)
        areas.append(mask.sum() / area)
        shifts.append(np.argwhere(mask).mean(axis=0)[::-1] + 0.5 - centre)
        overlaps.append((mask & truth).sum() / (mask | truth).sum())
    assert np.mean(areas) == pytest.approx(1, abs=0.01)
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.1
    assert np.mean(overlaps) > 0.96


def test_outlines_are_those_that_coco_draws_also_across_the_edge_and_of_several_parts():
    rng, size = np.random.default_rng(1), (50, 40)
    for _ in range(100):
        parts = [tuple(outline(rng, radius=rng.uniform(1, 20), middle=rng.uniform(-10, 60, 2))) for _ in range(2)]
        across, down = np.concatenate(parts).T
        box = (across.min(), down.min(), across.max(), down.max())
        found = rasterise(ObjectShape(label="palm", box=box, polygons=tuple(parts)), size)
        drawn = coco_mask.merge(coco_mask.frPyObjects([np.ravel(part).tolist() for part in parts], *size))
        assert coco_mask.encode(np.asfortranarray(whole_mask(found, size), np.uint8))["counts"] == drawn["counts"]


def test_an_outline_that_holds_no_centre_of_a_pixel_has_no_pixels():
    assert rasterise(polygon((5.1, 5.1), (5.4, 5.1), (5.1, 5.4)), (20, 20)) is None


def test_corners_that_are_far_outside_cost_no_time_and_leave_the_rest_where_it_is():
    band = polygon((-1e12, 5.0), (1e12, 5.0), (1e12, 9.0), (-1e12, 9.0))
    mask = whole_mask(rasterise(band, (20, 30)), (20, 30))
    assert mask[5:9].all()
    assert mask.sum() == 4 * 30


def test_a_box_is_taken_whole_and_cut_at_the_edge_of_the_picture():
    found = rasterise(ObjectShape(label="palm", box=(-3.0, 12.0, 5.0, 30.0)), (20, 20))
    assert found.box == (0, 12, 5, 20)
    assert found.mask.all()
    assert rasterise(ObjectShape(label="palm", box=(25.0, 0.0, 30.0, 5.0)), (20, 20)) is None


@pytest.mark.parametrize("decimals", [6, 17])
def test_a_box_in_fractions_is_the_box_of_whole_pixels_that_it_was_written_from(decimals):
    rng, height, width = np.random.default_rng(0), 480, 640
    for _ in range(200):
        left, top, *sides = (int(number) for number in (*rng.integers(0, 440, 2), *rng.integers(4, 30, 2)))
        middle = (left + sides[0] / 2) / width, (top + sides[1] / 2) / height
        x, y, across, down = (round(part, decimals) for part in (*middle, sides[0] / width, sides[1] / height))
        box = ((x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height)
        found = rasterise(ObjectShape(label="palm", box=box), (height, width))
        assert found.box == (left, top, left + sides[0], top + sides[1])
        assert found.mask.all()


def test_boxes_between_pixels_are_on_average_as_large_as_they_are_and_the_pixels_that_coco_draws():
    rng, shares = np.random.default_rng(0), []
    for _ in range(500):
        left, top, across, down = rng.uniform(5, 20, 4)
        found = rasterise(ObjectShape(label="palm", box=(left, top, left + across, top + down)), (50, 50))
        shares.append(found.mask.sum() / (across * down))
        (drawn,) = coco_mask.frPyObjects(np.array([[left, top, across, down]]), 50, 50)
        assert coco_mask.encode(np.asfortranarray(whole_mask(found, (50, 50)), np.uint8))["counts"] == drawn["counts"]
    assert np.mean(shares) == pytest.approx(1, abs=0.01)
