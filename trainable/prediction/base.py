"""The interface of all predictions: as text, as a row of a table, as a file, drawn."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainable.data.io.pixels import as_images
from trainable.models.output import ModelOutput
from trainable.supervision.base import Forward

Prepare = Callable[[Image.Image], np.ndarray]
"""Converts a picture to the input of the network, (H, W, 3), uint8."""
Progress = Callable[[int, int], None]
Row = Mapping[str, str | int | float]
"""Cells of the table by column."""


class Prediction(ABC):
    """The prediction for one picture."""

    folder: ClassVar[str | None] = None
    """Folder of the files for what does not fit in a row; None where the row holds everything."""
    ending: ClassVar[str] = ""
    """Suffix of these files, such as ".png"."""
    drawable: ClassVar[bool] = True

    @abstractmethod
    def in_words(self) -> str:
        """One line for people."""

    @abstractmethod
    def row(self) -> dict[str, str | int | float]:
        """Cells of the table by column; all pictures of a network have the same columns."""

    def write(self, path: Path) -> None:
        """Writes the file."""
        raise NotImplementedError(f"{type(self).__name__} has no file")

    def draw(self, picture: Tensor) -> Tensor:
        """The prediction on its picture, uint8 (3, H, W), which may be any multiple of the original's size."""
        raise NotImplementedError(f"{type(self).__name__} has nothing to draw")


class Predictor(ABC):
    """Turns a picture into a prediction, with the input and the averaging of the final test."""

    kind: ClassVar[type[Prediction]]

    least_px: int | None = None
    """Least side in pixels to which a large JPEG may be decoded, as in training; None decodes every pixel."""

    @abstractmethod
    def __call__(self, forward: Forward, picture: Image.Image, on_progress: Progress | None = None) -> Prediction:
        """The prediction in evaluation mode; `on_progress(done, total)` is called for the parts of a large picture.

        Raises:
            BadFileError: the picture does not suit the network.
        """

    def gathered(self, rows: Sequence[Row], files: Sequence[Path]) -> dict[str, object]:
        """JSON for all pictures together, by the name of its file, from the table and the pictures' own files."""
        return {}


@torch.no_grad()
def network_output(forward: Forward, pixels: np.ndarray) -> ModelOutput:
    """Runs the network on one image (H, W, 3) or a batch (B, H, W, 3), uint8."""
    batch = pixels if pixels.ndim == 4 else pixels[None]
    return forward(as_images(torch.tensor(batch)))
