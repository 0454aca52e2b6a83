import json
import math
import pickle

import pytest
from tuner.outcomes import Outcome
from tuner.recorder import Recorder

from tuner.records import SearchRecord, read_search

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max", "max_epochs": 6}
DECISION = {"epoch": 3, "rung": 1, "value": 0.4, "cutoff": None, "rank": 1, "of": 1, "action": "continue"}


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recorder(tmp_path, clock):
    recorder = Recorder.create(tmp_path / "run", SETTINGS, clock=clock)
    yield recorder
    recorder.close()


def record_curve(recorder, trial, *values, number=0, outcome=None):
    recorder.start(trial, number=number, params={"max_lr": 3e-3, "top_k": 2})
    for epoch, value in enumerate(values, start=1):
        recorder.result(trial, epoch=epoch, objective=value, metrics={"val/loss": 1 - value}, seconds=0.5)
    if outcome:
        recorder.end(trial, outcome, numbers={"epoch": len(values)}, epoch=len(values))


def test_what_is_read_back_is_what_is_in_memory(recorder):
    record_curve(recorder, "a", 0.1, 0.2, math.nan, outcome=Outcome.DIVERGED)
    record_curve(recorder, "b", 0.3, number=1)
    recorder.checkpoint("b", epoch=1, path="b/checkpoint_000000")
    recorder.decision("b", **DECISION)
    assert read_search(recorder.folder) == recorder.record


def test_each_line_is_on_disk_as_soon_as_it_is_recorded(recorder):
    record_curve(recorder, "a", 0.1, 0.2)
    assert len((recorder.folder / "trials.jsonl").read_text().splitlines()) == 3


def test_a_number_that_is_not_finite_is_null_with_a_note(recorder):
    record_curve(recorder, "a", math.nan)
    line = (recorder.folder / "trials.jsonl").read_text().splitlines()[-1]
    assert json.loads(line)["objective"] is None
    assert recorder.record.by_id["a"].last.not_finite == {"objective": "nan", "val/loss": "nan"}


def test_a_number_behind_an_outcome_keeps_its_name_when_it_is_not_finite(recorder):
    record_curve(recorder, "a", 0.1)
    recorder.end("a", Outcome.DIVERGED, numbers={"term": "mask", "value": math.inf}, epoch=2)
    assert read_search(recorder.folder).by_id["a"].sentence == "diverged: mask was inf"


def test_a_torn_last_line_is_left_out_and_written_over(recorder):
    record_curve(recorder, "a", 0.1, 0.2)
    path = recorder.folder / "trials.jsonl"
    path.write_text(path.read_text()[:-9])
    assert list(read_search(recorder.folder).by_id["a"].results) == [1]
    resumed = Recorder.resume(recorder.folder)
    resumed.result("a", epoch=2, objective=0.25, metrics={}, seconds=0.5)
    resumed.close()
    assert read_search(recorder.folder).by_id["a"].objective_at(2) == 0.25


def test_an_epoch_repeated_after_a_restore_counts_once_as_it_was_the_last_time(recorder):
    record_curve(recorder, "a", 0.1, 0.2)
    recorder.result("a", epoch=2, objective=0.3, metrics={}, seconds=0.5)
    assert [r.objective for r in read_search(recorder.folder).by_id["a"].results.values()] == [0.1, 0.3]


def test_a_decision_repeated_after_a_restore_counts_once(recorder):
    recorder.decision("a", **DECISION)
    recorder.decision("a", **DECISION)
    assert len(read_search(recorder.folder).decisions) == 1


def test_time_goes_on_over_a_resume_and_stands_still_in_between(recorder, clock):
    clock.now += 60
    record_curve(recorder, "a", 0.1)
    clock.now += 5000
    resumed = Recorder.resume(recorder.folder, clock=clock)
    clock.now += 30
    resumed.result("a", epoch=2, objective=0.2, metrics={}, seconds=1)
    resumed.close()
    assert [r.time for r in resumed.record.by_id["a"].results.values()] == [60, 90]
    assert resumed.record.elapsed == 90


def test_an_interrupted_trial_goes_on_and_ends_again(recorder):
    record_curve(recorder, "a", 0.1, outcome=Outcome.INTERRUPTED)
    recorder.result("a", epoch=2, objective=0.2, metrics={}, seconds=1)
    assert recorder.record.by_id["a"].outcome is None
    recorder.end("a", Outcome.COMPLETED, numbers={}, epoch=2)
    assert read_search(recorder.folder).by_id["a"].outcome is Outcome.COMPLETED


def test_a_trial_ends_once(recorder):
    record_curve(recorder, "a", 0.1, outcome=Outcome.COMPLETED)
    with pytest.raises(AssertionError, match="already ended"):
        recorder.end("a", Outcome.FAILED, numbers={}, epoch=1)


def test_the_winner_is_chosen_among_trials_measured_at_the_same_epoch(recorder):
    record_curve(recorder, "a", 0.1, 0.2, 0.3, number=0, outcome=Outcome.COMPLETED)
    record_curve(recorder, "b", 0.2, 0.3, 0.35, number=1, outcome=Outcome.COMPLETED)
    record_curve(recorder, "early and high", 0.9, number=2, outcome=Outcome.STOPPED_AT_RUNG)
    assert recorder.record.comparison_epoch == 3
    assert recorder.record.winner.trial == "b"


def test_of_equals_the_earlier_trial_wins_and_less_is_better_where_the_mode_says_so(tmp_path):
    recorder = Recorder.create(tmp_path / "run", SETTINGS | {"mode": "min"})
    record_curve(recorder, "b", 0.2, number=1)
    record_curve(recorder, "a", 0.2, number=0)
    record_curve(recorder, "c", 0.3, number=2)
    recorder.close()
    assert recorder.record.winner.trial == "a"


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.FAILED, Outcome.OUT_OF_MEMORY])
def test_a_trial_that_broke_cannot_win(recorder, outcome):
    record_curve(recorder, "a", 0.1, 0.2, number=0, outcome=Outcome.COMPLETED)
    record_curve(recorder, "broken", 0.8, 0.9, 0.95, number=1, outcome=outcome)
    assert recorder.record.winner.trial == "a"


def test_a_search_without_results_has_no_winner(recorder):
    recorder.start("a", number=0, params={})
    assert recorder.record.winner is None
    assert recorder.record.default_trial.trial == "a"


def test_a_pickled_recorder_goes_on_with_its_folder(recorder):
    record_curve(recorder, "a", 0.1)
    copy = pickle.loads(pickle.dumps(recorder))
    copy.result("a", epoch=2, objective=0.2, metrics={}, seconds=1)
    copy.close()
    assert list(read_search(recorder.folder).by_id["a"].results) == [1, 2]


def test_a_folder_that_is_taken_is_not_written_over(recorder):
    with pytest.raises(ValueError, match="already holds a search: resume it"):
        Recorder.create(recorder.folder, SETTINGS)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (None, "holds no search: there is no settings.json"),
        ("{", "is not JSON"),
        ("[]", "has format None, this version reads 1"),
        (json.dumps(SETTINGS | {"format": 99}), "has format 99, this version reads 1"),
        (json.dumps(SETTINGS | {"format": 1, "space": "leaf"}), "is a search of the space 'leaf', not of 'moe'"),
    ],
)
def test_a_folder_that_is_no_search_of_this_space_is_a_sentence(tmp_path, settings, sentence):
    if settings is not None:
        (tmp_path / "settings.json").write_text(settings)
    with pytest.raises(ValueError, match=sentence):
        read_search(tmp_path, space="moe")


@pytest.mark.parametrize("line", ["{nonsense", '{"event": "party", "trial": "a", "time": 1}', '{"event": "end"}', "3"])
def test_a_damaged_line_is_named_by_file_and_number(recorder, line):
    record_curve(recorder, "a", 0.1)
    with (recorder.folder / "trials.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"trials.jsonl, line 3 is"):
        read_search(recorder.folder)


def test_an_empty_record_is_empty():
    record = SearchRecord(settings=SETTINGS)
    assert (record.trials, record.default_trial, record.winner, record.elapsed) == ([], None, None, 0.0)


def test_a_trial_that_plateaued_stands_beside_full_trainings_with_its_last_value(recorder):
    record_curve(recorder, "a", 0.5, 0.8, 0.9, number=0, outcome=Outcome.PLATEAUED)
    record_curve(recorder, "b", 0.4, 0.5, 0.6, 0.61, number=1, outcome=Outcome.COMPLETED)
    record_curve(recorder, "early and high", 0.95, number=2, outcome=Outcome.STOPPED_AT_RUNG)
    assert [trial.trial for trial in recorder.record.ranked(4)] == ["a", "b"]
    assert recorder.record.winner.objective_at(4) == 0.9
