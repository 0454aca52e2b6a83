"""Asynchronous successive halving by promotion: a free slot promotes a waiting trial, starts a new one, or is done.

What: from the top rung down, where the quota allows it, the waiting trial with the largest expected improvement at full
length is promoted; otherwise the new configuration with the largest expected improvement over all trials starts. Both
use one prediction from all rungs. The first configurations are random. When all trials have started and no promotion is
left, the default, which all trials are compared with, is trained to full length, and so are the finalists: the trial
that is predicted best and the one with the best last value, less what others lose later, until these have come there,
or four finalists have: where values fall with the epochs, any trial promises more than a finished one.
Source: own composition of asynchronous promotion (promotion_rungs.py) and expected improvement at the full budget
(Jones, Schonlau, Welch, "Efficient Global Optimization", 1998, https://doi.org/10.1023/A:1008306431147); measured by
`python -m benchmarks.replay`.
Cost: 10 to 30 ms per decision after 1000 trials; a checkpoint and a restore per pause. Off: `--scheduler asha-stopping`
or `none`; the prediction alone: `--sampler random`.
"""

from collections.abc import Collection, Mapping, Sequence

from tuner.policy.candidates import Candidate, CandidateSource
from tuner.policy.decision import PAUSE, Decision
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Policy, Promote, Start, Work
from tuner.policy.promotion_rungs import PromotionRungs
from tuner.policy.proposals import Proposals
from tuner.policy.samplers.forecast import Forecast, startup_values
from tuner.policy.samplers.prediction import GaussianProcessPredictor, LastValues, Predictor
from tuner.policy.samplers.sampler import Sampler

_BEYOND_LAST_VALUE = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY)
"""Outcomes of the epoch after the last value."""
MAX_FINALISTS = 4
"""Trials that are trained to full length as finalists, the default apart."""


class PromotingPolicy(Policy):
    """Trials wait at rungs, and the most promising continue.

    Args:
        first: configurations to try before any is drawn; the first one is the default.
        sampler: proposes new configurations, and trials are ranked by their last values; None: the forecast does both.
        predictor: in place of the sampler's, such as one of a simulation.
    """

    def __init__(
        self,
        source: CandidateSource,
        config: HalvingConfig,
        *,
        first: Sequence[Candidate] = (),
        sampler: Sampler | None = None,
        predictor: Predictor | None = None,
    ) -> None:
        super().__init__(config.slots)
        self.rungs = PromotionRungs(
            config.rung_epochs, max_epochs=config.max_epochs, reduction_factor=config.reduction_factor
        )
        self.paused = self.rungs.paused
        self._config, self._sampler = config, sampler
        if predictor is None:
            predictor = LastValues() if sampler else GaussianProcessPredictor(config.max_epochs)
        self._startup = startup_values(config.num_trials)
        self.forecast = Forecast(source.pool(config.seed), self.rungs, predictor, startup=self._startup)
        self._proposals = Proposals(first, num_trials=config.num_trials, seed=config.seed, draw_any=source.any)
        self._past: set[str] = set()
        self._promoted_finalists: set[str] = set()
        self._last_values: dict[str, float] = {}

    def promotion_of(self, trial: str) -> Promote | None:
        """Draws no new configuration and predicts nothing to find out that there is none: both take longest, and the
        results of other trials may come before a slot asks for work."""
        if self._work is not None or self._is_closed or self._proposals.are_all_started:
            return super().promotion_of(trial)
        may_continue = any(trial in waiting for waiting in self.rungs.promotable())
        promotion = self._promotion() if may_continue and len(self.rungs.running) < self._slots else None
        return promotion if promotion is not None and promotion.trial == trial else None

    def promote(self, promotion: Promote) -> None:
        if promotion.to_epoch is not None and promotion.trial != self._proposals.default_trial:
            self._promoted_finalists.add(promotion.trial)
        self.rungs.promote(promotion.trial, to_epoch=promotion.to_epoch)
        self.forecast.forget()
        self._changed()

    def report(self, trial: str, *, epoch: int, value: float) -> Decision | None:
        """A trial that has reached its rung pauses there."""
        has_arrived = self._add_value(trial, epoch=epoch, value=value)
        return self.decision_on(trial, PAUSE) if has_arrived and epoch < self._config.max_epochs else None

    def decision_on(self, trial: str, action: str, *, to_epoch: int | None = None) -> Decision:
        """The rank is among this search's trials; a pause skips the prediction, which takes time."""
        epoch = self.paused[trial]
        arrived = {name: value for name, value in self.rungs.values[epoch].items() if name not in self._past}
        predicted = None if action == PAUSE else self.forecast.predicted().get(trial)
        return Decision(
            epoch=epoch,
            rung=self.rungs.epochs.index(epoch) + 1,
            value=self._config.sign * arrived[trial],
            cutoff=None,
            rank=1 + sum(other > arrived[trial] for other in arrived.values()),
            of=len(arrived),
            action=action,
            # A prediction that only repeats the last value adds nothing.
            predicted=None if predicted in (None, arrived[trial]) else self._config.sign * predicted,
            to_epoch=to_epoch,
        )

    def end(self, trial: str, outcome: Outcome) -> None:
        self.rungs.end_with(trial, outcome, last=self._last_values.get(trial))
        if not outcome.may_win:
            self.forecast.contenders.discard(trial)
            # One that diverged or failed on the way leaves its place to another.
            self._promoted_finalists.discard(trial)
        if self._sampler is not None:
            self._sampler.end(trial, outcome)
        self._refit()

    def add_past_trial(self, trial: str, candidate: Candidate, values: Mapping[int, float], outcome: Outcome) -> None:
        self._past.add(trial)
        self.start(trial, candidate)
        for epoch, value in sorted(values.items()):
            if trial in self.paused:
                self.rungs.promote(trial)
            self._add_value(trial, epoch=epoch, value=value)
        if trial in self.paused and outcome in _BEYOND_LAST_VALUE:
            self.rungs.promote(trial)
        self.end(trial, outcome)

    def finalists(self) -> tuple[str, ...]:
        """The trials that get their full length at the end; none before the first value.

        The best predicted, which may be the default, and of the others the one with the best last value, less what
        trials lose from there to their full length. With noise or many workers the prediction alone misses better
        trials (results/LOG.md, 2026-11-30).
        """
        predicted, expected = self.forecast.predicted(), self.rungs.expected()
        # A trial that was stopped, for want of disk space or as a search ended, can't come there.
        alive = self.rungs.running.keys() | self.paused.keys() | self.rungs.values[self._config.max_epochs].keys()
        able = (self.forecast.contenders & alive) - self._past
        found = (
            _best(predicted.keys() & able, predicted),
            _best(expected.keys() & able - {self._proposals.default_trial}, expected),
        )
        return tuple(trial for trial in dict.fromkeys(found) if trial is not None)

    def trial_to_evict(self, *, kept: Collection[str] = ()) -> str | None:
        """The worst predicted; the default and the finalists are evicted last."""
        predicted, late = self.forecast.predicted(), (self._proposals.default_trial, *self.finalists())
        waiting = [trial for trial in self.paused if trial not in kept]
        worst = min(predicted.values(), default=0.0)
        return min(
            waiting, key=lambda t: (late.index(t) if t in late else -1, predicted.get(t, worst), t), default=None
        )

    def start(self, trial: str, candidate: Candidate) -> None:
        self.forecast.add(trial, candidate)
        self._proposals.add(trial, candidate, is_past=trial in self._past)
        self.rungs.start(trial)
        # More trials, as at a resume, may bring other finalists.
        self._promoted_finalists.clear()
        if self._sampler is not None:
            self._sampler.start(trial, candidate)
        self._refit()

    def _add_value(self, trial: str, *, epoch: int, value: float) -> bool:
        """Returns whether the trial has reached the rung where it pauses."""
        self._last_values[trial] = self._config.sign * value
        has_arrived = self.rungs.report(trial, epoch=epoch, value=self._config.sign * value)
        if self._sampler is not None:
            self._sampler.report(trial, epoch=epoch, value=value)
            if has_arrived:
                self._sampler.pause(trial)
        if has_arrived or epoch in self.rungs.epochs:
            self._refit()
        self.forecast.forget()
        self._changed()
        return has_arrived

    def _refit(self) -> None:
        self.forecast.refit(at_once=self._proposals.are_all_started)
        self._changed()

    def _decide(self) -> Work:
        if len(self.rungs.running) >= self._slots:
            return NoWork.WAIT
        if self._is_closed:
            return self._last_work()
        if (promotion := self._promotion()) is not None:
            return promotion
        if not self._proposals.are_all_started:
            return Start(self._proposals.next((self._sampler or self.forecast).draw))
        return self._last_work()

    def _promotion(self) -> Promote | None:
        """Promotion of the most promising trial at the highest rung that may promote one; None if there is none."""
        if self._proposals.are_all_started or self.rungs.num_values >= self._startup:
            for waiting in self.rungs.promotable():
                if (trial := self.forecast.most_promising(waiting)) is not None:
                    return Promote(trial)
        return None

    def _last_work(self) -> Work:
        """The default always needs its full length; the finalists get it beside it, once nothing runs that may change
        who they are."""
        full_length = self._config.max_epochs
        may_add = self._is_settled and len(self._promoted_finalists) < MAX_FINALISTS
        for trial in (self._proposals.default_trial, *(self.finalists() if may_add else ())):
            if trial is not None and self.paused.get(trial, full_length) < full_length:
                return Promote(trial, to_epoch=full_length)
        return NoWork.WAIT if self.rungs.running else NoWork.FINISHED

    @property
    def _is_settled(self) -> bool:
        """Whether all that run are on the way to their full length, and none but the default has a value since."""
        running = self.rungs.running.items()
        return all(to_epoch == self._config.max_epochs for _, to_epoch in running) and all(
            trial == self._proposals.default_trial or trial not in self.rungs.between for trial, _ in running
        )


def _best(trials: Collection[str], values: Mapping[str, float]) -> str | None:
    return max(trials, key=lambda trial: (values[trial], trial), default=None)
