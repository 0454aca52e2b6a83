from contextlib import closing

import pytest

from tests.tuner.recorded_curves import recorded, settings_of
from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records import Execution, Recorder, trial_name
from tuner.records.events import Decided
from tuner.results import progress


def decided(action, *, epoch=2, value=0.2):
    return Decision(epoch=epoch, rung=1, value=value, cutoff=None, rank=1, of=1, action=action)


def test_endings_are_counted_by_rung(tmp_path):
    stop, done = Outcome.STOPPED_AT_RUNG, Outcome.COMPLETED
    endings = {0: done, 1: stop, 2: stop, 3: Outcome.DIVERGED}
    search = recorded(tmp_path, curves=[[0.1] * 4, [0.1] * 2, [0.1] * 2, [0.1], [0.1]], endings=endings, num_trials=5)
    assert list(progress.count_endings(search.trials).items()) == [
        ("completed", 1),
        ("stopped at rung 1 (epoch 2)", 2),
        ("diverged", 1),
        ("unfinished", 1),
    ]


def test_a_hand_over_is_timed_within_its_process_from_the_last_result_to_the_first_step_of_the_next_trial(tmp_path):
    now = [0.0]
    recorder = Recorder.create(tmp_path, settings_of(num_trials=5, max_epochs=9), clock=lambda: now[0])
    name = {letter: trial_name(number, {}) for number, letter in enumerate("abcde")}
    story = [
        (2.0, "a", "one:1"),
        (2.5, "b", "one:2"),
        (4.0, "a", "one:1"),
        (6.1, "c", "one:1"),  # began at 4.1
        (6.4, "d", "one:2"),  # began at 4.4
        (9.0, "e", "two:2"),  # another machine
        (9.5, "c", None),  # nobody said
    ]
    for trial in name.values():
        recorder.start(trial, params={}, answers={})
    for epoch, (now[0], letter, process) in enumerate(story, start=1):
        recorder.result(
            name[letter],
            epoch=epoch,
            objective=0.5,
            metrics={},
            seconds=2.0,
            execution=Execution(process=process, precision="bf16"),
        )
    assert progress.idle_gaps(recorder.record) == pytest.approx([0.1, 1.9])
    recorder.close()
    # Until then there was nothing to go on with.
    promoted = Decided(trial=name["d"], decision=decided("promote", epoch=4, value=0.5), time=4.25)
    recorder.record.decisions.append(promoted)
    assert progress.idle_gaps(recorder.record) == pytest.approx([0.1, 0.15])
    assert progress.precisions(recorder.record) == {"bf16"}


def test_a_trial_that_seems_to_begin_before_the_last_one_ended_waits_for_nothing(tmp_path):
    now = [0.0]
    with closing(Recorder.create(tmp_path, settings_of(), clock=lambda: now[0])) as recorder:
        for number in (0, 1):
            now[0] += 2.0
            trial, process = trial_name(number, {}), Execution(process="1", precision="bf16")
            recorder.start(trial, params={}, answers={})
            recorder.result(trial, epoch=1, objective=0.5, metrics={}, seconds=2.001, execution=process)
    assert progress.idle_gaps(recorder.record) == [0.0]


def test_a_trial_that_paused_waits_until_it_is_promoted(tmp_path):
    recorded(tmp_path, curves=[[0.1, 0.2], [0.1, 0.3], [0.1]], scheduler="asha")
    recorder = Recorder.resume(tmp_path)
    for number in (0, 1):
        recorder.decision(trial_name(number, {}), decided("pause"))
    recorder.decision(trial_name(1, {}), decided("promote"))
    recorder.close()
    search = recorder.record
    assert [trial.number for trial in progress.waiting(search)] == [0]
    assert [trial.number for trial in progress.running(search)] == [1, 2]


def test_a_trial_that_waited_when_its_search_was_cut_off_waits_still_after_the_resume(tmp_path):
    recorded(tmp_path, curves=[[0.1, 0.2], [0.1]], scheduler="asha")
    recorder = Recorder.resume(tmp_path)
    recorder.decision(trial_name(0, {}), decided("pause"))
    recorder.close()
    resumed = Recorder.resume(tmp_path)
    resumed.close()
    assert [trial.number for trial in progress.waiting(resumed.record)] == [0]
