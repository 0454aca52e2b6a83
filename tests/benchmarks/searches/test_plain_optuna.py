"""A search repeated by plain Optuna, on the discs."""

import pytest

from benchmarks.searches.plain_optuna import JOURNAL, compared, main, tuned
from tuner.planning.plan import plan_from_records
from tuner.records import CONFIRM, ConfirmedRun, append_run, read_runs, read_search


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("plain_optuna")


@pytest.fixture(scope="module")
def study(trained_folder, out):
    return tuned(read_search(trained_folder), out)


def num_epochs(study):
    return sum(len(trial.intermediate_values) for trial in study.trials)


def test_it_trains_as_many_epochs_as_the_search_the_default_first(study, trained_folder):
    search = read_search(trained_folder)
    asked = sum(len(trial.results) for trial in search.trials)
    assert asked <= num_epochs(study) < asked + search.settings.max_epochs
    assert study.trials[0].params == plan_from_records(search.settings).pinned_space.points_to_evaluate()[0]
    assert max(len(trial.intermediate_values) for trial in study.trials) == search.settings.max_epochs


def test_run_again_it_trains_no_more_and_tests_each_seed_once(study, trained_folder, out, tmp_path):
    search, folder = read_search(trained_folder), tmp_path / "discs"
    folder.mkdir()
    for number, objective in ((0, 0.5), (1, 0.7)):
        run = ConfirmedRun(
            trial=search.trials[number].name, seed=1001, objective=objective, test={"s_measure": objective}
        )
        append_run(folder, run)
    text = compared(folder, search, tuned(search, out), out)
    assert compared(folder, search, tuned(search, out), out) == text
    (tested,) = read_runs(out)
    assert (tested.seed, 0 < tested.objective < 1) == (1001, True)
    assert "| default | 0.500 (0.500) | |" in text
    assert f"| plain Optuna | {tested.objective:.3f}" in text
    assert len((out / JOURNAL).read_text().splitlines()) == len(set((out / JOURNAL).read_text().splitlines()))


def test_a_search_that_is_not_confirmed_is_a_sentence(study, trained_folder, out, capsys, monkeypatch):
    assert not (trained_folder / CONFIRM).exists()
    monkeypatch.setattr("benchmarks.searches.plain_optuna.tuned", lambda *_: study)
    assert main([str(trained_folder), "--out", str(out)]) == 2
    assert "is not confirmed; run python -m tuner.confirm" in capsys.readouterr().err
