"""The example of a space of one's own: planned with its conditions, tried in a dry run, and searched."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.run_module import run_module
from tuner.planning.plan import plan_as_given
from tuner.planning.preflight import check_configurations
from tuner.records import read_search
from tuner.settings import SearchSettings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_space.py"


@pytest.fixture(scope="module")
def dishes(tmp_path_factory) -> Path:
    """Bright and dark noise, 20 pictures each."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for name, lowest in (("clean", 0), ("dirty", 128)):
        (folder / name).mkdir()
        for number in range(20):
            picture = generator.integers(lowest, lowest + 128, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / name / f"{name}{number}.png")
    return folder


def test_its_configurations_can_be_trained_and_momentum_belongs_to_sgd(dishes):
    plan = plan_as_given(SearchSettings(space=f"{EXAMPLE}:SPACE", data=str(dishes)))
    check_configurations(plan, {})
    first, second = plan.points_to_evaluate
    assert (first["algorithm"], "momentum" in first) == ("adamw", False)
    assert (second["algorithm"], second["momentum"]) == ("sgd", 0.9)
    assert plan.max_epochs == 6


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "searched", [(), ("--set", "max_lr=1e-3..1e-2", "--set", "batch_size=4,8")], ids=["plain", "ranges"]
)
def test_a_dry_run_of_it_comes_to_its_end_from_another_folder(dishes, tmp_path, searched):
    space = ("--space", f"{EXAMPLE}:SPACE", "--data", str(dishes), "--trials", "4", "--max-epochs", "6")
    output = run_module(tmp_path, "tuner.search", *space, *searched, "--dry-run")
    assert "my_dishes: 4 trials of up to 6 epochs" in output
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_is_searched_over_ranges_of_the_command_line_and_exported_to_the_same_curve(dishes, tmp_path):
    space = ("--space", f"{EXAMPLE}:SPACE", "--data", str(dishes), "--max-epochs", "2", "--trials", "3")
    ranges = ("--set", "max_lr=1e-3..5e-3", "--confirm", "0", "--name", "first")
    run_module(tmp_path, "tuner.search", *space, *ranges)
    folder = tmp_path / "results" / "my_dishes" / "first"
    assert all(1e-3 <= trial.params["max_lr"] <= 5e-3 for trial in read_search(folder).trials)
    assert "the same to the bit" in run_module(tmp_path, "tuner.export", str(folder), "--verify")
