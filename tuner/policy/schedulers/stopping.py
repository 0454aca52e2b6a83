"""The policy that stops poor trials at rungs; without rungs every trial trains to full length."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuner.policy.candidates import Candidate
from tuner.policy.decision import KEEP, STOP, Decision
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Policy, Start, Work
from tuner.policy.proposals import Proposals
from tuner.policy.samplers.sampler import Sampler
from tuner.policy.schedulers.stopping_rungs import StoppingRungs


class StoppingPolicy(Policy):
    """A sampler proposes configurations, rungs stop trials; no trial waits.

    Args:
        first: configurations to try before any is drawn; the first one is the default, which no rung stops, because
            all others are compared with it.
    """

    def __init__(self, sampler: Sampler, config: HalvingConfig, *, first: Sequence[Candidate] = ()) -> None:
        super().__init__(config.slots)
        self._sampler = sampler
        self._rungs = StoppingRungs(config.rung_epochs, reduction_factor=config.reduction_factor, mode=config.mode)
        self._proposals = Proposals(first, num_trials=config.num_trials, seed=config.seed, draw_any=sampler.source.any)
        self._running: set[str] = set()

    def start(self, trial: str, candidate: Candidate) -> None:
        self._proposals.add(trial, candidate)
        self._sampler.start(trial, candidate)
        self._running.add(trial)
        self._changed()

    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        self._sampler.report(trial, epoch=epoch, value=value)
        self._changed()
        decision = self._rungs.report(trial, epoch=epoch, value=value)
        is_kept = decision is not None and decision.action == STOP and trial == self._proposals.default_trial
        return replace(decision, action=KEEP) if decision is not None and is_kept else decision

    def end(self, trial: str, outcome: Outcome) -> None:
        self._sampler.end(trial, outcome)
        self._running.discard(trial)
        self._changed()

    def add_past_trial(self, trial: str, candidate: Candidate, values: Mapping[int, float], outcome: Outcome) -> None:
        """Only the sampler uses it; it enters no rung."""
        self._proposals.add(trial, candidate, is_past=True)
        self._sampler.start(trial, candidate)
        for epoch, value in sorted(values.items()):
            self._sampler.report(trial, epoch=epoch, value=value)
        self._sampler.end(trial, outcome)
        self._changed()

    def _decide(self) -> Work:
        if len(self._running) >= self._slots:
            return NoWork.WAIT
        if not self._is_closed and not self._proposals.are_all_started:
            return Start(self._proposals.next(self._sampler.draw))
        return NoWork.WAIT if self._running else NoWork.FINISHED
