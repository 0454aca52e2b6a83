"""The example with segmentation_models_pytorch trains; only where the package is installed."""

import json
from pathlib import Path

import pytest

from trainable.preset import main as preset
from trainable.train import main as train

pytestmark = pytest.mark.examples
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "segmentation_models.py"


def test_the_example_trains(tmp_path):
    pytest.importorskip("segmentation_models_pytorch", reason="pip install 'vision-tuner[examples]'")
    config = tmp_path / "config.json"
    own = ["--set", f"network={EXAMPLE}:unet", "--set", "scenes.num_train=8", "--epochs", "1"]
    assert preset(["moe", "default", str(config), *own]) == 0
    assert train(["--config", str(config), "--output", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
