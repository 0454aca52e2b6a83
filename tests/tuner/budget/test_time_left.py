"""The time left, against numbers worked out by hand and against searches whose end is known."""

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.test_session import new_search, play
from tuner.budget.time_left import TimeLeft, time_left
from tuner.policy.decision import PAUSE, Decision
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmSeeds, Recorder, SearchRecord, TrialResources, read_search, trial_name
from tuner.records.events import TrialEnded

EPOCH_SECONDS = 2.0


class OneSlot:
    """Four trials of four epochs, one after the other, on a slot that starts at once."""

    def __init__(self, folder, **changed):
        self.now = 0.0
        resources = TrialResources(concurrent=1, cpus_per_trial=1.0, gpus_per_trial=0.0)
        settings = {"num_trials": 4, "max_epochs": 4, "scheduler": "none", "resources": resources} | changed
        self.recorder = Recorder.create(folder, recorded_settings(**settings), clock=lambda: self.now)
        self.recorder.open_session()

    def train(self, number, *, epochs):
        trial = trial_name(number, {"number": number})
        self.recorder.start(trial, params={"number": number}, answers={})
        for epoch in range(1, epochs + 1):
            self.now += EPOCH_SECONDS
            self.recorder.result(trial, epoch=epoch, objective=0.5, metrics={}, seconds=EPOCH_SECONDS)
        if epochs == 4:
            self.recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=epochs)

    @property
    def search(self) -> SearchRecord:
        self.recorder.close()
        return self.recorder.record


def test_before_the_first_epoch_nothing_is_known(tmp_path):
    assert time_left(OneSlot(tmp_path).search) is None


def test_the_rest_of_a_trial_and_the_trials_to_come_are_counted(tmp_path):
    slot = OneSlot(tmp_path)
    slot.train(0, epochs=3)
    left = time_left(slot.search)
    assert left.likely == pytest.approx((1 + 3 * 4) * EPOCH_SECONDS, rel=0.1)
    assert left.epochs == 1 + 3 * 4


def test_the_trials_of_a_very_long_search_take_what_those_that_have_ended_took(tmp_path):
    slot = OneSlot(tmp_path, num_trials=20_000)
    slot.train(0, epochs=3)
    assert time_left(slot.search) is None
    slot = OneSlot(tmp_path / "ended", num_trials=20_000)
    slot.train(0, epochs=4)
    left = time_left(slot.search)
    assert (left.likely, left.epochs) == (19_999 * 4 * EPOCH_SECONDS, 19_999 * 4)
    assert left.shortest < left.likely < left.longest


def test_a_very_long_search_does_not_exceed_its_time(tmp_path):
    slot = OneSlot(tmp_path, num_trials=20_000, duration_seconds=60.0)
    slot.train(0, epochs=4)
    search = slot.search
    assert time_left(search).longest == 60.0 - 4 * EPOCH_SECONDS
    search.time_budget_seconds = search.elapsed + 15.0
    assert time_left(search).likely == 15.0


def test_a_trial_of_a_very_long_search_that_waits_at_a_rung_takes_no_more_time(tmp_path):
    slot = OneSlot(tmp_path, num_trials=20_000, scheduler="asha", rung_epochs=(2,))
    slot.train(0, epochs=4)
    for number in (1, 2, 3):
        slot.train(number, epochs=2)
        pause = Decision(epoch=2, rung=1, value=0.5, cutoff=None, rank=1, of=number, action=PAUSE)
        slot.recorder.decision(trial_name(number, {"number": number}), pause)
    # Ten epochs for four trials.
    assert time_left(slot.search).likely == pytest.approx(19_996 * 2.5 * EPOCH_SECONDS)


def test_the_confirmation_is_counted(tmp_path):
    slot = OneSlot(tmp_path, num_trials=2, confirm=1, confirm_seeds=ConfirmSeeds(first=3, last=3))
    slot.train(0, epochs=4)
    slot.train(1, epochs=4)
    # The default and the other, three seeds each.
    assert time_left(slot.search).likely == pytest.approx(2 * 3 * 4 * EPOCH_SECONDS, rel=0.1)


def test_seeds_that_may_be_needed_make_the_time_uncertain(tmp_path):
    slot = OneSlot(tmp_path, num_trials=2, confirm=1, confirm_seeds=ConfirmSeeds(first=3, last=9))
    slot.train(0, epochs=4)
    slot.train(1, epochs=4)
    left = time_left(slot.search)
    assert left.shortest < 1.4 * 2 * 3 * 4 * EPOCH_SECONDS
    assert left.longest > 0.7 * 2 * 9 * 4 * EPOCH_SECONDS


def test_a_time_budget_ends_the_search_however_much_is_left_to_train(tmp_path):
    slot = OneSlot(tmp_path, num_trials=100, confirm=1)
    slot.train(0, epochs=2)
    search = slot.search
    search.time_budget_seconds = search.elapsed + 15.0
    assert time_left(search).longest == pytest.approx(15.0)


def test_only_the_epochs_within_a_time_budget_are_counted(tmp_path):
    slot = OneSlot(tmp_path, num_trials=100)
    slot.train(0, epochs=2)
    search = slot.search
    search.time_budget_seconds = search.elapsed + 15.0
    assert time_left(search).epochs == pytest.approx(15.0 / EPOCH_SECONDS, abs=1)


@pytest.mark.parametrize("is_resumed", [False, True], ids=["interrupted", "resumed"])
def test_an_interrupted_epoch_is_trained_again(tmp_path, is_resumed):
    slot = OneSlot(tmp_path, num_trials=1)
    slot.train(0, epochs=3)
    slot.now += 0.9 * EPOCH_SECONDS
    slot.recorder.close_session()
    if is_resumed:
        slot.recorder.open_session()
    # Without the start of a process.
    assert time_left(slot.search).likely == pytest.approx(EPOCH_SECONDS, rel=0.1)


def test_interrupted_trials_take_turns_where_a_resume_has_fewer_slots(tmp_path):
    slot = OneSlot(tmp_path, num_trials=3)
    for number in range(3):
        slot.train(number, epochs=1)
    slot.recorder.close_session()
    slot.recorder.open_session()
    assert time_left(slot.search).likely == pytest.approx(3 * 3 * EPOCH_SECONDS, rel=0.1)


def test_a_stated_time_is_not_exceeded(tmp_path):
    slot = OneSlot(tmp_path, num_trials=100, confirm=1, duration_seconds=60.0)
    slot.train(0, epochs=2)
    assert time_left(slot.search).longest <= 60.0 - 2 * EPOCH_SECONDS


def test_when_all_trials_have_ended_and_none_is_confirmed_only_the_report_is_left(tmp_path):
    slot = OneSlot(tmp_path, num_trials=1)
    slot.train(0, epochs=4)
    left = time_left(slot.search)
    assert (left.likely, left.epochs) == (0.0, 0)


def test_from_the_third_ended_trial_on_it_is_within_30_percent_of_the_truth(synthetic_search):
    synthetic = synthetic_search(num_trials=20)
    synthetic.run()
    whole = synthetic.recorder.record
    ended, errors, search = 0, [], SearchRecord(whole.settings)
    for event in whole.events:
        search.apply(event)
        ended += isinstance(event, TrialEnded)
        # Near the end seconds are percents.
        if isinstance(event, TrialEnded) and ended >= 3 and ended % 4 == 3 and synthetic.now - event.time > 5:
            truth = synthetic.now - event.time + 4.5
            errors.append(time_left(search).likely / truth - 1)
    assert len(errors) >= 3
    assert max(map(abs, errors)) < 0.3, errors


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ((320, 330, 340), "about 5:30"),
        ((250, 330, 530), "4 to 9 min"),
        ((36, 92, 154), "30 to 160 s"),
        ((2, 20, 58), "about 0:20"),
        ((7000, 12000, 17000), "1 to 5 h"),
        ((20, 200, 400), "1 to 7 min"),
    ],
)
def test_a_range_is_shown_while_it_is_wide(seconds, words):
    shortest, likely, longest = seconds
    assert str(TimeLeft(shortest=shortest, likely=likely, longest=longest)) == words


def test_time_that_has_passed_is_taken_off():
    later = TimeLeft(shortest=10.0, likely=20.0, longest=30.0).after(15.0)
    assert (later.shortest, later.likely, later.longest) == (0.0, 5.0, 15.0)


@pytest.mark.parametrize("scheduler", ["asha", "asha-stopping", "none"])
def test_it_is_known_after_every_epoch_under_every_scheduler_and_falls_to_nothing(tmp_path, scheduler):
    folder = new_search(tmp_path / "search", scheduler=scheduler, slots=2, num_trials=5, sampler="random")
    past = {"trial": f"earlier/{trial_name(0, {})}", "answers": {"level": 0.5, "rate": 1.0, "bonus": False}}
    recorder = Recorder.resume(folder)
    recorder.past_trial(**past, values={1: 0.4, 2: 0.5}, outcome=Outcome.STOPPED_AT_RUNG)
    recorder.close()
    play(folder, slots=2)
    whole = read_search(folder)
    search, known = SearchRecord(whole.settings), []
    for event in whole.events:
        search.apply(event)
        left = time_left(search)
        known += [] if left is None else [left]
        assert (left is None) == (not any(trial.results for trial in search.trials))
    assert known[0].epochs > known[-1].epochs == 0
