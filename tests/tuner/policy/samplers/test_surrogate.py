"""The oracles are closed forms solved by numpy, finite differences, and a Monte Carlo estimate."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from tuner.policy.samplers.surrogate import (
    JITTER,
    GaussianProcess,
    expected_improvement,
    fit_theta,
    negative_log_posterior,
    standardise,
)

THETA = np.log([0.5, 2.0, 1.3, 1e-3])


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def kernel(left, right):
    """Matern 5/2 with scales 0.5 and 2 and amplitude 1.3, pair by pair."""
    matrix = np.empty((len(left), len(right)))
    for row, one in enumerate(left):
        for column, other in enumerate(right):
            r = np.hypot((one[0] - other[0]) / 0.5, (one[1] - other[1]) / 2.0)
            matrix[row, column] = 1.3 * (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r)
    return matrix


def test_predictions_are_those_of_the_textbook(generator):
    points, others = generator.random((5, 2)), generator.random((3, 2))
    values = generator.normal(size=5)
    covariance = kernel(points, points) + (1e-3 + JITTER) * np.eye(5)
    across = kernel(others, points)
    mean, deviation = GaussianProcess.condition(points, values, THETA).mean_and_deviation(others)
    np.testing.assert_allclose(mean, across @ np.linalg.solve(covariance, values), rtol=1e-8)
    variance = 1.3 - np.einsum("ij,ji->i", across, np.linalg.solve(covariance, across.T))
    np.testing.assert_allclose(deviation, np.sqrt(variance), rtol=1e-6)


def test_the_likelihood_is_that_of_a_normal_distribution(generator):
    """Differences of two parameter sets, so that what is left out as constant cancels; the prior is added by hand."""
    points, values = generator.random((6, 2)), generator.normal(size=6)
    other = THETA + np.array([0.0, 0.0, 0.0, 1.0])
    covariances = [kernel(points, points) + (noise + JITTER) * np.eye(6) for noise in (1e-3, 1e-3 * np.e)]
    expected = np.subtract(*[-multivariate_normal.logpdf(values, cov=covariance) for covariance in covariances])
    prior = 0.5 * np.subtract(*[((theta[-1] + 5.0) / 1.5) ** 2 for theta in (THETA, other)])
    found = negative_log_posterior(THETA, points, values)[0] - negative_log_posterior(other, points, values)[0]
    assert found == pytest.approx(expected + prior)


def test_the_gradient_is_that_of_finite_differences(generator):
    points, values = generator.random((12, 2)), generator.normal(size=12)
    _, gradient = negative_log_posterior(THETA, points, values)
    numeric = approx_fprime(THETA, lambda theta: negative_log_posterior(theta, points, values)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)


def test_a_fit_finds_out_which_coordinate_matters(generator):
    points = generator.random((40, 2))
    values, *_ = standardise(np.sin(6 * points[:, 0]))
    theta = fit_theta(points, values)
    assert theta[0] < np.log(1.0) < theta[1]
    process = GaussianProcess.condition(points, values, theta)
    fresh = generator.random((50, 2))
    centre, spread = np.sin(6 * points[:, 0]).mean(), np.sin(6 * points[:, 0]).std()
    np.testing.assert_allclose(centre + spread * process.mean(fresh), np.sin(6 * fresh[:, 0]), atol=0.1)


def test_noise_is_not_taken_for_signal(generator):
    points = generator.random((80, 1))
    noisy, *_ = standardise(points[:, 0] + generator.normal(0, 0.3, 80))
    assert np.exp(fit_theta(points, noisy)[-1]) > 0.1


def test_differences_are_those_of_the_joint_distribution(generator):
    points, ours, theirs = generator.random((5, 2)), generator.random((3, 2)), generator.random((2, 2))
    values = generator.normal(size=5)
    covariance = kernel(points, points) + (1e-3 + JITTER) * np.eye(5)
    both = np.concatenate([ours, theirs])
    across = kernel(both, points)
    joint_mean = across @ np.linalg.solve(covariance, values)
    joint = kernel(both, both) - across @ np.linalg.solve(covariance, across.T)
    mean, deviation = GaussianProcess.condition(points, values, THETA).difference(ours, theirs)
    contrasts = np.array([np.eye(5)[i] - np.eye(5)[3 + j] for i in range(3) for j in range(2)])
    np.testing.assert_allclose(mean.ravel(), contrasts @ joint_mean, rtol=1e-7)
    variances = np.einsum("ki,ij,kj->k", contrasts, joint, contrasts)
    np.testing.assert_allclose(deviation.ravel(), np.sqrt(variances), rtol=1e-6)


def test_what_the_process_expects_changes_no_expected_value_and_shrinks_deviations(generator):
    points, expected_at, others = generator.random((5, 2)), generator.random((3, 2)), generator.random((4, 2))
    values = generator.normal(size=5)
    process = GaussianProcess.condition(points, values, THETA)
    believing = process.with_expected(expected_at)
    anew = GaussianProcess.condition(
        np.concatenate([points, expected_at]), np.concatenate([values, process.mean(expected_at)]), THETA
    )
    for found, expected in zip(believing.mean_and_deviation(others), anew.mean_and_deviation(others), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-7)
    np.testing.assert_allclose(believing.mean(others), process.mean(others), rtol=1e-9)
    assert (believing.mean_and_deviation(others)[1] < process.mean_and_deviation(others)[1]).all()


def test_a_point_differs_from_itself_by_nothing(generator):
    points = generator.random((4, 2))
    process = GaussianProcess.condition(points, generator.normal(size=4), THETA)
    mean, deviation = process.difference(points, points)
    np.testing.assert_allclose(np.diag(mean), 0.0, atol=1e-12)
    assert np.diag(deviation).max() < 1e-4 < deviation[0, 1]


def test_expected_improvement_agrees_with_simulation(generator):
    mean, deviation, best = np.array([0.3, -0.5, 1.0]), np.array([1.0, 0.4, 0.01]), 0.5
    drawn = generator.normal(mean, deviation, size=(200_000, 3))
    simulated = np.maximum(drawn - best, 0).mean(axis=0)
    np.testing.assert_allclose(expected_improvement(mean, deviation, best), simulated, atol=0.003)


def test_bad_values_are_cut_off_as_far_below_the_median_as_the_best_is_above():
    scaled, centre, spread = standardise(np.array([1.0, 2.0, 3.0, -50.0, -np.inf]))
    assert (centre + spread * scaled).tolist() == pytest.approx([1.0, 2.0, 3.0, -1.0, -1.0])
    assert scaled.mean() == pytest.approx(0.0)
    assert scaled.std() == pytest.approx(1.0)


@pytest.mark.parametrize("values", [[-np.inf, -np.inf], [2.0, 2.0], [-np.inf, -np.inf, -np.inf, 1.0, 2.0]])
def test_what_cannot_be_told_apart_is_finite_all_the_same(values):
    assert np.isfinite(standardise(np.array(values))[0]).all()
