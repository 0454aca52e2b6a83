"""The loop of a search in virtual time, with policies that follow a script."""

import math

import pytest

from tuner.policy.candidates import Candidate
from tuner.policy.decision import PAUSE, STOP, Decision
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Promote, Start
from tuner.policy.simulation import SimulatedSearch

FIRST, SECOND, THIRD = "00000-00000000", "00001-00000001", "00002-00000002"


def decision(action, epoch):
    return Decision(epoch=epoch, rung=1, value=0.0, cutoff=None, rank=1, of=1, action=action)


class Script:
    """Begins so many trials; stops or pauses them at epochs; notes what it hears."""

    def __init__(self, num_trials, *, stop=None, pause=None):
        self.left, self.stop, self.pause = num_trials, stop or {}, pause or {}
        self.waiting, self.heard = [], []

    def next_work(self):
        if self.left:
            return Start(Candidate({"number": self.left}, {}))
        return Promote(self.waiting[0]) if self.waiting else NoWork.FINISHED

    def promotion_of(self, trial):
        work = self.next_work()
        return work if isinstance(work, Promote) and work.trial == trial else None

    def start(self, trial, candidate):
        self.left -= 1
        self.heard.append(("start", trial))

    def promote(self, promotion):
        self.waiting.remove(promotion.trial)
        self.heard.append(("promote", promotion.trial))

    def decision_on(self, trial, action, *, to_epoch=None):
        return decision(action, 0)

    def report(self, trial, *, epoch, value):
        self.heard.append((trial, epoch, value))
        if self.pause.get(trial) == epoch:
            self.waiting.append(trial)
            return decision(PAUSE, epoch)
        return decision(STOP, epoch) if self.stop.get(trial) == epoch else None

    def end(self, trial, outcome):
        self.heard.append(("end", trial, outcome))


def search_of(script, *, slots=1, value=lambda trial: 0.5, seconds=lambda trial, begins: 1.0, max_epochs=3):
    return SimulatedSearch(script, slots=slots, max_epochs=max_epochs, value=value, seconds=seconds)


def test_results_arrive_in_the_order_of_their_times():
    """The first trial's epochs end at 1, 2 and 3, the second's at 2, 4 and 6."""
    script = Script(2)
    search = search_of(script, slots=2, seconds=lambda trial, begins: 1.0 + trial.number)
    search.run()
    epochs = [(trial, epoch) for trial, epoch, value in (h for h in script.heard if h[-1] == 0.5)]
    assert epochs == [
        (FIRST, 1),
        (SECOND, 1),
        (FIRST, 2),
        (FIRST, 3),
        (SECOND, 2),
        (SECOND, 3),
    ]
    assert (search.now, search.num_epochs) == (6.0, 6)


def test_trials_end_at_their_full_length_at_a_rung_or_when_they_diverge():
    script = Script(3, stop={SECOND: 2})
    search_of(script, value=lambda trial: math.nan if (trial.number, trial.epoch) == (2, 2) else 0.5).run()
    assert [heard[1:] for heard in script.heard if heard[0] == "end"] == [
        (FIRST, Outcome.COMPLETED),
        (SECOND, Outcome.STOPPED_AT_RUNG),
        (THIRD, Outcome.DIVERGED),
    ]
    assert (THIRD, 2, pytest.approx(math.nan, nan_ok=True)) not in script.heard


def test_a_free_slot_takes_a_waiting_trial_and_its_start_takes_time_again():
    script = Script(2, pause={FIRST: 1})
    search = search_of(script, seconds=lambda trial, begins: 1.0 + 10.0 * begins)
    search.run()
    assert [trial.legs for trial in search.trials] == [2, 1]
    assert search.now == 6 * 1.0 + 3 * 10.0
    assert [heard for heard in script.heard if heard[0] in ("start", "promote")] == [
        ("start", FIRST),
        ("start", SECOND),
        ("promote", FIRST),
    ]


def test_a_trial_that_would_be_promoted_next_keeps_its_slot():
    script = Script(1, pause={FIRST: 1})
    search = search_of(script, seconds=lambda trial, begins: 1.0 + 10.0 * begins)
    search.run()
    assert (search.trials[0].legs, search.now) == (1, 13.0)


def test_it_stops_when_the_budget_is_spent_and_goes_on_from_there():
    script, asked = Script(2), []
    search = search_of(script)
    search.run(2, on_epoch=lambda: asked.append(search.num_epochs))
    assert (search.num_epochs, search.trials[0].epoch, asked) == (2, 2, [1, 2])
    search.run()
    assert search.num_epochs == 6
    assert search.trial(SECOND) is search.trials[1]
