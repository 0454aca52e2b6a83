"""Checkpoints within their budget: what may still be needed stays."""

import os
import shutil

import pytest

from tests.tuner.conftest import recorded_settings
from trainable.leg import checkpoint_name
from tuner.budget import disk
from tuner.budget.disk import CheckpointBudget, parse_size
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmedRun, Recorder, append_run, trial_name
from tuner.records.checkpoints import trial_folder

SIZE = 1000
NAMES = [trial_name(number, {}) for number in range(5)]


@pytest.fixture
def recorder(tmp_path):
    """Trials 0 to 3 have ended, at epochs and values that rank them 1, 3, 0 and then 2; trial 4 still runs."""
    recorder = Recorder.create(tmp_path / "moe" / "kept", recorded_settings(num_trials=9))
    for number, curve in enumerate([(0.5, 0.6), (0.3,), (0.5, 0.9), (0.4,), (0.2,)]):
        begin(recorder, number, curve)
        if number != 4:
            outcome = Outcome.COMPLETED if len(curve) > 1 else Outcome.STOPPED_AT_RUNG
            recorder.end(NAMES[number], outcome, numbers={}, epoch=len(curve))
    yield recorder
    recorder.close()


def begin(recorder, number, curve):
    recorder.start(NAMES[number], params={}, answers={})
    for epoch, value in enumerate(curve, start=1):
        recorder.result(NAMES[number], epoch=epoch, objective=value, metrics={}, seconds=1.0)
    place = trial_folder(recorder.folder, NAMES[number])
    place.mkdir(parents=True)
    (place / checkpoint_name(len(curve))).write_bytes(bytes(SIZE))


def kept(recorder):
    return {NAMES.index(path.name) for path in (recorder.folder / "checkpoints").iterdir()}


def shelf_of(recorder, limit, **changed):
    recorder.change(disk_budget_bytes=limit, **changed)
    return CheckpointBudget(recorder.folder, recorder.record)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(5000, {0, 1, 2, 3, 4}), (4999, {0, 2, 3, 4}), (3000, {0, 2, 4}), (2000, {2, 4})],
)
def test_the_worst_of_the_ended_trials_are_removed_first(recorder, limit, expected):
    shelf = shelf_of(recorder, limit)
    assert kept(recorder) == expected
    assert shelf.shortage() is None


@pytest.mark.parametrize(("confirm", "expected"), [(0, {4}), (1, {0, 4}), (2, {0, 2, 4})])
def test_what_a_confirmation_may_hand_over_stays(recorder, confirm, expected):
    recorder.result(NAMES[4], epoch=2, objective=0.95, metrics={}, seconds=1.0)
    recorder.end(NAMES[4], Outcome.COMPLETED, numbers={}, epoch=2)
    shelf_of(recorder, SIZE, confirm=confirm)
    assert kept(recorder) == expected


def test_what_several_seeds_have_chosen_stays_when_later_trials_leave_it_behind(recorder):
    """Trial 3 is the worst but one on the seed of the search."""
    append_run(recorder.folder, ConfirmedRun(trial=NAMES[0], seed=1000, objective=0.6, validation=0.6, test={}))
    append_run(recorder.folder, ConfirmedRun(trial=NAMES[3], seed=1000, objective=0.9, validation=0.9, test={}))
    shelf_of(recorder, 3000, confirm=1)
    assert kept(recorder) == {0, 2, 3, 4}


def test_the_best_and_the_unfinished_are_never_removed_and_the_search_must_pause(recorder):
    shelf = shelf_of(recorder, 1500)
    assert kept(recorder) == {2, 4}
    assert shelf.shortage() == (
        "The checkpoints of the best and the unfinished trials take 2 KB, more than --disk-budget 1.5 KB."
    )


def test_a_new_checkpoint_of_a_trial_counts_in_place_of_its_last(recorder):
    shelf = shelf_of(recorder, 6000)
    for _ in range(20):
        shelf.update(recorder.record.by_name[NAMES[4]])
    assert kept(recorder) == {0, 1, 2, 3, 4}


def test_without_a_budget_nothing_is_removed_until_the_disk_itself_is_full(recorder, monkeypatch):
    shelf = shelf_of(recorder, None)
    assert kept(recorder) == {0, 1, 2, 3, 4}
    assert shelf.shortage() is None
    usage = shutil.disk_usage(recorder.folder)._replace(free=2 * SIZE)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage)
    assert shelf.shortage().endswith("has 2 KB left, and a checkpoint takes 1 KB.")


def test_sizes_are_read_with_their_units():
    assert [parse_size(text) for text in ("20G", "1.5m", "3TB", "7K")] == [
        20 * 10**9,
        15 * 10**5,
        3 * 10**12,
        7000,
    ]


@pytest.mark.parametrize("text", ["20", "G", "-1G", "0G", "0.0005K", "20X", "", "9" * 400 + "T", "9" * 300 + "T"])
def test_what_is_no_size_is_a_sentence(text):
    with pytest.raises(ValueError, match=r"--disk-budget is .*; give a number above 0 with K, M, G or T"):
        parse_size(text)


def test_a_file_that_is_removed_while_its_folder_is_weighed_weighs_nothing(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"12345")
    monkeypatch.setattr(os, "walk", lambda folder: [(str(folder), [], ["kept", "removed"])])
    assert disk.folder_bytes(tmp_path) == 5
