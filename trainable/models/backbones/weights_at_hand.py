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
    """Those on this machine, the one to take first: of installed packages, then of torch's cache of downloads."""
    if find_spec("timm") is not None:
        for name, known in KNOWN_PACKAGES.items():
            if find_spec(name) is not None:
                yield TrainedBackbone(known.backbone, f"{PACKAGE}{name}")
    yield from _in_cache(Path(torch.hub.get_dir()) / "checkpoints")


def _in_cache(folder: Path) -> Iterator[TrainedBackbone]:
    """By its path, because a name such as `imagenet` would be downloaded where another machine lacks the file."""
    files = {path.name: path for path in folder.glob("*.pth")}
    if not files:
        return
    # It takes seconds to import.
    from torchvision.models import get_model_weights

    for backbone in TORCHVISION:
        names = [Path(one.url).name for one in get_model_weights(backbone)]
        yield from (TrainedBackbone(backbone, str(files[name])) for name in names if name in files)
