"""Sentences about a search whose records were written by hand."""

import pytest

from tuner.explain import explain_search, explain_trial, main
from tuner.outcomes import Outcome
from tuner.recorder import Recorder
from tuner.records import read_search

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max", "max_epochs": 4, "num_trials": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trial 0 waits and is stopped, trial 1 is promoted and wins, trial 2 misses a cutoff, trial 3 diverges."""
    folder = tmp_path_factory.mktemp("results") / "run"
    recorder = Recorder.create(folder, SETTINGS)
    for number, (rate, values) in enumerate([(0.1, [0.5]), (0.2, [0.6, 0.7, 0.75, 0.8]), (0.1, [0.4]), (9.0, [0.3])]):
        recorder.start(f"t{number}", number=number, params={"max_lr": rate})
        for epoch, value in enumerate(values, start=1):
            recorder.result(f"t{number}", epoch=epoch, objective=value, metrics={}, seconds=30.0)
    at_rung = {"epoch": 1, "rung": 1, "cutoff": None}
    recorder.decision("t1", **at_rung, value=0.6, rank=1, of=2, action="pause")
    recorder.decision("t1", **at_rung, value=0.6, rank=1, of=2, action="promote", expected=0.79)
    recorder.decision("t2", **at_rung | {"cutoff": 0.55}, value=0.4, rank=3, of=3, action="stop")
    recorder.decision("t0", **at_rung, value=0.5, rank=2, of=3, action="stop", expected=0.71)
    recorder.end("t1", Outcome.COMPLETED, numbers={"epoch": 4, "objective": 0.8}, epoch=4)
    numbers = {"rung": 1, "epoch": 1, "value": 0.4, "cutoff": 0.55, "rank": 3, "of": 3}
    recorder.end("t2", Outcome.STOPPED_AT_RUNG, numbers=numbers, epoch=1)
    numbers = {"rung": 1, "epoch": 1, "value": 0.5, "rank": 2, "of": 3, "expected": 0.71}
    recorder.end("t0", Outcome.STOPPED_AT_RUNG, numbers=numbers, epoch=1)
    recorder.end("t3", Outcome.DIVERGED, numbers={"epoch": 2, "step": 7, "term": "mask", "value": "nan"}, epoch=2)
    recorder.close()
    return folder


def lines_of(recorder_folder, number=None):
    search = read_search(recorder_folder)
    return explain_search(search) if number is None else explain_trial(search, number)


def test_why_the_winner_won(folder):
    assert lines_of(folder)[:3] == [
        "Trial 1 won: with 0.8 after epoch 4 it is the only one that came so far.",
        "Beside the default after epoch 1, the last that the default was trained for: 0.6 against 0.5, 0.100 better.",
        "It differs from the default in max_lr 0.2 instead of 0.1.",
    ]


def test_how_each_trial_ended(folder):
    assert lines_of(folder)[4:] == [
        "Trial 0 stopped at rung 1 (epoch 1), rank 2 of 3, never promoted: 0.71 was expected of it.",
        "Trial 1 completed 4 epochs with 0.8.",
        "Trial 2 stopped at rung 1 (epoch 1): 0.4 misses the cutoff 0.55, rank 3 of 3.",
        "Trial 3 diverged in epoch 2 at step 7: mask was nan.",
    ]


def test_a_promoted_trial(folder):
    assert lines_of(folder, 1)[:5] == [
        "Trial 1: max_lr 0.2 instead of 0.1.",
        "At rung 1 (epoch 1) it had 0.6, rank 1 of 2: it waited.",
        "At rung 1 (epoch 1) it had 0.6, rank 1 of 2; 0.79 was expected of it at full length: it was promoted.",
        "It completed 4 epochs with 0.8.",
        "It trained 4 of 4 epochs in 2:00.",
    ]


def test_a_trial_that_missed_a_cutoff(folder):
    assert lines_of(folder, 2) == [
        "Trial 2: the same as the default.",
        "At rung 1 (epoch 1) it had 0.4, rank 3 of 3, with the cutoff at 0.55: it was stopped.",
        "It stopped at rung 1 (epoch 1): 0.4 misses the cutoff 0.55, rank 3 of 3.",
        "It trained 1 of 4 epochs in 0:30, and 3 were saved.",
    ]


def test_the_command(folder, capsys):
    assert main([str(folder), "3"]) == 0
    assert "It diverged in epoch 2 at step 7: mask was nan." in capsys.readouterr().out
    assert main([str(folder), "9"]) == 2
    assert "there is no trial 9; the search has the trials 0 to 3" in capsys.readouterr().err


def test_a_whole_search_of_plausible_curves_can_be_told(finished_folder, capsys):
    assert main([str(finished_folder)]) == 0
    assert capsys.readouterr().out.count("\nTrial ") == 40
