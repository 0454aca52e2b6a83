"""Searches of several samplers side by side."""

import pytest

from benchmarks.searches.beside import Compared, main, read_compared, table
from tuner.records import ConfirmedRun, append_run, read_search


def compared(policy, seed, curve, on_test, *, epochs=20):
    return Compared(
        policy=policy, seed=seed, epochs=epochs, best=max(value for _, value in curve), curve=curve, on_test=on_test
    )


def test_a_row_says_after_how_many_epochs_each_search_had_the_references_final_value():
    searches = [
        compared("forecast, asha", 0, ((4, 0.5), (6, 0.8)), 0.9, epochs=8),
        compared("random, none", 0, ((4, 0.6), (12, 0.7), (20, 0.3)), 0.8),
        compared("random, none", 1, ((4, 0.9), (8, 0.2)), 0.7, epochs=8),
        compared("forecast, asha", 1, ((4, 0.5), (6, 0.8)), 0.9, epochs=8),
    ]
    lines = table(searches, reference="random").splitlines()
    assert lines[2] == "| random, none | 0 1 | 20 8 | 12 4 | 0.60 0.50 | 0.750 (0.800 0.700) |  |"
    assert lines[3] == "| forecast, asha | 0 1 | 8 8 | 6 never | 0.30 - | 0.900 (0.900 0.900) | +0.150 ± 0.050 |"


def test_a_seed_without_a_search_of_the_reference_is_a_sentence():
    with pytest.raises(ValueError, match="no search with --sampler random and seed 3 was given; add its folder"):
        table([compared("tpe, asha", 3, ((4, 0.5),), 0.5)], reference="random")


def test_a_search_is_worth_what_its_exported_trial_has_on_test(trained_folder, tmp_path, capsys):
    assert main([str(trained_folder)]) == 2
    assert "is not confirmed; run python -m tuner.confirm" in capsys.readouterr().err
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("settings.json", "trials.jsonl"):
        (folder / name).write_bytes((trained_folder / name).read_bytes())
    search = read_search(folder)
    for seed in (1000, 1001):
        for number, (validation, objective) in enumerate(((0.5, 0.4), (0.9, 0.6 + seed - 1000))):
            run = ConfirmedRun(
                trial=search.trials[number].name,
                seed=seed,
                validation=validation,
                objective=objective,
                test={"s_measure": objective},
            )
            append_run(folder, run)
    found = read_compared(folder)
    assert found.on_test == pytest.approx(1.1)
    assert found.epochs == sum(len(trial.results) for trial in search.trials)
    assert found.best == max(value for _, value in found.curve)
    assert found.epochs_to(found.best) <= found.epochs
    assert main([str(folder), "--reference", found.policy.partition(",")[0]]) == 0
    assert "| 1.100 (1.100) |" in capsys.readouterr().out
