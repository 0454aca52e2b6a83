"""Tiles cover a picture, and crowns keep their pixels on them."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.crowns.crown_set import VOID
from trainable.data.crowns.tiling import tile_starts, tiles_of


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


def test_an_outline_that_holds_no_centre_of_a_pixel_is_reported_as_too_small():
    points = ((5.1, 5.1), (5.4, 5.1), (5.1, 5.4))
    tiny = ObjectShape(label="palm", box=(5.1, 5.1, 5.4, 5.4), polygons=(points,))
    reported = []
    image = Image.new("RGB", (20, 20))
    options = {"semantic": None, "label_of": lambda shape: 1, "tile_px": 32, "overlap_px": 0}
    (tile,) = tiles_of(
        "a", image, shapes=[tiny], **options, on_drop=lambda shape, reason: reported.append((shape, reason))
    )
    assert tile.crowns == ()
    assert reported == [(tiny, "are smaller than 16 px")]


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
    shape = ObjectShape(label="palm", box=(28.0, 10.0, 44.0, 26.0))
    image, tiles = cut([shape])
    assert set(tiles) == {"plot_00000_00000", "plot_00000_00032"}
    assert [crown.box for crown in tiles["plot_00000_00000"].crowns] == [(28, 10, 44, 26)]
    assert [crown.box for crown in tiles["plot_00000_00032"].crowns] == [(0, 10, 12, 26)]
    assert (tiles["plot_00000_00032"].image == image[:, 32:]).all()


def test_what_an_edge_leaves_of_a_crown_belongs_to_the_neighbour_alone():
    _, tiles = cut([ObjectShape(label="palm", box=(20.0, 10.0, 36.0, 26.0))])
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
