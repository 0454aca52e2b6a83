"""The mathematics of a small Gaussian process: arrays of points and values, no trials and no rungs.

prediction.py makes the points from configurations and epochs, and predicts trials with it.

What: a Matern 5/2 kernel with one length scale per coordinate (the epoch is one of them), an amplitude and a noise,
fitted by maximum a posteriori under log-normal priors, which keep the scales of irrelevant coordinates long and the fit
to few values stable. Values far below the median only say that they are bad, so they are clipped.
Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, chapter 5,
https://gaussianprocess.org/gpml; a prior that grows with the number of coordinates: Hvarfner, Hellsten, Nardi, "Vanilla
Bayesian Optimization Performs Great in High Dimensions", ICML 2024, https://arxiv.org/abs/2402.02229.
Cost: a few milliseconds for 150 values, about 20 ms when the scales are refitted. Off: `--sampler random`.

Own code, because Optuna's process is private and built on torch, and scikit-learn's has no priors and takes ten times
as long; this needs a hundred lines of numpy.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtr

FIT_STEPS = 15
JITTER = 1e-8
_SCALE_MEAN, _SCALE_DEVIATION = -1.7, 1.0
"""Prior of the natural logarithm of a length scale, in one dimension."""
_AMPLITUDE_DEVIATION = 1.0
_NOISE_MEAN, _NOISE_DEVIATION = -5.0, 1.5
"""Prior of the natural logarithm of the noise variance, for values with variance 1."""


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """Conditioned on values [N] at points [N, D]; `theta` holds log length scales [D], log amplitude, log noise."""

    theta: np.ndarray
    points: np.ndarray
    factor: np.ndarray
    """Lower Cholesky factor [N, N] of the covariance."""
    weights: np.ndarray
    """The covariance's inverse times the values [N]."""

    @classmethod
    def condition(cls, points: np.ndarray, values: np.ndarray, theta: np.ndarray) -> "GaussianProcess":
        factor = cholesky(_covariance(points, theta), lower=True, check_finite=False)
        return cls(theta, points, factor, cho_solve((factor, True), values, check_finite=False))

    def with_expected(self, points: np.ndarray) -> "GaussianProcess":
        """Conditioned also on what it expects at points [M, D]: no expected value changes, deviations shrink there.

        The covariance times (weights, 0) is (values, expected values), so the new weights are 0.
        """
        shared = solve_triangular(self.factor, _kernel(self.points, points, self.theta), lower=True, check_finite=False)
        own = cholesky(_covariance(points, self.theta) - shared.T @ shared, lower=True, check_finite=False)
        return GaussianProcess(
            self.theta,
            np.concatenate([self.points, points]),
            np.block([[self.factor, np.zeros(shared.shape)], [shared.T, own]]),
            np.concatenate([self.weights, np.zeros(len(points))]),
        )

    def mean(self, points: np.ndarray) -> np.ndarray:
        """Expected values [M] at points [M, D]."""
        return _kernel(points, self.points, self.theta) @ self.weights

    def mean_and_deviation(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected values [M] at points [M, D] and their standard deviations without noise."""
        kernel = _kernel(points, self.points, self.theta)
        reduced = solve_triangular(self.factor, kernel.T, lower=True, check_finite=False)
        variance = np.maximum(np.exp(self.theta[-2]) - np.square(reduced).sum(axis=0), 1e-12)
        return kernel @ self.weights, np.sqrt(variance)

    def difference(self, points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected values [M, K] of points [M, D] less those of others [K, D], and the standard deviations of these
        differences: near 0 for neighbours, whose values go together."""
        both = _kernel(np.concatenate([points, others]), self.points, self.theta)
        mean = both @ self.weights
        reduced = solve_triangular(self.factor, both.T, lower=True, check_finite=False)
        left, right = reduced[:, : len(points)], reduced[:, len(points) :]
        own_left, own_right = (np.exp(self.theta[-2]) - np.square(side).sum(axis=0) for side in (left, right))
        shared = _kernel(points, others, self.theta) - left.T @ right
        variance = np.maximum(own_left[:, None] + own_right[None, :] - 2.0 * shared, 1e-12)
        return mean[: len(points), None] - mean[None, len(points) :], np.sqrt(variance)


def prior(num_coordinates: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean, which is the mode, and standard deviation of the prior over log scales, amplitude and noise [D + 2]."""
    scale_mean = _SCALE_MEAN + 0.5 * np.log(num_coordinates)
    mean = np.r_[np.full(num_coordinates, scale_mean), 0.0, _NOISE_MEAN]
    deviation = np.r_[np.full(num_coordinates, _SCALE_DEVIATION), _AMPLITUDE_DEVIATION, _NOISE_DEVIATION]
    return mean, deviation


def fit_theta(points: np.ndarray, values: np.ndarray, *, start: np.ndarray | None = None) -> np.ndarray:
    """Scales, amplitude and noise for values [N] at points [N, D]: a few steps of MAP estimation from `start`."""
    begin = prior(points.shape[1])[0] if start is None else start
    bounds = [(-4.0, 8.0)] * points.shape[1] + [(-4.0, 4.0), (-12.0, 1.0)]
    found = minimize(
        negative_log_posterior,
        begin,
        args=(points, values),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": FIT_STEPS},
    )
    return found.x


def negative_log_posterior(theta: np.ndarray, points: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
    """The negative log posterior, up to a constant, and its gradient."""
    scaled = points / np.exp(theta[:-2])
    distance = np.sqrt(5.0 * _squared_distances(scaled, scaled))
    decay = np.exp(theta[-2] - distance)
    kernel = (1.0 + distance + distance**2 / 3.0) * decay
    noise = np.exp(theta[-1])
    factor = cholesky(kernel + (noise + JITTER) * np.eye(len(values)), lower=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(values)), check_finite=False)
    weights = inverse @ values
    slope = 0.5 * (inverse - np.outer(weights, weights))
    # By a log scale: slope * (5/3)(1 + distance) decay * (difference / scale)^2, summed over all pairs.
    pairs = slope * (1.0 + distance) * decay * (5.0 / 3.0)
    by_scale = 2.0 * (np.square(scaled).T @ pairs.sum(axis=1) - np.einsum("nd,nd->d", scaled, pairs @ scaled))
    gradient = np.concatenate([by_scale, [np.sum(slope * kernel), noise * np.trace(slope)]])
    value = 0.5 * values @ weights + np.log(np.diag(factor)).sum()
    mean, deviation = prior(points.shape[1])
    offset = (theta - mean) / deviation
    return float(value + 0.5 * offset @ offset), gradient + offset / deviation


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Expected improvement of each over `best`; the shape of `mean` and `deviation`."""
    gain = (mean - best) / deviation
    density = np.exp(-0.5 * gain**2) / np.sqrt(2 * np.pi)
    return deviation * (gain * ndtr(gain) + density)


def standardise(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Values with mean 0 and variance 1, and the mean and standard deviation that restore them.

    Higher is better, -inf is the worst. Values are clipped as far below the median as the best is above it.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(len(values)), 0.0, 1.0
    # More than half may have diverged.
    middle = max(float(np.median(values)), float(finite.min()))
    cut = np.maximum(values, middle - (finite.max() - middle))
    spread = float(cut.std()) or 1.0
    return (cut - cut.mean()) / spread, float(cut.mean()), spread


def _covariance(points: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Covariance of measurements at points [N, D], noise included, [N, N]."""
    covariance = _kernel(points, points, theta)
    covariance[np.diag_indices_from(covariance)] += np.exp(theta[-1]) + JITTER
    return covariance


def _kernel(left: np.ndarray, right: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """[N, M]. In place, which takes half the time: a decision is mostly this."""
    scales = np.exp(theta[:-2])
    distance = _squared_distances(left / scales, right / scales)
    distance *= 5.0
    np.sqrt(distance, out=distance)
    # 1 + distance + distance^2 / 3
    kernel = distance / 3.0
    kernel += 1.0
    kernel *= distance
    kernel += 1.0
    np.subtract(theta[-2], distance, out=distance)
    np.exp(distance, out=distance)
    kernel *= distance
    return kernel


def _squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[N, M] between points [N, D] and [M, D]."""
    squares = left @ (-2.0 * right.T)
    squares += np.square(left).sum(axis=1)[:, None]
    squares += np.square(right).sum(axis=1)
    return np.maximum(squares, 0.0, out=squares)
