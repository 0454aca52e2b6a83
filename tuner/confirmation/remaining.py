"""How long a running confirmation still takes, the seeds that may be needed and the report included."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tuner.budget.duration import batches_of_pairs, makespan
from tuner.budget.time_left import REPORT_STARTS, TimeLeft, start_seconds
from tuner.confirmation.wanted import Training, next_trainings, num_further_seeds
from tuner.records import SearchRecord
from tuner.selection import in_search

TrainingKey = tuple[str, int]
"""Name of the trial, and seed."""


def confirmation_left(folder: Path, record: SearchRecord) -> TimeLeft | None:
    """Time left of a confirmation as seen by another process, without running trainings; None if nothing is left.

    Raises:
        ValueError: the file of the confirmation is damaged.
    """
    top, seeds = record.settings.confirm, record.settings.confirm_seeds
    todo = next_trainings(folder, record, top=top, seeds=seeds) if top and record.leader is not None else []
    if not todo:
        return None
    further = num_further_seeds(record, todo, seeds)
    return Remaining(record, todo, further_seeds=further, process_seconds=0.0).time_left


class Remaining:
    """Estimates the time left of a batch of trainings, which take free slots in their order.

    A training takes as long as in the search, times the pace of those of the batch that have ended.

    Args:
        todo: the batch.
        further_seeds: seeds on which the exported trial and the default may follow it, while they are undecided.
        process_seconds: start of a process, for the first training of each slot; None is that of the search.
    """

    def __init__(
        self,
        record: SearchRecord,
        todo: Sequence[Training],
        *,
        further_seeds: int = 0,
        process_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expected = {(trial.name, seed): in_search.full_seconds(record, trial) for trial, seed in todo}
        self._slots, self._further_seeds = record.settings.resources.concurrent, further_seeds
        self._process_seconds = start_seconds(record) if process_seconds is None else process_seconds
        self._report_seconds = REPORT_STARTS * start_seconds(record)
        self._clock, self._took, self._of = clock, 0.0, 0.0
        self._waiting, self._begun = list(self._expected), dict[TrainingKey, float]()
        self._fill_slots(self._process_seconds)

    def end(self, training: TrainingKey) -> None:
        """Ends a training and gives its slot to the next one."""
        if training in self._begun:
            self._took += max(0.0, self._clock() - self._begun.pop(training))
            self._of += self._expected[training]
        else:
            self._waiting.remove(training)
        self._fill_slots(0.0)

    @property
    def time_left(self) -> TimeLeft:
        """Time with none, half and all of the further seeds."""
        now, pace = self._clock(), self._took / self._of if self._of else 1.0
        running = [max(0.0, begun + pace * self._expected[one] - now) for one, begun in self._begun.items()]
        free = running + [0.0] * (self._slots - len(running))
        batch = makespan([pace * self._expected[one] for one in self._waiting], free) + self._report_seconds
        pair = 2 * max(self._expected.values()) / min(2, self._slots) * pace
        pairs = pair * len(batches_of_pairs(self._further_seeds, slots=self._slots))
        return TimeLeft(shortest=batch, likely=batch + pairs / 2, longest=batch + pairs)

    def _fill_slots(self, start_seconds: float) -> None:
        """Gives free slots to waiting trainings, which begin after `start_seconds`."""
        while self._waiting and len(self._begun) < self._slots:
            self._begun[self._waiting.pop(0)] = self._clock() + start_seconds
