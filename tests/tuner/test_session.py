"""A session without Ray: what goes on record, what happens when legs fail or room is short, and every kill there is."""

import errno
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner import played_session
from tests.tuner.conftest import recorded_settings
from tests.tuner.played_session import FIRST, PAIRS, Player, objective, opened, report_of
from trainable.leg import Leg, LegReport
from trainable.run import Ending
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork
from tuner.records import Recorder, read_search
from tuner.records.checkpoints import last_checkpoint, remove_leftovers
from tuner.session import MAX_FAILURES, MAX_UNFIT

MAX_EPOCHS = 4


def new_search(folder: Path, *, scheduler: str = "asha", slots: int = 1, **changes) -> Path:
    resources = recorded_settings().resources
    settings = recorded_settings(
        scheduler=scheduler,
        num_trials=changes.pop("num_trials", 8),
        max_epochs=MAX_EPOCHS,
        rung_epochs=() if scheduler == "none" else (1, 2),
        resources=type(resources)(concurrent=slots, cpus_per_trial=1.0, gpus_per_trial=0.0),
        first_answers=FIRST,
        **changes,
    )
    Recorder.create(folder, settings).close()
    return folder


def play(folder: Path, *, slots: int = 1, max_epochs: float = math.inf) -> None:
    with opened(folder) as session:
        Player(session, slots).play(max_epochs)
        session.close()


def test_a_report_of_nothing_is_refused(tmp_path):
    with opened(new_search(tmp_path / "search")) as session:
        leg = session.next_leg()
        with pytest.raises(ValueError, match=f"{leg.trial} has neither a result nor an ending"):
            session.take(leg.trial, LegReport(process="here:1"))


def story(folder: Path) -> list:
    """Recorded events without their process and time."""
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("time", "process")}
        for line in lines
        if not line["event"].startswith("session")
    ]


def checkpoints_of(folder: Path) -> dict[str, list[str]]:
    return {
        place.name: sorted(path.name for path in place.iterdir())
        for place in sorted((folder / "checkpoints").iterdir())
    }


EACH_LINE_OR_SOME = pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
"""7 has no divisor in common with the lines of a trial, so that kills come after every kind of line."""


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request):
    return dict(zip(("scheduler", "sampler"), request.param, strict=True))


def test_a_search_runs_to_its_end_and_every_trial_ends_once(tmp_path, pair):
    folder = new_search(tmp_path / "run", **pair, slots=2)
    play(folder, slots=2)
    search = read_search(folder)
    assert [trial.number for trial in search.trials] == list(range(8))
    assert not search.is_unfinished
    for trial in search.trials:
        assert trial.outcome in (Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG)
        assert {e: r.objective for e, r in trial.results.items()} == {
            e: objective(trial.params, e) for e in range(1, max(trial.results) + 1)
        }
    assert search.default_trial.outcome is Outcome.COMPLETED
    assert {trial.outcome for trial in search.trials} == (
        {Outcome.COMPLETED} if pair["scheduler"] == "none" else {Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG}
    )


@EACH_LINE_OR_SOME
def test_killed_after_any_line_a_search_in_one_slot_continues_as_an_undisturbed_one(tmp_path, every, pair):
    """The promise that makes the records the only truth: nothing else is needed to go on."""
    undisturbed = new_search(tmp_path / "undisturbed", **pair)
    play(undisturbed)
    expected = story(undisturbed)
    lines = (undisturbed / "trials.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) > 40
    for place in range(0, len(lines), every):
        folder = new_search(tmp_path / f"after_{place}", **pair)
        (folder / "trials.jsonl").write_text("".join(lines[:place]) + lines[place][: len(lines[place]) // 2])
        play(folder)
        assert story(folder) == expected, lines[place]
        shutil.rmtree(folder)


def test_stopped_after_any_epoch_a_search_in_two_slots_loses_and_repeats_nothing(tmp_path, pair):
    for num_epochs in range(1, 12):
        folder = new_search(tmp_path / f"after_{num_epochs}", **pair, slots=2)
        with opened(folder) as session:
            Player(session, 2).play(num_epochs)
        before = story(folder)
        play(folder, slots=2)
        assert story(folder)[: len(before)] == before
        results = [(line["trial"], line["epoch"]) for line in story(folder) if line["event"] == "result"]
        assert len(set(results)) == len(results)
        assert not read_search(folder).is_unfinished


def test_only_the_last_checkpoint_of_each_trial_stays(tmp_path, pair):
    folder = new_search(tmp_path / "run", **pair, slots=2)
    play(folder, slots=2)
    search = read_search(folder)
    assert checkpoints_of(folder) == {t.name: [f"epoch_{t.last.epoch:04d}.pt"] for t in search.trials}
    assert all(last_checkpoint(folder, trial).read_bytes() == b"weights" for trial in search.trials)


def test_what_a_kill_left_beside_the_last_checkpoint_goes(tmp_path):
    folder = new_search(tmp_path / "run", scheduler="asha-stopping")
    play(folder, max_epochs=3)
    kept = checkpoints_of(folder)
    for place in (folder / "checkpoints").iterdir():
        (place / ".epoch_0009.pt.4711").write_bytes(b"half")
        (place / "epoch_0009.pt").write_bytes(b"not on record")
    remove_leftovers(folder, read_search(folder))
    assert checkpoints_of(folder) == kept


@pytest.fixture
def folder(tmp_path):
    return new_search(tmp_path / "run", scheduler="none", num_trials=2)


def test_a_leg_whose_process_died_continues_from_the_last_checkpoint_until_it_failed_too_often_in_a_row(folder):
    with opened(folder) as session:
        leg = session.next_leg()
        assert session.take(leg.trial, report_of(leg, 1))
        for _ in range(MAX_FAILURES):
            session.fail(leg.trial, "the worker died")
            leg = session.next_leg()
            assert leg.from_epoch == 1
        assert session.take(leg.trial, report_of(leg, 2))
        for _ in range(MAX_FAILURES):
            session.fail(leg.trial, "the worker died")
            assert session.next_leg().from_epoch == 2
        session.fail(leg.trial, "RuntimeError: no such device")
        assert session.next_leg().trial != leg.trial
    trial = read_search(folder).by_name[leg.trial]
    assert (trial.outcome, trial.sentence) == (Outcome.FAILED, "failed after epoch 2: RuntimeError: no such device")


def test_a_trial_whose_machine_is_gone_continues_elsewhere_as_often_as_that_happens(folder):
    with opened(folder) as session:
        leg = session.next_leg()
        session.take(leg.trial, report_of(leg, 1))
        for _ in range(2 * MAX_FAILURES):
            session.move(leg.trial, "its node has died")
            again = session.next_leg()
            assert (again.trial, again.from_epoch) == (leg.trial, 1)
        assert session.next_leg() is NoWork.WAIT
    assert read_search(folder).by_name[leg.trial].num_failures == 0


def test_where_no_machine_can_train_any_more_the_search_stops_and_an_epoch_begins_the_count_anew(folder, caplog):
    caplog.set_level("INFO")
    with opened(folder) as session:
        for epoch in (1, 2):
            for _ in range(MAX_UNFIT):
                session.move(session.next_leg().trial, "/data is gone.", is_unfit=True)
            leg = session.next_leg()
            assert session.take(leg.trial, report_of(leg, epoch))
            session.move(leg.trial, "its node has died")
        for _ in range(MAX_UNFIT + 1):
            assert session.stop_reason is None
            session.move(session.next_leg().trial, "/data is gone.", is_unfit=True)
        assert session.next_leg() is NoWork.FINISHED
    assert "No machine can train any more: /data is gone. Fix that, then continue with --resume." in caplog.text
    assert read_search(folder).by_name[leg.trial].num_failures == 0
    with opened(folder) as session:
        assert session.next_leg().from_epoch == 2


@pytest.mark.parametrize("scheduler", ["asha", "asha-stopping", "none"])
def test_as_many_trials_run_as_the_cluster_has_room_for(tmp_path, scheduler):
    folder = new_search(tmp_path / "search", scheduler=scheduler, slots=1)
    with opened(folder) as session:
        assert [isinstance(session.next_leg(), Leg) for _ in range(2)] == [True, False]
        session.resize(3)
        assert [isinstance(session.next_leg(), Leg) for _ in range(3)] == [True, True, False]
        session.resize(0)
        assert session.next_leg() is NoWork.WAIT
    assert read_search(folder).settings.resources.concurrent == 1


def test_a_leg_of_a_search_with_a_store_says_where_its_checkpoints_go(tmp_path):
    with opened(new_search(tmp_path / "search", store="s3://bucket/all/moe/run?region=here")) as session:
        leg = session.next_leg()
    assert leg.store == f"s3://bucket/all/moe/run/checkpoints/{leg.trial}?region=here"


def test_a_trial_that_never_came_to_an_epoch_is_on_record_with_its_configuration_and_its_error(folder):
    with opened(folder) as session:
        for _ in range(MAX_FAILURES + 1):
            leg = session.next_leg()
            session.fail(leg.trial, "ValueError: max_lr is -1")
    (trial,) = read_search(folder).trials
    assert (trial.number, trial.params["level"], trial.outcome) == (0, 0.5, Outcome.FAILED)
    assert "ValueError: max_lr is -1" in trial.sentence


def fail_next(session, times: int = MAX_FAILURES + 1) -> str:
    """The next trial's process dies so often."""
    trial = session.next_leg().trial
    for number in range(times):
        session.fail(trial, "RuntimeError: no CUDA device")
        if number < times - 1:
            assert session.next_leg().trial == trial
    return trial


def test_when_trials_fail_one_after_the_other_the_machine_is_blamed_and_the_search_stops(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = new_search(tmp_path / "run", scheduler="none")
    with opened(folder) as session:
        failed = [fail_next(session) for _ in range(3)]
        assert session.next_leg() is NoWork.FINISHED
    assert "3 trials in a row failed before an epoch was done: RuntimeError: no CUDA device. Fix" in caplog.text
    assert [trial.outcome for trial in read_search(folder).trials] == [Outcome.FAILED, Outcome.FAILED, None]
    play(folder)
    search = read_search(folder)
    assert search.by_name[failed[2]].outcome is Outcome.COMPLETED
    assert not search.is_unfinished


def test_an_error_of_the_users_own_code_is_not_tried_again(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = new_search(tmp_path / "run", scheduler="none")
    with opened(folder) as session:
        for _ in range(2):
            trial = session.next_leg().trial
            session.fail(trial, "KeyError: 'masks' (train.py, line 38)", may_recover=False)
            assert read_search(folder).by_name[trial].sentence.endswith(": KeyError: 'masks' (train.py, line 38)")
        session.fail(session.next_leg().trial, "KeyError: 'masks' (train.py, line 38)", may_recover=False)
        assert session.next_leg() is NoWork.FINISHED
    assert [trial.outcome for trial in read_search(folder).trials] == [Outcome.FAILED, Outcome.FAILED, None]
    assert "before an epoch was done: KeyError: 'masks' (train.py, line 38). Fix the cause" in caplog.text
    assert "continue with --resume; after a change of your code, start a new search." in caplog.text


def test_a_trial_that_fails_again_after_such_a_stop_is_spent_so_that_a_resume_comes_further(tmp_path):
    folder = new_search(tmp_path / "run", scheduler="none")
    with opened(folder) as session:
        for _ in range(3):
            fail_next(session)
    with opened(folder) as session:
        assert fail_next(session, 1) == read_search(folder).trials[2].name
        assert session.next_leg().trial.startswith("003")
    assert read_search(folder).trials[2].outcome is Outcome.FAILED


def test_trials_that_fail_between_others_that_train_do_not_stop_the_search(tmp_path):
    folder = new_search(tmp_path / "run", scheduler="none")
    with opened(folder) as session:
        for _ in range(3):
            fail_next(session)
            leg = session.next_leg()
            for epoch in range(1, MAX_EPOCHS + 1):
                session.take(leg.trial, report_of(leg, epoch))
        assert session.stop_reason is None
    outcomes = [trial.outcome for trial in read_search(folder).trials]
    assert outcomes == [Outcome.FAILED, Outcome.COMPLETED] * 3


@pytest.mark.parametrize("outcome", ["diverged", "out_of_memory"])
def test_a_trial_that_ends_itself_without_an_epoch_leaves_no_value(folder, outcome):
    with opened(folder) as session:
        leg = session.next_leg()
        session.take(leg.trial, report_of(leg, 1))
        ending = Ending(outcome=outcome, numbers={"term": "loss", "value": "nan", "error": "no room"})
        assert not session.take(leg.trial, LegReport(ending=ending, process="here:1"))
    trial = read_search(folder).by_name[leg.trial]
    assert (str(trial.outcome), list(trial.results), trial.numbers["epoch"]) == (outcome, [1], 2)
    assert not trial.may_win


@pytest.mark.parametrize("value", [math.nan, -math.inf, 1e200])
def test_a_value_that_no_float32_holds_ends_its_trial_and_is_no_result(folder, value):
    with opened(folder) as session:
        leg = session.next_leg()
        report = report_of(leg, 1)
        broken = replace(report, result=replace(report.result, objective=value))
        assert not session.take(leg.trial, broken)
    trial = read_search(folder).by_name[leg.trial]
    assert (trial.outcome, trial.results) == (Outcome.DIVERGED, {})
    assert f"objective was {value}" in trial.sentence


def test_a_trial_that_plateaus_ends_with_its_last_value(tmp_path):
    folder = new_search(tmp_path / "run", scheduler="asha", num_trials=3)
    with opened(folder) as session:
        leg = session.next_leg()
        numbers = {"best": 0.3, "best_epoch": 1, "patience_epochs": 1}
        assert not session.take(leg.trial, report_of(leg, 1, outcome="plateaued", numbers=numbers))
        assert session.next_leg().trial != leg.trial
    trial = read_search(folder).by_name[leg.trial]
    assert (trial.outcome, trial.may_win) == (Outcome.PLATEAUED, True)
    assert trial.objective_at(MAX_EPOCHS) == objective(trial.params, 1)


def test_a_trial_that_had_come_to_its_end_before_the_leg_ends_without_training(folder):
    """A kill came between the line of its last epoch and that of its end."""
    with opened(folder) as session:
        leg = session.next_leg()
        session.take(leg.trial, report_of(leg, 1))
    with opened(folder) as session:
        leg = session.next_leg()
        assert leg.from_epoch == 1
        assert not session.take(leg.trial, LegReport(ending=Ending(outcome="plateaued"), process="here:1"))
    assert read_search(folder).by_name[leg.trial].outcome is Outcome.PLATEAUED


def test_a_trial_whose_checkpoint_was_lost_starts_over_and_counts_each_epoch_once(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = new_search(tmp_path / "run", scheduler="asha", num_trials=3)
    play(folder, max_epochs=2)
    with opened(folder) as session:
        player = Player(session)
        assert player.begin()
        (running,) = player.running
        leg = running.leg
        assert leg.from_epoch > 0
        running.epoch = 0
        player.play()
        session.close()
    assert f"trial {leg.trial} starts over" in caplog.text
    search = read_search(folder)
    assert not search.is_unfinished
    assert list(search.by_name[leg.trial].results) == list(range(1, len(search.by_name[leg.trial].results) + 1))


def test_a_trial_that_starts_over_and_dies_continues_from_where_it_is_and_fails_in_the_end(tmp_path):
    folder = new_search(tmp_path / "run", scheduler="none", num_trials=1)
    play(folder, max_epochs=3)
    with opened(folder) as session:
        leg = session.next_leg()
        session.take(leg.trial, report_of(leg, 1))
        assert list(read_search(folder).by_name[leg.trial].results) == [1]
        for _ in range(MAX_FAILURES + 1):
            session.fail(leg.trial, "the worker died")
            leg = session.next_leg()
            assert leg is NoWork.FINISHED or leg.from_epoch == 1
    assert read_search(folder).trials[0].outcome is Outcome.FAILED


@EACH_LINE_OR_SOME
@pytest.mark.parametrize("outcome", ["plateaued", "experts_collapsed"])
def test_killed_after_any_line_a_trial_that_ended_itself_has_ended_so(tmp_path, every, pair, outcome):
    numbers = {"best": 0.3, "best_epoch": 1, "patience_epochs": 1}

    def ending_early(leg, epoch):
        is_first = leg.trial.startswith("000") and epoch == 2
        return report_of(leg, epoch, **({"outcome": outcome, "numbers": numbers} if is_first else {}))

    def play_on(folder):
        with opened(folder) as session:
            Player(session, report=ending_early).play()
            session.close()

    undisturbed = new_search(tmp_path / "undisturbed", **pair, num_trials=4)
    play_on(undisturbed)
    expected = story(undisturbed)
    lines = (undisturbed / "trials.jsonl").read_text().splitlines(keepends=True)
    for place in range(0, len(lines), every):
        folder = new_search(tmp_path / f"after_{place}", **pair, num_trials=4)
        (folder / "trials.jsonl").write_text("".join(lines[:place]))
        play_on(folder)
        assert story(folder) == expected, lines[place]


def test_a_full_disk_in_a_trial_stops_the_search_with_a_sentence_and_costs_the_epoch_alone(folder, caplog):
    caplog.set_level("INFO")
    with opened(folder) as session:
        leg = session.next_leg()
        assert not session.take(leg.trial, LegReport(disk_full=os.strerror(errno.ENOSPC), process="here:1"))
        assert session.next_leg() is NoWork.FINISHED
    assert "The disk is full: No space left on device. Make room, and continue with --resume." in caplog.text
    search = read_search(folder)
    assert [trial.outcome for trial in search.trials] == [None]
    with opened(folder) as session:
        assert session.next_leg().trial == leg.trial


def test_out_of_time_no_leg_starts_and_the_session_ends(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = new_search(tmp_path / "run")
    now = [0.0]
    with opened(folder, seconds=10.0) as session:
        session._recorder._clock = lambda: now[0]
        session._recorder._began = 0.0
        session.check_time()
        assert isinstance(session.next_leg(), Leg)
        now[0] = 10.5
        session.check_time()
        assert session.next_leg() is NoWork.FINISHED
        session.close()
    assert "The time budget is used up" in caplog.text
    assert read_search(folder).elapsed == 10.5


def test_out_of_time_a_search_whose_trials_have_all_ended_goes_on_to_its_confirmation(tmp_path):
    folder = new_search(tmp_path / "run")
    play(folder)
    with opened(folder, seconds=1.0) as session:
        session._recorder._clock = lambda: session._recorder._began + 100.0
        session.check_time()
        assert session.stop_reason is None


def test_a_full_disk_budget_ends_the_least_promising_waiting_trial_and_keeps_what_may_win(tmp_path):
    folder = new_search(tmp_path / "run", scheduler="asha", slots=2, num_trials=12, disk_budget_bytes=4 * 7, confirm=1)
    play(folder, slots=2)
    search = read_search(folder)
    assert not search.is_unfinished
    short = [trial for trial in search.trials if trial.numbers.get("short_of") == "disk"]
    assert short
    assert all("no disk space for its checkpoint" in trial.sentence for trial in short)
    assert last_checkpoint(folder, search.leader) is not None
    kept = [trial for trial in search.trials if last_checkpoint(folder, trial)]
    assert len(kept) <= 4


def test_a_disk_budget_that_cannot_hold_stops_the_search(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = new_search(tmp_path / "run", scheduler="none", slots=2, disk_budget_bytes=7)
    play(folder, slots=2)
    assert read_search(folder).is_unfinished
    assert "more than --disk-budget" in caplog.text


def test_a_search_that_has_tried_all_that_its_space_holds_is_done(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    few = lambda trial: {"level": trial.suggest_categorical("level", [0.2, 0.4, 0.6]), "rate": 1.0}  # noqa: E731
    monkeypatch.setattr(played_session, "space", few)
    for number, (scheduler, sampler) in enumerate(PAIRS):
        folder = new_search(tmp_path / str(number), scheduler=scheduler, sampler=sampler)
        recorder = Recorder.resume(folder)
        recorder.change(first_answers=())
        recorder.close()
        play(folder)
        search = read_search(folder)
        assert (len(search.trials), search.settings.num_trials, search.is_unfinished) == (3, 3, False)
        assert "The space has no more configurations: 3 of 8 trials run." in caplog.text
        caplog.clear()


def test_the_time_since_the_last_line_counts_when_a_session_ends(folder):
    with opened(folder) as session:
        session._recorder._clock, session._recorder._began = (lambda: 1040.0), 1000.0
        session.close()
    assert read_search(folder).elapsed == 40.0


def test_each_session_says_which_code_wrote(folder):
    play(folder, max_epochs=1)
    play(folder)
    sessions = read_search(folder).sessions
    assert len(sessions) == 2
    assert all(session.version and session.host and session.process == os.getpid() for session in sessions)
