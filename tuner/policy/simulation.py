"""Simulates a search in virtual time, with known values and durations.

The loop of a real search without its processes and files. Results of several slots arrive in the order that the
durations give.
"""

import heapq
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tuner.policy.candidates import Candidate
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import Consequences, Policy, Promote, Start, take_result

Work = TypeVar("Work")


class SimulatedSlots(ABC, Generic[Work]):
    """Slots that take work as they come free, and advance it by an epoch at a time: the loop of every simulation.

    Attributes:
        now: seconds since the beginning, in virtual time.
        num_epochs: how many have ended.
    """

    def __init__(self, slots: int) -> None:
        self.now = 0.0
        self.num_epochs = 0
        self._slots = slots
        self._events: list[tuple[float, int, Work]] = []
        self._order = itertools.count()

    @abstractmethod
    def next_work(self) -> Work | None:
        """For a free slot; None while there is none."""

    @abstractmethod
    def advance(self, work: Work) -> bool:
        """The epoch has ended; whether the work keeps its slot."""

    def seconds(self, work: Work, *, begins: bool) -> float:
        """Duration of the next epoch, with the start if the work has just been given a slot."""
        return 1.0

    @property
    def running(self) -> list[Work]:
        """In the order in which their epochs end."""
        return [work for *_, work in sorted(self._events, key=lambda event: event[:2])]

    def run(
        self,
        budget_epochs: float = math.inf,
        *,
        until: float = math.inf,
        on_epoch: Callable[[], None] = lambda: None,
    ) -> None:
        """Until so many epochs have ended in all, the clock stands at `until`, or nothing is left to do."""
        while self.num_epochs < budget_epochs:
            while len(self._events) < self._slots and self.begin():
                pass
            if not self._events or self._events[0][0] >= until:
                return
            self.now, _, work = heapq.heappop(self._events)
            self.num_epochs += 1
            if self.advance(work):
                self.occupy(work, due=self.now + float(self.seconds(work, begins=False)))
            on_epoch()

    def begin(self) -> bool:
        """Begins the next work, if there is any, whether a slot is free or not."""
        work = self.next_work()
        if work is None:
            return False
        self.occupy(work, due=self.now + float(self.seconds(work, begins=True)))
        return True

    def occupy(self, work: Work, *, due: float) -> None:
        """The work has a slot, and its epoch ends at this time."""
        heapq.heappush(self._events, (due, next(self._order), work))


@dataclass(slots=True, eq=False)
class SimulatedTrial:
    """A trial and its epoch so far."""

    number: int
    candidate: Candidate
    epoch: int = 0
    legs: int = 0
    """How often it got a slot."""

    @property
    def name(self) -> str:
        """In the form of a search's names, in the order of their numbers."""
        return f"{self.number:05d}-{self.number:08x}"


class SimulatedSearch(SimulatedSlots[SimulatedTrial]):
    """Runs a policy.

    Args:
        value: the objective of a trial at its current epoch; if not finite, the trial diverged.
        seconds: duration of the trial's next epoch, with the start of its leg if it has just got a slot.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        slots: int,
        max_epochs: int,
        value: Callable[[SimulatedTrial], float],
        seconds: Callable[[SimulatedTrial, bool], float],
    ) -> None:
        super().__init__(slots)
        self.policy = policy
        self.trials: list[SimulatedTrial] = []
        self._max_epochs = max_epochs
        self._value, self._seconds = value, seconds

    def trial(self, name: str) -> SimulatedTrial:
        return self.trials[int(name.partition("-")[0])]

    def next_work(self) -> SimulatedTrial | None:
        work = self.policy.next_work()
        if isinstance(work, Start):
            trial = SimulatedTrial(len(self.trials), work.candidate)
            self.trials.append(trial)
            self.policy.start(trial.name, work.candidate)
        elif isinstance(work, Promote):
            trial = self.trial(work.trial)
            self.policy.promote(work)
        else:
            return None
        trial.legs += 1
        return trial

    def advance(self, work: SimulatedTrial) -> bool:
        work.epoch += 1
        return self.take(work, float(self._value(work))).goes_on

    def take(self, trial: SimulatedTrial, value: float) -> Consequences:
        """Reports a result to the policy, and ends the trial if it has an outcome."""
        if math.isfinite(value):
            name, epoch = trial.name, trial.epoch
            consequences = take_result(self.policy, name, epoch=epoch, value=value, max_epochs=self._max_epochs)
        else:
            consequences = Consequences(outcome=Outcome.DIVERGED)
        if consequences.outcome is not None:
            self.policy.end(trial.name, consequences.outcome)
        return consequences

    def seconds(self, work: SimulatedTrial, *, begins: bool) -> float:
        return self._seconds(work, begins)
