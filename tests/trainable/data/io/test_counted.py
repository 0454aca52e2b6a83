"""Numbers with their nouns."""

import pytest

from trainable.data.io.counted import counted


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
