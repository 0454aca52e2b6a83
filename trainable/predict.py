"""Says what is on pictures, with a configuration and its weights.

    python -m trainable.predict --config results/dishes/<run>/best/config.json --image plate.jpg other.jpg

For workloads that give a picture one class. The weights are those beside the configuration unless others are named.
"""

import argparse
import logging
import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from trainable.config import TrialConfig, flat_params
from trainable.data.class_folder import RESIZES
from trainable.data.decoding import read_upright
from trainable.data.findings import BadFileError
from trainable.data.pixels import as_images
from trainable.handover import read_handover
from trainable.models.output import as_model_output
from trainable.tasks.registry import get_task

WEIGHTS = "weights.pt"
_NEEDED = ("class_names", "image_size_px", "resize")

logger = logging.getLogger("trainable.predict")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 1 when a picture could not be read, 2 when none could be judged."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        config = read_handover(options.config).config
        model = trained_model(config, options.weights or options.config.with_name(WEIGHTS))
    except (ValueError, OSError) as error:
        logger.error("error: %s", error)
        return 2
    status = 0
    for path in options.image:
        try:
            logger.info("%s: %s", path, _in_words(predict(config, model, path)))
        except BadFileError as error:
            logger.error("%s: %s. %s", path, error.problem, error.action)
            status = 1
    return status


def trained_model(config: TrialConfig, weights: Path) -> nn.Module:
    """The network of a configuration with the weights of a file, ready to judge.

    Raises:
        ValueError: the workload does not classify pictures, or the file does not hold this network's weights.
    """
    if not set(_NEEDED) <= flat_params(config).keys():
        raise ValueError(f"{config.workload} does not give a picture one class; there is nothing to predict with it.")
    # All weights come from the file: nothing is fetched or frozen before.
    scratch = replace(config.model, weights="scratch", freeze_batch_norm=False)
    model = get_task(config.workload).build_model(replace(config, model=scratch))
    try:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{weights} does not hold the weights of this configuration; give the weights.pt that was written with it."
        ) from error
    return model.eval()


@torch.no_grad()
def predict(config: TrialConfig, model: nn.Module, path: Path) -> dict[str, float]:
    """The probability of each class for a picture, the likeliest first.

    Raises:
        BadFileError: the file cannot be read as a picture.
    """
    params = flat_params(config)
    pixels = RESIZES[params["resize"]](read_upright(path), (params["image_size_px"],) * 2)
    logits = as_model_output(model(as_images(torch.tensor(pixels)[None]))).predictions[0]
    shares = dict(zip(params["class_names"], logits.softmax(dim=0).tolist(), strict=True))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _in_words(shares: dict[str, float]) -> str:
    (first, share), *others = shares.items()
    return f"{first} {share:.3f} ({', '.join(f'{name} {other:.3f}' for name, other in others)})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainable.predict", description="Say what is on pictures.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="config.json of an export or preset")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights.pt (default: beside the configuration)")
    parser.add_argument("--image", type=Path, required=True, nargs="+", metavar="FILE", help="pictures to judge")
    return parser


if __name__ == "__main__":
    sys.exit(main())
