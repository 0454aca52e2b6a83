"""A search shown in MLflow and Weights & Biases with the real packages where they are."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainable.tracking import mlflow_store
from tuner.records import read_search

ROOT = Path(__file__).resolve().parents[2]
SECRET = "5ecret" * 7


@pytest.fixture(scope="module")
def searched(tmp_path_factory, disc_folder):
    """Two trials of a search that is shown in both, while the environment holds a secret."""
    place = tmp_path_factory.mktemp("tracked")
    options = f"--data {disc_folder} --storage {place} --name run --trials 2 --max-epochs 3 --confirm 0"
    fixed = "--policy random --set effective_batch=8 --set pyramid_channels=8 --track mlflow --track wandb"
    environment = os.environ | {"WANDB_API_KEY": SECRET, "MLFLOW_TRACKING_PASSWORD": SECRET}
    command = [sys.executable, "-m", "tuner.search", *options.split(), *fixed.split()]
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
