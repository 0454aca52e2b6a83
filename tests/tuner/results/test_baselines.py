"""The exported trial and the default beside what needs no training: on the terminal, in the report, in the export."""

import json
import shutil

import pytest

from tuner.export import export
from tuner.records import ConfirmedRun, append_run, read_search
from tuner.records.trivial import PROBE, TRIVIAL, ProbeScore, TrivialScore
from tuner.report import baseline_rows, outcome_lines, write_report
from tuner.results.baselines import rows_of
from tuner.views import page_data


@pytest.fixture
def folder(trained_folder, tmp_path):
    return shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")


def probed(objective):
    return ProbeScore(name="a linear probe", objective=objective, metrics={"mae": 0.1}, seconds=2.5)


def trivial(objective):
    return TrivialScore(name="an empty mask", objective=objective, metrics={"mae": 0.2})


def measured(folder):
    """A search with both baselines on both splits, and default and winner on two seeds."""
    for split, low, high in (("validation", 0.31, 0.41), ("test", 0.32, 0.42)):
        TRIVIAL.write(folder, split, trivial(low))
        PROBE.write(folder, split, probed(high))
    for trial, value in zip(read_search(folder).trials[:2], (0.5, 0.6), strict=True):
        for seed in (1, 2):
            run = ConfirmedRun(trial=trial.name, seed=seed, objective=value + seed / 100, test={}, validation=value)
            append_run(folder, run)
    return read_search(folder)


def test_the_report_has_all_four_on_both_splits(folder):
    search = measured(folder)
    rows = {row.name: row for row in baseline_rows(folder, search)}
    best, default = search.trials[1], search.default_trial
    assert list(rows) == [
        f"trial {best.name}",
        f"trial {default.name} (the default)",
        "a linear probe",
        "an empty mask",
    ]
    assert rows["a linear probe"][1:3] == (0.41, 0.42)
    assert rows["an empty mask"][1:3] == (0.31, 0.32)
    assert rows[f"trial {best.name}"].test == pytest.approx(0.615)
    text = write_report(folder).read_text()
    assert "| a linear probe | 0.410 | 0.420 |" in text
    assert f"| trial {default.name} (the default) |" in text


def test_the_range_is_shown_when_trials_have_different_numbers_of_seeds(folder):
    """After an extension, for example, the best trial has only the first seeds of the default."""
    search = measured(folder)
    append_run(folder, ConfirmedRun(trial=search.default_trial.name, seed=3, objective=0.5, test={}, validation=0.5))
    (test,) = [line for line in outcome_lines(folder, search) if line.startswith("Test ")]
    assert test.endswith("(trials have the mean of 2 to 3 seeds)")
    assert "on the test split trials have the mean of 2 to 3 seeds." in write_report(folder).read_text()


def test_the_terminal_has_a_line_for_each_split(folder):
    lines = outcome_lines(folder, measured(folder))
    validation, test = (next(line for line in lines if line.startswith(name)) for name in ("Validation ", "Test "))
    assert "a linear probe 0.410, an empty mask 0.310" in validation
    assert "0.615" in test
    assert "a linear probe 0.420, an empty mask 0.320" in test


def test_a_value_of_one_seed_and_a_mean_are_told_apart(folder):
    validation, test = outcome_lines(folder, measured(folder))[-2:]
    assert validation.endswith("(trials have one seed, that of the search)")
    assert test.endswith("(trials have the mean of 2 seeds)")
    text = write_report(folder).read_text()
    assert (
        "validation split trials have one seed, that of the search; on the test split trials have the mean of 2" in text
    )


def test_without_a_test_split_the_text_does_not_mention_it(folder):
    TRIVIAL.write(folder, "validation", trivial(0.0))
    lines = outcome_lines(folder, read_search(folder))
    assert [line.split()[0] for line in lines] == ["Validation"]
    table = page_data.baselines(baseline_rows(folder, read_search(folder)))
    assert list(table.columns) == ["validation split"]
    assert table.loc["an empty mask", "validation split"] == 0.0


def test_the_export_holds_what_both_score(folder):
    measured(folder)
    beside = json.loads((export(folder) / "metrics.json").read_text())
    assert beside["trivial"]["test"]["objective"] == 0.32
    assert beside["linear_probe"]["validation"]["objective"] == 0.41
    assert beside["linear_probe"]["validation"]["seconds"] == 2.5


def test_a_damaged_file_of_the_probe_is_a_sentence(folder):
    (folder / PROBE.name).write_text("{")
    with pytest.raises(ValueError, match=r"linear_probe.json is damaged, restore it or delete it"):
        PROBE.read(folder)


def test_a_trial_that_has_not_ended_is_named_with_its_epoch(synthetic_search):
    synthetic = synthetic_search(seed=1)
    synthetic.run(until=14)
    search = synthetic.recorder.record
    default = search.default_trial
    assert default.outcome is None
    first, second = rows_of(search, search.leader, [], {}, {})
    assert first.name.startswith(f"trial {search.leader.name}")
    shown = next(epoch for epoch, result in default.results.items() if result.objective == second.validation)
    assert second.name == f"trial {default.name} (the default, at epoch {shown} of 12)"
