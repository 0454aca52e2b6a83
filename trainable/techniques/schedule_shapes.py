"""Shapes of a learning rate between its warm-up and the end of the budget, as shares of the highest rate.

What: each is a function of progress from 0, the end of the warm-up, to 1, the end of the budget, so that neither
accumulation nor the number of batches matters. `floor` is the lowest rate as a share of the highest.
Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
https://arxiv.org/abs/1608.03983 (cosine, restarts); Smith and Topin, Super-Convergence, 2018,
https://arxiv.org/abs/1708.07120 (one cycle; its momentum stays put here); Haegele et al., Scaling Laws and
Compute-Optimal Training Beyond Fixed Training Durations, 2024, https://arxiv.org/abs/2405.18392 (stable, then decay).
Cost: one cosine or power per update. Off: `constant`.
"""

import math

_ROUNDING = 1e-9


def constant(progress: float) -> float:
    """The highest rate throughout."""
    return 1.0


def cosine(progress: float, *, floor: float) -> float:
    """Half a cosine from 1 to the floor."""
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def exponential(progress: float, *, floor: float) -> float:
    """The same factor in every stretch of equal length; reaches the floor, which must be above 0, at the end."""
    return floor ** min(1.0, progress)


def warm_restarts(progress: float, *, floor: float, first_cycle: float, growth: float) -> float:
    """Half cosines one after the other.

    Args:
        first_cycle: length of the first one, in progress, > 0.
        growth: each next one is so many times as long, >= 1.
    """
    start, length = 0.0, first_cycle
    # The end of the budget begins no new cycle, which would raise the rate for the very last update.
    while start + length < min(progress + _ROUNDING, 1.0 - _ROUNDING):
        start, length = start + length, length * growth
    return cosine(max(0.0, progress - start) / length, floor=floor)


def steps(progress: float, *, floor: float, length: float, factor: float) -> float:
    """Stairs: the rate times `factor` after every `length` of the progress, never below the floor."""
    return max(floor, factor ** int(min(1.0, progress) / length + _ROUNDING))


def warmup_stable_decay(progress: float, *, floor: float, decay: float) -> float:
    """The highest rate, then a straight line to the floor over the last `decay` of the progress."""
    left = max(0.0, 1.0 - progress)
    return 1.0 if left >= decay else floor + (1.0 - floor) * left / decay


def linear_rise(progress: float, *, start: float) -> float:
    """A straight line from `start` to 1: the warm-up of all kinds but one."""
    return start + (1.0 - start) * progress


def cosine_rise(progress: float, *, start: float) -> float:
    """Half a cosine from `start` to 1: the first part of one cycle."""
    return start + (1.0 - start) * 0.5 * (1.0 - math.cos(math.pi * progress))
