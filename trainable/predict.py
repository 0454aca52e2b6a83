"""Says what is on pictures, with a configuration and its weights.

    python -m trainable.predict --config results/dishes/<run>/best/config.json --image plate.jpg other.jpg
    python -m trainable.predict --config results/moe/<run>/best/config.json --image photographs --overlay

Every workload has its answer: a class or grades with probabilities, a mask, crowns as COCO JSON, features. It is that
of the final test. `predictions.csv` has a row for each picture; the same command after an interruption
goes on with the pictures that have none. The weights are those beside the configuration unless others are named.
"""

import argparse
import csv
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from trainable.config import TrialConfig
from trainable.configuration.config_options import add_config_file
from trainable.console.command_line import error_line, run_main, unnamed_errors_name
from trainable.console.json_output import write_json
from trainable.console.process import log_to
from trainable.console.visible_text import from_csv_cell
from trainable.data.io.counted import counted, first_of
from trainable.data.io.decoding import DECODER_ERRORS, read_upright
from trainable.data.io.findings import BadFileError
from trainable.data.io.folder_layout import COMMON_ENDINGS, is_hidden, is_image, plain_name, subfolders
from trainable.models.backbones.weight_files import read_named_as
from trainable.models.output import ModelOutput, as_model_output
from trainable.prediction.base import Prediction, Predictor
from trainable.prediction.folder import TABLE, PredictionFolder
from trainable.reporting.output_folder import CONFIG, WEIGHTS
from trainable.run_setup import chosen_device
from trainable.supervision.base import Forward
from trainable.tasks.registry import fresh_network
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.workloads.exported_config import read_exported_config
from trainable.workloads.registry import task_of

PROG = "python -m trainable.predict"
OUTPUT = Path("predictions")
_PART_SECONDS = 10.0
"""Interval of progress messages for a picture that takes longer."""
_MAX_NAMED = 3

logger = logging.getLogger("trainable.predict")


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """The command; returns its exit status: 1 when a picture could not be read, 2 when what was asked can't be done."""
    options = build_parser(prog).parse_args(arguments)
    log_to(sys.stderr if options.json else sys.stdout)
    try:
        with shortages_named(), unnamed_errors_name(options.output):
            status = predict(
                options.config,
                pictures_in(options.image),
                weights=options.weights or options.config.with_name(WEIGHTS),
                output=options.output,
                overlay=options.overlay,
                device=chosen_device(options.device),
            )
        if options.json:
            # A picture that could not be read has no row.
            with (options.output / TABLE).open(encoding="utf-8", errors="surrogateescape", newline="") as table:
                rows = [{name: from_csv_cell(cell) for name, cell in row.items()} for row in csv.DictReader(table)]
            summary = {"output": str(options.output), "predictions": rows}
            write_json(summary)
        return status
    except (ValueError, OSError) as error:
        logger.error("%s", error_line(error).rstrip())
        return 2
    except MemoryShortage as error:
        logger.error("error: %s. Give a smaller batch_size in the configuration, or --device cpu.", error.message)
        return 2
    except KeyboardInterrupt:
        logger.info("Interrupted. Every finished picture is saved; the same command goes on with the others.")
        return 130


def predict(
    config_file: Path, pictures: Sequence[Path], *, weights: Path, output: Path, overlay: bool, device: torch.device
) -> int:
    """Predicts the pictures that have no row in `output` yet; returns 1 when one of them could not be read, else 0.

    Raises:
        ValueError: the configuration, the weights or the folder can't be used; nothing was written then.
        MemoryShortage: a picture does not fit.
    """
    task, config = task_of(read_exported_config(config_file).config)
    predictor = task.predictor(config)
    if overlay and not predictor.kind.drawable:
        raise ValueError(f"--overlay draws predictions, and {config.workload} has nothing to draw; leave it out.")
    model = load_trained_model(config, weights).to(device)
    files = {"config": config_file, "weights": weights}
    folder = PredictionFolder.read(output, predictor.kind, files=files, overlay=overlay)
    missing = folder.begin(pictures)
    if len(missing) < len(pictures):
        logger.info(
            "%d of %s are in %s already",
            len(pictures) - len(missing),
            counted(len(pictures), "picture"),
            output / TABLE,
        )
    try:
        num_unreadable = _predict_each(predictor, partial(_forward, model, device), missing, folder)
    finally:
        folder.gather(predictor)
    unreadable = f"; {num_unreadable} of {len(missing)} could not be read" if num_unreadable else ""
    logger.info("%s in %s%s", counted(len(folder.rows), "picture"), output / TABLE, unreadable)
    return 1 if num_unreadable else 0


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained network that predicts pictures of any size."""

    config: TrialConfig
    network: nn.Module
    """The network in evaluation mode on `device`; takes images (B, 3, H, W) in [0, 1], and normalises them itself."""
    predictor: Predictor
    device: torch.device

    @classmethod
    def read(cls, folder: str | Path, device: str = "auto") -> Self:
        """The network of a folder `best` or `train`: its config.json and weights.pt.

        Raises:
            ValueError: a file is missing or does not fit the other, or the device is not on this machine.
        """
        task, config = task_of(read_exported_config(Path(folder) / CONFIG).config)
        chosen = chosen_device(device)
        network = load_trained_model(config, Path(folder) / WEIGHTS).to(chosen)
        return cls(config, network, task.predictor(config), chosen)

    def predict(self, picture: str | Path | Image.Image) -> Prediction:
        """The prediction for a picture of any size, which is prepared and evaluated as in the final test.

        Returns:
            The workload's answer, such as a class or a mask: `in_words()`, `row()`, `draw(picture)`.

        Raises:
            BadFileError: the picture cannot be read, or does not suit this network; a subclass of ValueError.
        """
        if isinstance(picture, Image.Image):
            try:
                upright = ImageOps.exif_transpose(picture)
            except DECODER_ERRORS as error:
                # Pillow reads a file only when its pixels are wanted.
                raise BadFileError(f"can't be decoded: {error}", "Copy the file again from its source.") from error
            return self._predict(upright)
        try:
            return self._predict(read_upright(Path(picture), least_px=self.predictor.least_px))
        except BadFileError as error:
            raise BadFileError(f"{plain_name(picture)} {error.problem}", error.action) from error

    def _predict(self, upright: Image.Image) -> Prediction:
        with shortages_named():
            return self.predictor(partial(_forward, self.network, self.device), upright)


def load_trained_model(config: TrialConfig, weights: Path) -> nn.Module:
    """The network of a configuration with the weights of a file, ready to predict.

    Raises:
        ValueError: there is no such file, or it does not hold this network's weights.
    """
    if not weights.is_file():
        raise ValueError(
            f"{weights} is not a file; give the weights.pt that was written with the configuration as --weights."
        )
    model = fresh_network(config)
    try:
        model.load_state_dict(read_named_as(model.state_dict(), weights))
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{weights} does not hold the weights of this configuration; give the weights.pt that was written with it."
        ) from error
    return model.eval()


def pictures_in(given: Sequence[Path]) -> list[Path]:
    """The files that are named, and those directly in the folders that are named, each once.

    Folders in a folder are not entered, as predictions may be among them; the log names those that hold pictures.

    Raises:
        ValueError: something does not exist, or a folder has no picture.
    """
    pictures: list[Path] = []
    for path in given:
        if not path.exists():
            raise ValueError(f"{plain_name(path)} does not exist; give images, or folders of images.")
        pictures += _pictures_in_folder(path) if path.is_dir() else [path]
    return list(dict.fromkeys(pictures))


def _pictures_in_folder(folder: Path) -> list[Path]:
    inside = _pictures_directly_in(folder)
    deeper = [plain_name(child) for child in subfolders(folder) if _pictures_directly_in(child)]
    named = first_of(deeper, _MAX_NAMED)
    if not inside:
        hint = f"pictures lie in {named}: give these" if deeper else f"give a folder of {COMMON_ENDINGS} files"
        raise ValueError(f"{plain_name(folder)} holds no images; {hint}.")
    if deeper:
        logger.info("Not predicted: pictures in %s; give these folders, too.", named)
    return inside


def _pictures_directly_in(folder: Path) -> list[Path]:
    """Lists pictures in the folder, including dead links, which are reported; not pipes, which may never end."""
    named = sorted(file for file in folder.iterdir() if is_image(file) and not is_hidden(file.name))
    return [file for file in named if file.is_file() or not file.exists()]


@dataclass(slots=True)
class _Progress:
    """Prints each picture's prediction, and the time left."""

    total: int
    started: float
    done: int = 0
    logged_at: float = 0.0

    def picture(self, path: Path, message: str) -> None:
        self.done += 1
        self.logged_at = time.monotonic()
        left = round((self.logged_at - self.started) / self.done * (self.total - self.done))
        logger.info(
            "[%d/%d | ~%d:%02d left] %s: %s", self.done, self.total, left // 60, left % 60, plain_name(path), message
        )

    def part(self, path: Path, done: int, total: int) -> None:
        if done < total and time.monotonic() - max(self.started, self.logged_at) > _PART_SECONDS:
            self.logged_at = time.monotonic()
            logger.info("%s: tile %d of %d", plain_name(path), done, total)


def _predict_each(predictor: Predictor, forward: Forward, pictures: Sequence[Path], folder: PredictionFolder) -> int:
    """Predicts each picture; returns the number that could not be read."""
    num_unreadable, progress = 0, _Progress(len(pictures), started=time.monotonic())
    for path in pictures:
        try:
            picture = read_upright(path, least_px=predictor.least_px)
            prediction = predictor(forward, picture, partial(progress.part, path))
        except BadFileError as error:
            num_unreadable += 1
            progress.picture(path, f"{error.problem}. {error.action}")
        else:
            folder.add(path, picture, prediction)
            progress.picture(path, prediction.in_words())
    return num_unreadable


def _forward(model: nn.Module, device: torch.device, images: Tensor) -> ModelOutput:
    return as_model_output(model(images.to(device)))


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Predict on pictures.")
    add_config_file(parser)
    weights_help = "weights.pt or a checkpoint (default: weights.pt beside the configuration)"
    parser.add_argument("--weights", type=Path, metavar="FILE", help=weights_help)
    parser.add_argument(
        "--image", type=Path, required=True, nargs="+", metavar="PATH", help="pictures, or their folder"
    )
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="DIR", help=f"where predictions go (default: {OUTPUT})"
    )
    parser.add_argument("--overlay", action="store_true", help="draw each prediction on its picture too")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON; progress goes to standard error")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto, a CUDA device or the CPU)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_main(main))
