"""Masks that are given as run lengths."""

import pytest

from trainable.data.annotations.objects.masks import object_from_run_lengths
from trainable.data.annotations.objects.written_values import ObjectError


def test_a_mask_of_a_stated_size_beyond_any_picture_is_left_out_and_takes_no_memory():
    with pytest.raises(ObjectError, match="damaged run-length mask"):
        object_from_run_lengths("tree", {"size": [10**6, 10**6], "counts": [10**12]}, place="object 1")
