"""Baselines without training, measured beside a search on a running Ray."""

import json
import logging
import shutil
import sys
from concurrent.futures import Future

import pytest
import torch

from trainable.run_setup import open_data
from trainable.tasks.registry import get_task
from trainable.workloads.registry import get_workload
from tuner.baselines.beside import Baselines
from tuner.baselines.measuring import PROBE_NAME, measure
from tuner.export import trial_config
from tuner.ray.cluster import ray_running
from tuner.records import read_search
from tuner.records.events import EpochDone
from tuner.records.trivial import PROBE, TRIVIAL


@pytest.fixture
def in_this_process(monkeypatch):
    """Measures in this process at once, without Ray."""

    class Call:
        def __init__(self, function, *arguments, unfit_nodes, **named):
            self.result = Future()
            try:
                self.result.set_result(function(*arguments, **named))
            except ValueError as error:
                self.result.set_exception(error)

        def is_done(self):
            return True

    monkeypatch.setattr("tuner.baselines.beside.BackgroundCall", Call)
    monkeypatch.setattr("tuner.baselines.measuring.os.nice", lambda _: None)


@pytest.fixture
def folder(trained_folder, tmp_path):
    return shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")


@pytest.fixture
def with_trained_weights(folder, tmp_path):
    """The same search from weights that are at hand."""
    settings = json.loads((folder / "settings.json").read_text())
    config = trial_config(read_search(folder), read_search(folder).default_trial)
    torch.manual_seed(3)
    torch.save(get_task("moe").build_model(config).state_dict(), tmp_path / "weights.pt")
    settings["base_config"]["init_weights"] = str(tmp_path / "weights.pt")
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


def opened(folder):
    search = read_search(folder)
    config = trial_config(search, search.default_trial)
    return get_workload("moe"), config, open_data(config, search.settings.data_fingerprint)


def last_epoch_of(search):
    return search.default_trial.last


def test_the_trivial_prediction_of_the_test_split_is_that_of_the_workload(folder):
    baselines = Baselines(folder, read_search(folder), "test")
    with ray_running(None):
        baselines.begin()
        baselines.finish()
    workload, config, data = opened(folder)
    floor = workload.trivial_floor(config, data, "test")
    measured = TRIVIAL.read(folder)["test"]
    assert (measured.name, measured.objective) == (floor.name, pytest.approx(floor.objective))
    assert PROBE.read(folder) == {}


def test_a_search_measures_its_trained_weights_after_the_first_epoch_and_not_before(
    with_trained_weights, in_this_process, caplog
):
    folder, search = with_trained_weights, read_search(with_trained_weights)
    baselines = Baselines(folder, search, "validation")
    other = next(event for event in search.decisions) if search.decisions else None
    if other is not None:
        baselines.on_event(search, other)
    baselines.finish()
    assert not (folder / PROBE.name).exists()

    caplog.set_level(logging.INFO)
    result = last_epoch_of(search)
    assert isinstance(result, EpochDone)
    baselines.on_event(search, result)
    baselines.finish()
    workload, config, data = opened(folder)
    by_hand = workload.linear_probe(config, data, "validation")
    measured = PROBE.read(folder)["validation"]
    assert measured.objective == pytest.approx(by_hand["s_measure"], abs=1e-3)
    assert measured.seconds > 0
    assert f"{PROBE_NAME}: s_measure {measured.objective:.3f}" in caplog.text


def test_what_is_there_is_not_measured_again(with_trained_weights, in_this_process):
    folder = with_trained_weights
    for _ in range(2):
        baselines = Baselines(folder, read_search(folder), "test")
        baselines.begin()
        baselines.finish()
        written = (folder / TRIVIAL.name).stat().st_mtime_ns, (folder / PROBE.name).stat().st_mtime_ns
    assert ((folder / TRIVIAL.name).stat().st_mtime_ns, (folder / PROBE.name).stat().st_mtime_ns) == written


def test_data_that_is_gone_is_a_warning_and_the_search_continues(folder, in_this_process, caplog):
    settings = json.loads((folder / "settings.json").read_text())
    settings["base_config"]["data"]["source"] = str(folder / "gone")
    (folder / "settings.json").write_text(json.dumps(settings))
    baselines = Baselines(folder, read_search(folder), "test")
    baselines.begin()
    baselines.finish()
    assert "Nothing was measured beside the test split; the next run tries again" in caplog.text
    assert not (folder / TRIVIAL.name).exists()


def test_without_scikit_learn_the_trivial_prediction_is_measured_all_the_same(with_trained_weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    search = read_search(with_trained_weights)
    _, config, _ = opened(with_trained_weights)
    measured = measure(config, search.settings.data_fingerprint, "validation", trivial=True, probe=PROBE_NAME)
    assert measured.trivial.name in ("an empty mask", "the mean mask")
    assert measured.probe is None
    assert "pip install scikit-learn" in measured.problem
