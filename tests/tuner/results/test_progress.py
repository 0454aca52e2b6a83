import numpy as np
import pytest

from tests.tuner.conftest import recorded_settings
from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, TrialResources, trial_name
from tuner.records.events import Decided
from tuner.results import progress


def settings_of(*, lanes=1, **changed):
    resources = TrialResources(concurrent=lanes, cpus_per_trial=1.0, gpus_per_trial=0.0)
    return recorded_settings(
        **{"num_trials": 4, "max_epochs": 4, "rung_epochs": (2,), "resources": resources} | changed
    )


def recorded(folder, *, curves, endings=None, **changed):
    """Trials with these curves, two seconds an epoch; `endings` by trial number."""
    recorder = Recorder.create(folder, settings_of(**changed), clock=lambda: 0.0)
    for number, curve in enumerate(curves):
        trial = trial_name(number, {})
        recorder.start(trial, params={}, answers={})
        for epoch, value in enumerate(curve, start=1):
            recorder.result(trial, epoch=epoch, objective=value, metrics={}, seconds=2.0)
        if number in (endings or {}):
            numbers = {"rung": 1} if endings[number] is Outcome.STOPPED_AT_RUNG else {}
            recorder.end(trial, endings[number], numbers=numbers, epoch=len(curve))
    recorder.close()
    return recorder.record


def decided(action, *, epoch=2, value=0.2):
    return Decision(epoch=epoch, rung=1, value=value, cutoff=None, rank=1, of=1, action=action)


def test_before_the_first_trial_the_epochs_left_are_those_that_the_scheduler_plans(tmp_path):
    # Two epochs each, then every second trial trains two more.
    assert progress.expected_epochs_left(recorded(tmp_path, curves=[])) == pytest.approx(4 * (2 + 0.5 * 2))


def test_a_running_trial_past_the_only_rung_has_exactly_the_rest_of_its_budget_left(tmp_path):
    search = recorded(tmp_path, curves=[[0.1, 0.2, 0.3]], num_trials=1)
    assert progress.expected_epochs_left(search) == pytest.approx(1.0)


def test_the_stop_rate_seen_at_a_rung_replaces_the_planned_one(tmp_path):
    stopped = {number: Outcome.STOPPED_AT_RUNG for number in range(98)}
    search = recorded(tmp_path, curves=[[0.1, 0.2]] * 98, endings=stopped, num_trials=99)
    # 98 of 98 were stopped, and 2 trials of the plan, of which one passes: one in a hundred goes on.
    assert progress.expected_epochs_left(search) == pytest.approx(2 + 0.01 * 2)


def test_the_expected_epochs_are_the_mean_over_many_searches_that_go_on_at_the_same_rates(tmp_path):
    curves = [[0.1] * length for length in (12, 3, 3, 6, 2, 12, 3)]
    stop = Outcome.STOPPED_AT_RUNG
    endings = dict(enumerate([Outcome.COMPLETED, stop, stop, stop, Outcome.DIVERGED, Outcome.COMPLETED, stop]))
    changed = {"num_trials": 8, "max_epochs": 12, "rung_epochs": (3, 6)}
    search = recorded(tmp_path, curves=curves, endings=endings, **changed)
    # By hand: of 7 trials 1 ended at epoch 2, of 6 at epoch 3 three, of 3 at epoch 6 one; 2 planned trials beside each.
    passes = {2: (6 + 2) / (7 + 2), 3: (3 + 1) / (6 + 2), 6: (2 + 1) / (3 + 2)}
    draws = np.random.default_rng(0)
    lengths = [simulated_length(passes, draws) for _ in range(20_000)]
    assert progress.expected_epochs_left(search) == pytest.approx(np.mean(lengths), rel=0.02)


def simulated_length(passes, draws):
    return next((epoch for epoch, rate in passes.items() if draws.random() > rate), 12)


def test_the_time_left_is_the_work_divided_by_the_lanes_but_no_less_than_the_longest_trial(tmp_path):
    two = recorded(tmp_path / "two", curves=[[0.1, 0.2, 0.3]], num_trials=9, lanes=2)
    epochs = progress.expected_epochs_left(two)
    assert progress.expected_seconds_left(two) == pytest.approx(2.0 * epochs / 2)
    many = recorded(tmp_path / "many", curves=[[0.1]] * 2, num_trials=2, lanes=64)
    assert progress.expected_seconds_left(many) == pytest.approx(2.0 * progress.expected_epochs_left(many) / 2)


def test_a_time_budget_ends_the_search_however_much_is_left_to_train(tmp_path):
    search = recorded(tmp_path, curves=[[0.1]], num_trials=1000)
    search.elapsed, search.time_budget_seconds = 45.0, 60.0
    assert progress.expected_seconds_left(search) == pytest.approx(15.0)


def test_nothing_is_left_when_all_trials_have_ended_and_nothing_is_known_before_the_first_epoch(tmp_path):
    over = recorded(tmp_path / "over", curves=[[0.1] * 4], endings={0: Outcome.COMPLETED}, num_trials=1)
    assert progress.expected_seconds_left(over) == 0.0
    assert progress.expected_seconds_left(recorded(tmp_path / "new", curves=[])) is None


def test_an_unfinished_trial_still_has_its_epochs_to_train(tmp_path):
    search = recorded(tmp_path, curves=[[0.1, 0.2]], num_trials=1)
    assert progress.expected_epochs_left(search) == pytest.approx(2.0)


def test_without_early_stopping_every_trial_trains_to_its_full_length(tmp_path):
    search = recorded(tmp_path, curves=[], rung_epochs=())
    assert progress.expected_epochs_left(search) == pytest.approx(4 * 4)


def test_the_winner_is_compared_with_the_default_at_the_last_epoch_that_both_reached(tmp_path):
    curves, stopped = [[0.5, 0.6], [0.4, 0.7, 0.8, 0.9]], {0: Outcome.STOPPED_AT_RUNG}
    comparison = progress.compare_best_so_far(recorded(tmp_path, curves=curves, endings=stopped))
    assert (comparison.trial.number, comparison.epoch) == (1, 2)
    assert (comparison.value, comparison.default_value) == (0.7, 0.6)
    assert comparison.gain == pytest.approx(0.1)


def test_a_trial_is_not_the_best_for_being_ahead_of_the_running_default(tmp_path):
    comparison = progress.compare_best_so_far(recorded(tmp_path, curves=[[0.5], [0.4, 0.6], [0.55]]))
    assert (comparison.trial.number, comparison.epoch) == (2, 1)


def test_a_lower_loss_is_a_gain(tmp_path):
    comparison = progress.compare_best_so_far(recorded(tmp_path, curves=[[0.5], [0.4]], mode="min"))
    assert comparison.trial.number == 1
    assert comparison.gain == pytest.approx(0.1)


def test_there_is_no_comparison_without_a_measured_default(tmp_path):
    diverged = {0: Outcome.DIVERGED}
    assert progress.compare_best_so_far(recorded(tmp_path / "a", curves=[])) is None
    search = recorded(tmp_path / "b", curves=[[], [0.4]], endings=diverged)
    assert progress.compare_best_so_far(search) is None


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
            name[letter], epoch=epoch, objective=0.5, metrics={}, seconds=2.0, process=process, precision="bf16"
        )
    assert progress.idle_gaps(recorder.record) == pytest.approx([0.1, 1.9])
    recorder.close()
    # Until then there was nothing to go on with.
    promoted = Decided(trial=name["d"], decision=decided("promote", epoch=4, value=0.5), time=4.25)
    recorder.record.decisions.append(promoted)
    assert progress.idle_gaps(recorder.record) == pytest.approx([0.1, 0.15])
    assert progress.precisions(recorder.record) == {"bf16"}


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
