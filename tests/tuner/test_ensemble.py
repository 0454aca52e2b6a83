"""The best trials together: the mean of what they answer, judged like a single model."""

import json
import shutil
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tuner.conftest import recorded_settings
from trainable.config import to_dict
from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.metrics.camouflage import CamouflageMetrics
from trainable.run_setup import open_data
from trainable.tasks.dishes import DishesTask
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun
from tuner.ensemble import evaluate_ensemble, main, scoring_network
from tuner.export import trained_weights, trial_config
from tuner.records import Recorder, lock_folder, read_search, trial_name

CPU = torch.device("cpu")


@pytest.fixture
def folder(trained_folder, tmp_path):
    """A copy of two trainings to the end and one that was interrupted."""
    return shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")


def members(folder):
    """The two trained models with their test split, built apart from the ensemble."""
    record = read_search(folder)
    for trial in sorted((t for t in record.trials if t.number in (0, 1)), key=lambda t: -t.number):
        config = replace(trial_config(record, trial), averaging=None)
        run = TrainingRun(config, open_data(config, {}))
        run.trainer.model.load_state_dict(trained_weights(folder, trial))
        yield run


def test_an_ensemble_of_one_is_the_winner_on_the_test_split(folder):
    result = evaluate_ensemble(folder, 1, device=CPU)
    winner = next(members(folder)).test()
    (alone,) = result.members
    assert alone == read_search(folder).leader.name
    assert result.ensemble == result.members[alone]
    assert result.ensemble == {name: value for name, value in winner.items() if name in result.ensemble}


def test_the_mean_of_the_answers_is_judged(folder):
    result = evaluate_ensemble(folder, 2, device=CPU)
    first, second = members(folder)
    metrics = first.task.build_metrics(first.config, final=True)
    for images, masks in first.task.evaluation_batches(first.config, first._splits.test, CPU):
        with torch.no_grad():
            scores = [run.trainer.model.eval()(images).predictions.sigmoid() for run in (first, second)]
        metrics.update((scores[0] + scores[1]) / 2, masks)
    default, winner, _ = (trial.name for trial in read_search(folder).trials)
    assert list(result.members) == [winner, default]
    assert result.ensemble == pytest.approx(metrics.compute(), abs=1e-6)
    assert result.ensemble != result.members[winner]


def test_each_member_looks_as_its_configuration_says(trained_search, tmp_path, monkeypatch):
    """One member looks twice, at an image and its mirror image; the other once."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    default = DishesTask().default_config()
    plates = replace(default.data.plates, plate_size_px=32, num_train=20, num_validation=10, num_test=10)
    base = replace(default, max_epochs=1, data=replace(default.data, plates=plates))
    twice = {"test_time_augmentation": True, "tta_crop_share": None}
    folder = tmp_path / "results" / "dishes" / "plates"
    trained_search(folder, base, [{"max_lr": 1e-3}, {"max_lr": 1e-2} | twice], num_epochs=[1, 1])
    result = evaluate_ensemble(folder, 2, device=CPU)

    record, test = read_search(folder), DishesTask().open_data(base).test
    images = torch.tensor(test.images).permute(0, 3, 1, 2) / 255
    shares = {}
    for trial in record.trials:
        model = DishesTask().build_model(trial_config(record, trial)).eval()
        model.load_state_dict(trained_weights(folder, trial))
        with torch.no_grad():
            whole, mirrored = (model(look).predictions.softmax(dim=1).numpy() for look in (images, images.flip(-1)))
        shares[trial.number] = (whole + mirrored) / 2 if trial.number else whole
    for found, expected in [
        (result.members[record.trials[1].name], shares[1]),
        (result.ensemble, (shares[0] + shares[1]) / 2),
    ]:
        of_the_true = expected[np.arange(len(test.labels)), test.labels]
        assert found["nll"] == pytest.approx(-np.log(of_the_true).mean(), rel=1e-4)
        assert found["accuracy"] == pytest.approx((expected.argmax(axis=1) == test.labels).mean())


def test_the_command_prints_each_member_and_the_ensemble_and_saves_the_numbers(folder, capsys):
    assert main([str(folder), "--top", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    kept = json.loads((folder / "ensemble.json").read_text())
    assert f"ensemble of 2: {kept['ensemble']['s_measure']:.4f}" in said
    default = read_search(folder).default_trial.name
    assert f"trial {default}: s_measure {kept['members'][default]['s_measure']:.4f}" in said


def test_more_members_than_trials_is_a_sentence(folder, capsys):
    assert main([str(folder), "--top", "3"]) == 2
    assert "has 2 trials of full length; give --top 2" in capsys.readouterr().err


def test_a_search_without_a_value_has_nothing_to_average(tmp_path, disc_config, trained_search, capsys):
    folder = tmp_path / "moe" / "empty"
    trained_search(folder, disc_config, [{"max_lr": 1e-3}], num_epochs=[0])
    assert main([str(folder)]) == 2
    assert "empty has no trial with a finite objective; there is nothing to average." in capsys.readouterr().err


@pytest.mark.parametrize("workload", ["leaf_pretrain", "moe_pretrain"])
def test_encoders_whose_features_have_no_common_order_are_refused(workload, tmp_path, capsys):
    task, trial = get_task(workload), trial_name(0, {})
    settings = recorded_settings(
        space=workload, objective=task.objective, num_trials=1, base_config=to_dict(task.default_config())
    )
    with closing(Recorder.create(tmp_path, settings)) as recorder:
        recorder.start(trial, params={}, answers={})
        recorder.result(trial, epoch=12, objective=0.5, metrics={}, seconds=1.0)
    assert main([str(tmp_path), "--top", "1"]) == 2
    assert f"error: The encoders of {workload} can't be averaged, because" in capsys.readouterr().err


def test_lost_weights_are_a_sentence(folder, capsys):
    shutil.rmtree(folder / "checkpoints")
    assert main([str(folder), "--top", "2"]) == 2
    assert "has no checkpoint of its last epoch, 3, in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError("Unable to allocate 2.00 GiB for an array with shape (2, 2)"),
    ],
)
def test_networks_that_do_not_fit_are_a_sentence(folder, capsys, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr("tuner.ensemble._evaluate", full)
    assert main([str(folder), "--top", "2", "--device", "cpu"]) == 2
    said = f"error: {str(error).removesuffix('.')}. Give a smaller --top, or --device cpu.\n"
    assert capsys.readouterr().err == said


class OnAnAppleGpu(torch.Tensor):
    """A tensor that says so; what is copied to the CPU is an ordinary one."""

    device = torch.device("mps")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_of_an_apple_gpu_the_metrics_get_tensors_of_the_cpu(folder, monkeypatch):
    """It has no float64, which they compute in."""
    alone, there = scoring_network, []

    def network(*arguments):
        member = alone(*arguments)
        return lambda images, targets: member(images, targets).as_subclass(OnAnAppleGpu)

    monkeypatch.setattr("tuner.ensemble.scoring_network", network)
    update = CamouflageMetrics.update
    monkeypatch.setattr(
        CamouflageMetrics, "update", lambda self, *seen: there.extend(map(type, seen)) or update(self, *seen)
    )
    evaluate_ensemble(folder, 2, device=CPU)
    assert set(there) == {torch.Tensor}


def test_killed_while_it_is_written_the_former_result_stays(folder, monkeypatch):
    assert main([str(folder), "--top", "2", "--device", "cpu"]) == 0
    before = (folder / "ensemble.json").read_text()

    def half(path, text):
        path.write_bytes(text.encode()[: len(text) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_text", half)
    with pytest.raises(KeyboardInterrupt):
        main([str(folder), "--top", "1", "--device", "cpu"])
    assert (folder / "ensemble.json").read_text() == before


def test_a_folder_in_use_is_refused(folder, capsys):
    with lock_folder(folder):
        assert main([str(folder), "--top", "2"]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert not (folder / "ensemble.json").exists()


def test_a_missing_folder_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "gone")]) == 2
    assert "holds no search" in capsys.readouterr().err
