"""Young parts of torch that a curve depends on: a new torch that changes one of them changes every curve.

The foreach functions are private, or public and beta; `Gamma.sample` has taken a generator since 2.15.
"""

import pytest
import torch

from trainable.techniques.optim import older_torch

DRAWN = {
    0.2: ["4.784619253182e-03", "4.420618946726e-01", "7.523697948032e-03"],
    0.8: ["3.869953725942e-01", "1.992500136937e+00", "3.624395638417e-01"],
    1.0: ["3.429648349592e-01", "2.851955289009e-01", "5.181198176377e-01"],
    4.0: ["2.811306646032e+00", "2.627711644993e+00", "3.301487626862e+00"],
}
"""The first three draws of a generator with seed 5, by concentration."""
CHANGED = "torch {version} does {what} otherwise than torch 2.15: curves of earlier searches can't be repeated with it"


def assert_as_before(found: object, expected: object, what: str) -> None:
    assert found == expected, CHANGED.format(version=torch.__version__, what=what)


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in [(3, 3), (1,), (64, 5), (2, 3, 4, 5)]]


def test_norms_of_many_tensors_are_those_of_each(tensors):
    alone = [torch.linalg.vector_norm(tensor) for tensor in tensors]
    assert_as_before([float(norm) for norm in older_torch.norms(tensors)], [float(norm) for norm in alone], "norms")


def test_a_step_of_many_tensors_towards_others_is_that_of_each_and_in_place(tensors):
    towards, places = [tensor.flip(0) for tensor in tensors], [tensor.clone() for tensor in tensors]
    alone = [tensor.clone().lerp_(other, 0.01) for tensor, other in zip(tensors, towards, strict=True)]
    older_torch.lerp_(places, towards, 0.01)
    assert_as_before([place.tolist() for place in places], [tensor.tolist() for tensor in alone], "weighted means")


def test_many_tensors_by_a_number_are_each_by_it_and_in_place(tensors):
    places = [tensor.clone() for tensor in tensors]
    older_torch.mul_(places, 0.3)
    assert_as_before([place.tolist() for place in places], [(0.3 * tensor).tolist() for tensor in tensors], "products")


@pytest.mark.parametrize(("concentration", "drawn"), DRAWN.items())
def test_gamma_draws_follow_from_the_generator_alone(concentration, drawn):
    concentrations = torch.full((3,), concentration, dtype=torch.float64)
    for _ in range(2):
        torch.rand(3)
        found = older_torch.gamma_draws(concentrations, torch.Generator().manual_seed(5))
        assert_as_before([f"{value:.12e}" for value in found.tolist()], drawn, "gamma draws")
