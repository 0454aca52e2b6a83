"""Records are on disk at once, are the same when read, and must follow from those that are there already."""

import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import decision, record_curve
from trainable.leg import checkpoint_name
from tuner.policy.outcomes import Outcome
from tuner.records import Execution, Recorder, read_search, trial_name
from tuner.records.checkpoints import trial_folder
from tuner.records.events import EpochDone, SessionStarted, TrialEnded, TrialStarted
from tuner.records.recorder import PastTrial

ROOT = Path(__file__).resolve().parents[3]


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def record_everything(recorder) -> None:
    """Each kind of event, with values of each kind."""
    recorder.open_session()
    past = {"widths": ((3, 4), (5,)), "max_lr": 1e-3, "pooling": None, "deep": True}
    recorder.past_trial("old/003-0123abcd", answers=past, values={1: 0.25, 3: 1.0}, outcome=Outcome.PLATEAUED)
    first = record_curve(recorder, 0.1, 0.2, outcome=Outcome.COMPLETED)
    params = {"widths": [3, 4], "name": "größer", "nested": {"a": [1, {"b": None}]}, "rate": 1e-300}
    second = trial_name(1, params)
    recorder.start(second, params=params, answers={"widths": (3, 4)})
    metrics = {"val/loss": math.nan, "train/loss": -math.inf, "moe/usage_0": 1.0}
    execution = Execution(process="host:7", precision="bf16")
    recorder.result(second, epoch=1, objective=0.3, metrics=metrics, seconds=2.0, execution=execution)
    recorder.decision(second, decision(action="stop", predicted=0.5))
    recorder.decision(second, decision(action="keep", to_epoch=3, rank=None))
    recorder.leg_failed(second, "the process ended\nwithout a word")
    third = record_curve(recorder, 0.3)
    recorder.end(third, Outcome.DIVERGED, numbers={"term": "mask", "value": math.inf, "step": 3}, epoch=2)
    recorder.close_session()
    recorder.finish()
    assert first == recorder.record.trials[0].name


def test_what_is_read_back_is_what_is_in_memory(recorder, folder):
    record_everything(recorder)
    search = read_search(folder)
    assert search == recorder.record
    assert {line["event"] for line in lines(folder)} == {
        "session",
        "past_trial",
        "start",
        "result",
        "decision",
        "leg_failed",
        "end",
        "session_end",
        "finished",
    }


def test_what_is_read_back_is_what_was_recorded(recorder, folder, clock):
    record_everything(recorder)
    search = read_search(folder)
    (past,) = search.past_trials
    assert (past.trial, past.values, past.outcome) == ("old/003-0123abcd", {1: 0.25, 3: 1.0}, Outcome.PLATEAUED)
    assert past.answers == {"widths": ((3, 4), (5,)), "max_lr": 1e-3, "pooling": None, "deep": True}
    trial = search.trials[1]
    assert trial.params == {"widths": [3, 4], "name": "größer", "nested": {"a": [1, {"b": None}]}, "rate": 1e-300}
    assert trial.answers == {"widths": (3, 4)}
    assert trial.last.metrics == {"val/loss": None, "train/loss": None, "moe/usage_0": 1.0}
    assert (trial.last.objective, trial.last.seconds, trial.last.process, trial.last.precision) == (
        0.3,
        2.0,
        "host:7",
        "bf16",
    )
    assert search.decisions_of(trial.name) == [
        decision(action="stop", predicted=0.5),
        decision(action="keep", to_epoch=3, rank=None),
    ]
    assert search.trials[2].sentence == "diverged at step 3: mask was inf"
    (session,) = search.sessions
    assert session.process == os.getpid()
    assert search.is_finished


def test_what_listeners_see_is_on_disk_and_in_the_record(recorder, folder):
    heard = []

    class Listener:
        def on_event(self, search, event):
            assert read_search(folder) == search
            heard.append(event)

        def close(self):
            heard.append("closed")

    recorder.listen([Listener()])
    recorder.open_session()
    record_curve(recorder, 0.1, outcome=Outcome.COMPLETED)
    recorder.close()
    assert [type(event) for event in heard[:-1]] == [SessionStarted, TrialStarted, EpochDone, TrialEnded]
    assert heard[-1] == "closed"


def test_each_line_is_on_disk_as_soon_as_it_is_recorded(recorder, folder):
    trial = record_curve(recorder)
    for epoch in (1, 2, 3):
        recorder.result(trial, epoch=epoch, objective=0.1, metrics={}, seconds=0.5)
        assert [line.get("epoch") for line in lines(folder)] == [None, *range(1, epoch + 1)]


def test_what_was_recorded_outlives_a_kill(folder):
    code = (
        "import os, signal, sys; from pathlib import Path; from tests.tuner.conftest import recorded_settings; "
        "from tests.tuner.records.conftest import record_curve; from tuner.records import Recorder; "
        "record_curve(Recorder.create(Path(sys.argv[1]), recorded_settings()), 0.1, 0.2); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [result.objective for result in read_search(folder).trials[0].results.values()] == [0.1, 0.2]


def test_an_end_outlives_a_power_cut_with_all_before_it_and_its_checkpoint_and_an_epoch_does_not_wait(
    recorder, folder, synced
):
    trial = record_curve(recorder, 0.1, 0.2)
    assert synced == []
    checkpoint = trial_folder(folder, trial) / checkpoint_name(2)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=2)
    assert synced == [("epoch_0002.pt", 7), ("trials.jsonl", (folder / "trials.jsonl").stat().st_size)]


def test_the_hundreds_of_trials_that_end_at_their_rungs_when_a_search_ends_do_not_wait_for_the_disk(recorder, synced):
    record_curve(recorder, 0.1, outcome=Outcome.STOPPED_AT_RUNG)
    assert synced == []
    record_curve(recorder, 0.2, outcome=Outcome.DIVERGED)
    assert [name for name, _ in synced] == ["trials.jsonl"]


def test_the_settings_outlive_a_power_cut_only_with_what_is_known_from_an_earlier_search(folder, synced):
    past = PastTrial(trial="old/003-0123abcd", answers={"top_k": 2}, values={1: 0.5}, outcome=Outcome.COMPLETED)
    Recorder.create(folder, recorded_settings(), past_trials=[past]).close()
    sizes = [(folder / name).stat().st_size for name in ("trials.jsonl", "settings.json")]
    assert synced == [("trials.jsonl", sizes[0]), (".settings.json", sizes[1]), (folder.name, 0)]


def test_where_the_disk_has_lost_what_was_written_the_error_names_the_file(recorder, folder, monkeypatch):
    trial = record_curve(recorder, 0.1)

    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"Input/output error.*trials\.jsonl"):
        recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=1)


@pytest.mark.parametrize("num_lost", [1, 9, 40])
def test_a_torn_last_line_is_left_out_and_written_over(recorder, folder, num_lost):
    trial = record_curve(recorder, 0.1, 0.2)
    path = folder / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-num_lost])
    assert list(read_search(folder).by_name[trial].results) == [1]
    assert not path.read_bytes().endswith(b"\n")
    resumed = Recorder.resume(folder)
    resumed.result(trial, epoch=2, objective=0.25, metrics={}, seconds=0.5)
    resumed.close()
    assert read_search(folder).by_name[trial].objective_at(2) == 0.25
    assert len(lines(folder)) == 3


def test_a_torn_line_of_bytes_that_are_no_text_is_left_out_too(recorder, folder):
    record_curve(recorder, 0.1)
    with (folder / "trials.jsonl").open("ab") as file:
        file.write(b'{"event": "result", "\xe2\x82')
    assert read_search(folder) == recorder.record


def test_time_continues_in_a_resume_and_does_not_count_the_time_between_sessions(recorder, clock, folder):
    clock.now += 60
    trial = record_curve(recorder, 0.1)
    clock.now += 5000
    resumed = Recorder.resume(folder, clock=clock)
    assert resumed.elapsed == 60
    clock.now += 30
    resumed.result(trial, epoch=2, objective=0.2, metrics={}, seconds=1)
    resumed.close()
    assert [result.time for result in resumed.record.by_name[trial].results.values()] == [60, 90]
    assert (resumed.record.elapsed, read_search(folder).elapsed) == (90, 90)


def test_the_start_of_ray_in_a_resume_is_not_run_time(recorder, clock, folder):
    recorder.open_session()
    clock.now += 7
    record_curve(recorder, 0.1)
    recorder.close()
    with closing(Recorder.resume(folder, clock=clock)) as resumed:
        clock.now += 12
        resumed.open_session()
        assert resumed.elapsed == pytest.approx(7.0)


def test_the_time_until_a_session_ends_counts(recorder, clock, folder):
    record_curve(recorder, 0.1)
    clock.now += 45
    recorder.close_session()
    assert read_search(folder).elapsed == 45


def test_a_search_that_continues_has_not_spent_the_time_of_the_confirmation_that_ended_it(recorder, clock, folder):
    record_curve(recorder, 0.1)
    clock.now += 60
    recorder.close_session()
    clock.now += 500
    recorder.finish()
    assert read_search(folder).elapsed == 560
    resumed = Recorder.resume(folder, clock=clock)
    assert resumed.elapsed == 60
    resumed.open_session()
    clock.now += 30
    resumed.close_session()
    resumed.close()
    assert (resumed.record.elapsed, read_search(folder).elapsed) == (90, 90)


def refused(recorder, folder, sentence, record) -> None:
    """Asserts that a record is refused, nothing is written, and recording can continue."""
    before = (folder / "trials.jsonl").read_bytes()
    with pytest.raises(ValueError, match=sentence):
        record()
    assert (folder / "trials.jsonl").read_bytes() == before
    assert read_search(folder) == recorder.record
    record_curve(recorder, 0.1)
    assert read_search(folder) == recorder.record


def test_a_trial_ends_once(recorder, folder):
    trial = record_curve(recorder, 0.1, outcome=Outcome.COMPLETED)
    end = lambda: recorder.end(trial, Outcome.FAILED, numbers={}, epoch=1)  # noqa: E731
    refused(recorder, folder, f"trial {trial} has already ended", end)


@pytest.mark.parametrize("number", [0, 2, 7])
def test_numbers_begin_at_0_and_have_no_gaps(recorder, folder, number):
    record_curve(recorder, 0.1)
    start = lambda: recorder.start(trial_name(number, {}), params={}, answers={})  # noqa: E731
    refused(recorder, folder, "the next number is 1", start)


def test_the_first_number_is_0(recorder, folder):
    start = lambda: recorder.start(trial_name(1, {}), params={}, answers={})  # noqa: E731
    refused(recorder, folder, "the next number is 0", start)


@pytest.mark.parametrize("epoch", [0, 7])
def test_an_epoch_outside_the_full_length_is_refused(recorder, folder, epoch):
    trial = record_curve(recorder)
    result = lambda: recorder.result(trial, epoch=epoch, objective=0.1, metrics={}, seconds=1)  # noqa: E731
    refused(recorder, folder, "epoch", result)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_objective_that_is_not_finite_is_no_result(recorder, folder, value):
    trial = record_curve(recorder)
    result = lambda: recorder.result(trial, epoch=1, objective=value, metrics={}, seconds=1)  # noqa: E731
    refused(recorder, folder, "not JSON compliant", result)


def test_an_event_of_a_trial_that_has_not_started_is_refused(recorder, folder):
    end = lambda: recorder.end("000-0123abcd", Outcome.FAILED, numbers={}, epoch=0)  # noqa: E731
    refused(recorder, folder, "trial 000-0123abcd has not started", end)


@pytest.mark.parametrize("name", ["../../victim", "000-0123ABCD", "0-0123abcd", "", "000-0123abcd\n"])
def test_a_name_that_is_no_trials_is_refused(recorder, folder, name):
    refused(recorder, folder, "trial", lambda: recorder.start(name, params={}, answers={}))


def test_a_change_of_the_settings_is_on_disk_at_once(recorder, folder):
    before = recorder.record.settings
    recorder.change(num_trials=9)
    assert read_search(folder).settings == recorder.record.settings == replace(before, num_trials=9)


def test_a_folder_that_is_taken_is_not_written_over(recorder, folder):
    record_curve(recorder, 0.1)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="already holds a search: resume it"):
        Recorder.create(folder, recorded_settings())
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_trials_whose_settings_are_lost_are_not_written_over(recorder, folder):
    record_curve(recorder, 0.1)
    (folder / "settings.json").unlink()
    before = (folder / "trials.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"trials\.jsonl holds trials, but settings\.json is gone: restore it"):
        Recorder.create(folder, recorded_settings())
    assert (folder / "trials.jsonl").read_bytes() == before


def test_a_search_killed_while_it_was_being_created_is_created_again(recorder, folder):
    past = PastTrial(trial="old/003-0123abcd", answers={}, values={1: 0.5}, outcome=Outcome.COMPLETED)
    (folder / "trials.jsonl").write_text('{"event": "past_trial", "trial"')
    (folder / "settings.json").unlink()
    Recorder.create(folder, recorded_settings(), past_trials=[past]).close()
    assert [one.trial for one in read_search(folder).past_trials] == [past.trial]


@contextmanager
def room_for(path, *, num_bytes):
    """The disk has so much room left for the file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("num_bytes", [0, 1, 100])
def test_a_line_that_does_not_fit_on_the_disk_is_neither_there_nor_in_memory(recorder, folder, num_bytes):
    trial = record_curve(recorder, 0.5)
    before = (folder / "trials.jsonl").read_bytes()
    room, said = room_for(folder / "trials.jsonl", num_bytes=num_bytes), r"too large: '.*/trials\.jsonl'"
    with room, pytest.raises(OSError, match=said):
        recorder.result(trial, epoch=2, objective=0.6, metrics={}, seconds=1.0)
    assert (folder / "trials.jsonl").read_bytes() == before
    assert set(recorder.record.by_name[trial].results) == {1}
    recorder.result(trial, epoch=2, objective=0.6, metrics={}, seconds=1.0)
    recorder.close()
    assert read_search(folder).events == recorder.record.events


def test_an_end_of_the_disk_while_a_search_closes_leaves_a_folder_that_is_resumed(recorder, folder):
    record_curve(recorder, 0.5)
    with room_for(folder / "trials.jsonl", num_bytes=5):
        with pytest.raises(OSError, match="too large"):
            recorder.close_session()
        recorder.close()
    with closing(Recorder.resume(folder)) as resumed:
        assert resumed.record.events == recorder.record.events
