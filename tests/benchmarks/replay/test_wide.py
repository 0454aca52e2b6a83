"""Generated problems of many parameters: their optimum, their conditions, and curves that mislead at first."""

import random

import numpy as np
import pytest

from benchmarks.replay.peer_process.space import DescribedSpace
from benchmarks.replay.wide import BRANCHES, ConditionalProblem, WideProblem, wide


def drawn(problem, number: int) -> list[dict]:
    generator = random.Random(0)
    return [problem.source.any(generator).params for _ in range(number)]


@pytest.mark.parametrize("size", [5, 12, 25])
def test_a_space_has_as_many_parameters_as_it_says(size):
    assert {len(params) for params in drawn(WideProblem(size, 0), 20)} == {size}


def test_a_configuration_has_the_parameters_of_its_branch_alone():
    described = DescribedSpace(ConditionalProblem(0).space).parameters
    assert len(described) == 18
    assert sum(one["condition"] is not None for one in described) == 15
    for params in drawn(ConditionalProblem(0), 20):
        others = [branch for branch in BRANCHES if branch != params["branch"]]
        assert len(params) == 8
        assert not any(name.startswith(tuple(others)) for name in params)


@pytest.mark.parametrize("problem", wide(1), ids=lambda problem: problem.name)
def test_no_configuration_is_above_the_optimum_and_few_are_near(problem):
    final = np.array([problem.curve(params).values[-1] for params in drawn(problem, 300)])
    best, median = problem.scale
    assert best == 0.9
    assert np.nanmax(final) < best + 0.02
    assert np.nanmean(final > best - 0.1 * (best - median)) < 0.1


@pytest.mark.parametrize("problem", wide(1), ids=lambda problem: problem.name)
def test_every_parameter_of_a_configuration_changes_its_value(problem):
    params = next(one for one in drawn(problem, 50) if not np.isnan(problem.curve(one).values[-1]))
    generator = random.Random(1)
    others = [problem.source.any(generator).params for _ in range(200)]
    for name in params.keys() - {"branch"}:
        changed = [params | {name: other[name]} for other in others if name in other]
        levels = {round(problem._level(one), 9) for one in changed}
        assert len(levels) > 1, name


def test_equal_configurations_have_equal_curves():
    params = drawn(WideProblem(12, 0), 1)[0]
    np.testing.assert_array_equal(WideProblem(12, 0).curve(params).values, WideProblem(12, 0).curve(params).values)


def test_some_trials_that_lead_early_are_behind_at_the_end():
    problem = WideProblem(12, 0)
    curves = np.array([problem.curve(params).values for params in drawn(problem, 200)])
    kept = curves[~np.isnan(curves[:, -1])]
    assert 0.005 < 1 - len(kept) / 200 < 0.2
    assert np.corrcoef(kept[:, 0], kept[:, -1])[0, 1] < 0.9
