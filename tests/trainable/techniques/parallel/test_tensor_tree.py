from collections import namedtuple

import pytest
import torch

from trainable.techniques.parallel.tensor_tree import map_tensors

Boxes = namedtuple("Boxes", ["corners", "labels"])


def test_every_tensor_is_mapped_and_all_else_stays():
    other = object()
    tree = (torch.tensor(1.0), {"a": [torch.tensor(2.0), None], "b": Boxes(torch.tensor(3.0), "text")}, other, ())
    mapped = map_tensors(lambda tensor: 10 * tensor, tree)
    assert mapped == (10.0, {"a": [20.0, None], "b": Boxes(30.0, "text")}, other, ())
    assert type(mapped[1]["b"]) is Boxes
    assert tree[0] == 1.0


def test_trees_of_one_structure_are_mapped_place_by_place():
    trees = [{"mask": torch.tensor(value), "parts": (torch.tensor(2 * value),)} for value in (1.0, 2.0, 4.0)]
    assert map_tensors(lambda *tensors: sum(tensors), *trees) == {"mask": 7.0, "parts": (14.0,)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": torch.ones(1)}, {"b": torch.ones(1)}),
        ((torch.ones(1),), (torch.ones(1), torch.ones(1))),
        ([torch.ones(1)], {"a": torch.ones(1)}),
        ({"a": 3.0}, {"a": 3.0}),
    ],
)
def test_trees_that_do_not_match_are_refused(one, other):
    with pytest.raises(ValueError, match=r"differ|is not a tensor|zip\(\)"):
        map_tensors(lambda *tensors: tensors, one, other)
