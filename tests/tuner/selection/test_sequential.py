"""The intervals of a confirmation hold together: seeds may be added until zero lies outside, whatever the noise."""

import numpy as np
import pytest
from scipy.stats import t as student

from tuner.selection.sequential import ERROR, LEAST_SEEDS, interval, level, seeds_to_decide

NUM_CONFIRMATIONS = 20_000
LAWS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "Student, 3 degrees": lambda rng, shape: rng.standard_t(3, size=shape),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "one in ten is ten times as far off": lambda rng, shape: (
        rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 10, 1)
    ),
    "differences of skewed values": lambda rng, shape: rng.lognormal(size=shape) - rng.lognormal(size=shape),
}


def claims(gains, num_candidates=1):
    """Whether the interval excludes zero, for each confirmation and number of seeds from three."""
    counts = np.arange(1, gains.shape[1] + 1)
    means = np.cumsum(gains, axis=1) / counts
    squares = np.cumsum(gains**2, axis=1) - counts * means**2
    columns = []
    for number in range(LEAST_SEEDS, gains.shape[1] + 1):
        spread = np.sqrt(squares[:, number - 1] / (number - 1) / number)
        columns.append(
            np.abs(means[:, number - 1]) > student.isf(level(number, num_candidates) / 2, number - 1) * spread
        )
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("num_candidates", [1, 3, 10])
def test_the_simulation_claims_what_the_intervals_claim(num_candidates):
    gains = np.random.default_rng(0).normal(loc=1.5, size=(200, 8))
    for row, claimed in zip(gains, claims(gains, num_candidates), strict=True):
        for number in range(LEAST_SEEDS, 9):
            low, high = interval(row[:number], num_candidates)
            assert (low > 0 or high < 0) == claimed[number - LEAST_SEEDS]


@pytest.mark.parametrize("last", [3, 6, 10, 100])
@pytest.mark.parametrize("law", LAWS)
def test_without_a_difference_at_most_one_confirmation_in_twenty_ever_claims_one(law, last):
    gains = LAWS[law](np.random.default_rng(1), (NUM_CONFIRMATIONS, last))
    assert claims(gains).any(axis=1).mean() <= ERROR


@pytest.mark.parametrize("shared", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("num_candidates", [3, 5, 10])
def test_choosing_the_best_by_validation_values_rarely_claims_a_false_difference(shared, num_candidates):
    """`shared`: correlation of a training's values on the two splits, by which a lucky training misleads the choice."""
    rng = np.random.default_rng(2)
    test = rng.normal(size=(NUM_CONFIRMATIONS, 1 + num_candidates, 10))
    validation = shared * test + np.sqrt(1 - shared**2) * rng.normal(size=test.shape)
    chosen = validation[:, :, :3].mean(axis=2).argmax(axis=1)
    gains = test[np.arange(NUM_CONFIRMATIONS), chosen] - test[:, 0]
    is_claimed = claims(gains, num_candidates).any(axis=1) & (chosen > 0)
    assert is_claimed.mean() <= ERROR


@pytest.mark.parametrize(("effect", "fixed", "to_six", "to_ten"), [(1.0, 0.2, 0.2, 0.5), (2.0, 0.5, 0.7, 0.95)])
def test_further_seeds_find_more_than_students_interval_of_exactly_three(effect, fixed, to_six, to_ten):
    """`effect`: the true gain in standard deviations of the paired differences."""
    gains = np.random.default_rng(3).normal(loc=effect, size=(NUM_CONFIRMATIONS, 10))
    three = gains[:, :3]
    t = three.mean(axis=1) / (three.std(axis=1, ddof=1) / np.sqrt(3))
    of_three = (np.abs(t) > student.isf(0.025, 2)).mean()
    claimed = claims(gains)
    assert of_three <= fixed
    assert claimed[:, :4].any(axis=1).mean() >= max(to_six, of_three)
    assert claimed.any(axis=1).mean() >= to_ten


def test_fewer_than_three_seeds_have_no_interval():
    assert interval([0.1, 0.2]) is None


def test_what_it_would_take_is_the_number_at_which_the_same_mean_and_spread_exclude_zero():
    gains = [0.02, 0.08, 0.05]
    more = seeds_to_decide(gains)
    quantiles = {n: student.isf(level(n) / 2, n - 1) * 0.03 / np.sqrt(n) for n in range(3, 30)}
    assert 3 + more == next(n for n, half in quantiles.items() if half < 0.05)


def test_what_is_decided_takes_none_and_what_is_no_gain_takes_too_many():
    assert seeds_to_decide([0.10, 0.11, 0.10]) == 0
    assert seeds_to_decide([0.1, -0.1, 0.0]) is None
    assert seeds_to_decide([0.1]) is None
