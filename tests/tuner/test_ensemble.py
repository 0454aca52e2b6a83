"""The best trials together: the mean of what they answer, judged like a single model."""

import json
import shutil

import pytest
import torch

from trainable.opening import open_data
from trainable.training_run import TrainingRun
from tuner.ensemble import judge_ensemble, main
from tuner.export import trained_weights, trial_config
from tuner.records import read_search

CPU = torch.device("cpu")


@pytest.fixture
def folder(trained_folder, tmp_path):
    """A copy of two trainings to the end and one that was interrupted."""
    return shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")


def members(folder):
    """The two trained models with their test split, built apart from the ensemble."""
    record = read_search(folder)
    for trial in sorted((t for t in record.trials if t.number in (0, 1)), key=lambda t: -t.number):
        config = trial_config(record, trial)
        run = TrainingRun(config, open_data(config, {}))
        run.trainer.averaging = None
        run.trainer.model.load_state_dict(trained_weights(folder, trial))
        yield run


def test_an_ensemble_of_one_is_the_winner_on_the_test_split(folder):
    result = judge_ensemble(folder, 1, device=CPU)
    winner = next(members(folder)).test()
    assert list(result.members) == [1]
    assert result.ensemble == result.members[1]
    assert result.ensemble == {name: value for name, value in winner.items() if name in result.ensemble}


def test_the_mean_of_the_answers_is_judged(folder):
    result = judge_ensemble(folder, 2, device=CPU)
    first, second = members(folder)
    metrics = first.task.build_metrics(first.config, final=True)
    for images, masks in first.task.evaluation_batches(first.config, first._splits.test, CPU):
        with torch.no_grad():
            scores = [run.trainer.model.eval()(images).predictions.sigmoid() for run in (first, second)]
        metrics.update((scores[0] + scores[1]) / 2, masks)
    assert list(result.members) == [1, 0]
    assert result.ensemble == pytest.approx(metrics.compute(), abs=1e-6)
    assert result.ensemble != result.members[1]


def test_the_command_says_each_member_and_all_together_and_keeps_the_numbers(folder, capsys):
    assert main([str(folder), "--top", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    kept = json.loads((folder / "ensemble.json").read_text())
    assert f"all 2 together: {kept['ensemble']['s_measure']:.4f}" in said
    assert f"trial 0: s_measure {kept['members']['0']['s_measure']:.4f}" in said


def test_more_members_than_trials_is_a_sentence(folder, capsys):
    assert main([str(folder), "--top", "3"]) == 2
    assert "has 2 trials that were trained to the end; give --top 2" in capsys.readouterr().err


def test_lost_weights_are_a_sentence(folder, capsys):
    shutil.rmtree(folder / "ray")
    assert main([str(folder), "--top", "2"]) == 2
    assert "is not a file; train the trial again" in capsys.readouterr().err
