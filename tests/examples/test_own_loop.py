"""The example of a loop of one's own: as its own script, as a trial's process sees it, and through a whole search."""

import json
import sys
from pathlib import Path

import pytest
import torch

from search_spaces import LoopSpace
from tests.run_module import run_module
from trainable.config import from_params
from trainable.configuration.reference import activate, find, load
from trainable.run import run_epochs
from trainable.run_setup import open_run
from trainable.workloads.exported_config import ExportedConfig
from trainable.workloads.registry import get_workload
from tuner.records import read_search

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def reference():
    """The reference to the example's space, with its folder on `sys.path`."""
    found = find(f"{EXAMPLES / 'own_loop.py'}:SPACE")
    yield found
    sys.path.remove(str(EXAMPLES))


@pytest.fixture
def exported(reference):
    space = load(reference.text, LoopSpace)
    config = from_params(space.defaults, get_workload(reference.text).default_config())
    torch.set_num_threads(1)
    return ExportedConfig(config=config, data_fingerprint={}, references=(reference,))


def test_the_default_learns_and_is_tested_as_well_as_it_is_validated(exported):
    run = open_run(exported, "cpu")
    results = run_epochs(run, on_epoch=lambda result: None)
    assert len(results) == 8
    assert results[-1].objective > 0.6
    assert run.test()["accuracy"] == pytest.approx(results[-1].objective, abs=0.15)


def test_it_is_the_same_to_the_bit_after_a_resume(exported, tmp_path):
    activate(exported.references)
    undisturbed = [result.metrics for result in run_epochs(open_run(exported, "cpu"), on_epoch=lambda result: None)]
    run = open_run(exported, "cpu")
    for _ in range(3):
        run.run_epoch()
    run.save(tmp_path / "saved.pt")
    resumed = open_run(exported, "cpu")
    resumed.restore(tmp_path / "saved.pt")
    assert [result.metrics for result in run_epochs(resumed, on_epoch=lambda result: None)] == undisturbed[3:]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_is_searched_confirmed_exported_and_retrained_to_the_same_curve(tmp_path):
    (tmp_path / "mine.py").write_text((EXAMPLES / "own_loop.py").read_text())
    output = run_module(tmp_path, "tuner.search", "--space", "mine.py:SPACE", "--trials", "6", "--name", "first")
    assert "Exported" in output
    folder = tmp_path / "results" / "own_loop" / "first"
    assert {str(trial.outcome) for trial in read_search(folder).trials} <= {"completed", "stopped_at_rung"}
    assert len((folder / "confirm.jsonl").read_text().splitlines()) >= 6
    assert "the same to the bit" in run_module(tmp_path, "tuner.export", str(folder), "--verify")
    winner = folder / "best" / "config.json"
    run_module(tmp_path, "trainable.train", "--config", str(winner), "--output", "alone")
    metrics = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.6
    weights = torch.load(tmp_path / "alone" / "weights.pt", weights_only=True)
    assert "0.weight" in weights
