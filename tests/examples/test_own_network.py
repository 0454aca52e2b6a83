"""The example of a network of one's own trains in two workloads."""

import json
from pathlib import Path

import pytest

from trainable.preset import main as preset
from trainable.train import main as train

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_network.py"
TINY = {"dishes": "plates.num_train=32", "moe": "scenes.num_train=8"}


@pytest.mark.parametrize(("workload", "network"), [("dishes", "Pyramid"), ("moe", "MaskNet")])
def test_the_example_trains(workload, network, tmp_path):
    config = tmp_path / "config.json"
    own = ["--set", f"network={EXAMPLE}:{network}", "--set", "network.width=24", "--set", TINY[workload]]
    assert preset([workload, "default", str(config), *own, "--epochs", "1"]) == 0
    assert train(["--config", str(config), "--output", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
