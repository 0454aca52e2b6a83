"""Trackers other than TensorBoard: what is logged, that nothing leaves the machine, and the error if one is missing."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainable.reporting import tracking
from trainable.reporting.tracking import QUIET, TRACKERS, TrackedRun, check_trackers, mlflow_store, opened_trackers
from trainable.workloads.exported_config import ExportedConfig, write_exported_config

ROOT = Path(__file__).resolve().parents[3]
SECRET = "5ecret" * 7
PARAMS = {"max_lr": 0.003, "averaging": True, "backbone": "small", "scenes": None}
CURVE = [{"val/s_measure": 0.5, "train/loss": 2.0}, {"val/s_measure": 0.75, "train/loss": 1.0}]


@pytest.fixture(autouse=True)
def _environment_afterwards_as_before():
    with patch.dict(os.environ):
        yield


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_reported_with_the_extra_that_installs_it(name, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=rf"--track {name} needs its package; .* 'vision-tuner\[{name}\]'"):
        check_trackers([name])


def test_what_keeps_a_tracker_quiet_and_offline_is_set_before_it_is_imported(monkeypatch):
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    found = []
    monkeypatch.setattr(tracking, "find_spec", lambda name: name)
    monkeypatch.setattr(tracking, "import_module", lambda name: found.append({key: os.environ[key] for key in QUIET}))
    check_trackers(TRACKERS)
    assert found == [QUIET, QUIET]


@pytest.mark.parametrize("fault", ["from google import gone", "raise TypeError('Descriptors cannot be created')"])
def test_a_tracker_that_is_installed_and_cannot_be_imported_is_reported_with_the_reason(fault, tmp_path, monkeypatch):
    package = tmp_path / "mlflow"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tracking.py").write_text(fault)
    for name in [name for name in sys.modules if name.split(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"can't be imported \(.*(gone|Descriptors).*\); update it: pip install"):
        check_trackers(["mlflow"])
    for name in ("mlflow", "mlflow.tracking"):
        sys.modules.pop(name, None)


def test_an_unknown_tracker_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="--track is 'mlfow'; allowed: mlflow, wandb"):
        check_trackers(["mlfow"])


def test_without_a_request_nothing_is_imported_and_tensorboard_has_the_curve(tmp_path):
    with opened_trackers([], TrackedRun(folder=tmp_path, name="run", experiment="moe", params=PARAMS)) as trackers:
        for epoch, metrics in enumerate(CURVE, start=1):
            for tracker in trackers:
                tracker.log(epoch, metrics)
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in board.Scalars("val/s_measure")] == [(1, 0.5), (2, 0.75)]
    assert not {"mlflow", "wandb"} & sys.modules.keys()


def test_the_users_own_store_goes_before_a_file_in_the_results(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow_store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert mlflow_store(tmp_path) == "http://tracking:5000"


class PickyMlflow:
    """Notes what is logged; like MLflow, it refuses other letters in a name."""

    def __init__(self, tracking_uri):
        self.logged = {}

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return "1"

    def create_run(self, experiment, run_name, tags):
        return SimpleNamespace(info=SimpleNamespace(run_id="a"))

    def log_batch(self, run, params=(), metrics=(), tags=()):
        for name, value, *_ in (*params, *metrics):
            assert re.fullmatch(r"[/\w.\- :]*", name), name
            assert len(name) <= 250
            self.logged[name] = value


def test_the_name_of_any_class_or_parameter_is_logged_to_mlflow_in_the_letters_that_it_takes(monkeypatch, tmp_path):
    as_tuple = lambda *fields: fields  # noqa: E731
    entities = SimpleNamespace(Param=as_tuple, Metric=as_tuple, RunTag=as_tuple)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(entities=entities))
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", SimpleNamespace(MlflowClient=PickyMlflow))
    run = TrackedRun(folder=tmp_path, name="000-0123abcd", experiment="leaf/run", params={"rate*": 0.1})
    opened = tracking.open_tracker("mlflow", run)
    opened.log(1, {"val/f1_Corn_(maize)": 0.5, "val/f1_Grün, süß": 0.6, "val/f1_" + 250 * "a": 0.7, "train/loss": 1.0})
    assert opened._client.logged == {
        "rate_": "0.1",
        "val/f1_Corn__maize_": 0.5,
        "val/f1_Grün_ süß": 0.6,
        "val/f1_" + 243 * "a": 0.7,
        "train/loss": 1.0,
    }


def needs(name):
    reason = f"{name} is an extra: pip install 'vision-tuner[{name}]'"
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=reason)


@pytest.fixture
def trained(disc_config, tmp_path):
    """A training in a process of its own, whose environment holds a secret; the folder of its results."""

    def train(tracker, *options):
        write_exported_config(tmp_path / "config.json", ExportedConfig(config=disc_config, data_fingerprint={}))
        out = tmp_path / "out"
        command = [sys.executable, "-m", "trainable.train", "--config", str(tmp_path / "config.json")]
        environment = os.environ | {"WANDB_API_KEY": SECRET, "MLFLOW_TRACKING_PASSWORD": SECRET}
        subprocess.run(
            [*command, "--output", str(out), "--device", "cpu", "--track", tracker, *options],
            cwd=ROOT,
            env=environment,
            check=True,
        )
        return out

    return train


def recorded(out):
    return [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]


def holds_no_secret(out):
    return not any(SECRET.encode() in path.read_bytes() for path in out.rglob("*") if path.is_file())


@needs("mlflow")
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_curve_and_parameters_of_one_run_through_a_resume(trained):
    out = trained("mlflow", "--epochs", "2")
    trained("mlflow", "--epochs", "3", "--resume")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_store(out))
    (run,) = client.search_runs([client.get_experiment_by_name("moe").experiment_id])
    history = client.get_metric_history(run.info.run_id, "val/s_measure")
    curve = [(epoch["epoch"], epoch["objective"]) for epoch in recorded(out)]
    assert sorted((point.step, point.value) for point in history) == curve
    assert float(run.data.params["batch_size"]) == 8
    assert run.info.status == "FINISHED"
    assert holds_no_secret(out)


@needs("mlflow")
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_a_run_whose_name_has_a_quote_is_found_again(tmp_path):
    run = TrackedRun(folder=tmp_path, name='it\'s "a" run', experiment="moe", params={})
    for epoch in (1, 2):
        with opened_trackers(["mlflow"], run) as trackers:
            for tracker in trackers:
                tracker.log(epoch, {"val/loss": 0.5})
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_store(tmp_path))
    (found,) = client.search_runs([client.get_experiment_by_name("moe").experiment_id])
    assert len(client.get_metric_history(found.info.run_id, "val/loss")) == 2


@needs("wandb")
def test_weights_and_biases_stays_offline_and_holds_the_curve(trained):
    out = trained("wandb", "--epochs", "2")
    (written,) = (out / "wandb").glob("offline-run-*/run-*.wandb")
    content = written.read_bytes()
    assert b"val/s_measure" in content
    assert repr(recorded(out)[-1]["objective"]).encode() in content
    assert holds_no_secret(out)
