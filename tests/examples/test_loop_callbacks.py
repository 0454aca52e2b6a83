"""Lightning and the Trainer of transformers through a callback: their epochs are a trial's, and a resume goes on."""

import sys
from pathlib import Path

import pytest
import torch

from search_spaces import LoopSpace
from trainable.config import from_params
from trainable.configuration.reference import find, load
from trainable.run import run_epochs
from trainable.run_setup import open_run
from trainable.workloads.exported_config import ExportedConfig
from trainable.workloads.registry import get_workload

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEEDED = {"lightning_callback": ("lightning",), "hugging_face": ("transformers", "accelerate")}
pytestmark = [
    pytest.mark.examples,
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(400),
]


@pytest.fixture(params=NEEDED)
def exported(request, monkeypatch):
    """The default of an example's space."""
    for package in NEEDED[request.param]:
        pytest.importorskip(package, reason=f"{package} comes with the extra examples")
    monkeypatch.setattr(sys, "path", [*sys.path])
    reference = find(f"{EXAMPLES / request.param}.py:SPACE")
    space = load(reference.text, LoopSpace)
    torch.set_num_threads(1)
    config = from_params(space.defaults, get_workload(reference.text).default_config())
    return ExportedConfig(config=config, data_fingerprint={}, references=(reference,))


def results_of(run):
    return run_epochs(run, on_epoch=lambda result: None)


def test_its_epochs_are_a_trials_and_it_is_tested_after_them(exported):
    run = open_run(exported, "cpu")
    results = results_of(run)
    assert [result.epoch for result in results] == [*range(1, exported.config.max_epochs + 1)]
    assert results[-1].objective > 0.5
    assert run.test()["accuracy"] == pytest.approx(results[-1].objective, abs=0.2)
    assert run.handed_over.weights


def test_it_continues_from_a_checkpoint_and_with_lightning_to_the_same_curve(exported, tmp_path):
    """The Trainer of transformers shuffles anew after a resume."""
    undisturbed = [result.metrics for result in results_of(open_run(exported, "cpu"))]
    run = open_run(exported, "cpu")
    for _ in range(2):
        run.run_epoch()
    run.save(tmp_path / "saved.pt")
    del run
    resumed = open_run(exported, "cpu")
    resumed.restore(tmp_path / "saved.pt")
    metrics = [result.metrics for result in results_of(resumed)]
    assert len(metrics) == len(undisturbed) - 2
    assert metrics[0]["val/accuracy"] > undisturbed[0]["val/accuracy"]
    if "lightning" in exported.config.workload:
        assert metrics == undisturbed[2:]
