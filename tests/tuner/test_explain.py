"""Every ending and every win is told with its numbers, from the records alone."""

import json

import pytest

from tuner.explain import explain_search, explain_trial, main
from tuner.outcomes import Outcome
from tuner.recorder import Recorder
from tuner.records import read_search

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max", "num_trials": 4, "name": "told"}
CURVES = {0: (0.50, 0.60, 0.70), 1: (0.40,), 2: (0.55, 0.65, 0.80), 3: (0.52,)}
LR = {0: 1e-3, 1: 3e-5, 2: 5e-3, 3: 1.0}
ENDINGS = {
    0: (Outcome.COMPLETED, {"objective": 0.70}),
    1: (Outcome.STOPPED_AT_RUNG, {"rung": 1, "value": 0.40, "cutoff": 0.5, "rank": 2, "of": 2}),
    2: (Outcome.COMPLETED, {"objective": 0.80}),
    3: (Outcome.DIVERGED, {"term": "loss", "value": "nan", "step": 17}),
}


@pytest.fixture
def folder(tmp_path):
    """Four trials, by hand: the default, one stopped at the rung of epoch 1, the winner, one that diverged."""
    recorder = Recorder.create(tmp_path / "moe" / "told", SETTINGS)
    for number, curve in CURVES.items():
        trial = f"t{number}"
        recorder.start(trial, number=number, params={"max_lr": LR[number], "averaging": number == 2})
        for epoch, value in enumerate(curve, start=1):
            recorder.result(trial, epoch=epoch, objective=value, metrics={}, seconds=1.0)
        if number != 3:
            arrived = [CURVES[other][0] for other in range(number + 1)]
            recorder.decision(
                trial,
                epoch=1,
                rung=1,
                value=curve[0],
                cutoff=None if number == 0 else 0.5,
                rank=1 + sum(value > curve[0] for value in arrived),
                of=len(arrived),
                action="stop" if number == 1 else "continue",
            )
        outcome, numbers = ENDINGS[number]
        recorder.end(trial, outcome, numbers={"epoch": len(curve), **numbers}, epoch=len(curve))
    recorder.close()
    return recorder.folder


def told_of(folder, number):
    search = read_search(folder)
    return "\n".join(explain_trial(search, search.trials[number]))


def test_a_stopped_trial_is_told_with_the_rung_its_value_the_cutoff_and_its_rank_then_and_in_the_end(folder):
    told = told_of(folder, 1)
    assert "Trial 1 stopped at rung 1 (epoch 1): 0.4 misses the cutoff 0.5, rank 2 of 2." in told
    assert (
        "Rung 1 (epoch 1): 0.400, rank 2 of 2 that had arrived, cutoff 0.500: stopped; in the end rank 3 of 3." in told
    )
    assert "At epoch 1 it was 0.100 worse than the default: 0.400 against 0.500." in told
    assert "max_lr 3e-05 (0.001)" in told


def test_a_diverged_trial_is_told_with_the_term_the_epoch_and_the_step(folder):
    told = told_of(folder, 3)
    assert "Trial 3 diverged in epoch 1 at step 17: loss was nan." in told
    assert "keeps away from it" in told


def test_the_default_is_not_compared_with_itself(folder):
    told = told_of(folder, 0)
    assert "Trial 0 (the default) completed 3 epochs" in told
    assert "than the default" not in told


def test_the_search_tells_how_trials_ended_why_the_winner_won_and_by_how_much(folder):
    told = "\n".join(explain_search(read_search(folder), folder))
    assert "4 trials in 0:00: 2 completed, 1 stopped at rung 1 (epoch 1), 1 diverged." in told
    assert "Trial 2 won: its s_measure of 0.800 at epoch 3, the highest that was reached, is the best of 2;" in told
    assert "trial 0 is 0.100 behind." in told
    assert "At epoch 3 it was 0.100 better than the default: 0.800 against 0.700." in told
    assert "Not as the default: max_lr 0.005 (0.001), averaging True (False)." in told


def test_a_winner_that_plateaued_is_told_with_its_own_epoch(folder):
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    cut = [line for line in lines if not ('"t2"' in line and '"epoch": 3' in line)]
    (folder / "trials.jsonl").write_text("".join(cut))
    resumed = Recorder.resume(folder)
    resumed.end("t2", Outcome.PLATEAUED, numbers={"epoch": 2}, epoch=2)
    resumed.result("t0", epoch=3, objective=0.60, metrics={}, seconds=1.0)
    resumed.end("t0", Outcome.COMPLETED, numbers={"epoch": 3}, epoch=3)
    resumed.close()
    told = "\n".join(explain_search(read_search(folder), folder))
    assert "Trial 2 won: its s_measure of 0.650 at epoch 2, where it plateaued, is the best of 2;" in told
    assert "At epoch 3 it was 0.050 better than the default: 0.650 against 0.600." in told


def test_every_ending_of_a_long_search_has_its_sentences(finished_folder):
    search = read_search(finished_folder)
    for trial in {trial.outcome: trial for trial in search.trials}.values():
        lines = explain_trial(search, trial)
        assert lines[0].endswith(f"{trial.sentence}.")
        assert all(line and "None" not in line for line in lines)


def test_a_search_that_runs_or_was_killed_is_explained_as_far_as_it_came(folder):
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    half = next(number for number, line in enumerate(lines) if '"t2"' in line and '"epoch": 2' in line)
    (folder / "trials.jsonl").write_text("".join(lines[: half + 1]) + lines[half + 1][:20])
    search = read_search(folder)
    told = "\n".join(explain_search(search, folder))
    assert "3 trials in 0:00: 1 completed, 1 stopped at rung 1 (epoch 1), 1 without an ending so far." in told
    assert "Trial 0 won" in told
    assert "Trial 2 has 2 epochs on record and no ending: it trains, waits at a rung, or was cut off." in told_of(
        folder, 2
    )
    (folder / "trials.jsonl").write_text("")
    (folder / "decisions.jsonl").write_text("")
    assert explain_search(read_search(folder), folder)[0] == "0 trials in 0:00: none has begun."


def test_the_hand_over_is_explained_by_its_seeds_against_each_rival_and_the_default_and_by_the_test_split(folder):
    values = {2: (0.80, 0.82, 0.81), 1: (0.79, 0.83, 0.78), 0: (0.70, 0.71, 0.72)}
    runs = [
        {"trial": trial, "seed": seed, "objective": value - 0.1, "test": {"s_measure": value}, "validation": value}
        for trial, seen in values.items()
        for seed, value in enumerate(seen)
    ]
    (folder / "confirm.json").write_text(json.dumps({"runs": runs}))
    told = "\n".join(explain_search(read_search(folder), folder))
    assert (
        "Trial 2 is handed over: trained again on 3 seeds, it is the best on the validation split, 0.810 in the mean "
        "against 0.710 of the default (better on 3 of them), 0.800 of trial 1 (better on 2 of them)."
    ) in told
    assert "On the test split, trial 2 is 0.100 better than the default (mean of 3 seeds, 95 % interval" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["99"], "error: There is no trial 99; the trials of this search are 0 to 3."), ([], "")],
)
def test_the_command_answers_or_says_what_is_wrong(folder, capsys, arguments, sentence):
    assert main([str(folder), *arguments]) == (2 if sentence else 0)
    assert capsys.readouterr().err.strip() == sentence


def test_a_folder_without_a_search_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err
