"""Partners are found among all views of a split, by hand and over parts of it."""

import pytest
import torch

from trainable.metrics.retrieval import RetrievalMetrics, partner_ranks


def test_the_place_of_a_partner_is_counted_among_the_views_of_the_other_kind():
    first = torch.eye(4)
    swapped = first[[1, 0, 2, 3]]
    assert partner_ranks(first, first).tolist() == [1.0] * 8
    ranks = partner_ranks(first, swapped)
    assert (ranks[[2, 3, 6, 7]] == 1).all()
    assert (ranks[[0, 1, 4, 5]] > 1).all()


def test_features_that_are_all_alike_find_nothing():
    assert partner_ranks(torch.ones(5, 3), torch.ones(5, 3)).tolist() == [3.0] * 10


def test_parts_of_a_split_merged_measure_the_whole():
    features = torch.randn(12, 2, 6, generator=torch.Generator().manual_seed(0))
    whole, parts = RetrievalMetrics(), [RetrievalMetrics(), RetrievalMetrics()]
    whole.update(features, None)
    for part, rows in zip(parts, (slice(0, 5), slice(5, 12)), strict=True):
        part.update(features[rows], None)
    merged = RetrievalMetrics()
    merged.merge([part.state_dict() for part in parts])
    assert merged.compute() == pytest.approx(whole.compute())
    assert 0 < whole.compute()["mean_reciprocal_rank"] < 1
