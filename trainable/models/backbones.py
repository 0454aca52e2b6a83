"""Backbones with one shape: images in [0, 1] in, four maps at strides 4, 8, 16 and 32 out.

"small" is the project's own encoder, timm:NAME a network of timm; the others are torchvision's classifiers without
their heads, cut into four stages. Each normalises its input itself. Weights are "scratch", "imagenet" (torchvision's or
timm's own, downloaded once), the path of a file or folder with a state dict, or package:NAME of an installed package.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainable.configuration.fields import unknown_name
from trainable.data.io.counted import counted
from trainable.models.small_encoder import SMALL_CHANNELS, small_encoder_stages, standardise_images
from trainable.models.weight_files import read_state_dict, some_of

logger = logging.getLogger(__name__)

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM = "timm:"
"""How the name of a backbone begins that is one of timm's."""
MOST_HEADS = 8
MIN_MATCHED_FRACTION = 0.9
"""Share of the trunk's tensors that a weights file must hold."""


class Backbone(nn.Module):
    """Four stages in a row; the result is one map per stage, finest first.

    Args:
        stages: with strides 4, 2, 2 and 2.
        channels: of the map of each stage.
        normalise: images (B, 3, H, W) in [0, 1] and their moments, or None, to what the first stage takes.
    """

    def __init__(self, stages: Sequence[nn.Module], channels: tuple[int, ...], normalise: Callable[..., Tensor]):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        self.num_features, self.stride_px = channels[-1], 32
        self.num_heads = math.gcd(channels[-1], MOST_HEADS)
        """Of an attention over the coarsest map."""
        self.normalise = normalise
        self.batch_norm_frozen = False
        self.checkpointing = False

    def forward(self, images: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] to maps (B, channels[i], H / stride, W / stride), sides rounded up.

        A caller that knows the images' `channel_moments` passes them on: they take a twentieth of an evaluation.
        """
        maps = [self.normalise(images, moments)]
        for stage in self.stages:
            maps.append(self._run_stage(stage, maps[-1]))
        return maps[1:]

    def train(self, mode: bool = True) -> "Backbone":
        """Frozen BatchNorm layers keep their running statistics in training too."""
        super().train(mode)
        if self.batch_norm_frozen:
            for layer in batch_norms(self):
                layer.eval()
        return self

    def _run_stage(self, stage: nn.Module, x: Tensor) -> Tensor:
        if not (self.checkpointing and self.training):
            return stage(x)
        return checkpoint(stage, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _Recomputation(stage)))


def build_backbone(
    name: str, weights: str = "scratch", *, freeze_batch_norm: bool = False, drop_path: float = 0.0
) -> Backbone:
    """Builds a backbone of BACKBONES with its weights.

    Args:
        name: one of BACKBONES, or timm:NAME.
        weights: "scratch", "imagenet", package:NAME, or the path of a file or folder.
        freeze_batch_norm: BatchNorm layers keep their running statistics in training, too.
        drop_path: chance, in [0, 1), that the deepest residual branch is left out for an image, less in those before
            it; only backbones of WITH_DROP_PATH have it.

    Raises:
        ValueError: an unknown name, weights that cannot be had, or a file that does not fit.
    """
    if name.startswith(TIMM):
        timm_backbone: Backbone = _of_timm("build_timm")(name, weights, drop_path=drop_path)
        timm_backbone.batch_norm_frozen = freeze_batch_norm
        return timm_backbone.train()
    check_backbone(name)
    options = {"stochastic_depth_prob": drop_path} if name in WITH_DROP_PATH else {}
    backbone = _build_small(weights) if name == "small" else _build_torchvision(name, weights, options)
    backbone.batch_norm_frozen = freeze_batch_norm
    return backbone.train()


def check_backbone(name: str) -> None:
    """Raises ValueError for a name that is neither one of BACKBONES nor a network of timm."""
    if name.startswith(TIMM):
        _of_timm("check_timm_name")(name)
    elif name not in BACKBONES:
        raise ValueError(unknown_name("backbone", name, BACKBONES))


def has_batch_norm(name: str) -> bool:
    """Whether a backbone has layers that keep running statistics."""
    if name.startswith(TIMM):
        return _of_timm("has_batch_norm")(name)
    return name not in WITHOUT_BATCH_NORM


def check_pretrained_batch_norm(name: str, weights: str) -> None:
    """Raises ValueError where there are no statistics of pre-trained weights to keep."""
    if weights == "scratch" or not has_batch_norm(name):
        raise ValueError(
            f"freeze_batch_norm needs pre-trained BatchNorm layers, and {name} with weights {weights} has none; "
            "turn it off."
        )


def has_drop_path(name: str) -> bool:
    """Whether a backbone can leave residual branches out."""
    if name.startswith(TIMM):
        return _of_timm("has_drop_path")(name)
    return name in WITH_DROP_PATH


def _of_timm(function: str) -> Callable[..., Any]:
    """By its name, when it is needed: its module is built on this one."""
    return resolve_name(f"trainable.models.external.timm_backbone:{function}")


def load_matching_weights(module: nn.Module, path: str) -> None:
    """Loads a state dict file into a module; wrappers' prefixes are removed, other heads in the file are ignored.

    Raises:
        ValueError: no such file, fewer than MIN_MATCHED_FRACTION of the tensors found, or another shape.
    """
    found = {name.removeprefix("backbone."): tensor for name, tensor in read_state_dict(path).items()}
    wanted = module.state_dict()
    matched = {name: found[name] for name in wanted if name in found}
    if len(matched) < MIN_MATCHED_FRACTION * len(wanted):
        raise ValueError(
            f"{path} holds {len(matched)} of the {len(wanted)} tensors of this network; at least "
            f"{MIN_MATCHED_FRACTION:.0%} must be there. Missing: {some_of(wanted.keys() - found.keys())}. "
            f"Not expected: {some_of(found.keys() - wanted.keys())}. Give the weights of this architecture."
        )
    reshaped = [name for name, tensor in matched.items() if tensor.shape != wanted[name].shape]
    if reshaped:
        raise ValueError(
            f"{path} holds tensors of another shape: {some_of(reshaped)}. Give the weights of this network."
        )
    absent = wanted.keys() - matched.keys()
    if absent:
        logger.warning(
            "%s lacks %s: %s",
            path,
            counted(len(absent), "tensor, which starts fresh", "tensors, which start fresh"),
            some_of(absent),
        )
    module.load_state_dict(matched, strict=False)


class _ImageNetNormalisation(nn.Module):
    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """By the moments of ImageNet, whatever those of the images."""
        return (images - self.mean) / self.spread


@dataclass(frozen=True, slots=True)
class _Cut:
    """How a torchvision classifier becomes four stages: the last layer of each, by index in its feature sequence."""

    ends: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]


_CUTS = {
    "mobilenet_v3_small": _Cut((2, 4, 9, 12), (16, 24, 48, 96)),
    "mobilenet_v3_large": _Cut((4, 7, 13, 16), (24, 40, 112, 160)),
    "efficientnet_b0": _Cut((3, 4, 6, 8), (24, 40, 112, 320)),
    "resnet50": _Cut((5, 6, 7, 8), (256, 512, 1024, 2048)),
    "convnext_tiny": _Cut((2, 4, 6, 8), (96, 192, 384, 768)),
    "efficientnet_v2_s": _Cut((3, 4, 6, 7), (48, 64, 160, 256)),
}
BACKBONES = ("small", *_CUTS)
WITHOUT_BATCH_NORM = ("small", "convnext_tiny")
WITH_DROP_PATH = ("efficientnet_b0", "efficientnet_v2_s", "convnext_tiny")


def _build_small(weights: str) -> Backbone:
    if weights == "imagenet":
        raise ValueError("The small backbone has no ImageNet weights; use weights='scratch' or the path of a file.")
    backbone = Backbone(small_encoder_stages(), SMALL_CHANNELS, standardise_images)
    if weights != "scratch":
        load_matching_weights(backbone, weights)
    return backbone


def _build_torchvision(name: str, weights: str, options: Mapping[str, float]) -> Backbone:
    """torchvision's models take seconds to import, so only who asks for one does."""
    import torchvision

    cut = _CUTS[name]
    if weights == "imagenet":
        classifier = _imagenet_classifier(name, options)
    else:
        classifier = torchvision.models.get_model(name, **options)
    layers = _layers_without_head(classifier, cut.ends[-1])
    starts = (0, *cut.ends)
    stages = [nn.Sequential(*layers[start:end]) for start, end in zip(starts, cut.ends, strict=False)]
    backbone = Backbone(stages, cut.channels, _ImageNetNormalisation())
    if weights not in ("scratch", "imagenet"):
        # A training here names layers by their stage, torchvision by their place.
        is_of_training = any(name.startswith("backbone.stages.") for name in read_state_dict(weights))
        load_matching_weights(backbone if is_of_training else classifier, weights)
    return backbone


def _layers_without_head(classifier: nn.Module, end: int) -> list[nn.Module]:
    """Takes the head off, so that a weights file need not hold one; resnet has no feature sequence of its own."""
    if hasattr(classifier, "fc"):
        del classifier.fc
        return list(classifier.children())
    del classifier.classifier
    features = classifier.get_submodule("features")
    assert isinstance(features, nn.Sequential), type(features)
    classifier.features = features[:end]
    return list(classifier.features)


def _imagenet_classifier(name: str, options: Mapping[str, float]) -> nn.Module:
    import torchvision

    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        return torchvision.models.get_model(name, weights=weights, **options)
    except URLError as error:
        raise ValueError(
            f"The ImageNet weights of {name} could not be downloaded ({error.reason}). Fetch {weights.url} where "
            "there is a network, copy it here, and give the file's path as weights."
        ) from error


def batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


class _Recomputation(AbstractContextManager):
    """Keeps the statistics each time it is entered: a graph that is walked for each task is recomputed for each."""

    def __init__(self, stage: nn.Module) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        self._kept = _running_statistics_kept(self._stage)
        self._kept.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        return self._kept.__exit__(*error)


@contextmanager
def _running_statistics_kept(stage: nn.Module) -> Iterator[None]:
    """A recomputed forward pass sees the same batch again; BatchNorm must not count it twice."""
    layers = batch_norms(stage)
    momenta = [layer.momentum for layer in layers]
    counts = [(count, count.clone()) for layer in layers if (count := layer.num_batches_tracked) is not None]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for count, before in counts:
            count.copy_(before)
