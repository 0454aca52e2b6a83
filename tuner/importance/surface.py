"""A smooth surface through the values of scattered trials: the kernel-weighted mean of Nadaraya and Watson.

Source: Nadaraya, "On estimating regression", Theory of Probability and its Applications 9, 1964,
https://doi.org/10.1137/1109020. A value is given only where trials are near.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tuner.importance.measure import is_logarithmic

STEPS = 30
"""Grid points along each axis."""
WIDTH = 0.09
"""Standard deviation of the kernel, as a share of each axis."""
NEAR = 0.35
"""Least sum of kernel weights: that of one trial at a distance of about one and a half widths."""


class Surface(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    """(y, x); NaN far from every trial."""


def smooth(x: Sequence[float], y: Sequence[float], values: Sequence[float]) -> Surface:
    """The surface over two parameters, each on its own scale."""
    (x_unit, x_grid), (y_unit, y_grid) = _unit(x), _unit(y)
    at = np.linspace(0.0, 1.0, STEPS)
    near_x = np.exp(-0.5 * ((at[:, None] - x_unit) / WIDTH) ** 2)
    near_y = np.exp(-0.5 * ((at[:, None] - y_unit) / WIDTH) ** 2)
    weights = near_y[:, None, :] * near_x[None, :, :]
    total = weights.sum(axis=-1)
    mean = (weights * np.asarray(values)).sum(axis=-1) / np.maximum(total, 1e-12)
    return Surface(x_grid, y_grid, np.where(total >= NEAR, mean, np.nan))


def _unit(values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The values in [0, 1] on their scale, and the grid in their own unit."""
    given = np.asarray(values, dtype=float)
    scaled = np.log(given) if is_logarithmic(values) else given
    low, high = scaled.min(), scaled.max()
    grid = np.linspace(low, high, STEPS)
    return (scaled - low) / ((high - low) or 1.0), np.exp(grid) if is_logarithmic(values) else grid
