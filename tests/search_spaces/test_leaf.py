"""The documents' rows for leaf sets of three sizes."""

import pytest

from search_spaces.leaf import recommended_row


@pytest.mark.parametrize(
    ("num_images", "max_lr", "effective_batch"),
    [(3_000, 5e-5, 16), (4_999, 5e-5, 16), (5_000, 1e-4, 32), (50_000, 1e-4, 32), (50_001, 3e-4, 128)],
)
def test_the_row_follows_the_number_of_images(num_images, max_lr, effective_batch):
    row = recommended_row(num_images)
    assert (row["max_lr"], row["effective_batch"]) == (max_lr, effective_batch)
