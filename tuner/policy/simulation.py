"""Simulates a search in virtual time, with known values and durations.

The loop of a real search without its processes and files. Trials take the time that is said of them, so that with
several slots results arrive in the order in which they would.
"""

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from tuner.policy.actions import Policy, Promote, Start, take_result
from tuner.policy.candidates import Candidate
from tuner.policy.outcomes import Outcome


@dataclass(slots=True, eq=False)
class SimulatedTrial:
    """A trial after so many epochs."""

    number: int
    candidate: Candidate
    epoch: int = 0
    legs: int = 0
    """How often it was given a slot."""

    @property
    def name(self) -> str:
        return f"{self.number:05d}"


class SimulatedSearch:
    """Plays a policy.

    Args:
        value: the objective of a trial after the epoch at which it stands; not finite: it diverged.
        seconds: what the trial's next epoch takes, and the start of its leg where it has just been given a slot.
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
        self.policy = policy
        self.trials: list[SimulatedTrial] = []
        self.num_epochs = 0
        self.now = 0.0
        self._slots, self._max_epochs = slots, max_epochs
        self._value, self._seconds = value, seconds
        self._events: list[tuple[float, int, SimulatedTrial]] = []
        self._order = itertools.count()

    def run(self, budget_epochs: float = math.inf, *, on_epoch: Callable[[], None] = lambda: None) -> None:
        """Until the budget is spent or nothing is left to do."""
        while self.num_epochs < budget_epochs:
            self._fill()
            if not self._events:
                return
            self.now, _, trial = heapq.heappop(self._events)
            self.num_epochs += 1
            trial.epoch += 1
            if self._goes_on(trial):
                self._expect(trial, begins=False)
            on_epoch()

    def trial(self, name: str) -> SimulatedTrial:
        return self.trials[int(name)]

    def _fill(self) -> None:
        while len(self._events) < self._slots and (trial := self._next_trial()) is not None:
            trial.legs += 1
            self._expect(trial, begins=True)

    def _next_trial(self) -> SimulatedTrial | None:
        action = self.policy.action()
        if isinstance(action, Start):
            self.trials.append(SimulatedTrial(len(self.trials), action.candidate))
            self.policy.start(self.trials[-1].name, action.candidate)
            return self.trials[-1]
        if isinstance(action, Promote):
            self.policy.promote(action)
            return self.trial(action.trial)
        return None

    def _goes_on(self, trial: SimulatedTrial) -> bool:
        value = float(self._value(trial))
        if not math.isfinite(value):
            self.policy.end(trial.name, Outcome.DIVERGED)
            return False
        step = take_result(self.policy, trial.name, epoch=trial.epoch, value=value, max_epochs=self._max_epochs)
        if step.outcome is not None:
            self.policy.end(trial.name, step.outcome)
        return step.goes_on

    def _expect(self, trial: SimulatedTrial, *, begins: bool) -> None:
        due = self.now + float(self._seconds(trial, begins))
        heapq.heappush(self._events, (due, next(self._order), trial))
