import numpy as np
import pytest

from trainable.data.io.epoch_batches import micro_batches


def sizes(count, batch_size):
    return [len(batch) for batch in micro_batches(np.arange(count), batch_size)]


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"),
    [(33, 16, [16, 15, 2]), (4, 3, [2, 2]), (32, 16, [16, 16]), (34, 16, [16, 16, 2]), (5, 8, [5]), (9, 8, [7, 2])],
)
def test_the_last_two_batches_share_where_one_sample_would_be_left(count, batch_size, expected):
    assert sizes(count, batch_size) == expected


def test_no_sample_is_alone_no_batch_is_too_large_and_no_batch_is_added():
    for count in range(2, 40):
        for batch_size in range(2, 12):
            found = sizes(count, batch_size)
            assert 2 <= min(found) <= max(found) <= batch_size
            assert len(found) == -(-count // batch_size)


@pytest.mark.parametrize(("count", "batch_size"), [(33, 16), (40, 16), (3, 1), (4, 2), (10, 3)])
def test_every_sample_comes_once_in_the_order_given(count, batch_size):
    order = np.random.default_rng(0).permutation(count)
    assert np.concatenate(micro_batches(order, batch_size)).tolist() == order.tolist()


def test_of_an_odd_number_in_batches_of_two_the_last_has_the_company_of_the_first():
    assert [batch.tolist() for batch in micro_batches(np.array([7, 5, 9]), 2)] == [[7, 5], [9, 7]]


def test_a_sample_is_alone_where_that_was_asked_for_or_there_is_no_other():
    assert sizes(3, 1) == [1, 1, 1]
    assert sizes(1, 4) == [1]
