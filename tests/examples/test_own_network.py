"""The example of a network of one's own trains in two workloads, and comes through a whole search."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.run_module import run_module
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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_is_searched_confirmed_exported_verified_and_predicts_from_another_folder(tmp_path):
    project, data = tmp_path / "project", tmp_path / "data"
    project.mkdir()
    (project / "nets_of_mine.py").write_text("from layers_of_mine import Pyramid\n")
    (project / "layers_of_mine.py").write_text(EXAMPLE.read_text())
    generator = np.random.default_rng(0)
    for name, lowest in (("clean", 0), ("dirty", 128)):
        (data / name).mkdir(parents=True)
        for number in range(20):
            picture = generator.integers(lowest, lowest + 128, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(picture).save(data / name / f"{name}{number}.png")
    network = ("--set", f"network={project}/nets_of_mine.py:Pyramid", "--set", "network.width=8,16")
    budget = ("--trials", "3", "--max-epochs", "2", "--scheduler", "none", "--confirm", "1", "--name", "first")
    run_module(tmp_path, "tuner.search", "--space", "dishes", "--data", str(data), *network, *budget)
    folder = tmp_path / "results" / "dishes" / "first"
    assert len((folder / "confirm.jsonl").read_text().splitlines()) >= 3
    assert "the same to the bit" in run_module(tmp_path, "tuner.export", str(folder), "--verify")
    best = str(folder / "best" / "config.json")
    run_module(tmp_path, "trainable.predict", "--config", best, "--image", str(data / "clean"), "--output", "seen")
    assert len((tmp_path / "seen" / "predictions.csv").read_text().splitlines()) == 21
    (project / "layers_of_mine.py").write_text(EXAMPLE.read_text() + "# changed\n")
    with pytest.raises(AssertionError, match=r"layers_of_mine\.py, which nets_of_mine:Pyramid imports, has changed"):
        run_module(tmp_path, "trainable.predict", "--config", best, "--image", str(data / "clean"), "--output", "again")
