"""A search read back in Python: its trials, its best, its table, its network."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tuner.conftest import record_search
from tuner import load
from tuner.confirmation.wanted import FIRST_SEED
from tuner.records import ConfirmedRun, append_run


@pytest.fixture
def result(trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    settings = json.loads((folder / "settings.json").read_text())
    settings["base_config"]["trained_size_px"] = [48, 48]
    (folder / "settings.json").write_text(json.dumps(settings))
    return load(folder)


def test_the_best_trial_has_its_configuration_and_the_metrics_of_its_exported_weights(result):
    best, metrics = result.best, json.loads((result.export() / "metrics.json").read_text())
    assert (best.trial, best.epoch, best.objective) == (metrics["trial"], metrics["epoch"], metrics["objective"])
    assert best.metrics == metrics["metrics"]
    assert best.config.optimizer.max_lr == best.params["max_lr"] == 1e-2


def test_the_table_has_a_row_for_each_trial_and_a_column_for_each_parameter(result):
    table = result.to_pandas()
    assert list(table["trial"]) == [trial.name for trial in result.trials]
    assert list(table["epochs"]) == [3, 3, 2]
    assert table["max_lr"].tolist() == [3e-4, 1e-2, 3e-2]
    first = ["number", "trial", "outcome", "epochs", "objective", "best_objective", "best_epoch", "seconds"]
    assert list(table.columns[:8]) == first
    assert all(f"`{name}`" in load(result.folder).to_pandas.__doc__ for name in [*first, "ending"])


def test_a_confirmation_changes_what_is_best_and_gives_its_interval(result):
    default, other = result.trials[0].name, result.trials[1].name
    for seed in (FIRST_SEED, FIRST_SEED + 1, FIRST_SEED + 2):
        gain = 0.1 * (seed - FIRST_SEED)
        append_run(result.folder, ConfirmedRun(trial=default, seed=seed, objective=0.5, test={}, validation=0.9))
        append_run(result.folder, ConfirmedRun(trial=other, seed=seed, objective=0.6 + gain, test={}, validation=0.8))
    again = load(result.folder)
    assert again.best.trial == default
    assert [one.trial for one in again.confirmations] == [other]
    assert again.confirmations[0].gains == pytest.approx([0.1, 0.2, 0.3])
    assert json.loads(json.dumps(again.summary()))["confirmations"][0]["interval"] is not None


def test_its_network_answers_for_a_path_and_for_a_picture_in_memory_alike(result, tmp_path):
    result.export()
    model = result.model("cpu")
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    by_path, in_memory = model.predict(tmp_path / "noise.png"), model.predict(Image.fromarray(pixels))
    assert by_path.row() == in_memory.row()
    assert not model.network.training
    handed_over = torch.load(result.folder / "best" / "weights.pt", weights_only=True)
    assert all(torch.equal(value, handed_over[name]) for name, value in model.network.state_dict().items())


def test_a_picture_that_cannot_be_read_is_reported_with_its_name(result, tmp_path):
    result.export()
    (tmp_path / "dead.png").symlink_to("nowhere.png")
    (tmp_path / "none.png").touch()
    model = result.model("cpu")
    for name, problem in (("gone", "is not there"), ("dead", "is a link to a file that is"), ("none", "is empty: 0 b")):
        with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path))}/{name}\.png {problem}"):
            model.predict(tmp_path / f"{name}.png")


def test_without_an_export_the_network_is_asked_for_in_a_sentence(result):
    with pytest.raises(ValueError, match=r"has no best/config\.json; write it with export\(\), or resume the search"):
        result.model()


def test_a_search_without_a_value_has_no_best(tmp_path, disc_config):
    folder = tmp_path / "moe" / "empty"
    record_search(folder, disc_config, [{"max_lr": 1e-3}], num_epochs=[0])
    empty = load(folder)
    assert empty.best is None
    assert empty.confirmations == []
    assert not empty.is_over
    assert "no best trial yet" in repr(empty)
    assert empty.summary()["trials"] == {"ended": 0, "of": 1}


def test_a_report_that_cannot_be_written_says_where_and_what_to_give(tmp_path, disc_config, monkeypatch):
    folder = tmp_path / "moe" / "archived"
    record_search(folder, disc_config, [{"max_lr": 1e-3}], num_epochs=[1])
    (tmp_path / "taken").touch()
    with pytest.raises(ValueError, match=r"taken is a file; give a folder as output"):
        load(folder).report(tmp_path / "taken")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"archived can't be written to; give another folder as output"):
        load(folder).report()


def test_a_folder_without_a_search_is_reported(tmp_path):
    with pytest.raises(ValueError, match=r"holds no search: there is no settings\.json"):
        load(tmp_path)
