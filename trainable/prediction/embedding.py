"""The features of a picture by a pre-trained encoder, for a classifier, a search for similar pictures, or a plot."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from trainable.prediction.base import Prediction, Predictor, Prepare, Progress, network_output
from trainable.supervision.base import Forward


@dataclass(frozen=True, slots=True)
class EmbeddingPrediction(Prediction):
    """Features, float32 (D,), as the probes of the evaluation use them."""

    folder: ClassVar = "embeddings"
    ending: ClassVar = ".npy"
    drawable: ClassVar = False

    features: np.ndarray

    def in_words(self) -> str:
        return f"{len(self.features)} features"

    def row(self) -> dict[str, str | int | float]:
        return {"num_features": len(self.features)}

    def write(self, path: Path) -> None:
        np.save(path, self.features, allow_pickle=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingPredictor(Predictor):
    """Predictor for networks whose output has embeddings (B, D)."""

    kind: ClassVar = EmbeddingPrediction

    prepare: Prepare
    least_px: int | None = None

    def __call__(
        self, forward: Forward, picture: Image.Image, on_progress: Progress | None = None
    ) -> EmbeddingPrediction:
        features = network_output(forward, self.prepare(picture)).embeddings
        if features is None:
            raise ValueError("The network's output has no embeddings (B, D); give a model that returns them.")
        return EmbeddingPrediction(features[0].float().cpu().numpy())
