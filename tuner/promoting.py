"""The promoting policy inside Ray: a searcher that begins trials, a scheduler that pauses and promotes them.

Ray asks two objects what to do with a free slot, the searcher for a new trial and the scheduler for an old one. Here
both ask one policy. It lives in the searcher, whose state Ray saves together with its trials and gives back at a
restore; so the rungs, the forecast's scales and the trials' own states never disagree. The scheduler keeps nothing.
"""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict

import optuna
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tuner.candidates import CandidateSource, SpaceSource
from tuner.extension import PastTrial
from tuner.outcomes import EPOCH, Outcome, outcome_of
from tuner.policy import Begin, Promote, PromotingPolicy, Rest, Terms
from tuner.proposer import Proposer, check_params
from tuner.rungs import PAUSE, PROMOTE, STOP, Decision
from tuner.scheduler import Ledger
from tuner.study_mirror import StudyMirror

_WITH_LAST_WORD = frozenset({Outcome.COMPLETED, Outcome.PLATEAUED, Outcome.EXPERTS_COLLAPSED})
"""Ended by the trial itself with a measured result, which Ray shows to the searcher alone."""


class PromotingProposer(Proposer):
    """Begins the trials that the policy wants, and tells the Optuna study all about them.

    Args:
        terms: Ray is to be given more trials than they say, and more at a time: it would count those that wait.
        source: what is drawn from instead of the space.
    """

    def __init__(
        self,
        space: Callable[[optuna.Trial], dict],
        terms: Terms,
        *,
        metric: str,
        enqueue: Iterable[dict] = (),
        source: CandidateSource | None = None,
        mirror: StudyMirror | None = None,
    ) -> None:
        said = {"mode": terms.mode, "max_epochs": terms.max_epochs, "seed": terms.seed}
        super().__init__(space, metric=metric, **said, sampler="random", mirror=mirror)
        first = list(enqueue)
        for params in first:
            check_params(space, params)
        first_candidates = [SpaceSource(space).of(params) for params in first]
        self.policy = PromotingPolicy(source or SpaceSource(space), terms, first=first_candidates)
        self._slots = terms.slots
        self._saving: list[Trial] = []
        self._given_up: str | None = None

    @property
    def has_free_slot(self) -> bool:
        """A trial that is to wait holds its slot until its checkpoint is written: its process is for the next one."""
        self._saving = [trial for trial in self._saving if trial.status == Trial.RUNNING]
        return len(self.policy.promotions.running) + len(self._saving) < self._slots

    @property
    def has_nothing_left(self) -> bool:
        return self.policy.action() is Rest.FINISHED

    @property
    def given_up(self) -> str | None:
        return self._given_up

    def give_up_one(self, *, kept: Collection[str]) -> bool:
        """One at a time: what the last one frees is not known before it has ended."""
        if self._given_up not in self.policy.promotions.paused:
            self._given_up = self.policy.least_missed(kept=kept)
        return self._given_up is not None

    def will_wait(self, trial: Trial) -> None:
        self._saving.append(trial)

    def learn(self, past: Iterable[PastTrial]) -> None:
        """The policy sees each trial come to its rungs and its end again, as it would have seen it live."""
        past = list(past)
        super().learn(past)
        for one in past:
            candidate = SpaceSource(self._space).of(one.frozen.params)
            self.policy.begin(one.trial_id, candidate, is_imported=one.number is None)
            seen = list(one.values.items())
            last = seen.pop() if one.outcome in _WITH_LAST_WORD else (0, None)
            for epoch, value in seen:
                self._go_on(one.trial_id)
                self.policy.record(one.trial_id, epoch=epoch, value=value)
            if one.outcome is not Outcome.STOPPED_AT_RUNG:
                self._go_on(one.trial_id)
            self._inform_policy(one.trial_id, one.outcome, {self.metric: last[1]})

    def suggest(self, trial_id: str) -> dict | str | None:
        action = self.policy.action()
        if action is Rest.FINISHED:
            return Searcher.FINISHED
        if not (isinstance(action, Begin) and self.has_free_slot):
            return None
        self._study.enqueue_trial(action.candidate.params)
        params = super().suggest(trial_id)
        self.policy.begin(trial_id, action.candidate)
        return params

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if trial_id in self.policy.promotions.paused and not (result or error):
            self._stop_waiting(trial_id)
        else:
            outcome = outcome_of(result, objective=self.metric, max_epochs=self._max_epochs)
            self._inform_policy(trial_id, Outcome.FAILED if error else outcome, result)
            super().on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        self._save(checkpoint_path, policy=self.policy)

    def restore(self, checkpoint_path: str) -> None:
        self.policy = self._restore(checkpoint_path)["policy"]

    def _ask(self) -> tuple[optuna.Trial, dict]:
        """The policy's configuration, which waits at the head of the study's queue and is no duplicate."""
        trial = self._study.ask()
        return trial, self._space(trial)

    def _go_on(self, trial_id: str) -> None:
        if trial_id in self.policy.promotions.paused:
            self.policy.promote(Promote(trial_id))

    def _stop_waiting(self, trial_id: str) -> None:
        self.policy.end(trial_id)
        if proposal := self._running(trial_id):
            self._tell(proposal, Outcome.STOPPED_AT_RUNG, epoch=proposal.epoch)

    def _inform_policy(self, trial_id: str, outcome: Outcome, result: dict | None) -> None:
        if outcome in (Outcome.COMPLETED, Outcome.PLATEAUED):
            self.policy.record(trial_id, epoch=self._max_epochs, value=result[self.metric])
        self.policy.end(trial_id, is_bad=outcome.counts_as_bad, may_win=outcome.may_win)


class PromotingScheduler(FIFOScheduler):
    """Pauses trials at rungs, goes on with those that the policy promotes, and writes each decision into the ledger."""

    def __init__(self, proposer: PromotingProposer, ledger: Ledger) -> None:
        super().__init__()
        self._proposer = proposer
        self._ledger = ledger
        self._sign = {"max": 1.0, "min": -1.0}[proposer.mode]

    @property
    def _policy(self) -> PromotingPolicy:
        return self._proposer.policy

    def set_search_properties(self, metric: str | None, mode: str | None, **spec) -> bool:
        """Ray hands over what TuneConfig says, which must be what the proposer was made for."""
        return (metric, mode) == (self._proposer.metric, self._proposer.mode)

    def on_trial_add(self, tune_controller, trial: Trial) -> None:
        """A restore makes every trial pending, and the waiting ones would all run at once.

        So would those that had waited to the end of the search: Ray does not save that it stopped a waiting trial.
        """
        promotions = self._policy.promotions
        if trial.trial_id in promotions.paused:
            trial.set_status(Trial.PAUSED)
        elif trial.trial_id not in promotions.running:
            trial.set_status(Trial.TERMINATED)

    def on_trial_error(self, tune_controller, trial: Trial) -> None:
        """Its process died, perhaps while it saved what it was to wait with."""
        self._policy.reopen(trial.trial_id)

    def on_trial_result(self, tune_controller, trial: Trial, result: dict) -> str:
        epoch, value = result[EPOCH], result[self._proposer.metric]
        if not math.isfinite(value):
            self._note(trial.trial_id, epoch, STOP, value=value)
            return TrialScheduler.STOP
        if not self._policy.record(trial.trial_id, epoch=epoch, value=value):
            return TrialScheduler.CONTINUE
        self._note(trial.trial_id, epoch, PAUSE, value=value)
        action = self._policy.action()
        if isinstance(action, Promote) and action.trial == trial.trial_id:
            # What would be promoted at once is spared the checkpoint, the stop and the restore.
            self._promote(action)
            return TrialScheduler.CONTINUE
        self._proposer.will_wait(trial)
        return TrialScheduler.PAUSE

    def choose_trial_to_run(self, tune_controller) -> Trial | None:
        """New trials are started by Ray itself."""
        self._stop_given_up(tune_controller)
        action = self._policy.action()
        if action is Rest.FINISHED:
            self._stop_waiting(tune_controller, self._policy.promotions.paused)
        if not (isinstance(action, Promote) and self._proposer.has_free_slot):
            return None
        trial = tune_controller.get_trial(action.trial)
        if trial.status != Trial.PAUSED:
            # Its checkpoint is still being written.
            return None
        self._promote(action)
        return trial

    def debug_string(self) -> str:
        return f"promotion at epochs {self._policy.promotions.rungs[:-1]}"

    def _promote(self, promotion: Promote) -> None:
        self._note(promotion.trial, self._policy.promotions.paused[promotion.trial], PROMOTE)
        self._policy.promote(promotion)

    def _stop_given_up(self, tune_controller) -> None:
        """Once it has saved, as any trial that waits: Ray still writes before."""
        trial = self._proposer.given_up
        if trial in self._policy.promotions.paused and tune_controller.get_trial(trial).status == Trial.PAUSED:
            self._stop_waiting(tune_controller, [trial])

    def _stop_waiting(self, tune_controller, trials: Iterable[str]) -> None:
        trials = list(trials)
        for trial in trials:
            self._note(trial, self._policy.promotions.paused[trial], STOP)
        for trial in trials:
            tune_controller.stop_trial(tune_controller.get_trial(trial))

    def _note(self, trial: str, epoch: int, action: str, *, value: float | None = None) -> None:
        """Puts a decision on record, with the standing among this search's trials and what the forecast says."""
        promotions = self._policy.promotions
        arrived = self._policy.own_values_at(epoch)
        is_ranked = trial in arrived
        expected = self._policy.expected().get(trial) if is_ranked and action != PAUSE else None
        decision = Decision(
            epoch=epoch,
            rung=promotions.rungs.index(epoch) + 1 if epoch in promotions.rungs else None,
            value=self._sign * arrived[trial] if is_ranked else value,
            cutoff=None,
            rank=1 + sum(other > arrived[trial] for other in arrived.values()) if is_ranked else None,
            of=len(arrived),
            action=action,
        )
        self._ledger.decision(trial, **asdict(decision), expected=None if expected is None else self._sign * expected)
