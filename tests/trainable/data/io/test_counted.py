"""Numbers with their nouns, sizes, and the first few of many names."""

import pytest

from trainable.data.io.counted import counted, first_of, wide_by_high


@pytest.mark.parametrize("quantity", [0, *range(2, 50), 0.5, 1.5, 10**6])
def test_every_number_but_one_takes_the_plural(quantity):
    number, noun = counted(quantity, "epoch").split()
    assert float(number) == quantity
    assert noun == "epochs"
    assert counted(quantity, "class", "classes").endswith(" classes")


@pytest.mark.parametrize("one", [1, 1.0])
def test_one_takes_none(one):
    assert counted(one, "epoch") == "1 epoch"
    assert counted(one, "class", "classes") == "1 class"


def test_of_many_names_the_first_few_are_reported_and_the_rest_counted():
    assert first_of(["a", "b"], 2) == "a, b"
    assert first_of(["a", "b", "c", "d"], 2, separator="; ") == "a; b and 2 more"


def test_a_size_is_reported_width_first():
    assert wide_by_high((480, 640)) == "640x480"
