"""Tiles cover a picture, and crowns keep their pixels on them."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from trainable.data.crowns.crown_set import VOID
from trainable.data.crowns.formats.shapes import CrownShape
from trainable.data.crowns.tiling import rasterise, tile_starts, tiles_of


@pytest.mark.parametrize("length_px", [20, 32, 33, 64, 100, 257])
def test_tiles_cover_every_pixel_and_end_with_the_picture(length_px):
    starts = tile_starts(length_px, 32, 8)
    covered = {pixel for start in starts for pixel in range(start, start + 32)}
    assert set(range(length_px)) <= covered
    assert starts[-1] == max(0, length_px - 32)
    assert len(set(starts)) == len(starts)


def test_neighbours_reach_into_each_other_at_least_as_far_as_said():
    starts = tile_starts(300, 64, 16)
    assert all(after - before <= 64 - 16 for before, after in pairwise(starts))


def polygon(*points, label="palm"):
    across, down = zip(*points, strict=True)
    return CrownShape(label=label, box=(min(across), min(down), max(across), max(down)), polygons=(points,))


def test_an_outline_holds_the_pixels_whose_centres_lie_inside():
    crown = rasterise(polygon((2.0, 3.0), (10.0, 3.0), (10.0, 9.0), (2.0, 9.0)), 1, (20, 20))
    assert crown.box == (2, 3, 10, 9)
    assert crown.mask.all()
    triangle = rasterise(polygon((0.0, 0.0), (16.0, 0.0), (0.0, 16.0)), 1, (20, 20))
    rows, columns = np.mgrid[:16, :16] + 0.5
    assert np.abs(triangle.mask.astype(int) - (rows + columns < 16)).sum() <= 16


def test_a_box_is_taken_whole_and_cut_at_the_edge_of_the_picture():
    crown = rasterise(CrownShape(label="palm", box=(-3.0, 12.0, 5.0, 30.0)), 2, (20, 20))
    assert (crown.box, crown.label) == ((0, 12, 5, 20), 2)
    assert crown.mask.all()
    assert rasterise(CrownShape(label="palm", box=(25.0, 0.0, 30.0, 5.0)), 2, (20, 20)) is None


def cut(shapes, *, size=(64, 96), semantic=None):
    image = np.arange(size[0] * size[1] * 3, dtype=np.uint32).reshape(*size, 3).astype(np.uint8)
    tiles = tiles_of(
        "plot",
        Image.fromarray(image),
        shapes=shapes,
        semantic=semantic,
        label_of=lambda shape: 1,
        tile_px=64,
        overlap_px=32,
    )
    return image, {tile.name: tile for tile in tiles}


def test_a_crown_lies_on_every_tile_that_shows_enough_of_it_where_it_was_on_the_picture():
    shape = CrownShape(label="palm", box=(28.0, 10.0, 44.0, 26.0))
    image, tiles = cut([shape])
    assert set(tiles) == {"plot_00000_00000", "plot_00000_00032"}
    assert [crown.box for crown in tiles["plot_00000_00000"].crowns] == [(28, 10, 44, 26)]
    assert [crown.box for crown in tiles["plot_00000_00032"].crowns] == [(0, 10, 12, 26)]
    assert (tiles["plot_00000_00032"].image == image[:, 32:]).all()


def test_what_an_edge_leaves_of_a_crown_belongs_to_the_neighbour_alone():
    _, tiles = cut([CrownShape(label="palm", box=(20.0, 10.0, 36.0, 26.0))])
    assert len(tiles["plot_00000_00000"].crowns) == 1
    assert tiles["plot_00000_00032"].crowns == ()


def test_beyond_the_picture_nothing_is_known():
    _, tiles = cut(None, size=(40, 50), semantic=np.ones((40, 50), np.uint8))
    (tile,) = tiles.values()
    assert tile.crowns is None
    assert (tile.semantic[:40, :50] == 1).all()
    assert (tile.semantic[40:] == VOID).all()
    assert (tile.semantic[:, 50:] == VOID).all()
    assert not tile.image[40:].any()
