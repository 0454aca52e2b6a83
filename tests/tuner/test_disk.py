"""Checkpoints within their budget: what may still be needed stays."""

import errno
import os
import shutil
import traceback

import pytest
from ray.tune import TuneError

from tuner import disk
from tuner.disk import CheckpointShelf, parse_size
from tuner.interruption import full_disk_as_such
from tuner.outcomes import Outcome
from tuner.recorder import Recorder
from tuner.records import read_search

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max", "num_trials": 9, "name": "kept", "confirm": 0}
SIZE = 1000


@pytest.fixture
def recorder(tmp_path):
    """Trials 0 to 3 have ended, at epochs and values that rank them 1, 3, 0 and then 2; trial 4 still runs."""
    recorder = Recorder.create(tmp_path / "moe" / "kept", SETTINGS)
    for number, curve in enumerate([(0.5, 0.6), (0.3,), (0.5, 0.9), (0.4,), (0.2,)]):
        begin(recorder, number, curve)
        if number != 4:
            outcome = Outcome.COMPLETED if len(curve) > 1 else Outcome.STOPPED_AT_RUNG
            recorder.end(f"t{number}", outcome, numbers={}, epoch=len(curve))
    yield recorder
    recorder.close()


def begin(recorder, number, curve):
    recorder.start(f"t{number}", number=number, params={})
    for epoch, value in enumerate(curve, start=1):
        recorder.result(f"t{number}", epoch=epoch, objective=value, metrics={}, seconds=1.0)
    place = recorder.folder / "ray" / f"t{number}"
    place.mkdir(parents=True)
    (place / "checkpoint.pt").write_bytes(bytes(SIZE))
    recorder.checkpoint(f"t{number}", epoch=len(curve), path=f"ray/t{number}")


def kept(recorder):
    return {int(path.name[1:]) for path in (recorder.folder / "ray").iterdir()}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(5000, {0, 1, 2, 3, 4}), (4999, {0, 2, 3, 4}), (3000, {0, 2, 4}), (2000, {2, 4})],
)
def test_the_worst_of_the_ended_trials_make_room(recorder, limit, expected):
    shelf = CheckpointShelf(recorder.folder, recorder.record, limit)
    assert kept(recorder) == expected
    assert shelf.shortage() is None


@pytest.mark.parametrize(("confirm", "expected"), [(0, {3, 4}), (1, {0, 3, 4}), (2, {0, 2, 3, 4})])
def test_what_a_confirmation_may_hand_over_stays(recorder, confirm, expected):
    recorder.record.settings["confirm"] = confirm
    resumed_and_ended(recorder, 3, (0.4, 0.95))
    CheckpointShelf(recorder.folder, recorder.record, 1000)
    assert kept(recorder) == expected


def resumed_and_ended(recorder, number, curve):
    for epoch, value in enumerate(curve, start=1):
        recorder.result(f"t{number}", epoch=epoch, objective=value, metrics={}, seconds=1.0)
    recorder.end(f"t{number}", Outcome.COMPLETED, numbers={}, epoch=len(curve))


def test_the_best_and_the_unfinished_are_never_removed_and_the_search_is_told_to_pause(recorder):
    shelf = CheckpointShelf(recorder.folder, recorder.record, 1500)
    assert kept(recorder) == {2, 4}
    assert shelf.shortage() == (
        "The checkpoints of the best and the unfinished trials take 2 KB, more than --disk-budget 1.5 KB."
    )


def test_a_new_checkpoint_of_a_trial_counts_in_place_of_its_last(recorder):
    shelf = CheckpointShelf(recorder.folder, recorder.record, 6000)
    for _ in range(20):
        shelf.put(recorder.record.by_id["t4"])
    assert kept(recorder) == {0, 1, 2, 3, 4}


def test_without_a_budget_nothing_is_removed_until_the_disk_itself_is_full(recorder, monkeypatch):
    shelf = CheckpointShelf(recorder.folder, recorder.record, None)
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


@pytest.mark.parametrize("text", ["20", "G", "-1G", "0G", "20X", ""])
def test_what_is_no_size_is_a_sentence(text):
    with pytest.raises(ValueError, match=r"--disk-budget is .*; give a number above 0 with K, M, G or T"):
        parse_size(text)


class FullDisk:
    """Takes half of a line and then no more."""

    def __init__(self, file):
        self.file = file

    def write(self, text):
        self.file.write(text[: len(text) // 2])

    def flush(self):
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def heard_by_ray(recorder):
    try:
        recorder.result("t4", epoch=2, objective=0.3, metrics={}, seconds=1.0)
    except OSError:
        raise TuneError(traceback.format_exc()) from None


def test_a_disk_that_fills_up_under_a_record_ends_the_search_with_its_name_and_loses_no_whole_line(recorder, tmp_path):
    before = read_search(recorder.folder).trials
    full, recorder._files = recorder._files, {name: FullDisk(file) for name, file in recorder._files.items()}
    with pytest.raises(OSError, match="No space left on device"), full_disk_as_such():
        heard_by_ray(recorder)
    recorder._files = full
    assert read_search(recorder.folder).trials == before
    again = Recorder.resume(recorder.folder)
    again.result("t4", epoch=2, objective=0.3, metrics={}, seconds=1.0)
    again.close()
    assert read_search(recorder.folder).by_id["t4"].objective_at(2) == 0.3


def test_another_error_of_rays_stays_what_it_is():
    with pytest.raises(TuneError, match="no trial"), full_disk_as_such():
        raise TuneError("no trial")


def test_a_file_that_is_removed_while_its_folder_is_weighed_weighs_nothing(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"12345")
    monkeypatch.setattr(os, "walk", lambda folder: [(str(folder), [], ["kept", "removed"])])
    assert disk.folder_bytes(tmp_path) == 5
