"""A search shown in MLflow and Weights & Biases with the real packages where they are."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.conftest import recorded_settings
from tests.tuner.records.conftest import record_curve
from trainable.reporting.tracking import QUIET, TrackedRun, mlflow_store
from tuner.listeners.trackers import TrialTrackers
from tuner.records import Recorder, read_search

ROOT = Path(__file__).resolve().parents[3]
SECRET = "5ecret" * 7


@pytest.fixture(scope="module")
def searched(tmp_path_factory, disc_folder):
    """Two trials of a search that is shown in both, while the environment holds a secret."""
    place = tmp_path_factory.mktemp("tracked")
    options = f"--data {disc_folder} --storage {place} --name run --trials 2 --max-epochs 3 --confirm 0"
    fixed = "--scheduler none --set effective_batch=8 --set pyramid_channels=8 --set backbone=small"
    environment = os.environ | {"WANDB_API_KEY": SECRET, "MLFLOW_TRACKING_PASSWORD": SECRET}
    trackers = ["--track", "mlflow", "--track", "wandb"]
    command = [sys.executable, "-m", "tuner.search", *options.split(), *fixed.split(), *trackers]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return place / "moe" / "run"


both = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("mlflow", "wandb"))),
    reason="mlflow and wandb are extras: pip install 'vision-tuner[mlflow,wandb]'",
)


@both
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore")
def test_each_trial_is_a_run_with_its_parameters_and_the_curve_on_record(searched):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_store(searched))
    runs = client.search_runs([client.get_experiment_by_name("moe/run").experiment_id])
    for trial in read_search(searched).trials:
        (run,) = [run for run in runs if run.info.run_name == trial.name]
        history = client.get_metric_history(run.info.run_id, "val/s_measure")
        expected = [(epoch, trial.results[epoch].objective) for epoch in sorted(trial.results)]
        assert sorted((point.step, point.value) for point in history) == expected
        assert run.data.params.keys() == trial.params.keys()
        assert run.info.status == "FINISHED"


@both
@pytest.mark.slow
def test_weights_and_biases_has_an_offline_run_for_each_trial(searched):
    written = list((searched / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(written) == len(read_search(searched).trials)


@both
@pytest.mark.slow
def test_no_file_of_the_results_holds_a_secret(searched):
    files = [path for path in searched.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.fixture
def tracked(monkeypatch):
    """A function that opens the records of a search with both trackers, as a session does."""
    for variable, value in QUIET.items():
        monkeypatch.setenv(variable, value)

    def open_session(folder) -> Recorder:
        recorder = Recorder.resume(folder)
        recorder.listen([TrialTrackers(["mlflow", "wandb"], folder, recorder.record)])
        return recorder

    return open_session


def mlflow_curves(folder) -> list[tuple[str, list]]:
    """Name and curve of each run of the search."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_store(folder))
    experiment = client.get_experiment_by_name(f"moe/{folder.name}")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    return sorted(
        (
            run.info.run_name,
            sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, "val/loss")),
        )
        for run in runs
    )


def wandb_files(folder, trial) -> list[bytes]:
    run = TrackedRun(folder=folder, name=trial.name, experiment="", params={})
    return [path.read_bytes() for path in (folder / "wandb").glob(f"offline-run-*/run-{run.identity}.wandb")]


def on_record(folder) -> list[tuple[str, list]]:
    return sorted(
        (trial.name, [(epoch, result.metrics["val/loss"]) for epoch, result in sorted(trial.results.items())])
        for trial in read_search(folder).trials
    )


@both
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore")
def test_several_trials_at_once_continue_in_their_own_runs_with_a_resume_and_in_a_moved_folder(tmp_path, tracked):
    folder = tmp_path / "run"
    Recorder.create(folder, recorded_settings(max_epochs=6)).close()
    recorder = tracked(folder)
    trials = [record_curve(recorder) for _ in range(3)]

    def train(recorder, epoch):
        for number, trial in enumerate(trials):
            metrics = {"val/loss": (1 + number) / 7 + epoch / 1000}
            recorder.result(trial, epoch=epoch, objective=0.5, metrics=metrics, seconds=1.0)

    train(recorder, 1)
    train(recorder, 2)
    recorder.close()
    recorder = tracked(folder)
    train(recorder, 3)
    recorder.close()
    assert mlflow_curves(folder) == on_record(folder)
    for trial in read_search(folder).trials:
        files = wandb_files(folder, trial)
        assert len(files) == 2
        whole = [repr(result.metrics["val/loss"]).encode() for result in trial.results.values()]
        assert any(all(value in file for value in whole) for file in files)
        others = [t.last.metrics["val/loss"] for t in read_search(folder).trials if t.name != trial.name]
        assert not any(repr(value).encode() in file for value in others for file in files)

    (tmp_path / "moved").mkdir()
    moved = Path(shutil.move(folder, tmp_path / "moved" / "run"))
    recorder = tracked(moved)
    train(recorder, 4)
    recorder.close()
    curves = mlflow_curves(moved)
    assert all(curve in curves for curve in on_record(moved))
    for trial in read_search(moved).trials:
        (file,) = wandb_files(moved, trial)
        assert all(repr(result.metrics["val/loss"]).encode() in file for result in trial.results.values())
