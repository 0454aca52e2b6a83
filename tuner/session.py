"""Runs a search: records the trials' reports, asks the policy, and gives legs to free slots.

A leg is a part of a trial, from its start or a checkpoint to the next rung or the end; a trial may have several. A
pause ends a leg with its checkpoint written; a promotion or a resume starts a new leg from that checkpoint. So no
state has to be restored: a resumed search replays its records into a new policy and restarts unfinished trials from
their checkpoints. Independent of Ray and of processes.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trainable.leg import Leg, LegReport
from trainable.remote.uri import child_uri
from tuner import formatting
from tuner.budget.disk import CheckpointBudget
from tuner.budget.stated_time import is_time_to_close
from tuner.policy.candidates import SpaceSource
from tuner.policy.decision import PROMOTE, STOP, Decision
from tuner.policy.outcomes import Numbers, Outcome, TrialEnd
from tuner.policy.policy import NoWork, Policy, Promote, Start, take_result
from tuner.policy_from_records import MissingRecords, build_policy, replay_events
from tuner.records import Execution, Recorder, TrialRecord, trial_name
from tuner.records.checkpoints import remove_others, trial_folder
from tuner.records.events import MAX_OBJECTIVE
from tuner.records.search_record import CHECKPOINTS

if TYPE_CHECKING:
    from trainable.run import EpochResult

logger = logging.getLogger(__name__)

MAX_FAILURES = 2
"""Restarts from the last checkpoint of a trial whose process died, in a row without an epoch in between."""
MAX_FAILING = 2
"""Trials in a row that may fail; after more, the machine is at fault, and the search stops."""

MAX_UNFIT = 3
"""Machines per slot that may turn out to be unable to train, in a row without an epoch of any trial in between."""

_AFTER_THE_LAST_RESULT = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY)
"""Outcomes of the epoch after the last result."""
_WITH_THE_LAST_RESULT = (Outcome.COMPLETED, Outcome.PLATEAUED, Outcome.EXPERTS_COLLAPSED)
"""Outcomes that come with the last result, which has their numbers."""


def open_session(recorder: Recorder, space: Callable[[Any], dict], *, seconds: float | None = None) -> "Session":
    """Opens the first session of a search, or the next one, from its records.

    Args:
        space: maps an Optuna trial or a stub to parameters, with the user's pins.
        seconds: total run time of the search, over its sessions; None is no limit.

    Raises:
        ValueError: the space has changed, so that it no longer holds a recorded trial.
    """
    settings = recorder.record.settings
    policy = build_policy(settings, space)
    missing = replay_events(recorder.record.events, policy, SpaceSource(space), max_epochs=settings.max_epochs)
    recorder.open_session()
    return Session(recorder, policy, missing=missing, seconds=seconds)


class Session:
    """One session of a search, from its recorder and a policy that has replayed the records.

    Args:
        missing: by trial, decisions and outcomes that follow from the records but are not recorded yet.
        seconds: total run time of the search, over its sessions; None is no limit.
    """

    def __init__(
        self,
        recorder: Recorder,
        policy: Policy,
        *,
        missing: Mapping[str, MissingRecords] = MappingProxyType({}),
        seconds: float | None = None,
    ) -> None:
        self.stop_reason: str | None = None
        """Why no more legs start; None while they do."""
        self._recorder, self._policy, self._seconds = recorder, policy, seconds
        self._is_closing = False
        self._num_unfit = 0
        """Legs since the last result whose machine could not train."""
        self._search = recorder.record
        # What a killed session had decided and not written.
        for trial, one in missing.items():
            if one.decision is not None and not one.is_decision_recorded:
                self._recorder.decision(trial, one.decision)
            if one.outcome is not None:
                self._end(trial, one.outcome, self._numbers_of(one.decision))
        self._checkpoints = CheckpointBudget(recorder.folder, self._search)
        self._due = deque(trial for trial in self._search.unfinished if trial.name not in policy.paused)

    def next_leg(self) -> Leg | NoWork:
        """The next leg for a free slot, or why there is none."""
        if self.stop_reason is not None:
            return NoWork.FINISHED
        if self._due:
            return self._leg(self._due.popleft())
        work = self._policy.next_work()
        if isinstance(work, Start):
            candidate, name = work.candidate, trial_name(len(self._search.by_name), work.candidate.params)
            self._recorder.start(name, params=candidate.params, answers=candidate.answers)
            self._policy.start(name, candidate)
            return self._leg(self._search.by_name[name])
        if isinstance(work, Promote):
            promoted = self._policy.decision_on(work.trial, PROMOTE, to_epoch=work.to_epoch)
            self._recorder.decision(work.trial, promoted)
            self._policy.promote(work)
            return self._leg(self._search.by_name[work.trial])
        if work is NoWork.FINISHED:
            for trial in list(self._policy.paused):
                self._stop_waiting(trial)
            asked, started = self._search.settings.num_trials, len(self._search.by_name)
            if started < asked:
                why = (
                    "The stated time is nearly used up" if self._is_closing else "The space has no more configurations"
                )
                logger.info("%s: %d of %s run.", why, started, formatting.count(asked, "trial"))
                self._recorder.change(num_trials=started)
        return work

    def take(self, trial: str, report: LegReport) -> bool:
        """Records a report and decides; returns whether the leg continues."""
        if report.disk_full is not None:
            self.stop(f"The disk is full: {report.disk_full}. Make room, and continue with --resume.")
            return False
        goes_on = False
        if report.result is not None:
            goes_on = self._take_result(trial, report.result, report)
        elif report.ending is not None:
            # It was over before this leg, diverged, or ran out of memory.
            self._end(trial, Outcome(report.ending.outcome), report.ending.numbers)
        else:
            raise ValueError(f"the report of trial {trial} has neither a result nor an ending")
        self._make_room(trial)
        return goes_on and self.stop_reason is None

    def fail(self, trial: str, error: str, *, may_recover: bool = True) -> None:
        """Restarts the trial of a failed leg from its last checkpoint, at most MAX_FAILURES times in a row.

        Args:
            may_recover: its process died. False is an error of the user's own code, which would come again.
        """
        if self.stop_reason is not None:
            return
        self._recorder.leg_failed(trial, error)
        record, most = self._search.by_name[trial], MAX_FAILURES if may_recover else 0
        if record.num_failures <= most:
            self._due.append(record)
        elif record.num_failures == most + 1 and len(self._search.failing) > MAX_FAILING:
            advice = "Fix the cause, then continue with --resume"
            if not may_recover:
                advice += "; after a change of your code, start a new search"
            self.stop(
                f"{len(self._search.failing)} trials in a row failed before an epoch was done: {error}. {advice}."
            )
        else:
            self._end(trial, Outcome.FAILED, {"error": error})

    def move(self, trial: str, reason: str, *, is_unfit: bool = False) -> None:
        """Continues a trial from its last checkpoint on another machine after its own is gone, however often.

        Args:
            is_unfit: the machine is there, and can't use the data. If no other can either, the search stops.
        """
        if self.stop_reason is not None:
            return
        self._due.append(self._search.by_name[trial])
        self._num_unfit += is_unfit
        if self._num_unfit > MAX_UNFIT * self._search.settings.resources.concurrent:
            self.stop(f"No machine can train any more: {reason.rstrip('.')}. Fix that, then continue with --resume.")
        else:
            logger.info("trial %s continues on another machine: %s", trial, reason)

    def resize(self, concurrent: int) -> None:
        """Sets the number of trials at a time."""
        resources = self._search.settings.resources
        concurrent = max(1, min(concurrent, self._search.settings.num_trials))
        if concurrent != resources.concurrent:
            self._recorder.change(resources=replace(resources, concurrent=concurrent))
            self._policy.resize(concurrent)
            logger.info("%s at a time from now on", formatting.count(concurrent, "trial"))

    def stop(self, reason: str) -> None:
        """Starts no more legs. Ray stops the running ones at once; their current epochs are lost."""
        if self.stop_reason is None:
            self.stop_reason = reason
            logger.info("%s", reason)

    def check_time(self) -> None:
        is_over = self._seconds is not None and self._recorder.elapsed > self._seconds
        # The confirmation, which comes when all have ended, is not part of the budget.
        if is_over and self._search.is_unfinished:
            self.stop("The time budget is used up: continue with --resume, and give a larger --time-budget or none.")
        if not self._is_closing and is_time_to_close(self._search, self._recorder.elapsed):
            self._is_closing = True
            self._policy.close()

    def close(self) -> None:
        """Records the end of the session; the next one continues unfinished trials."""
        self._recorder.close_session()

    def _leg(self, trial: TrialRecord) -> Leg:
        folder = trial_folder(self._recorder.folder, trial.name)
        folder.mkdir(parents=True, exist_ok=True)
        from_epoch = trial.last.epoch if trial.last else 0
        store = self._search.settings.store
        return Leg(
            trial=trial.name,
            params=trial.params,
            folder=str(folder),
            store=None if store is None else child_uri(store, CHECKPOINTS, trial.name),
            from_epoch=from_epoch,
        )

    def _take_result(self, trial: str, result: "EpochResult", report: LegReport) -> bool:
        if not abs(result.objective) <= MAX_OBJECTIVE:
            self._end(trial, Outcome.DIVERGED, {"term": "objective", "value": str(result.objective)})
            return False
        ending, ended = report.ending, None
        if ending is not None and ending.outcome != Outcome.COMPLETED:
            ended = TrialEnd(Outcome(ending.outcome), ending.numbers)
        last = self._search.by_name[trial].last
        if last is not None and result.epoch <= last.epoch:
            logger.info("trial %s starts over: its checkpoint is lost or damaged", trial)
        self._num_unfit = 0
        self._recorder.result(
            trial,
            epoch=result.epoch,
            objective=result.objective,
            metrics=result.metrics,
            seconds=result.seconds,
            validation_seconds=result.validation_seconds,
            execution=Execution(process=report.process, precision=result.precision),
            ended=ended,
        )
        remove_others(self._recorder.folder, trial, result.epoch)
        if ended is not None:
            self._policy.report(trial, epoch=result.epoch, value=result.objective)
            self._end(trial, ended.outcome)
            return False
        return self._decide(trial, result.epoch, result.objective)

    def _decide(self, trial: str, epoch: int, value: float) -> bool:
        max_epochs = self._search.settings.max_epochs
        following = take_result(self._policy, trial, epoch=epoch, value=value, max_epochs=max_epochs)
        for decision in following.decisions:
            self._recorder.decision(trial, decision)
        if following.outcome is not None:
            last = following.decisions[-1] if following.decisions else None
            self._end(trial, following.outcome, self._numbers_of(last))
        return following.goes_on

    def _end(self, trial: str, outcome: Outcome, numbers: Numbers = MappingProxyType({})) -> None:
        """Ends a trial in the policy and in the records."""
        self._policy.end(trial, outcome)
        last = self._search.by_name[trial].last
        epoch = 0 if last is None else last.epoch
        if outcome in _AFTER_THE_LAST_RESULT:
            epoch += 1
        if last is not None and outcome in _WITH_THE_LAST_RESULT:
            numbers = {"objective": last.objective, **last.numbers, **numbers}
        self._recorder.end(trial, outcome, numbers={"epoch": epoch, **numbers}, epoch=epoch)

    def _numbers_of(self, decision: Decision | None) -> dict[str, float | str]:
        """The numbers behind a decision; empty without one."""
        if decision is None:
            return {}
        names = ("epoch", "rung", "value", "cutoff", "rank", "of", "predicted")
        numbers = {name: getattr(decision, name) for name in names}
        if decision.predicted is not None:
            numbers["one_in"] = self._search.settings.reduction_factor
        return {name: number for name, number in numbers.items() if number is not None}

    def _stop_waiting(self, trial: str, **numbers: str) -> None:
        decision = self._policy.decision_on(trial, STOP)
        self._recorder.decision(trial, decision)
        self._end(trial, Outcome.STOPPED_AT_RUNG, self._numbers_of(decision) | numbers)

    def _make_room(self, trial: str) -> None:
        """Removes checkpoints of ended trials that won't be exported first, then those of waiting trials."""
        disk, policy = self._checkpoints, self._policy
        disk.update(self._search.by_name[trial])
        while disk.is_over_budget and (evicted := policy.trial_to_evict(kept=disk.needed)) is not None:
            self._stop_waiting(evicted, short_of="disk")
            disk.update(self._search.by_name[evicted])
        if shortage := disk.shortage():
            self.stop(f"{shortage} Make room, or give a larger --disk-budget, and continue with --resume.")
