"""Which trainings follow: a first round for all, then pairs of the exported trial and the default until decided."""

from contextlib import closing
from dataclasses import replace

import pytest

from tests.tuner.conftest import recorded_settings
from tuner.confirmation.training import Trained, confirm
from tuner.confirmation.wanted import FIRST_SEED, is_over, next_trainings
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmedRun, ConfirmSeeds, Recorder, append_run, read_search, trial_name
from tuner.records.confirm_seeds import MOST_SEEDS
from tuner.selection.selected_trial import select_trial

SEEDS = ConfirmSeeds(first=3, last=5)
NAMES = [trial_name(number, {}) for number in range(3)]
CLEAR, UNCLEAR = (0.10, 0.11, 0.10), (0.10, -0.02, 0.05)
"""Gains of trial 2 on the test split, by seed: all intervals of the first exclude zero."""


@pytest.fixture
def folder(tmp_path):
    """A finished search of three trials on two slots; trial 1 leads it."""
    settings = recorded_settings(num_trials=3, max_epochs=2, rung_epochs=(), confirm=2)
    with closing(Recorder.create(tmp_path / "run", replace(settings, confirm_seeds=SEEDS))) as recorder:
        for name, value in zip(NAMES, (0.5, 0.8, 0.7), strict=True):
            recorder.start(name, params={}, answers={})
            for epoch in (1, 2):
                recorder.result(name, epoch=epoch, objective=value, metrics={}, seconds=30.0)
            recorder.end(name, Outcome.COMPLETED, numbers={"epoch": 2, "objective": value}, epoch=2)
    return tmp_path / "run"


def train(folder, trainings, gains, *, seconds=None):
    """Records these trainings: on the validation split trial 2 is the best, on the test split it gains this much."""
    for trial, seed in trainings:
        number = seed - FIRST_SEED
        gain = gains[number % len(gains)] if trial.number == 2 else 0.0
        values = {"objective": 0.6 + gain, "validation": 0.6 + 0.1 * trial.number + 0.01 * number}
        append_run(folder, ConfirmedRun(trial=trial.name, seed=seed, test={}, seconds=seconds, **values))


def following(folder, **changed):
    todo = next_trainings(folder, read_search(folder), **({"top": 2, "seeds": SEEDS} | changed))
    return [(trial.number, seed - FIRST_SEED) for trial, seed in todo]


def first_round(folder, gains, **measured):
    train(folder, next_trainings(folder, read_search(folder), top=2, seeds=SEEDS), gains, **measured)


def test_the_default_and_all_candidates_come_first_on_the_first_seeds(folder):
    assert following(folder) == [(trial, seed) for seed in (0, 1, 2) for trial in (0, 1, 2)]


def test_what_is_decided_by_the_first_round_gets_no_further_seed(folder):
    first_round(folder, CLEAR)
    assert following(folder) == []
    assert is_over(folder, read_search(folder))


def test_undecided_only_the_exported_trial_and_the_default_get_further_seeds_in_pairs_until_they_are_spent(folder):
    first_round(folder, UNCLEAR)
    assert not is_over(folder, read_search(folder))
    assert following(folder) == [(0, 3), (2, 3)]
    for seed in (3, 4):
        assert following(folder) == [(0, seed), (2, seed)]
        train(folder, next_trainings(folder, read_search(folder), top=2, seeds=SEEDS), UNCLEAR)
    assert following(folder) == []
    assert is_over(folder, read_search(folder))


def test_it_ends_with_the_seed_that_decides(folder):
    first_round(folder, (0.10, 0.11, 0.12, 0.11, 0.0))
    record = read_search(folder)
    assert following(folder) == []
    assert not select_trial(folder, record).is_undecided


def test_a_kill_between_the_two_of_a_pair_leaves_the_other_to_be_trained(folder):
    first_round(folder, UNCLEAR)
    record = read_search(folder)
    train(folder, next_trainings(folder, record, top=2, seeds=SEEDS)[:1], UNCLEAR)
    assert following(folder) == [(2, 3)]


def test_a_single_number_is_exactly_that_many(folder):
    first_round(folder, UNCLEAR)
    assert following(folder, seeds=ConfirmSeeds(first=3, last=3)) == []


def test_with_four_slots_two_pairs_are_trained_at_once(folder):
    first_round(folder, UNCLEAR)
    record = read_search(folder)
    resources = replace(record.settings.resources, concurrent=4)
    record.settings = replace(record.settings, resources=resources)
    todo = next_trainings(folder, record, top=2, seeds=ConfirmSeeds(first=3, last=9))
    assert [(trial.number, seed - FIRST_SEED) for trial, seed in todo] == [(0, 3), (2, 3), (0, 4), (2, 4)]


def test_a_trial_that_failed_where_the_default_did_not_gets_no_further_seed_and_no_number_of_seeds_is_named(folder):
    first_round(folder, UNCLEAR)
    (_, seed), _ = next_trainings(folder, read_search(folder), top=2, seeds=SEEDS)
    append_run(folder, ConfirmedRun(trial=NAMES[0], seed=seed, objective=0.6, validation=0.6, test={}))
    append_run(folder, ConfirmedRun(trial=NAMES[2], seed=seed, objective=None, validation=None, test={}))
    assert following(folder) == []
    selected = select_trial(folder, read_search(folder))
    assert selected.seeds_to_decide is None
    assert f"trial {NAMES[2]} failed on 1 of 4 seeds" in selected.to_decide(is_over=True, is_running=False)


def test_the_seeds_that_would_decide_are_counted_from_those_that_were_trained(folder):
    first_round(folder, UNCLEAR)
    before = select_trial(folder, read_search(folder)).seeds_to_decide
    for trial in (NAMES[0], NAMES[2]):
        append_run(folder, ConfirmedRun(trial=trial, seed=FIRST_SEED + 3, objective=None, validation=None, test={}))
    assert select_trial(folder, read_search(folder)).seeds_to_decide == (before[0], before[1] + 1)


def test_where_the_default_is_exported_nothing_is_left_to_decide(folder):
    record = read_search(folder)
    for trial, seed in next_trainings(folder, record, top=2, seeds=SEEDS):
        value = 0.6 - 0.1 * trial.number
        append_run(folder, ConfirmedRun(trial=trial.name, seed=seed, objective=value, validation=value, test={}))
    assert select_trial(folder, record).trial.number == 0
    assert following(folder) == []


def test_the_test_split_never_chooses(folder):
    first_round(folder, (-0.3, -0.2, -0.25))
    assert select_trial(folder, read_search(folder)).trial.number == 2


def test_undecided_says_how_many_seeds_and_minutes_it_would_take_and_decided_says_nothing(folder):
    first_round(folder, UNCLEAR)
    answer = select_trial(folder, read_search(folder))
    assert answer.pair_seconds == 60.0
    sentence = answer.to_decide(is_over=True, is_running=False)
    more = int(sentence.split()[2])
    assert sentence == (
        f"Undecided: about {more} more seeds ({more} minutes) would settle it if the difference holds: "
        f"--seeds 3..{3 + more}."
    )


@pytest.mark.parametrize(("is_running", "why"), [(True, "training is still running"), (False, "was interrupted")])
def test_no_more_seeds_are_suggested_before_all_are_trained(folder, is_running, why):
    first_round(folder, UNCLEAR)
    sentence = " ".join(select_trial(folder, read_search(folder)).evidence(is_over=False, is_running=is_running))
    assert "Not decided yet: " in sentence
    assert why in sentence
    assert "--seeds" not in sentence


def test_the_time_it_would_take_is_that_of_the_trainings_that_were_made(folder):
    first_round(folder, UNCLEAR, seconds=90.0)
    assert select_trial(folder, read_search(folder)).pair_seconds == 90.0


def test_without_a_gain_no_number_of_seeds_is_promised(folder):
    first_round(folder, (0.1, -0.1, 0.0))
    sentence = select_trial(folder, read_search(folder)).to_decide(is_over=True, is_running=False)
    assert sentence == f"More than {MOST_SEEDS} seeds would be needed to decide."


def test_decided_it_would_take_nothing(folder):
    first_round(folder, CLEAR)
    assert select_trial(folder, read_search(folder)).to_decide(is_over=True, is_running=False) is None


class NoBaselines:
    """Measures nothing beside the confirmation."""

    def __init__(self, *_, **__):
        pass

    def begin(self):
        pass

    def finish(self):
        pass


def test_the_confirmation_trains_in_that_order_and_continues_where_it_was_killed(folder, monkeypatch, caplog):
    caplog.set_level("INFO", logger="tuner.confirmation")
    trained, slots = [], []

    def run_tasks(function, calls, resources, **_):
        from concurrent.futures import Future

        slots.append(resources.concurrent)
        for (trial, seed), _ in calls:
            trained.append((trial.number, seed - FIRST_SEED))
            gain = UNCLEAR[(seed - FIRST_SEED) % 3] if trial.number == 2 else 0.0
            future = Future()
            future.set_result(Trained(0.6 + 0.1 * trial.number, {"s_measure": 0.6 + gain}, seconds=1.0))
            yield (trial, seed), future

    for name, double in {"check_room": lambda *_: None, "node_resources": list, "run_tasks": run_tasks}.items():
        monkeypatch.setattr(f"tuner.confirmation.training.{name}", double)
    monkeypatch.setattr("tuner.confirmation.training.Baselines", NoBaselines)
    monkeypatch.setattr("tuner.confirmation.training._carried_config", lambda *_: None)

    def killed(run, progress):
        if len(trained) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        confirm(folder, top=2, seeds=SEEDS, on_run=killed)
    assert trained[-1] == (0, 3)
    own = read_search(folder).settings.resources
    elsewhere = replace(own, concurrent=3)
    confirm(folder, top=2, seeds=SEEDS, on_run=lambda *_: None, resources=elsewhere)
    assert trained[10:] == [(2, 3), (0, 4), (2, 4)]
    assert slots == [own.concurrent, own.concurrent, 3, 3]
    assert "not decided yet, 2 more trainings (up to 5 seeds for each configuration)" in caplog.text
