"""The Optuna study of a search: written anew by each session, and the same whoever wrote it."""

import warnings

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.tuner.conftest import recorded_settings
from tuner.listeners.study_copy import FILE, StudyCopy, mark_exported
from tuner.policy.outcomes import Outcome
from tuner.policy.samplers.tpe import STATES
from tuner.records import Recorder, read_search, trial_name


def space(trial):
    params = {"max_lr": trial.suggest_float("max_lr", 1e-4, 1e-1, log=True)}
    if trial.suggest_categorical("deep", [False, True]):
        params["layers"] = trial.suggest_int("layers", 1, 9)
    return params | {"pooling": trial.suggest_categorical("pooling", (None, "mean", 3))}


ANSWERS = [
    {"max_lr": 1e-3 * (1 + number), "deep": number % 2 == 0, "pooling": (None, "mean", 3)[number % 3]}
    | ({"layers": 1 + number} if number % 2 == 0 else {})
    for number in range(len(Outcome) + 1)
]


@pytest.fixture
def folder(tmp_path):
    """A search with a trial of each outcome, and one that runs, written as it went."""
    recorder = Recorder.create(tmp_path / "run", recorded_settings(mode="min"))
    recorder.listen([StudyCopy(recorder.folder, recorder.record, space)])
    for number, outcome in enumerate([*Outcome, None]):
        answers = ANSWERS[number]
        params = space(optuna.trial.FixedTrial(answers))
        trial = trial_name(number, params)
        recorder.start(trial, params=params, answers=answers)
        for epoch in (1, 2):
            recorder.result(trial, epoch=epoch, objective=number + epoch / 10, metrics={}, seconds=1.0)
        if outcome is not None:
            recorder.end(trial, outcome, numbers={}, epoch=2)
    recorder.close()
    return recorder.folder


def loaded(folder):
    return optuna.load_study(study_name=folder.name, storage=JournalStorage(JournalFileBackend(str(folder / FILE))))


def content(study):
    """All that does not depend on when it was written."""
    return [
        (t.number, t.state, t.params, t.distributions, t.values, t.intermediate_values, t.user_attrs)
        for t in study.trials
    ]


def test_optuna_reads_each_trial_under_its_number_with_its_state_and_values(folder):
    study = loaded(folder)
    assert (study.direction.name, study.metric_names) == ("MINIMIZE", ["s_measure"])
    for trial, record, outcome in zip(study.trials, read_search(folder).trials, [*Outcome, None], strict=True):
        assert (trial.number, trial.user_attrs["trial"]) == (record.number, record.name)
        assert trial.params == ANSWERS[record.number]
        assert trial.intermediate_values == {1: record.number + 0.1, 2: record.number + 0.2}
        assert trial.state is (TrialState.RUNNING if outcome is None else STATES[outcome])
        is_complete = outcome in (Outcome.COMPLETED, Outcome.PLATEAUED)
        assert trial.value == (record.number + 0.2 if is_complete else None)
        assert trial.user_attrs.get("outcome") == outcome


def test_what_optuna_says_of_steps_and_of_choices_that_are_tuples_is_not_shown_for_each_trial(tmp_path):
    def stepped(trial):
        return {
            "share": trial.suggest_float("share", 0.0, 1.0, step=0.3),
            "sizes": trial.suggest_categorical("sizes", ((3, 3), (5, 5))),
        }

    recorder = Recorder.create(tmp_path / "run", recorded_settings())
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        recorder.listen([StudyCopy(recorder.folder, recorder.record, stepped)])
        params = {"share": 0.3, "sizes": (3, 3)}
        trial = trial_name(0, params)
        recorder.start(trial, params=params, answers=params)
        recorder.end(trial, Outcome.FAILED, numbers={}, epoch=0)
        recorder.close()
        mark_exported(recorder.folder, recorder.record.by_name[trial], remark=None, left=None)
    assert [str(one.message) for one in shown] == []


@pytest.mark.parametrize("left", ["whole", "nothing", "half", "nonsense"])
def test_each_session_writes_the_same_copy_again(folder, left):
    before, path = content(loaded(folder)), folder / FILE
    if left == "nothing":
        path.unlink()
    elif left != "whole":
        path.write_bytes(path.read_bytes()[:500] if left == "half" else b"\xff nonsense\n" * 10)
    StudyCopy(folder, read_search(folder), space).close()
    assert content(loaded(folder)) == before


def test_a_trial_that_runs_ends_in_the_next_session(folder):
    recorder = Recorder.resume(folder)
    recorder.listen([StudyCopy(folder, recorder.record, space)])
    trial = recorder.record.unfinished[0].name
    recorder.result(trial, epoch=2, objective=0.05, metrics={}, seconds=1.0)
    recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=2)
    recorder.close()
    last = loaded(folder).trials[-1]
    assert (last.state, last.value, last.intermediate_values[2]) == (TrialState.COMPLETE, 0.05, 0.05)
    assert loaded(folder).best_trial.user_attrs["trial"] == trial
