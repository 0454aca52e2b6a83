"""Predicts classes or masks of images, with a configuration and its weights.

    python -m trainable.predict --config results/dishes/<run>/best/config.json --image plate.jpg other.jpg
    python -m trainable.predict --config results/moe/<run>/best/config.json --image photographs --output masks

Classification workloads print the classes; segmentation workloads write a mask in the size of the image, with the
probability of the object from 0 to 255. The default weights are those beside the configuration.
"""

import argparse
import logging
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from trainable.config import TrialConfig
from trainable.data.io.decoding import read_upright
from trainable.data.io.findings import BadFileError
from trainable.data.io.folder_layout import IMAGE_ENDINGS
from trainable.exported_config import read_exported_config
from trainable.supervision.prediction import MaskPredictor, Predictor
from trainable.tasks.registry import get_task

WEIGHTS = "weights.pt"
MASKS = Path("masks")

logger = logging.getLogger("trainable.predict")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 1 an image could not be read, 2 user error."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        config = read_exported_config(options.config).config
        predictor = get_task(config.workload).predictor(config)
        pictures = _pictures(options.image)
        model = trained_model(config, options.weights or options.config.with_name(WEIGHTS))
        targets = _targets(predictor, pictures, options.output)
    except (ValueError, OSError) as error:
        logger.error("error: %s", error)
        return 2
    status = 0
    for path in pictures:
        try:
            found = predictor(model, read_upright(path))
        except BadFileError as error:
            logger.error("%s: %s. %s", path, error.problem, error.action)
            status = 1
        else:
            logger.info("%s: %s", path, _told(found, path, targets))
    return status


def trained_model(config: TrialConfig, weights: Path) -> nn.Module:
    """The network of a configuration with the weights of a file, in evaluation mode.

    Raises:
        ValueError: the file does not hold this network's weights.
    """
    # All weights come from the file: nothing is downloaded or frozen first.
    scratch = replace(config.model, weights="scratch", freeze_batch_norm=False)
    model = get_task(config.workload).build_model(replace(config, model=scratch))
    try:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{weights} does not hold the weights of this configuration; give the weights.pt that was written with it."
        ) from error
    return model.eval()


def _pictures(given: Sequence[Path]) -> list[Path]:
    """The given files, and the images in the given folders."""
    pictures: list[Path] = []
    for path in given:
        if not path.exists():
            raise ValueError(f"{path} does not exist; give images, or folders of images.")
        inside = (
            sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_ENDINGS) if path.is_dir() else []
        )
        if path.is_dir() and not inside:
            raise ValueError(f"{path} holds no images; give a folder of {', '.join(IMAGE_ENDINGS)} files.")
        pictures += inside or [path]
    return pictures


def _targets(predictor: Predictor, pictures: Sequence[Path], output: Path | None) -> dict[Path, Path]:
    """The mask file of each image; empty for a classification workload."""
    if not isinstance(predictor, MaskPredictor):
        if output is not None:
            raise ValueError("--output is for masks, and this workload predicts classes; leave it out.")
        return {}
    sources = {(output or MASKS) / f"{path.stem}.png": path for path in reversed(pictures)}
    twice = set(pictures) - set(sources.values())
    if twice:
        first = min(twice)
        raise ValueError(
            f"The mask of {first} has the same name as another; predict them separately, each with its own --output."
        )
    overwritten = {target.resolve() for target in sources} & {path.resolve() for path in pictures}
    if overwritten:
        raise ValueError(f"The mask would overwrite the image {min(overwritten)}; give another folder as --output.")
    (output or MASKS).mkdir(parents=True, exist_ok=True)
    return {path: target for target, path in sources.items()}


def _told(found: dict[str, float] | np.ndarray, path: Path, targets: Mapping[Path, Path]) -> str:
    """The classes as text, or the path of the written mask."""
    if isinstance(found, np.ndarray):
        Image.fromarray(found).save(targets[path])
        return str(targets[path])
    (first, share), *others = found.items()
    return f"{first} {share:.3f} ({', '.join(f'{name} {other:.3f}' for name, other in others)})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainable.predict", description="Predict masks or classes.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="config.json of an export or preset")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights.pt (default: beside the configuration)")
    parser.add_argument("--image", type=Path, required=True, nargs="+", metavar="PATH", help="images, or their folder")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for masks (default: masks)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
