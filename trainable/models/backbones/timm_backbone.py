"""Any feature extractor of timm as a backbone: four maps at strides 4, 8, 16 and 32.

What: channels and strides are those of the network's `feature_info`. A stride that it lacks is made of the map with
    the nearest one: averaged down, or interpolated up. Its normalisation is that of its weights and stored with them.
Source: Ross Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
"""

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from trainable.models.backbones.backbone import IMAGENET_DEVIATION, IMAGENET_MEAN, Backbone, Normalisation, batch_norms
from trainable.models.backbones.timm_weights import TIMM, checked_tensors, timm_package, whole_with
from trainable.models.backbones.weight_files import known_package, load_matching_weights, read_state_dict

STRIDES = (4, 8, 16, 32)
_ANY_SIZE: tuple[dict[str, Any], ...] = ({"strict_img_size": False}, {"dynamic_img_size": True}, {})
"""Arguments, one of which a constructor takes, that allow another image size than that of the weights."""
_MULTIPLES = (2, 4, 7, 8, 14, 16, 28, 32, 56, 64, 112, 128)


class TimmBackbone(Backbone):
    """One network of timm as the only stage, and its maps brought to STRIDES."""

    def __init__(self, name: str, trunk: nn.Module, normalise: Normalisation) -> None:
        info: Any = trunk.feature_info
        strides, channels = info.reduction(), info.channels()
        self._chosen = [_nearest(stride, strides) for stride in STRIDES]
        super().__init__([trunk], tuple(channels[index] for index in self._chosen), normalise)
        self._name = name
        self._momenta = [layer.momentum for layer in batch_norms(trunk)]
        self._is_channels_last = str(getattr(trunk, "output_fmt", "")).endswith("NHWC")

    def forward(self, images: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> list[Tensor]:
        """images (B, 3, H, W) in [0, 1] -> maps (B, channels[i], H / stride, W / stride), rounded up.

        Raises:
            ValueError: the network does not take this height or width.
        """
        maps = self._maps(self.normalise(images))
        if self._is_channels_last:
            maps = [one.permute(0, 3, 1, 2) for one in maps]
        chosen = [maps[index] for index in self._chosen]
        for level, stride in enumerate(STRIDES):
            found, size = chosen[level].shape[-2:], [math.ceil(side / stride) for side in images.shape[-2:]]
            if found[0] >= size[0] and found[1] >= size[1] and list(found) != size:
                chosen[level] = F.adaptive_avg_pool2d(chosen[level], (size[0], size[1]))
            elif list(found) != size:
                chosen[level] = F.interpolate(chosen[level], size=size, mode="bilinear", align_corners=False)
        return chosen

    def _maps(self, images: Tensor) -> list[Tensor]:
        trunk, (height, width) = self.stages[0], images.shape[-2:]
        try:
            return self._run_trunk(trunk, images)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError) as error:
            if _takes(trunk, height, width):
                raise
            raise ValueError(f"{self._name} does not take {height}x{width} px; {_allowed(trunk)}.") from error

    def _run_trunk(self, trunk: nn.Module, images: Tensor) -> list[Tensor]:
        if not (self.checkpointing and self.training):
            return trunk(images)
        # Looked up each time: layers may have been replaced since, such as by those that normalise over ranks.
        layers = batch_norms(trunk)
        for layer, momentum in zip(layers, self._momenta, strict=True):
            layer.momentum = momentum
        maps = trunk(images)
        # A recomputed forward pass sees the same batch again; the running statistics must not see it twice.
        for layer in layers:
            layer.momentum = 0.0
        return maps

    @property
    def checkpointing(self) -> bool:
        """Whether timm recomputes activations in the backward pass."""
        return self._checkpointing

    @checkpointing.setter
    def checkpointing(self, is_on: bool) -> None:
        if is_on:
            trunk: Any = self.stages[0]
            # Extractors that hook into a whole network keep it as `model`.
            owner: Any = trunk if hasattr(trunk, "set_grad_checkpointing") else getattr(trunk, "model", None)
            try:
                owner.set_grad_checkpointing(True)
            except (AttributeError, AssertionError) as error:
                raise ValueError(f"gradient_checkpointing is on, but {self._name} has none; turn it off.") from error
        self._checkpointing = is_on


def build_timm(name: str, weights: str, *, drop_path: float = 0.0) -> TimmBackbone:
    """Builds the network `timm:NAME` with its weights.

    Raises:
        ValueError: no such network, or weights that cannot be loaded or do not fit.
    """
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    known, is_export = known_package(weights), False
    # Of the images behind the weights of this name; ImageNet's where timm knows of none.
    mean, deviation = IMAGENET_MEAN, IMAGENET_DEVIATION
    if known:
        mean, deviation = known.mean, known.deviation
    elif published := timm_package().get_pretrained_cfg(name.removeprefix(TIMM)):
        mean, deviation = published.mean, published.std
    if weights not in ("scratch", "imagenet"):
        is_export = any(key.startswith("backbone.stages.") for key in read_state_dict(weights))
    if weights != "scratch" and not is_export:
        options["pretrained"] = True
    if weights not in ("scratch", "imagenet") and not is_export:
        options["pretrained_cfg_overlay"] = {"state_dict": whole_with(name, weights).state_dict()}
    with checked_tensors(name):
        trunk = _create(name, **options)
    backbone = TimmBackbone(name, trunk, Normalisation(mean, deviation, is_saved=True))
    if is_export:
        load_matching_weights(backbone, weights)
    return backbone


@lru_cache
def has_batch_norm(name: str) -> bool:
    with torch.device("meta"):
        return any(isinstance(layer, nn.BatchNorm2d) for layer in _create(name).modules())


@lru_cache
def has_drop_path(name: str) -> bool:
    try:
        with torch.device("meta"):
            _create(name, drop_path_rate=0.1)
    except ValueError:
        return False
    return True


def _create(name: str, **options: Any) -> nn.Module:
    for any_size in _ANY_SIZE:
        try:
            return timm_package().create_model(name.removeprefix(TIMM), features_only=True, **any_size, **options)
        except TypeError as error:
            refused = error
        except (OSError, RuntimeError, AttributeError, NotImplementedError) as error:
            if options.get("pretrained"):
                raise ValueError(
                    f"The weights of {name} could not be loaded ({type(error).__name__}). Fetch them where there is a "
                    "network, copy the file here, and give its path as weights."
                ) from error
            raise ValueError(f"{name} gives no feature maps ({error}); choose another.") from error
    raise ValueError(f"{name} cannot be built with {', '.join(options) or 'feature maps'}: {refused}.")


def _nearest(stride: int, strides: list[int]) -> int:
    """Index of the deepest map whose stride is nearest, in octaves."""
    return min(reversed(range(len(strides))), key=lambda index: abs(math.log2(strides[index] / stride)))


def _takes(trunk: nn.Module, height: int, width: int) -> bool:
    """Whether the network accepts images of this size, tested with shapes only."""
    tensors = {**dict(trunk.named_parameters()), **dict(trunk.named_buffers())}
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    try:
        functional_call(trunk, shapes, (torch.empty(2, 3, height, width, device="meta"),))
    except (AssertionError, RuntimeError, ValueError):
        return False
    return True


def _allowed(trunk: nn.Module) -> str:
    """Describes the image sizes that the network accepts, found by trying."""
    for multiple in _MULTIPLES:
        first = math.ceil(64 / multiple)
        if all(_takes(trunk, multiple * factor, multiple * factor) for factor in (first, first + 1, first + 2)):
            return f"give images whose height and width are multiples of {multiple} px"
    sides = [side for side in range(64, 513, 16) if _takes(trunk, side, side)]
    shown = ", ".join(f"{side}x{side}" for side in sides)
    return f"give images of {shown} px" if shown else "take another backbone"
