"""How long the trainings of a confirmation will still take, and the line that a person reads after each."""

import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tuner import wording
from tuner.records import ConfirmedRun, SearchRecord, TrialRecord

Training = tuple[str, int]
"""Name of the trial, and seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a confirmation stands after a training."""

    done: int
    total: int
    seconds_left: float


class Remaining:
    """Seconds until the last training ends: as in the search, times how much slower the first of them were."""

    def __init__(
        self,
        record: SearchRecord,
        todo: Sequence[tuple[TrialRecord, int]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expected = {(trial.name, seed): full_seconds(record, trial) for trial, seed in todo}
        self._lanes = record.settings.resources.concurrent
        self._clock, self._began = clock, clock()

    def seconds(self, pending: Collection[Training]) -> float:
        left = math.fsum(self._expected[training] for training in pending)
        done = math.fsum(self._expected.values()) - left
        pace = (self._clock() - self._began) / done if done else 1 / self._lanes
        return left * pace


def full_seconds(record: SearchRecord, trial: TrialRecord) -> float:
    """What a training to the full budget took in the search; a configuration without a result takes the mean."""
    seen = [trial] if trial.results else record.trials
    seconds = [result.seconds for one in seen for result in one.results.values()]
    return record.settings.max_epochs * math.fsum(seconds) / len(seconds)


def say_run(run: ConfirmedRun, progress: Progress) -> None:
    """One line for a finished training."""
    name = "default" if run.number == 0 else f"trial {run.trial}"
    result = "diverged or out of memory" if run.objective is None else f"{run.objective:.4f} on the test split"
    left = f" | ~{wording.duration(progress.seconds_left)} left" if progress.done < progress.total else ""
    sys.stdout.write(f"[{progress.done}/{progress.total}{left}] {name}, seed {run.seed}: {result}\n")
    sys.stdout.flush()
