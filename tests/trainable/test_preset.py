"""A strategy is written as the file that everything else reads."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.preset import main, preset_config
from trainable.tasks.leaf import LeafTask
from trainable.train import main as train_main
from trainable.workloads.exported_config import read_exported_config


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))


def test_a_preset_becomes_a_file_that_training_reads(tmp_path):
    out = tmp_path / "balanced" / "config.json"
    assert main(["dishes", "balanced", str(out)]) == 0
    exported = read_exported_config(out)
    assert exported.config.early_stopping.patience_epochs == 5
    assert exported.config.loss.class_counts == (192, 96)
    assert exported.data_fingerprint.keys() == {"train", "validation", "test", "all"}
    content = json.loads(out.read_text())
    content["config"] |= {"max_epochs": 1, "max_train_batches": 1}
    out.write_text(json.dumps(content))
    assert train_main(["--config", str(out), "--output", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert "macro_f1" in json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]


def test_an_unknown_preset_is_a_sentence_with_the_nearest(tmp_path, caplog):
    assert main(["dishes", "balance", str(tmp_path / "config.json")]) == 2
    assert "balance is not a preset of dishes; did you mean balanced?" in caplog.text
    assert not (tmp_path / "config.json").exists()


def test_without_arguments_all_presets_are_listed(capsys):
    assert main([]) == 0
    assert "\nagroforestry: default, document, laptop, light," in capsys.readouterr().out


def test_presets_are_joined_the_later_on_top_of_the_earlier():
    config = preset_config("moe", "document+small_data+memory_8gb+experts_8").config
    assert (config.optimizer.max_lr, config.optimizer.weight_decay) == (5e-5, 1e-4)
    assert (config.batch_size, config.accumulation_steps) == (2, 8)
    assert (config.model.num_experts, config.load_balance.alpha_cv) == (8, 0.02)
    # 0.03 of all assignments, where the fair share of an expert is 1/8.
    assert config.collapse.collapse_threshold == pytest.approx(0.24)


def test_a_preset_takes_parameters_of_its_own(tmp_path):
    assert main(["moe", "epochs_50", str(tmp_path / "config.json"), "--set", "warmup_epochs=10", "--lr", "1e-3"]) == 0
    config = read_exported_config(tmp_path / "config.json").config
    assert (config.max_epochs, config.schedule.warmup_fraction, config.optimizer.max_lr) == (50, 0.2, 1e-3)
    assert config.augmentation.start_fraction * config.max_epochs == 15


def test_two_stages_train_from_the_weights_of_the_first(tmp_path):
    """The commands of docs/training.md, shortened."""
    short = [
        "--epochs",
        "1",
        "--set",
        "scenes.num_train=16",
        "--set",
        "scenes.num_validation=4",
        "--set",
        "scenes.num_test=4",
    ]
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["moe", "stage_1", str(first / "config.json"), *short]) == 0
    assert train_main(["--config", str(first / "config.json"), "--output", str(first), "--device", "cpu"]) == 0
    assert main(["moe", "stage_2", str(second / "config.json"), *short]) == 0
    begin = ["--init", str(first), "--output", str(second / "train"), "--device", "cpu"]
    assert train_main(["--config", str(second / "config.json"), *begin]) == 0
    trained = read_exported_config(second / "train" / "config.json").config
    assert trained.init_weights == str(first / "weights.pt")
    assert read_exported_config(first / "config.json").config.augmentation is None
    assert trained.augmentation is not None


def test_only_a_folder_is_asked_for_the_documented_size_of_images(tmp_path):
    folder = tmp_path / "leaves"
    for name in ("sick", "sound"):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            grey = np.random.default_rng(number + 10 * len(name)).integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(grey).save(folder / name / f"{name}_{number}.png")
    embedded = LeafTask.presets["document"].over(LeafTask().default_config(), has_folder=False)
    assert (embedded.model.encoder, embedded.max_epochs) == ("small", 100)
    real = preset_config("leaf", "document", str(folder)).config
    assert (real.model.encoder, real.data.image_size_px, real.max_epochs) == ("documented", 256, 100)
    assert real.model.class_names == ("sick", "sound")


LOOP = """
from search_spaces import LoopSpace


def train(params, trial):
    for epoch in trial.epochs():
        trial.report({"val/loss": params["lr"] * (epoch + 1)})
    return {"test/loss": params["lr"]}


SPACE = LoopSpace(
    name="loop", train=train, objective="val/loss", mode="min", suggest=lambda trial: {}, max_epochs=3,
    defaults={"lr": 0.5, "width": 8},
)
"""


@pytest.fixture
def loop(tmp_path, monkeypatch):
    """A file with a loop of the user's own, in the working folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop_to_train.py").write_text(LOOP)
    yield "loop_to_train.py:SPACE"
    sys.modules.pop("loop_to_train", None)


def test_the_defaults_of_a_loop_of_ones_own_become_a_file_that_training_reads(loop, tmp_path):
    assert main([loop, "default", "config.json", "--set", "lr=0.25", "--epochs", "2"]) == 0
    assert train_main(["--config", "config.json", "--output", "run"]) == 0
    curve = [json.loads(line)["objective"] for line in (tmp_path / "run" / "curve.jsonl").read_text().splitlines()]
    assert curve == [0.25, 0.5]
    assert read_exported_config(tmp_path / "run" / "config.json").config.params == {"lr": 0.25, "width": 8}


def test_a_short_configuration_of_a_loop_is_its_defaults_and_what_differs(loop, tmp_path):
    (tmp_path / "short.yaml").write_text(f"workload: {loop}\nlr: 0.125\nmax_epochs: 1\n")
    assert train_main(["--config", "short.yaml", "--output", "run"]) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"] == {"loss": 0.125}
