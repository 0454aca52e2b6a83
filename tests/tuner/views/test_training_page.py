"""The page of a standalone training: its tables hold what is in the folder, and a deletion removes that file alone."""

import shlex
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from trainable.models.backbones.weight_files import read_state_dict
from trainable.predict import main as predict_main
from trainable.reporting.output_folder import read_curve
from trainable.train import main as train_main
from trainable.workloads.exported_config import ExportedConfig, read_exported_config, write_exported_config
from tuner import page
from tuner.page import TRAINING_SCRIPT
from tuner.views import training_data
from tuner.views.training_data import delete_checkpoint, read_training


@pytest.fixture(scope="module")
def runs(disc_config, tmp_path_factory):
    """Two trainings of three epochs beside each other, the second at another rate."""
    folder = tmp_path_factory.mktemp("trainings") / "runs"
    write_exported_config(folder / "config.json", ExportedConfig(config=disc_config, data_fingerprint={}))
    for name, rate in (("first", "3e-3"), ("second", "1e-2")):
        options = ["--output", str(folder / name), "--lr", rate, "--save-every-epochs", "1", "--device", "cpu"]
        assert train_main(["--config", str(folder / "config.json"), *options]) == 0
    return folder


@pytest.fixture
def training(runs, tmp_path):
    """A copy of the first training, which a test may change."""
    shutil.copytree(runs / "first", tmp_path / "first")
    return read_training(tmp_path / "first")


def test_curves_of_two_trainings_are_those_of_their_files(runs):
    trainings = [read_training(runs / name) for name in ("first", "second")]
    table = training_data.curves(trainings, "train/loss")
    for one, column in zip(trainings, table.columns, strict=True):
        recorded = [epoch["metrics"]["train/loss"] for epoch in read_curve(one.folder / "curve.jsonl")]
        np.testing.assert_equal(table[column].tolist(), recorded)
    assert training_data.metric_names(trainings[0])[0] == "val/s_measure"


def test_other_trainings_of_the_workload_are_offered(runs):
    assert training_data.others(read_training(runs / "first")) == [(runs / "second").resolve()]


def test_configurations_differ_where_the_commands_did(runs):
    table = training_data.configurations([read_training(runs / name) for name in ("first", "second")])
    assert table.loc["max_lr"].tolist()[:3] == ["0.003", "0.003", "0.01"]
    assert table.loc["max_lr", "differs"]
    assert not table.loc["batch_size", "differs"]


def test_every_checkpoint_is_listed_with_its_epoch_and_metric(training):
    table = training_data.checkpoints(training)
    assert table["epoch"].to_dict() == {
        "weights.pt": training.best["epoch"],
        "checkpoint.pt": 3,
        "checkpoints/best.pt": training.best["epoch"],
        **{f"checkpoints/epoch_{number:03d}.pt": number for number in (1, 2, 3)},
    }
    assert table.loc["checkpoints/epoch_002.pt", "val/s_measure"] == training.epochs[1]["metrics"]["val/s_measure"]


@pytest.mark.parametrize("name", ["weights.pt", "checkpoints/epoch_001.pt"])
def test_the_commands_beside_a_checkpoint_work(training, name, disc_folder, tmp_path, caplog):
    caplog.set_level("INFO")
    use = training_data.checkpoints(training).loc[name]
    given = shlex.split(use["start from it"].replace("NEW", str(tmp_path / "new")))[3:]
    assert train_main([*given, "--epochs", "1", "--device", "cpu"]) == 0
    assert "starts fresh: nothing; not used: nothing" in caplog.text
    given = shlex.split(use["predict with it"].replace("PICTURES", str(disc_folder / "Imgs" / "disc_00.png")))[3:]
    assert predict_main([*given, "--output", str(tmp_path / "said"), "--device", "cpu"]) == 0
    assert (tmp_path / "said" / "predictions.csv").is_file()


def test_a_checkpoint_starts_a_training_with_the_weights_of_its_epoch(training):
    saved = torch.load(training.folder / "checkpoints/epoch_001.pt", weights_only=True)["trainer"]["model"]
    found = read_state_dict(training.folder / "checkpoints/epoch_001.pt")
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)


def test_a_deletion_removes_that_file_alone(training):
    before = {path for path in training.folder.rglob("*") if path.is_file()}
    delete_checkpoint(training, "checkpoints/epoch_001.pt")
    after = {path for path in training.folder.rglob("*") if path.is_file()}
    assert before - after == {training.folder / "checkpoints/epoch_001.pt"}


@pytest.mark.parametrize(
    "name",
    ["weights.pt", "config.json", "../second.pt", "/etc/hostname", "checkpoints/../checkpoint.pt", "checkpoints"],
)
def test_nothing_else_is_deleted(training, name):
    (training.folder.parent / "second.pt").write_text("of another training")
    before = {path for path in training.folder.parent.rglob("*")}
    with pytest.raises(ValueError, match="is not a checkpoint of"):
        delete_checkpoint(training, name)
    assert {path for path in training.folder.parent.rglob("*")} == before


def test_a_link_that_leads_out_of_the_folder_is_not_followed(training, tmp_path):
    outside = tmp_path / "outside"
    (training.folder / "checkpoints").rename(outside)
    (training.folder / "checkpoints").symlink_to(outside)
    with pytest.raises(ValueError, match="leads out of"):
        delete_checkpoint(training, "checkpoints/epoch_001.pt")
    assert (outside / "epoch_001.pt").is_file()


def test_the_last_checkpoint_of_a_training_that_continues_is_kept(training):
    (training.folder / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"checkpoint\.pt is not a checkpoint of .* that may be deleted"):
        delete_checkpoint(read_training(training.folder), "checkpoint.pt")


def test_the_server_draws_a_training_with_its_own_page(training, monkeypatch):
    started = []
    monkeypatch.setattr(page.os, "execv", lambda program, command: started.append(command))
    monkeypatch.setattr(page, "find_spec", lambda name: True)
    page.main([str(training.folder)])
    (command,) = started
    assert str(TRAINING_SCRIPT) in command
    assert command[-2:] == ["--", str(training.folder)]


@pytest.mark.parametrize("content", ["", "[]", '{"config": []}', "{"])
def test_a_folder_beside_it_whose_configuration_is_damaged_is_not_offered(training, content):
    other = shutil.copytree(training.folder, training.folder.parent / "other")
    assert other in training_data.others(training)
    (other / "config.json").write_text(content)
    assert other not in training_data.others(training)


@pytest.mark.parametrize("name", ["curve.jsonl", "metrics.json", "config.json"])
def test_a_damaged_file_of_a_training_is_named(training, name, capsys):
    (training.folder / name).write_text("x\n")
    assert page.main([str(training.folder)]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(find_spec("streamlit") is None, reason="streamlit is an extra: pip install 'vision-tuner[page]'")
@pytest.mark.parametrize("name", ["curve.jsonl", "metrics.json", "config.json"])
def test_a_file_that_is_damaged_while_the_page_is_open_is_reported_on_it(training, name):
    from streamlit.testing.v1 import AppTest

    (training.folder / name).write_text("x\n")
    drawn = AppTest.from_function(draw, args=(str(training.folder),)).run(timeout=60)
    assert not drawn.exception
    assert name in drawn.error[0].value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(find_spec("streamlit") is None, reason="streamlit is an extra: pip install 'vision-tuner[page]'")
def test_the_page_is_drawn_compares_and_deletes_after_a_question(runs, training):
    from streamlit.testing.v1 import AppTest

    folder = training.folder
    (folder.parent / "second").symlink_to(runs / "second")
    drawn = AppTest.from_function(draw, args=(str(folder),)).run(timeout=60)
    assert not drawn.exception
    assert "epoch 3 of 3; best val/s_measure" in drawn.markdown[0].value
    drawn.multiselect[0].select(training_data.others(training)[0]).run()
    assert not drawn.exception
    drawn.selectbox[1].select("checkpoints/epoch_002.pt").run()
    drawn.button("ask").click().run()
    assert "epoch_002.pt will be deleted for good" in drawn.warning[0].value
    drawn.button("keep").click().run()
    assert (folder / "checkpoints/epoch_002.pt").is_file()
    assert not drawn.warning
    drawn.button("ask").click().run()
    drawn.button("confirm").click().run()
    assert not drawn.exception
    assert not (folder / "checkpoints/epoch_002.pt").exists()
    assert (folder / "checkpoints/epoch_001.pt").is_file()
    assert read_exported_config(folder / "config.json").config == training.config


def draw(folder):
    from pathlib import Path

    from tuner.views.training_page import show

    show(Path(folder))
