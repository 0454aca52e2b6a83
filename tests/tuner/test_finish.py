"""What a search says and leaves when it ends, and whether anything is left to do."""

import json
import shutil

import pytest

from tuner.confirm import FIRST_SEED, NUM_SEEDS
from tuner.finish import finish
from tuner.records import read_search


@pytest.fixture
def ended(trained_folder, tmp_path):
    """Two trials of two have ended; how many are to be confirmed, and how many seeds of both have been."""

    def copy(*, confirm: int, seeds: int):
        folder = shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")
        settings = json.loads((folder / "settings.json").read_text()) | {"num_trials": 2, "confirm": confirm}
        (folder / "settings.json").write_text(json.dumps(settings))
        runs = [
            {"trial": trial, "seed": FIRST_SEED + seed, "objective": 0.5, "test": {"s_measure": 0.5}}
            for trial in (0, 1)
            for seed in range(seeds)
        ]
        (folder / "confirm.json").write_text(json.dumps({"objective": "val/s_measure", "runs": runs}))
        return folder

    return copy


@pytest.mark.parametrize(("confirm", "seeds"), [(0, 0), (1, NUM_SEEDS)])
def test_a_search_that_is_over_says_where_its_winner_lies_and_exits_with_0(ended, capsys, confirm, seeds):
    folder = ended(confirm=confirm, seeds=seeds)
    assert finish(folder, read_search(folder)) == 0
    said = capsys.readouterr().out
    assert f"Winner      {folder}/best/config.json" in said
    assert f"python -m trainable.train --config {folder}/best/config.json" in said
    assert "--resume" not in said
    assert (folder / "report.md").exists()


def test_interrupted_between_two_confirmations_it_has_its_report_and_says_how_to_go_on(ended, capsys):
    folder = ended(confirm=1, seeds=NUM_SEEDS - 1)
    assert finish(folder, read_search(folder)) == 130
    assert f"Go on       python -m tuner.search --resume {folder}" in capsys.readouterr().out
    assert (folder / "report.md").exists()


def test_interrupted_between_two_trials_it_says_how_to_go_on(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    assert finish(folder, read_search(folder)) == 130
    assert f"--resume {folder}" in capsys.readouterr().out


def test_a_trial_that_a_killed_search_trained_twice_stands_for_one(trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    events = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    twice = [event | {"trial": "again"} for event in events if event["trial"] == "t0001"]
    (folder / "trials.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events + twice))
    assert len(read_search(folder).trials) == 4
    assert finish(folder, read_search(folder)) == 130


def test_without_a_finite_objective_there_is_no_winner_and_the_report_says_why(ended, capsys):
    folder = ended(confirm=1, seeds=0)
    events = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    failed = [e | ({"outcome": "failed", "numbers": {"error": "x"}} if e["event"] == "end" else {}) for e in events]
    (folder / "trials.jsonl").write_text("".join(json.dumps(e) + "\n" for e in failed if e["event"] != "result"))
    assert finish(folder, read_search(folder)) == 0
    assert "Winner      none: no trial gave a finite objective" in capsys.readouterr().out
    assert not (folder / "best").exists()


def test_interrupted_before_anything_was_saved_it_has_its_report_and_says_how_to_go_on(
    trained_folder, tmp_path, capsys
):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    events = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    (folder / "trials.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events if e["event"] != "checkpoint"))
    assert finish(folder, read_search(folder)) == 130
    said = capsys.readouterr().out
    assert f"Report      {folder}/report.md" in said
    assert "Winner      not handed over: Trial 1 of" in said
    assert f"Go on       python -m tuner.search --resume {folder}" in said


def test_interrupted_before_an_epoch_ended_no_objective_is_called_not_finite(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    events = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    (folder / "trials.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events if e["event"] == "start"))
    assert finish(folder, read_search(folder)) == 130
    assert "Winner      none: interrupted before any epoch ended." in capsys.readouterr().out
