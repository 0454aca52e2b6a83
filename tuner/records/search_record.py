"""A search in memory, built from the events on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tuner.policy.decision import CONTINUE, KEEP, PAUSE, PROMOTE, STOP, Decision
from tuner.policy.outcomes import Outcome, describe
from tuner.records.events import (
    TRIALS,
    Decided,
    EpochDone,
    Event,
    Finished,
    LegFailed,
    PastTrialKnown,
    SessionStarted,
    TrialEnded,
    TrialStarted,
    read_event,
)
from tuner.records.lines import complete_lines
from tuner.records.lock import taken_over
from tuner.records.settings import RecordedSettings, read_settings
from tuner.records.trial_name import number_of

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints, with one folder per trial."""
ENDINGS_WITH_A_RESULT = (Outcome.PLATEAUED, Outcome.EXPERTS_COLLAPSED)
ACTIONS = {"asha": (PAUSE, PROMOTE, STOP), "asha-stopping": (CONTINUE, STOP, KEEP), "none": ()}
"""Possible decisions of each scheduler at a rung."""


@dataclass(slots=True, kw_only=True)
class TrialRecord:
    """One trial so far: `outcome` is None until it has ended."""

    name: str
    """Name such as 029-7682ec2b."""
    number: int
    """0 is the default configuration, which all trials are compared with."""
    params: dict
    answers: dict
    """The values that the space asked for, by name."""
    time: float
    results: dict[int, EpochDone] = field(default_factory=dict)
    """Results by epoch."""
    outcome: Outcome | None = None
    numbers: Mapping[str, float | str] = field(default_factory=dict)
    """The numbers behind the outcome."""
    end_time: float | None = None
    num_failures: int = 0
    """Number of legs that died since the last result."""

    @property
    def last(self) -> EpochDone | None:
        return self.results[max(self.results)] if self.results else None

    @property
    def last_epoch(self) -> int:
        """Epoch of the last result; 0 without one."""
        return max(self.results, default=0)

    @property
    def last_result(self) -> EpochDone:
        """`last`, for a trial that must have one; raises LookupError otherwise."""
        if self.last is None:
            raise LookupError(f"trial {self.name} has no result")
        return self.last

    @property
    def may_win(self) -> bool:
        return self.outcome is None or self.outcome.may_win

    @property
    def keeps_last_value(self) -> bool:
        return self.outcome is not None and self.outcome.keeps_last_value

    @property
    def sentence(self) -> str:
        """Describes how the trial ended, or its last epoch."""
        if self.outcome is not None:
            return describe(self.outcome, self.numbers)
        return f"unfinished after epoch {self.last_epoch}"

    def result_at(self, epoch: int) -> EpochDone | None:
        """The result to compare at this epoch; a trial that ended by itself keeps its last result for later epochs."""
        if self.keeps_last_value and self.results:
            epoch = min(epoch, max(self.results))
        return self.results.get(epoch)

    def objective_at(self, epoch: int) -> float | None:
        result = self.result_at(epoch)
        return None if result is None else result.objective

    def measured(self, epoch: int) -> EpochDone:
        """`result_at`, for a trial that must have one; raises LookupError otherwise."""
        if (result := self.result_at(epoch)) is None:
            raise LookupError(f"trial {self.name} has no result for epoch {epoch}")
        return result


@dataclass(slots=True)
class SearchRecord:
    """A whole search."""

    settings: RecordedSettings
    time_budget_seconds: float | None = None
    """Limit of the run time over all sessions, as given to this one; None without, and when only read."""
    taken_over: str | None = None
    """Who continues it elsewhere, as a session found out; what is left is not done here then."""
    events: list[Event] = field(default_factory=list)
    """All recorded events, in order."""
    sessions: list[SessionStarted] = field(default_factory=list)
    past_trials: list[PastTrialKnown] = field(default_factory=list)
    decisions: list[Decided] = field(default_factory=list)
    elapsed: float = 0.0
    """Run time in seconds, over all sessions, when the last line was written."""
    is_finished: bool = False
    """Nothing is left to do; the report is written."""
    failing: set[str] = field(default_factory=set)
    """Trials whose legs have died since the last result of any trial."""
    _trials: dict[str, TrialRecord] = field(default_factory=dict)
    _leader: tuple[int, TrialRecord | None] = field(default=(0, None), compare=False)
    """The leader after so many events: a report asks for it once per trial."""

    @property
    def by_name(self) -> Mapping[str, TrialRecord]:
        return MappingProxyType(self._trials)

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        return list(self._trials.values())

    @property
    def default_trial(self) -> TrialRecord | None:
        """Trial 0, which all trials are compared with."""
        return next(iter(self._trials.values()), None)

    @property
    def unfinished(self) -> list[TrialRecord]:
        """The trials that have not ended: running, waiting at a rung, or interrupted."""
        return [trial for trial in self._trials.values() if trial.outcome is None]

    @property
    def is_unfinished(self) -> bool:
        """Whether trials are missing or have not ended."""
        return len(self._trials) < self.settings.num_trials or bool(self.unfinished)

    @property
    def search_seconds(self) -> float:
        """Run time over all sessions; where the search is over, without confirmation and report, which come last."""
        return max((event.time for event in self.events if not isinstance(event, Finished)), default=0.0)

    @property
    def comparison_epoch(self) -> int | None:
        """The highest epoch that any trial that may win has reached."""
        return max((max(t.results) for t in self._trials.values() if t.may_win and t.results), default=None)

    @property
    def leader(self) -> TrialRecord | None:
        """The best on the search's one seed; which one is exported: `tuner.selection.selected_trial`."""
        if self._leader[0] != len(self.events):
            epoch = self.comparison_epoch
            self._leader = (len(self.events), None if epoch is None else self.rank(epoch)[0])
        return self._leader[1]

    def measured_at(self, epoch: int) -> list[TrialRecord]:
        """The trials that are compared at this epoch, by number."""
        return [trial for trial in self.trials if trial.may_win and trial.objective_at(epoch) is not None]

    def rank(self, epoch: int) -> list[TrialRecord]:
        """The trials of `measured_at`, the best first; ties go to the earlier."""
        sign = -self.settings.sign
        return sorted(self.measured_at(epoch), key=lambda trial: (sign * trial.measured(epoch).objective, trial.number))

    def decisions_of(self, trial: str) -> list[Decision]:
        return [decided.decision for decided in self.decisions if decided.trial == trial]

    def check(self, event: Event) -> None:
        """Raises ValueError unless the event follows from those before it."""
        match event:
            case PastTrialKnown():
                self._check_past(event)
            case TrialStarted(trial=trial):
                self._check_next(trial)
            case EpochDone(trial=trial, epoch=epoch) | TrialEnded(trial=trial, epoch=epoch):
                self._check_not_ended(trial)
                if epoch > self.settings.max_epochs:
                    raise ValueError(f"epoch {epoch} is past the full length of {self.settings.max_epochs}")
                if isinstance(event, TrialEnded):
                    if event.outcome.keeps_last_value and not self._trials[trial].results:
                        raise ValueError(f"trial {trial} is {event.outcome}, but has no result")
                elif event.outcome not in (None, *ENDINGS_WITH_A_RESULT):
                    raise ValueError(f"trial {trial} is {event.outcome} with a result")
            case LegFailed(trial=trial):
                self._check_not_ended(trial)
            case Decided(trial=trial, decision=decision):
                self._check_not_ended(trial)
                self._check_decision(trial, decision)

    def _check_next(self, trial: str) -> None:
        if number_of(trial) != len(self._trials):
            raise ValueError(f"trial {trial} starts, but the next number is {len(self._trials)}")
        if len(self._trials) == self.settings.num_trials:
            raise ValueError(f"trial {trial} exceeds num_trials, {self.settings.num_trials}")

    def _check_past(self, past: PastTrialKnown) -> None:
        if self._trials:
            raise ValueError(f"past trial {past.trial} comes after a trial of this search")
        if max(past.values, default=0) > self.settings.max_epochs:
            raise ValueError(f"epoch {max(past.values)} is past the full length of {self.settings.max_epochs}")
        if past.outcome.keeps_last_value and not past.values:
            raise ValueError(f"{past.trial} is {past.outcome}, but has no value")

    def _check_decision(self, trial: str, decision: Decision) -> None:
        settings = self.settings
        if decision.action not in ACTIONS[settings.scheduler]:
            raise ValueError(f"the scheduler {settings.scheduler} does not decide to {decision.action}")
        if decision.epoch not in self._trials[trial].results:
            raise ValueError(f"trial {trial} has a decision, but no result, at epoch {decision.epoch}")
        if decision.rung is not None and settings.rung_epochs[decision.rung - 1 : decision.rung] != (decision.epoch,):
            raise ValueError(f"epoch {decision.epoch} is not rung {decision.rung}")
        if decision.to_epoch is not None and not decision.epoch < decision.to_epoch <= settings.max_epochs:
            raise ValueError(f"a trial at epoch {decision.epoch} can't be promoted to epoch {decision.to_epoch}")
        if decision.action == PROMOTE:
            last = next((one.decision for one in reversed(self.decisions) if one.trial == trial), None)
            # A result after the pause shows that it is training.
            if last is None or last.action != PAUSE or last.epoch != max(self._trials[trial].results):
                raise ValueError(f"trial {trial} is promoted, but is not waiting")

    def apply(self, event: Event) -> None:
        """Applies one event.

        Raises:
            ValueError: it does not follow from the events before it.
        """
        self.check(event)
        # A continued search has not spent the time of the confirmation that ended it.
        self.elapsed = event.time if self.is_finished else max(self.elapsed, event.time)
        self.is_finished = isinstance(event, Finished)
        self.events.append(event)
        match event:
            case SessionStarted():
                self.sessions.append(event)
            case PastTrialKnown():
                self.past_trials.append(event)
            case TrialStarted(trial=name, params=params, answers=answers, time=time):
                number = number_of(name)
                self._trials[name] = TrialRecord(name=name, number=number, params=params, answers=answers, time=time)
            case EpochDone():
                trial = self._trials[event.trial]
                # A trial whose checkpoint was lost starts over: results after this epoch are no longer valid.
                trial.results = {epoch: one for epoch, one in trial.results.items() if epoch < event.epoch}
                trial.results[event.epoch] = event
                trial.num_failures = 0
                self.failing.clear()
            case LegFailed():
                self._trials[event.trial].num_failures += 1
                self.failing.add(event.trial)
            case Decided():
                self.decisions.append(event)
            case TrialEnded():
                trial = self._trials[event.trial]
                trial.outcome, trial.numbers, trial.end_time = event.outcome, event.numbers, event.time

    def _check_not_ended(self, trial: str) -> None:
        if trial not in self._trials:
            raise ValueError(f"trial {trial} has not started")
        if self._trials[trial].outcome is not None:
            raise ValueError(f"trial {trial} has already ended")


def read_search(folder: Path, *, space: str | None = None) -> SearchRecord:
    """Reads a results folder; with `space`, only one of that space.

    Raises:
        ValueError: the folder holds no search, or a line of it is damaged: with file and line.
    """
    settings = read_settings(folder)
    if space is not None and settings.space != space:
        raise ValueError(f"{folder} is a search of the space {settings.space!r}, not of {space!r}")
    search = SearchRecord(settings, taken_over=taken_over(folder))
    for location, line in complete_lines(folder / TRIALS):
        event = read_event(line, f"{location} is damaged, restore the file from a copy")
        try:
            search.apply(event)
        except ValueError as error:
            raise ValueError(
                f"{location} does not follow from the lines before it, restore the file from a copy: {error}"
            ) from error
    checkpoints = folder / CHECKPOINTS
    # An emptied file would look like a search without trials.
    if not search.by_name and checkpoints.is_dir() and any(checkpoints.iterdir()):
        raise ValueError(f"{folder / TRIALS} has no trials, but {checkpoints} is not empty: restore it from a copy")
    return search
