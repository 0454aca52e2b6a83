"""Every ending and every win is explained with its numbers, from the records alone."""

import pytest

from tests.tuner.conftest import recorded_settings
from tuner.explain import explain_search, explain_trial, main
from tuner.policy.decision import Decision
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmedRun, Recorder, append_run, read_search, trial_name

CURVES = {0: (0.50, 0.60, 0.70), 1: (0.40,), 2: (0.55, 0.65, 0.80), 3: (0.52,)}
PARAMS = {number: {"max_lr": lr, "averaging": number == 2} for number, lr in enumerate((1e-3, 3e-5, 5e-3, 1.0))}
NAMES = [trial_name(number, params) for number, params in PARAMS.items()]
ENDINGS = {
    0: (Outcome.COMPLETED, {"objective": 0.70}),
    1: (Outcome.STOPPED_AT_RUNG, {"rung": 1, "value": 0.40, "cutoff": 0.5, "rank": 2, "of": 2}),
    2: (Outcome.COMPLETED, {"objective": 0.80}),
    3: (Outcome.DIVERGED, {"term": "loss", "value": "nan", "step": 17}),
}


@pytest.fixture
def folder(tmp_path):
    """Four trials, by hand: the default, one stopped at the rung of epoch 1, the winner, one that diverged."""
    recorder = Recorder.create(
        tmp_path / "moe" / "told", recorded_settings(num_trials=4, name="told", rung_epochs=(1, 3)), clock=lambda: 0.0
    )
    for number, curve in CURVES.items():
        trial = NAMES[number]
        recorder.start(trial, params=PARAMS[number], answers={})
        for epoch, value in enumerate(curve, start=1):
            recorder.result(trial, epoch=epoch, objective=value, metrics={}, seconds=1.0)
        if number != 3:
            arrived = [CURVES[other][0] for other in range(number + 1)]
            decision = Decision(
                epoch=1,
                rung=1,
                value=curve[0],
                cutoff=None if number == 0 else 0.5,
                rank=1 + sum(value > curve[0] for value in arrived),
                of=len(arrived),
                action="stop" if number == 1 else "continue",
            )
            recorder.decision(trial, decision)
        outcome, numbers = ENDINGS[number]
        recorder.end(trial, outcome, numbers={"epoch": len(curve), **numbers}, epoch=len(curve))
    recorder.close()
    return recorder.folder


def text_of(folder, number):
    search = read_search(folder)
    return "\n".join(explain_trial(search, search.trials[number]))


def test_a_stopped_trial_is_explained_with_its_rung_value_cutoff_and_rank_then_and_in_the_end(folder):
    text = text_of(folder, 1)
    assert f"Trial {NAMES[1]} stopped at epoch 1 (rung 1): 0.4 misses the cutoff 0.5, rank 2 of 2." in text
    assert "Rung 1 (epoch 1): 0.400, rank 2 of 2 so far, cutoff 0.500: stopped; final rank 3 of 3." in text
    assert "At epoch 1: 0.400, default 0.500; 0.100 worse." in text
    assert "max_lr 3e-05 (0.001)" in text


def test_a_diverged_trial_is_explained_with_term_epoch_and_step(folder):
    text = text_of(folder, 3)
    assert f"Trial {NAMES[3]} diverged in epoch 1 at step 17: loss was nan." in text
    assert "avoids similar ones" in text


def test_the_default_is_not_compared_with_itself(folder):
    text = text_of(folder, 0)
    assert f"Trial {NAMES[0]} (the default) completed 3 epochs" in text
    assert "default 0." not in text


def test_the_search_explains_how_trials_ended_why_one_is_exported_and_by_how_much(folder):
    text = "\n".join(explain_search(read_search(folder), folder))
    assert "4 trials in 0:00: 2 completed, 1 stopped at rung 1 (epoch 1), 1 diverged." in text
    led = (
        f"Trial {NAMES[2]} is exported: its s_measure of 0.800 at epoch 3, the highest epoch reached, is the best of 2 "
    )
    assert led + "on one seed;" in text
    assert f"trial {NAMES[0]} is 0.100 behind." in text
    assert "At epoch 3: 0.800, default 0.700; 0.100 better." in text
    assert (
        "Differs from the default, the largest difference first: max_lr 0.005 (0.001), averaging True (False)." in text
    )


def test_a_leader_that_plateaued_is_explained_with_its_own_epoch(folder):
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    cut = [line for line in lines if not ((NAMES[2] in line or NAMES[0] in line) and '"epoch": 3' in line)]
    (folder / "trials.jsonl").write_text("".join(cut))
    resumed = Recorder.resume(folder)
    resumed.end(NAMES[2], Outcome.PLATEAUED, numbers={"epoch": 2}, epoch=2)
    resumed.result(NAMES[0], epoch=3, objective=0.60, metrics={}, seconds=1.0)
    resumed.end(NAMES[0], Outcome.COMPLETED, numbers={"epoch": 3}, epoch=3)
    resumed.close()
    text = "\n".join(explain_search(read_search(folder), folder))
    assert f"Trial {NAMES[2]} is exported: its s_measure of 0.650 at epoch 2, where it ended, is the best of 2 " in text
    assert "At epoch 3: 0.650, default 0.600; 0.050 better." in text


def test_every_ending_of_a_long_search_has_its_sentences(finished_folder):
    search = read_search(finished_folder)
    for trial in {trial.outcome: trial for trial in search.trials}.values():
        lines = explain_trial(search, trial)
        assert lines[0].endswith(f"{trial.sentence}.")
        assert all(line and "None" not in line for line in lines)


def test_a_search_that_runs_or_was_killed_is_explained_as_far_as_it_came(folder):
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    half = next(number for number, line in enumerate(lines) if NAMES[2] in line and '"epoch": 2' in line)
    (folder / "trials.jsonl").write_text("".join(lines[: half + 1]) + lines[half + 1][:20])
    search = read_search(folder)
    text = "\n".join(explain_search(search, folder))
    assert "3 trials in 0:00: 1 completed, 1 stopped at rung 1 (epoch 1), 1 unfinished." in text
    assert f"Trial {NAMES[0]} leads" in text
    unfinished = f"Trial {NAMES[2]} is unfinished after epoch 2: it is training, waiting at a rung, or was interrupted."
    assert unfinished in text_of(folder, 2)
    (folder / "trials.jsonl").write_text("")
    first, second, *_ = explain_search(read_search(folder), folder)
    assert first.startswith("Interrupted: 0 of 4 trials ended in 0:00. Left: 4 trials; ")
    assert second == "0 trials in 0:00: none has started."


def test_the_export_is_explained_by_its_seeds_against_each_rival_and_the_default_and_by_the_test_split(folder, capsys):
    values = {2: (0.80, 0.82, 0.81), 1: (0.79, 0.83, 0.78), 0: (0.70, 0.71, 0.72)}
    for number, seen in values.items():
        for seed, value in enumerate(seen):
            run = ConfirmedRun(trial=NAMES[number], seed=seed, objective=value - 0.1, test={}, validation=value)
            append_run(folder, run)
    text = "\n".join(explain_search(read_search(folder), folder))
    assert (
        f"Trial {NAMES[2]} is exported: the best on the validation split after training on 3 seeds, mean 0.810. "
        f"It beats the default (0.710) on 3 of 3 seeds, trial {NAMES[1]} (0.800) on 2 of 3 seeds."
    ) in text
    assert (
        f"On the test split, trial {NAMES[2]} is 0.100 better than the default (mean of 3 seeds, better on 3, 95 % "
        in text
    )
    assert main([str(folder), "1"]) == 0
    *_, on_test, why_another = capsys.readouterr().out.splitlines()
    assert on_test.startswith(f"On the test split, trial {NAMES[1]} is 0.090 better than the default, but this may be")
    assert why_another.startswith(f"Trial {NAMES[2]} is exported: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["99"], f"error: There is no trial 99; give a number from 0 to 3, or a name such as {NAMES[3]}."),
        (["best"], f"error: There is no trial best; give a number from 0 to 3, or a name such as {NAMES[3]}."),
        ([], ""),
    ],
)
def test_the_command_answers_or_says_what_is_wrong(folder, capsys, arguments, sentence):
    assert main([str(folder), *arguments]) == (2 if sentence else 0)
    assert capsys.readouterr().err.strip() == sentence


@pytest.mark.parametrize("called", ["1", NAMES[1]])
def test_a_trial_is_asked_for_by_its_number_or_its_name(folder, capsys, called):
    assert main([str(folder), called]) == 0
    assert capsys.readouterr().out.splitlines() == text_of(folder, 1).splitlines()


def test_a_folder_without_a_search_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_reported(folder, capsys):
    (folder / "confirm.jsonl").mkdir()
    assert main([str(folder)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
