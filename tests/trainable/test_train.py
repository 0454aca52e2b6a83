"""Standalone training: the same curve through interruptions, on the data it was found on, without Ray."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from trainable import train as command
from trainable.config import from_params
from trainable.data.generated.camouflage_scenes import SceneConfig
from trainable.reporting.train_options import TrainOptions
from trainable.run_setup import chosen_device, open_run
from trainable.tasks.registry import get_task
from trainable.techniques.checkpoint import read_checkpoint, weights_to_export
from trainable.train import main
from trainable.train import train as train_run
from trainable.trainer import Trainer
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import ExportedConfig, read_exported_config, write_exported_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config_file(disc_config, tmp_path):
    config = from_params({"averaging": True, "router_noise": 0.2}, disc_config)
    splits = get_task("moe").open_data(config)
    path = tmp_path / "run" / "best" / "config.json"
    write_exported_config(path, ExportedConfig(config=config, data_fingerprint=splits.fingerprint))
    return path


@pytest.fixture
def train(config_file, tmp_path):
    """The command on the configuration, into a folder; returns its exit status."""

    def run_command(output="out", *options):
        return main(["--config", str(config_file), "--output", str(tmp_path / output), "--device", "cpu", *options])

    return run_command


@pytest.fixture
def curve(tmp_path):
    """The recorded epochs but for the seconds they took."""

    def read(output="out"):
        lines = (tmp_path / output / "curve.jsonl").read_text().splitlines()
        return [
            {name: value for name, value in json.loads(line).items() if not name.endswith("seconds")} for line in lines
        ]

    return read


def interrupt_at_epoch(monkeypatch, epoch, method="run_epoch"):
    original = getattr(TrainingRun, method)

    def until(self, *arguments, **options):
        if self.epoch == epoch:
            raise KeyboardInterrupt
        return original(self, *arguments, **options)

    monkeypatch.setattr(TrainingRun, method, until)


def test_a_configuration_is_trained_to_its_budget_and_judged_on_the_test_split(train, curve, tmp_path):
    assert train() == 0
    assert [epoch["epoch"] for epoch in curve()] == [1, 2, 3]
    judged = json.loads((tmp_path / "out" / "metrics.json").read_text())["test"]
    assert {"s_measure", "weighted_f_measure"} <= judged.keys()
    assert list((tmp_path / "out").glob("events.out.tfevents.*"))


def test_the_weights_it_leaves_are_those_that_were_judged(train, config_file, tmp_path):
    train()
    exported = read_exported_config(config_file)
    run = open_run(replace(exported, config=replace(exported.config, averaging=None)), "cpu")
    run.trainer.model.load_state_dict(torch.load(tmp_path / "out" / "weights.pt", weights_only=True))
    assert run.test() == json.loads((tmp_path / "out" / "metrics.json").read_text())["test"]


def test_without_an_output_the_results_lie_beside_the_export(config_file):
    assert main(["--config", str(config_file), "--epochs", "1"]) == 0
    assert (config_file.parent.parent / "train" / "curve.jsonl").exists()


@pytest.mark.parametrize(("here", "config"), [("best", "config.json"), (".", "best/config.json")])
def test_started_in_the_folder_of_an_export_it_writes_beside_it_too(tmp_path, monkeypatch, here, config):
    outputs = []
    (tmp_path / "run" / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run" / here)
    monkeypatch.setattr(command, "_planned", lambda options: None)
    monkeypatch.setattr(command, "train", lambda exported, output, options: outputs.append(output.resolve()))
    assert main(["--config", config]) == 0
    assert outputs == [tmp_path / "run" / "train"]


@pytest.mark.parametrize("method", ["run_epoch", "save"])
def test_interrupted_anywhere_and_resumed_the_curve_is_that_of_one_go(train, curve, monkeypatch, method):
    train("one-go")
    with monkeypatch.context() as patch:
        interrupt_at_epoch(patch, 2, method)
        assert train() == 130
    assert train("out", "--resume") == 0
    assert curve() == curve("one-go")


def test_every_second_epoch_is_validated_and_the_last_and_training_is_the_same_to_the_bit(train, curve, caplog):
    train("each", "--epochs", "5")
    caplog.clear()
    caplog.set_level("INFO", "trainable")
    assert train("some", "--epochs", "5", "--validate-every-epochs", "2") == 0
    validated = [("objective" in epoch, "val/s_measure" in epoch["metrics"]) for epoch in curve("some")]
    assert validated == [(False, False), (True, True), (False, False), (True, True), (True, True)]
    for every, some in zip(curve("each"), curve("some"), strict=True):
        assert some["metrics"] == {name: every["metrics"][name] for name in some["metrics"]}
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Epoch ")]
    assert ["Val Loss" in line for line in lines] == [False, True, False, True, True]
    assert all("Train Loss" in line for line in lines)


def test_interrupted_between_validations_and_resumed_the_curve_is_that_of_one_go(train, curve, monkeypatch):
    options = ("--epochs", "5", "--validate-every-epochs", "2")
    train("one-go", *options)
    with monkeypatch.context() as patch:
        interrupt_at_epoch(patch, 3, "save")
        assert train("out", *options) == 130
    assert train("out", *options, "--resume") == 0
    assert curve() == curve("one-go")


def test_the_patience_is_counted_in_epochs_however_seldom_they_are_validated(disc_config):
    params = {"early_stopping": True, "patience_epochs": 3, "min_delta": 100.0, "max_epochs": 12}
    run = TrainingRun(from_params(params, disc_config), get_task("moe").open_data(disc_config))
    while run.ending is None:
        since = run.epoch % 2 + 1
        run.run_epoch(span_epochs=since) if since == 2 else run.train_epoch()
    # The first validation, after epoch 2, is the best; that after epoch 6 is the first three epochs later or more.
    assert (run.epoch, run.ending.numbers["best_epoch"]) == (6, 2)


def test_the_loss_is_logged_every_so_many_updates(train, caplog):
    caplog.set_level("INFO", "trainable")
    assert train("out", "--epochs", "1", "--log-interval", "1") == 0
    lines = [record.getMessage() for record in caplog.records if "update" in record.getMessage()]
    assert [re.sub(r"loss \d+\.\d+$", "loss", line) for line in lines] == ["epoch 1, update 1 of 1, loss"]


def test_interrupted_before_the_first_epoch_ended_it_begins_again(train, curve, monkeypatch):
    train("one-go")
    with monkeypatch.context() as patch:
        interrupt_at_epoch(patch, 1, "save")
        train()
    assert train("out", "--resume") == 0
    assert curve() == curve("one-go")


def test_resuming_what_is_complete_trains_nothing_and_judges_again(train, curve):
    train()
    assert train("out", "--resume") == 0
    assert [epoch["epoch"] for epoch in curve()] == [1, 2, 3]


def test_epochs_and_seed_of_the_command_line_replace_those_of_the_file(train, curve):
    train()
    assert train("longer", "--epochs", "4") == 0
    assert train("other", "--seed", "5") == 0
    assert len(curve("longer")) == 4
    assert curve("longer")[0]["metrics"]["train/lr"] != curve()[0]["metrics"]["train/lr"]
    assert curve("other")[0]["objective"] != curve()[0]["objective"]


def test_a_resume_with_more_epochs_is_noted_in_the_configuration_file(train, curve, tmp_path):
    train()
    assert train("out", "--epochs", "5", "--resume") == 0
    assert [epoch["epoch"] for epoch in curve()] == [1, 2, 3, 4, 5]
    kept = read_exported_config(tmp_path / "out" / "config.json")
    assert kept.config.max_epochs == 5
    assert kept.found_by["resumed"] == [{"after_epoch": 3, "changes": "max_epochs 3 -> 5"}]


def test_a_folder_that_holds_another_configuration_is_left_alone(config_file, train, caplog):
    before = config_file.read_text()
    assert train(config_file.parent, "--epochs", "2") == 2
    assert "is another configuration (max_epochs 3 -> 2); give another --output" in caplog.text
    assert config_file.read_text() == before


def test_the_best_epoch_and_every_second_checkpoint_are_kept(train, tmp_path):
    """The highest loss is that of the first epoch, so that one is the best of this monitor."""
    monitor = ["--set", "monitor=val/loss", "--set", "monitor_mode=max"]
    assert train("out", "--save-every-epochs", "2", *monitor) == 0
    kept = {path.name: read_checkpoint(path)["epoch"] for path in (tmp_path / "out" / "checkpoints").iterdir()}
    assert kept == {"best.pt": 1, "epoch_002.pt": 2}
    judged = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (judged["epoch"], judged["last_epoch"]) == (1, 3)
    best = read_checkpoint(tmp_path / "out" / "checkpoints" / "best.pt")
    written = torch.load(tmp_path / "out" / "weights.pt", weights_only=True)
    assert all(torch.equal(written[name], value) for name, value in weights_to_export(best).items())


def test_without_a_best_epoch_none_is_kept_as_the_best(train, tmp_path):
    assert train("out", "--save-every-epochs", "2", "--set", "best_epoch=false") == 0
    assert [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()] == ["epoch_002.pt"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["epoch"] == 3


def test_a_name_is_the_folder_of_the_results(config_file, tmp_path):
    options = ["--output", str(tmp_path / "runs"), "--experiment-name", "first", "--device", "cpu", "--epochs", "1"]
    assert main(["--config", str(config_file), *options]) == 0
    assert (tmp_path / "runs" / "first" / "weights.pt").exists()


def test_each_epoch_is_a_line_in_the_documented_form_and_the_last_line_says_why_it_ended(train, caplog):
    caplog.set_level("INFO", "trainable")
    assert train("out", "--set", "early_stopping=true", "--set", "patience_epochs=1", "--set", "min_delta=1") == 0
    lines = [record.getMessage() for record in caplog.records]
    epochs = [line for line in lines if line.startswith("Epoch ")]
    form = r"Epoch 1/3: Train Loss: \d+\.\d{4}, Val Loss: \d+\.\d{4}, val/s_measure: 0\.\d{4}, lr .* left"
    assert re.fullmatch(form, epochs[0])
    assert len(epochs) == 2
    ended = (
        r"Ended after epoch 2: no improvement over val/s_measure 0\.\d{4} of epoch 1 in 1 epoch \(early stopping\); "
        r"the weights are those of epoch \d, the best by val/s_measure \(0\.\d{4}\)\."
    )
    assert re.fullmatch(ended, lines[-1])


def test_a_configuration_may_be_short_and_in_yaml(tmp_path, curve):
    written = tmp_path / "config.yaml"
    written.write_text("workload: dishes\npreset: cpu\nmax_epochs: 1\nmax_train_batches: 1\nmax_lr: 1e-4\n")
    assert main(["--config", str(written), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 0
    kept = read_exported_config(tmp_path / "out" / "config.json").config
    assert (kept.workload, kept.optimizer.max_lr, kept.early_stopping.patience_epochs) == ("dishes", 1e-4, 3)
    assert len(curve()) == 1


def test_an_exported_configuration_rewritten_as_yaml_is_the_same(config_file, tmp_path):
    rewritten = tmp_path / "config.yml"
    rewritten.write_text(yaml.safe_dump(json.loads(config_file.read_text())))
    assert read_exported_config(rewritten) == read_exported_config(config_file)


def test_a_short_configuration_whose_data_is_no_text_is_a_sentence(tmp_path, caplog):
    written = tmp_path / "config.yaml"
    written.write_text("workload: dishes\ndata: {source: somewhere}\n")
    assert main(["--config", str(written), "--output", str(tmp_path / "out")]) == 2
    assert "config.yaml: data is {'source': 'somewhere'}; it must be text." in caplog.text


def test_a_file_without_a_workload_is_a_sentence(tmp_path, caplog):
    written = tmp_path / "config.yaml"
    written.write_text("max_lr: 1e-4\n")
    assert main(["--config", str(written), "--output", str(tmp_path / "out")]) == 2
    assert "config.yaml names no workload; add one of moe, dishes" in caplog.text


def test_other_data_than_the_configuration_was_found_on_is_refused_with_what_differs(config_file, train, caplog):
    exported = read_exported_config(config_file)
    changed = exported.data_fingerprint | {"train": "00" * 32, "all": "11" * 32}
    write_exported_config(config_file, replace(exported, data_fingerprint=changed))
    assert train() == 2
    assert "is not what this configuration was found on (train, all differ)" in caplog.text
    assert "--data" in caplog.text


def test_data_that_was_moved_away_since_is_reported_with_what_to_do(config_file, train, caplog):
    exported = read_exported_config(config_file)
    moved = replace(exported.config.data, source="/moved/away")
    write_exported_config(config_file, replace(exported, config=replace(exported.config, data=moved)))
    assert train() == 2
    assert "/moved/away does not exist. This configuration was found on it: put it back, or start over" in caplog.text


def test_named_with_data_other_images_are_trained_on(config_file, train, curve, disc_folder, tmp_path):
    for source in disc_folder.rglob("*.png"):
        if not source.stem.endswith("7"):
            target = tmp_path / "fewer" / source.relative_to(disc_folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    train()
    assert train("fewer-out", "--data", str(tmp_path / "fewer")) == 0
    assert curve("fewer-out")[0]["objective"] != curve()[0]["objective"]


def test_a_folder_that_holds_a_run_is_not_written_over(train, curve, caplog):
    train()
    before = curve()
    assert train() == 2
    assert "already holds a run; give another --output, or --resume to continue it" in caplog.text
    assert curve() == before


def test_a_damaged_checkpoint_is_a_sentence(train, tmp_path, caplog):
    train("out", "--epochs", "1")
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"PK no more")
    assert train("out", "--resume") == 2
    assert "checkpoint.pt can't be read as a checkpoint" in caplog.text


def test_without_space_for_the_weights_a_sentence_says_where_and_a_resume_writes_them(train, tmp_path, caplog):
    assert train() == 0
    weights = tmp_path / "out" / "weights.pt"
    before = weights.read_bytes()
    weights.unlink()
    full = (weights, weights.with_name(f".weights.pt.{os.getpid()}"))
    for path in full:
        path.symlink_to("/dev/full")
    assert train("out", "--resume") == 2
    assert f"error: {tmp_path / 'out'}: No space left on device. Finished epochs in " in caplog.text
    for path in full:
        path.unlink(missing_ok=True)
    assert train("out", "--resume") == 0
    assert weights.read_bytes() == before


def test_a_tracker_that_fails_is_a_sentence(config_file, monkeypatch, caplog):
    class RefusedError(Exception):
        """Like the exceptions of MLflow, which are not OSErrors."""

    def refused(names, run):
        raise RefusedError("API request to http://tracking:5000 failed.")

    monkeypatch.setattr(command, "check_trackers", lambda names: None)
    monkeypatch.setattr(command, "opened_trackers", refused)
    monkeypatch.setattr(command, "tracker_errors", lambda names: (RefusedError,))
    assert main(["--config", str(config_file), "--track", "mlflow"]) == 2
    assert "error: mlflow failed: API request to http://tracking:5000 failed. Finished epochs in" in caplog.text
    assert "leave out --track, or fix it, and add --resume." in caplog.text


def test_a_training_that_does_not_fit_ends_with_a_sentence(train, monkeypatch, caplog):
    monkeypatch.setattr(Trainer, "train_epoch", lambda *_, **__: torch.empty(10**15))
    assert train() == 2
    assert "you tried to allocate 4000000000000000 bytes" in caplog.text
    assert "Give a smaller batch_size and more accumulation_steps, and add --resume." in caplog.text


def test_a_training_that_diverges_ends_with_the_term_that_did_it(config_file, train, caplog):
    exported = read_exported_config(config_file)
    config = from_params({"max_lr": 1e30, "warmup_fraction": 0.0}, exported.config)
    write_exported_config(config_file, replace(exported, config=config))
    assert train() == 2
    assert re.search(r"error: [\w/]+ became (nan|inf) in epoch \d, optimizer step \d", caplog.text)


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("gpu", "device is 'gpu'; allowed: auto, cpu, cuda, cuda:N, mps"),
        ("cuda", "no CUDA device; use --device cpu"),
        ("mps", "no Apple GPU that torch can use; use --device cpu"),
    ],
)
def test_a_device_that_is_not_there_is_a_sentence(device, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=sentence):
        chosen_device(device)


def test_it_trains_and_logs_where_ray_and_optuna_are_not_installed(config_file, tmp_path):
    code = """
import sys
sys.modules.update(ray=None, optuna=None, tuner=None, search_spaces=None)
from trainable.train import main
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "--config", str(config_file), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Epoch 3/3: Train Loss: " in done.stdout
    assert "about 0:00 left" in done.stdout
    assert "test: " in done.stdout


def test_fresh_samples_are_judged_beside_the_test_split_and_are_in_none_of_the_splits(disc_config, tmp_path):
    task = get_task("moe")
    scenes = SceneConfig(image_size_px=48, num_train=8, num_validation=4, num_test=4)
    small = {"max_epochs": 1, "pyramid_channels": 8, "scenes": scenes, "augmentation": False}
    config = from_params(small, task.default_config())
    train_run(ExportedConfig(config=config, data_fingerprint={}), tmp_path / "out", TrainOptions(num_fresh=6))
    judged = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert judged["fresh_test"].keys() == judged["test"].keys()
    assert judged["fresh_test"] != judged["test"]
    fresh = task.fresh_test_set(config, 6)
    splits = task.open_data(config)
    seen = {image.tobytes() for part in (splits.train, splits.validation, splits.test) for image in part.images}
    assert len(fresh) == 6
    assert not seen & {image.tobytes() for image in fresh.images}
