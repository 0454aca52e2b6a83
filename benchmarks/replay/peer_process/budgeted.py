"""The peer's side of optimizers that ask for a configuration and a number of epochs, and are told the value there.

A configuration that is asked for again at more epochs resumes its trial. One that is asked for at an epoch which it has
passed costs nothing: the optimizer is told at once what was measured there.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from benchmarks.replay.peer_process.interface import CONTINUE, PAUSE, PeerSetting

MOST_KNOWN = 1000
"""Proposals in a row whose value is known, after which the optimizer is taken to be out of proposals."""


@dataclass(slots=True)
class _Trial:
    number: int
    costs: dict[int, float] = field(default_factory=dict)
    """Costs by epoch; lower is better."""
    job: Any = None
    """The library's own record of what it asked for; None while the trial does not run."""
    until: int = 0
    failed: bool = False


class BudgetedPeer(ABC):
    def __init__(self, setting: PeerSetting) -> None:
        self._sign = -1.0 if setting.mode == "max" else 1.0
        self._max_epochs = setting.max_epochs
        self._trials: dict[int, _Trial] = {}
        self._latest: dict[frozenset, _Trial] = {}
        """The latest trial of each configuration."""

    @abstractmethod
    def ask(self) -> tuple[Any, dict[str, Any], float]:
        """The library's job, its values by name, and its budget in epochs, which is rounded."""

    @abstractmethod
    def tell(self, job: Any, cost: float, *, failed: bool) -> None:
        """The cost, which is finite and to be minimised."""

    def suggest(self, trial: int) -> dict[str, Any] | None:
        for _ in range(MOST_KNOWN):
            job, values, budget = self.ask()
            epochs = min(max(1, round(budget)), self._max_epochs)
            known = self._latest.get(frozenset(values.items()))
            if known is not None and (known.failed or epochs in known.costs):
                self._tell(job, known, epochs)
            elif known is not None and known.job is None:
                known.job, known.until = job, epochs
                return {"resume": known.number}
            else:
                new = _Trial(trial, job=job, until=epochs)
                self._trials[trial] = self._latest[frozenset(values.items())] = new
                return {"start": values}
        return None

    def report(self, trial: int, epoch: int, value: float) -> str:
        one = self._trials[trial]
        one.costs[epoch] = self._sign * value
        if epoch < one.until:
            return CONTINUE
        job, one.job = one.job, None
        self._tell(job, one, epoch)
        return PAUSE

    def fail(self, trial: int) -> None:
        one = self._trials[trial]
        job, one.job, one.failed = one.job, None, True
        self._tell(job, one, one.until)

    def _tell(self, job: Any, trial: _Trial, epoch: int) -> None:
        """A trial that diverged has the worst cost that was seen anywhere."""
        if trial.failed:
            worst = max((cost for one in self._trials.values() for cost in one.costs.values()), default=0.0)
            self.tell(job, worst, failed=True)
        else:
            self.tell(job, trial.costs[epoch], failed=False)
