import pytest

from trainable.techniques.optim.gradient_update import sample_weights, updates_of, windows


def test_windows_hold_every_batch_and_the_last_one_what_is_left():
    assert list(windows(range(10), 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(("num_batches", "steps", "expected"), [(10, 4, 3), (8, 4, 2), (1, 4, 1), (5, 1, 5)])
def test_updates_are_counted_as_windows_are_made(num_batches, steps, expected):
    assert updates_of(range(num_batches), steps) == expected == len(list(windows(range(num_batches), steps)))


def test_uneven_micro_batches_weigh_by_their_samples():
    assert sample_weights([4, 4, 2]) == [0.4, 0.4, 0.2]
