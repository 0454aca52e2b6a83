"""Trained weights of backbones that are on this machine already: nothing is ever downloaded."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from trainable.configuration.weight_places import PACKAGE
from trainable.models.backbones.weight_files import KNOWN_PACKAGES

TORCHVISION = ("efficientnet_b0", "mobilenet_v3_large", "mobilenet_v3_small", "resnet50", "convnext_tiny")
"""Backbones whose weights are looked for in torch's cache, the one to take first."""


class TrainedBackbone(NamedTuple):
    """A backbone and weights that fit it."""

    backbone: str
    weights: str


def trained_backbones() -> Iterator[TrainedBackbone]:
    """Yields trained backbones on this machine, best first: installed packages, then torch's download cache."""
    if find_spec("timm") is not None:
        for name, known in KNOWN_PACKAGES.items():
            if find_spec(name) is not None:
                yield TrainedBackbone(known.backbone, f"{PACKAGE}{name}")
    yield from _in_cache(Path(torch.hub.get_dir()) / "checkpoints")


def _in_cache(folder: Path) -> Iterator[TrainedBackbone]:
    """Yields cached backbones by path: a name such as `imagenet` would be downloaded where the file is missing."""
    files = {path.name: path for path in folder.glob("*.pth")}
    if not files:
        return
    # It takes seconds to import.
    from torchvision.models import get_model_weights

    for backbone in TORCHVISION:
        names = [Path(one.url).name for one in get_model_weights(backbone)]
        yield from (TrainedBackbone(backbone, str(files[name])) for name in names if name in files)
