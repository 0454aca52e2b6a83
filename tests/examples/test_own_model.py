"""The example of a model of one's own learns more than the share of the discs."""

import re
import runpy
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_model.py"


def test_a_model_of_ones_own_gets_better_than_any_constant_answer(capsys):
    example = runpy.run_path(str(EXAMPLE))
    assert example["main"](["--epochs", "12"]) == 0
    losses = [float(loss) for loss in re.findall(r"validation loss ([\d.]+)", capsys.readouterr().out)]
    masks = torch.stack([mask for _, mask in example["discs"](32, seed=1)])
    constant = binary_cross_entropy(masks.mean().expand_as(masks), masks)
    assert len(losses) == 12
    assert losses[-1] < 0.8 * constant
