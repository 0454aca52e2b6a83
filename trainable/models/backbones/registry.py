"""Backbones with one shape: images in [0, 1] in, four maps at strides 4, 8, 16 and 32 out.

"small" is the project's own encoder, timm:NAME a network of timm; the others are torchvision's classifiers without
their heads, cut into four stages. Each normalises its input itself. Weights are "scratch", "imagenet" (torchvision's or
timm's own, downloaded once), the path of a file or folder with a state dict, or package:NAME of an installed package.
"""

import difflib

from trainable.configuration.fields import unknown_name
from trainable.models.backbones import timm_backbone
from trainable.models.backbones.backbone import Backbone
from trainable.models.backbones.small_encoder import build_small
from trainable.models.backbones.timm_weights import TIMM, timm_package
from trainable.models.backbones.torchvision_backbone import CUTS, build_torchvision

BACKBONES = ("small", *CUTS)
WITHOUT_BATCH_NORM = ("small", "convnext_tiny")
WITH_DROP_PATH = ("efficientnet_b0", "efficientnet_v2_s", "convnext_tiny")


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
        ValueError: an unknown name, weights that cannot be loaded, or a file that does not fit.
    """
    if name.startswith(TIMM):
        backbone: Backbone = timm_backbone.build_timm(name, weights, drop_path=drop_path)
    elif name == "small":
        backbone = build_small(weights)
    else:
        check_backbone(name)
        options = {"stochastic_depth_prob": drop_path} if name in WITH_DROP_PATH else {}
        backbone = build_torchvision(name, weights, options)
    backbone.batch_norm_frozen = freeze_batch_norm
    return backbone.train()


def check_backbone(name: str) -> None:
    """Raises ValueError for a name that is neither one of BACKBONES nor a network of timm, and without timm."""
    if not name.startswith(TIMM):
        if name not in BACKBONES:
            raise ValueError(unknown_name("backbone", name, BACKBONES))
        return
    timm, bare = timm_package(), name.removeprefix(TIMM)
    if not timm.is_model(bare.partition(".")[0]):
        nearest = difflib.get_close_matches(bare, timm.list_models(), n=1)
        hint = f"did you mean {TIMM}{nearest[0]}?" if nearest else "timm.list_models() in Python lists them."
        raise ValueError(f"{name} is not a network of timm; {hint}")


def has_batch_norm(name: str) -> bool:
    """Whether a backbone has layers that keep running statistics."""
    if name.startswith(TIMM):
        return timm_backbone.has_batch_norm(name)
    return name not in WITHOUT_BATCH_NORM


def check_pretrained_batch_norm(name: str, weights: str) -> None:
    """Raises ValueError if there are no statistics of pre-trained weights to keep."""
    if weights == "scratch" or not has_batch_norm(name):
        raise ValueError(
            f"freeze_batch_norm needs pre-trained BatchNorm layers, and {name} with weights {weights} has none; "
            "turn it off."
        )


def has_drop_path(name: str) -> bool:
    """Whether a backbone supports drop path."""
    if name.startswith(TIMM):
        return timm_backbone.has_drop_path(name)
    return name in WITH_DROP_PATH
