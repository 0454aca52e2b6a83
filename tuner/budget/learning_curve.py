"""How long a full training has to be, from a pilot run of the default: a measured rule, not a constant.

What: the default trains on its own data with the schedule of `MOST_UPDATES` updates, and is validated after each epoch.
    The pilot run ends when twice as many updates have stopped helping: the best value of the second half is less than
    `CLEAR_SHARE` of the gain over the trivial prediction above the best of the first half. That many updates are the
    full training, and no more than `MOST_UPDATES`. Where the time is up before, twice its updates are planned.
    The first rung is where the default is above the trivial prediction twice in a row, at half of the full training at
    the latest, and not before the space's own share of it.
Why: in a few hundred updates a network can be worse than an empty mask. What an update brings differs by a factor of a
    hundred between data sets and starts, so neither epochs nor updates can be fixed. The best value so far, in halves,
    is robust against the noise of single epochs, and its scale is that of the objective on this data.
Cost: at most `MOST_UPDATES` updates of one slot, while the others time steps. It is not a trial, because its schedule
    is not that of the length it finds. Off: `--max-epochs`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from trainable.config import TrialConfig
from trainable.techniques.memory import MemoryShortage
from trainable.techniques.optim.gradient_update import DivergedError
from trainable.workloads.workload import Workload

MOST_UPDATES = 2000
LEAST_EPOCHS = 4
"""Least epochs of a full training: fewer leave no space for rungs."""
PILOT_SECONDS = 300.0
"""Longest pilot run, where no time is stated for the search."""
CLEAR_SHARE = 0.1
"""Share of the gain over the trivial prediction below which a rise is not clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotLimits:
    """Time limit of a pilot run of the default, and how to read its objective."""

    most_seconds: float
    trivial: float | None
    """Score of the trivial prediction, in the objective's own direction."""
    sign: float
    """Makes higher values of the objective better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Objectives of the default in its pilot run."""

    values: tuple[float, ...]
    """The objective after each epoch, higher is better; empty where it diverged at once or had no time."""
    updates_per_epoch: int
    most_epochs: int
    """Limit of the pilot run, and of a full training."""
    least_epochs: int = LEAST_EPOCHS
    """Epochs before the curve is meaningful: twice the warm-up of the pilot run."""
    trivial: float | None = None
    """Score of a prediction that looks at no image, higher is better."""

    @property
    def epochs(self) -> int:
        return len(self.values)

    @property
    def has_settled(self) -> bool:
        """Whether doubling the updates no longer helps; False until the default is above the trivial prediction."""
        if self.epochs < self.least_epochs:
            return False
        best, before = max(self.values), max(self.values[: self.epochs // 2])
        origin = self.values[0] if self.trivial is None else self.trivial
        return best > origin and best - before < CLEAR_SHARE * (best - origin)

    @property
    def first_above(self) -> int | None:
        """First of two epochs in a row in which the default is above the trivial prediction; None if there is none."""
        if self.trivial is None:
            return 1 if self.values else None
        above = [value > self.trivial for value in self.values]
        return next((index + 1 for index, pair in enumerate(pairwise(above)) if all(pair)), None)

    @property
    def full_epochs(self) -> int:
        """Epochs of a full training; the most of a pilot run if the default was never above the trivial prediction."""
        if self.first_above is None:
            return self.most_epochs
        return max(LEAST_EPOCHS, self.epochs if self.has_settled else min(2 * self.epochs, self.most_epochs))

    @property
    def least_useful_epochs(self) -> int:
        """Least epochs of a full training of which half is above the trivial prediction, wherever the first rung is.

        `full_epochs` if the default never was above it.
        """
        if self.first_above is None:
            return self.full_epochs
        return max(LEAST_EPOCHS, min(2 * self.first_above, self.full_epochs))

    def first_rung(self, share: float, max_epochs: int) -> int:
        """Epoch of the first rung of a full training of `max_epochs`: half of it at most, or halving saves little.

        Args:
            share: the space's own share of a full training; the rung is never before that, even past the half.
        """
        wanted = max(math.ceil(share * max_epochs), self.first_above or self.epochs)
        return max(1, math.ceil(share * max_epochs), min(wanted, max_epochs // 2))


class _TimeIsUpError(Exception):
    """The time of a pilot run is up."""


def pilot_run(
    workload: Workload[Any],
    config: TrialConfig,
    data: Any,
    limits: PilotLimits,
    *,
    device: torch.device,
    updates_per_epoch: int,
    epoch_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> LearningCurve:
    """Trains the default until doubling the updates no longer helps, or a limit is reached.

    No epoch is begun that would pass the time, by the mean of those before it; one that is slower than they were ends
    with the update at which the time is up, and does not count.

    Args:
        epoch_seconds: what an epoch takes, as it was timed; without room for two epochs no run is begun.
    """
    most_epochs = max(LEAST_EPOCHS, MOST_UPDATES // updates_per_epoch)
    curve = LearningCurve(
        values=(),
        updates_per_epoch=updates_per_epoch,
        most_epochs=most_epochs,
        least_epochs=max(LEAST_EPOCHS, math.ceil(2 * config.warmup_fraction * most_epochs)),
        trivial=None if limits.trivial is None else limits.sign * limits.trivial,
    )
    if 2 * epoch_seconds > limits.most_seconds:
        return curve
    began = clock()

    def stop_in_time(*_: object) -> None:
        if clock() - began > limits.most_seconds:
            raise _TimeIsUpError

    run: Any = workload.begin(replace(config, max_epochs=most_epochs), data, device=device)
    run.trainer.optimizer.register_step_post_hook(stop_in_time)
    try:
        while run.ending is None and not curve.has_settled:
            if curve.epochs and (taken := clock() - began) + taken / curve.epochs > limits.most_seconds:
                raise _TimeIsUpError
            curve = replace(curve, values=(*curve.values, limits.sign * run.run_epoch().objective))
    except (DivergedError, MemoryShortage):
        return curve
    except _TimeIsUpError:
        # A single epoch does not show a trend.
        return curve if curve.epochs > 1 else replace(curve, values=())
    return curve
