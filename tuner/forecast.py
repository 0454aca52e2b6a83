"""How long a search will take: its schedule, played through with drawn trials on measured times.

What: slots take trials as they come free; every trial has an epoch's time of one of the measured configurations and a
value at each rung that is a hidden quality under noise; the rungs decide as they will in the search. Played many times,
because who is stopped depends on who came first.
Cost: milliseconds a play.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.rungs import STOP, Rungs

PLAYS = 50
_NOISE_OF_A_RUNG = 0.5
"""Of a value at a rung against the trial's quality, whose own spread is 1: ranks change, as they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is known of a search before it begins."""

    num_trials: int
    slots: int
    max_epochs: int
    rung_epochs: tuple[int, ...]
    reduction_factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Medians, and for the wall time the range of nine plays in ten."""

    wall_seconds: float
    shortest_seconds: float
    longest_seconds: float
    busy_seconds: float
    """Sum over the slots."""
    epochs: int


def forecast(schedule: Schedule, epoch_seconds: Sequence[float], *, seed: int = 0) -> Forecast:
    """Plays the search through; `epoch_seconds` are those of configurations that are equally likely."""
    plays = sorted(_play(schedule, epoch_seconds, random.Random(f"{seed} {play}")) for play in range(PLAYS))
    wall, busy, epochs = plays[len(plays) // 2]
    return Forecast(
        wall_seconds=wall,
        shortest_seconds=plays[round(0.05 * (PLAYS - 1))][0],
        longest_seconds=plays[round(0.95 * (PLAYS - 1))][0],
        busy_seconds=busy,
        epochs=epochs,
    )


def _play(schedule: Schedule, epoch_seconds: Sequence[float], rng: random.Random) -> tuple[float, float, int]:
    """Wall seconds, busy seconds and epochs of one search. Events are epochs, in the order in which they end."""
    rungs = Rungs(schedule.rung_epochs, reduction_factor=schedule.reduction_factor, mode="max")
    waiting = [(rng.gauss(0, 1), rng.choice(epoch_seconds)) for _ in range(schedule.num_trials)]
    running: list[tuple[float, int, int]] = []
    for trial in range(min(schedule.slots, schedule.num_trials)):
        heapq.heappush(running, (waiting[trial][1], trial, 1))
    begun, now, busy, epochs = len(running), 0.0, 0.0, 0
    while running:
        now, trial, epoch = heapq.heappop(running)
        quality, seconds = waiting[trial]
        busy, epochs = busy + seconds, epochs + 1
        decision = rungs.record(str(trial), epoch=epoch, value=quality + rng.gauss(0, _NOISE_OF_A_RUNG))
        if epoch < schedule.max_epochs and not (decision and decision.action == STOP):
            heapq.heappush(running, (now + seconds, trial, epoch + 1))
        elif begun < schedule.num_trials:
            heapq.heappush(running, (now + waiting[begun][1], begun, 1))
            begun += 1
    return now, busy, epochs
