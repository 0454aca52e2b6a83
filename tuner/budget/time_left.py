"""How long a running search still takes, confirmation and report included, by simulating its rest.

What: the recorded events are replayed into the policy of the estimate (duration.py), and from there the slots
    take trials as in the search. A trial takes the seconds of its own last epochs; a new one those of a trial that
    trained lately. Which trials are good is drawn at random, so each simulation ends at another time.
    More than `MOST_SIMULATED` trials are not simulated: each takes what those that have ended or wait took.
Cost: 2 ms per simulation of 30 trials; a longer search gets fewer.
Assumes that the load of the machine stays what it was during the last epochs.
"""

import math
import random
import statistics
from dataclasses import dataclass

from tuner import formatting
from tuner.budget.duration import (
    LEAST_PLAYS,
    MOST_LEARNED,
    TRIALS_PLAYED,
    NoisyValues,
    SearchShape,
    Seconds,
    confirmation_batches,
    confirmation_seconds,
    numbered,
    simulated_policy,
)
from tuner.policy.decision import PROMOTE
from tuner.policy.policy import Promote
from tuner.policy.simulation import SimulatedSearch, SimulatedTrial
from tuner.records import SearchRecord, TrialRecord
from tuner.records.events import (
    Decided,
    EpochDone,
    Event,
    PastTrialKnown,
    SessionEnded,
    SessionStarted,
    TrialEnded,
    TrialStarted,
)
from tuner.results import progress

MOST_PLAYS = 20
MOST_SIMULATED = 1000
"""Trials of a search: a simulation of more would keep the driver from its slots for a second and longer."""
RECENT_EPOCHS = 3
"""A trial's next epoch takes what so many last ones took."""
RECENT_TRIALS = 8
"""New trials take the seconds of those that trained last."""
REPORT_STARTS = 1.5
"""The report takes so many times what the start of a process takes: both import the same libraries."""
_PACE_SPREAD = 0.1
"""Standard deviation of the log pace, since other load on the machine varies."""
WIDE = 1.35
"""Ratio of the longest to the shortest above which a range is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLeft:
    """Seconds until the command ends: the median simulation, and the 10 % and 90 % quantiles."""

    shortest: float
    likely: float
    longest: float
    epochs: int = 0
    """Epochs of the median simulation, without the confirmation."""

    def after(self, seconds: float) -> "TimeLeft":
        """Returns the time left after this many seconds."""
        shortest, likely, longest = (max(0.0, one - seconds) for one in (self.shortest, self.likely, self.longest))
        return TimeLeft(shortest=shortest, likely=likely, longest=longest, epochs=self.epochs)

    def __str__(self) -> str:
        """Formats it, such as `about 5:30`, or `4 to 9 min` while it is uncertain."""
        if self.longest <= WIDE * self.shortest or self.longest < 60:
            return f"about {formatting.duration(self.likely)}"
        step, size, unit = next(one for one in _UNITS if self.longest >= 4 * one[1])
        low, high = step * math.floor(self.shortest / size / step), step * math.ceil(self.longest / size / step)
        return f"{max(step, low)} to {high} {unit}"


_UNITS = ((1, 3600, "h"), (1, 60, "min"), (10, 1, "s"))
"""Step, seconds and name of the units of a range, the largest first: at least four of them."""


def time_left(search: SearchRecord) -> TimeLeft | None:
    """Time left of a running search; None before its first epoch (in a very long search: its first trial) has ended."""
    if not any(trial.results for trial in search.trials):
        return None
    start = start_seconds(search)
    if search.settings.num_trials > MOST_SIMULATED:
        return _extrapolate(search)
    num_plays = max(LEAST_PLAYS, min(MOST_PLAYS, TRIALS_PLAYED // search.settings.num_trials))
    rests = sorted(_play(search, start, random.Random(f"0 {play}")) for play in range(num_plays))
    low, median, high = (rests[round(share * (num_plays - 1))] for share in (0.1, 0.5, 0.9))
    return TimeLeft(shortest=low[0], likely=median[0], longest=high[0], epochs=median[1])


def _extrapolate(search: SearchRecord) -> TimeLeft | None:
    """Time of the remaining trials at the mean pace of those that ended or wait, without the confirmation.

    Under promotion most trials wait at a rung until the search is over, so a waiting one counts as done.
    """
    num_done = len(search.trials) - len(progress.running(search))
    if not num_done:
        return None
    num_left = search.settings.num_trials - num_done
    likely = search.elapsed / num_done * num_left
    epochs = round(progress.epochs_done(search) / num_done * num_left)
    limits = (search.time_budget_seconds, search.settings.duration_seconds)
    most = min((max(0.0, limit - search.elapsed) for limit in limits if limit is not None), default=math.inf)
    shortest, likely, longest = (min(most, seconds) for seconds in (likely / WIDE, likely, likely * WIDE))
    return TimeLeft(shortest=shortest, likely=likely, longest=longest, epochs=epochs)


def _play(search: SearchRecord, start_seconds: float, rng: random.Random) -> tuple[float, int]:
    """Seconds and epochs of one simulated rest."""
    shape, settings = shape_of(search), search.settings
    rest = _Rest(search, shape, rng)
    pace, budget = math.exp(rng.gauss(0, _PACE_SPREAD)), search.time_budget_seconds
    budget_left = math.inf if budget is None else max(0.0, budget - search.elapsed)
    rest.run(until=budget_left / pace)
    if rest.running:
        # The session ends there, without a confirmation.
        seconds = budget_left
    else:
        batches = confirmation_batches(shape, rest, rest.drawn, rest.values.last, rng)
        confirmation = confirmation_seconds(batches, slots=shape.slots, process_seconds=start_seconds)
        seconds = pace * (rest.now + confirmation)
    if settings.duration_seconds is not None:
        seconds = min(seconds, max(0.0, settings.duration_seconds - search.elapsed))
    return seconds + REPORT_STARTS * start_seconds, rest.num_epochs


def shape_of(search: SearchRecord) -> SearchShape:
    settings = search.settings
    return SearchShape(
        num_trials=settings.num_trials,
        slots=settings.resources.concurrent,
        max_epochs=settings.max_epochs,
        rung_epochs=settings.rung_epochs,
        reduction_factor=settings.reduction_factor,
        promotes=settings.scheduler == "asha",
        confirm=settings.confirm,
        seeds=settings.confirm_seeds,
    )


class _Rest(SimulatedSearch):
    """The simulated search at the moment of the last recorded event.

    Attributes:
        drawn: seconds of each trial, by number.
        values: of each trial, by number.
    """

    def __init__(self, search: SearchRecord, shape: SearchShape, rng: random.Random) -> None:
        super().__init__(
            simulated_policy(shape),
            slots=shape.slots,
            max_epochs=shape.max_epochs,
            value=lambda trial: self.values.draw(trial),
            seconds=lambda trial, begins: self.drawn[trial.number].epoch + begins * self.drawn[trial.number].build,
        )
        count = max(shape.num_trials, len(search.trials))
        learned = rng.uniform(0, MOST_LEARNED)
        known = [_quality(search, trial) for trial in search.trials]
        new = [rng.gauss(learned * number / count, 1) for number in range(len(known), count)]
        self.values = NoisyValues(known + new, rng)
        # Between two trials of a slot.
        gaps = progress.idle_gaps(search)
        build = statistics.fmean(gaps) if gaps else 0.0
        trained = sorted((one for one in search.trials if one.results), key=lambda one: one.last_result.time)
        found = map(_epoch_seconds, trained[-RECENT_TRIALS:])
        lately = [seconds for seconds in found if seconds is not None]
        own = [_epoch_seconds(trial) or rng.choice(lately) for trial in search.trials]
        own += rng.choices(lately, k=count - len(own))
        self.drawn = [Seconds(build=build, training=seconds) for seconds in own]
        for event in search.events:
            self._replay(event)
        # A resume may have fewer slots than trials that it continues; the others wait.
        latest_first = sorted(progress.running(search), key=_last_seconds, reverse=True)
        self._interrupted = [self.trial(trial.name) for trial in latest_first[shape.slots :]]
        for trial in latest_first[: shape.slots]:
            self._continue(search, trial)

    def next_work(self) -> SimulatedTrial | None:
        return self._interrupted.pop(0) if self._interrupted else super().next_work()

    def _replay(self, event: Event) -> None:
        policy = self.policy
        match event:
            case PastTrialKnown(values=values, outcome=outcome):
                number = -1 - self._num_past
                policy.add_past_trial(f"past {number}", numbered(number), dict.fromkeys(values, 0.0), outcome)
                self._num_past += 1
            case TrialStarted():
                trial = SimulatedTrial(len(self.trials), numbered(len(self.trials)), legs=1)
                self.trials.append(trial)
                policy.start(trial.name, trial.candidate)
            case EpochDone(epoch=epoch):
                trial = self.trial(event.trial)
                trial.epoch = epoch
                policy.report(trial.name, epoch=epoch, value=self.values.draw(trial))
            case Decided(decision=decision) if decision.action == PROMOTE:
                policy.promote(Promote(self.trial(event.trial).name, decision.to_epoch))
            case TrialEnded(outcome=outcome):
                policy.end(self.trial(event.trial).name, outcome)
            case SessionStarted(time=time) | SessionEnded(time=time):
                self._session_changed = time

    _num_past = 0
    _session_changed = 0.0
    """Seconds at the last start or end of a session."""

    def _continue(self, search: SearchRecord, record: TrialRecord) -> None:
        """Puts a running trial back on its slot.

        Its current epoch started at its last report or its start; a resume trains an interrupted epoch again.
        """
        trial = self.trial(record.name)
        since = _last_seconds(record)
        promoted = [one.time for one in search.decisions if one.trial == record.name and one.decision.action == PROMOTE]
        begun = max([since, *promoted[-1:], self._session_changed])
        seconds = self.seconds(trial, begins=begun > since or record.last is None)
        self.occupy(trial, due=max(0.0, begun + seconds - search.elapsed))


def _last_seconds(trial: TrialRecord) -> float:
    """When the trial last reported, or else started, in seconds since the search started."""
    return trial.time if trial.last is None else trial.last.time


def _quality(search: SearchRecord, trial: TrialRecord) -> float:
    """Standard score of the trial's objective at the first rung; 0 if unknown."""
    rung = search.settings.rung_epochs[0] if search.settings.rung_epochs else search.settings.max_epochs
    epoch = min(rung, trial.last_epoch)
    here = [value for one in search.trials if (value := one.objective_at(epoch)) is not None]
    own, spread = trial.objective_at(epoch), statistics.pstdev(here) if here else 0.0
    return 0.0 if own is None or not spread else search.settings.sign * (own - statistics.fmean(here)) / spread


def _epoch_seconds(trial: TrialRecord) -> float | None:
    last = sorted(trial.results)[-RECENT_EPOCHS:]
    return statistics.fmean(trial.results[epoch].seconds for epoch in last) if last else None


def start_seconds(search: SearchRecord) -> float:
    """Seconds from the start of the last session to its first epoch."""
    began = search.sessions[-1].time if search.sessions else 0.0
    results = [result for trial in search.trials for result in trial.results.values() if result.time >= began]
    if not results:
        return 0.0
    first = min(results, key=lambda result: result.time)
    return max(0.0, first.time - first.seconds - began)
