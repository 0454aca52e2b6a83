"""A crown that several tiles see is found once, and two crowns stay two."""

import numpy as np
import pytest

from trainable.prediction.crown_merging import FoundCrown, merge_crowns

LEFT, RIGHT = (0, 0, 64, 64), (32, 0, 96, 64)
"""Windows of two tiles that share 32 columns."""


def found(tile, box, *, score=0.9, label=1):
    """A box-shaped crown as a tile sees it: what lies beyond the tile's edge is cut off."""
    left, top = max(box[0], tile[0]), max(box[1], tile[1])
    right, bottom = min(box[2], tile[2]), min(box[3], tile[3])
    extent, mask = (left, top, right, bottom), np.ones((bottom - top, right - left), bool)
    return tile, FoundCrown(label=label, score=score, box=tuple(map(float, extent)), extent=extent, mask=mask)


def extents(crowns):
    return [crown.extent for crown in crowns]


def test_a_crown_that_two_tiles_see_whole_is_one_with_the_score_and_kind_of_the_surer():
    (crown,) = merge_crowns([found(LEFT, (36, 10, 56, 30), score=0.6), found(RIGHT, (37, 10, 57, 30), label=2)])
    assert (crown.label, crown.score, crown.extent) == (2, 0.9, (36, 10, 57, 30))
    assert crown.mask.all()


@pytest.mark.parametrize("box", [(20, 10, 50, 30), (50, 10, 80, 30), (10, 10, 90, 50)])
def test_a_crown_that_an_edge_cuts_meets_its_other_part_however_large_it_is(box):
    (crown,) = merge_crowns([found(LEFT, box), found(RIGHT, box, score=0.8)])
    assert crown.extent == box
    assert crown.box == tuple(map(float, box))
    assert crown.mask.sum() == (box[2] - box[0]) * (box[3] - box[1])


def test_a_small_crown_in_the_shade_of_a_large_one_that_the_other_tile_sees_stays():
    crowns = merge_crowns([found(LEFT, (10, 0, 64, 60)), found(RIGHT, (40, 20, 50, 30), score=0.7)])
    assert extents(crowns) == [(10, 0, 64, 60), (40, 20, 50, 30)]


def test_two_finds_of_one_tile_are_two_crowns_as_the_network_says():
    assert len(merge_crowns([found(LEFT, (4, 4, 20, 20)), found(LEFT, (5, 4, 20, 20), label=2)])) == 2


def test_neighbours_that_touch_in_the_overlap_stay_two():
    crowns = merge_crowns([found(LEFT, (20, 10, 45, 30)), found(RIGHT, (45, 10, 70, 30))])
    assert sorted(extents(crowns)) == [(20, 10, 45, 30), (45, 10, 70, 30)]


def test_a_crown_over_three_tiles_is_held_together_by_the_middle_one():
    tiles = [(0, 0, 64, 64), (32, 0, 96, 64), (64, 0, 128, 64)]
    box = (20, 20, 100, 40)
    scores = [0.9, 0.5, 0.7]
    (crown,) = merge_crowns([found(tile, box, score=score) for tile, score in zip(tiles, scores, strict=True)])
    assert (crown.extent, crown.score) == (box, 0.9)


def test_crowns_are_sorted_by_score_and_none_is_lost():
    rng = np.random.default_rng(0)
    finds = [found(LEFT, (x, 10, x + 4, 14), score=float(rng.uniform(0.1, 1))) for x in range(0, 32, 5)]
    crowns = merge_crowns(finds)
    scores = [crown.score for crown in crowns]
    assert scores == sorted((crown.score for _, crown in finds), reverse=True)
    assert merge_crowns([]) == []
