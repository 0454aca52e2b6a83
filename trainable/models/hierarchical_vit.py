"""Hierarchical vision transformer: attention inside shifted windows, patches merged from stage to stage.

What: torchvision's shifted-window transformer without its head, in named sizes. The features of an image are the mean
of the last stage's normalised tokens.
Sources: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
    https://arxiv.org/abs/2103.14030; Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016,
    https://arxiv.org/abs/1603.09382 (drop path); Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016,
    https://arxiv.org/abs/1604.06174 (gradient checkpointing).
Cost: "small" has 0.1 M parameters, "documented" and "swin_t" 28 M.
"""

from dataclasses import dataclass
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.swin_transformer import Swin_T_Weights, SwinTransformer

from trainable.configuration.fields import unknown_name
from trainable.models.backbones.registry import (
    check_backbone,
    check_pretrained_batch_norm,
    has_drop_path,
)
from trainable.models.backbones.weight_files import read_state_dict, some_of
from trainable.models.user_network import UserNetworkConfig

ENCODER_PREFIX = "backbone."
"""Prefix of the encoder's tensors in the weights of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderShape:
    """Sizes of an encoder; depths and heads have one number for each stage."""

    patch_px: int
    """Side of the pixels that become one token of the first stage."""
    channels: int
    """Channels of the first stage; each later stage has twice as many."""
    depths: tuple[int, ...]
    """Blocks."""
    heads: tuple[int, ...]
    """Attention heads per stage; each must divide the channels of its stage."""
    window_tokens: int
    """Side of the attention windows in tokens."""


ENCODERS: dict[str, EncoderShape] = {
    "small": EncoderShape(patch_px=4, channels=32, depths=(2, 2), heads=(2, 4), window_tokens=4),
    "documented": EncoderShape(patch_px=16, channels=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window_tokens=8),
    "swin_t": EncoderShape(patch_px=4, channels=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window_tokens=7),
}
"""small trains on a CPU; documented is the one for 256 px; swin_t is the published one, with ImageNet weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig(UserNetworkConfig):
    """The encoder and its initial weights."""

    encoder: str = "small"
    """One of ENCODERS."""
    backbone: str | None = None
    """One of `trainable.models.backbones.registry.BACKBONES` or timm:NAME, in place of `encoder`; None: the encoder."""
    weights: str = "scratch"
    """"scratch", "imagenet" (swin_t and a `backbone`), or the path of weights that a pre-training exported; with a
    `backbone` whatever that takes."""
    freeze_batch_norm: bool | None = None
    """Keep the running statistics of a pre-trained `backbone`; None: no."""
    drop_path: float = 0.0
    """Chance that the deepest residual branch is skipped while training, in [0, 1); the others less, in proportion."""

    def __post_init__(self) -> None:
        self.check_network()
        if self.encoder not in ENCODERS:
            raise ValueError(unknown_name("encoder", self.encoder, ENCODERS))
        if self.backbone is not None:
            check_backbone(self.backbone)
            if self.drop_path and not has_drop_path(self.backbone):
                raise ValueError(f"drop_path is {self.drop_path}, but {self.backbone} has none; set it to 0.")
        elif self.weights == "imagenet" and self.encoder != "swin_t":
            raise ValueError(
                f"The encoder {self.encoder} has no ImageNet weights; set encoder to swin_t, or weights to scratch or "
                "the path of exported weights."
            )
        if self.freeze_batch_norm and self.backbone is None:
            raise ValueError(f"freeze_batch_norm is on, but the encoder {self.encoder} has no BatchNorm; turn it off.")
        if self.freeze_batch_norm and self.backbone is not None:
            check_pretrained_batch_norm(self.backbone, self.weights)
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path is {self.drop_path}; it must lie in [0, 1).")


class HierarchicalEncoder(nn.Module):
    """Images (B, 3, H, W) in [0, 1], any H and W from one patch on, to tokens of the last stage.

    Raises:
        ValueError: the weights cannot be loaded, or are those of another encoder.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        shape = ENCODERS[config.encoder]
        growth = 2 ** (len(shape.depths) - 1)
        self.num_features, self.num_heads = shape.channels * growth, shape.heads[-1]
        self.stride_px = shape.patch_px * growth
        """Pixels of the image for each token of the last stage, along a side."""
        self.checkpointing = False
        """Keep only what is between the stages and compute the rest again in the backward pass."""
        swin = SwinTransformer(
            patch_size=[shape.patch_px] * 2,
            embed_dim=shape.channels,
            depths=list(shape.depths),
            num_heads=list(shape.heads),
            window_size=[shape.window_tokens] * 2,
            stochastic_depth_prob=config.drop_path,
            num_classes=1,
        )
        if config.weights == "imagenet":
            _load_imagenet(swin)
        self.features, self.norm = swin.features, swin.norm
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)
        if config.weights not in ("scratch", "imagenet"):
            load_encoder(self, config.weights)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised tokens (B, h, w, D) of the last stage; their mean over h and w is an image's features."""
        tokens = (images - self.mean) / self.spread
        for stage in self.features:
            if self.checkpointing and self.training:
                tokens = checkpoint(stage, tokens, use_reentrant=False)
            else:
                tokens = stage(tokens)
        return self.norm(tokens)


def load_encoder(encoder: nn.Module, path: str) -> None:
    """Loads the encoder from exported weights, which must have exactly its tensors.

    Raises:
        ValueError: no such file, no encoder in it, or that of another architecture.
    """
    found = {
        name.removeprefix(ENCODER_PREFIX): tensor
        for name, tensor in read_state_dict(path).items()
        if name.startswith(ENCODER_PREFIX)
    }
    wanted = encoder.state_dict()
    if not found:
        raise ValueError(f"{path} holds no encoder; give the weights.pt that the export of leaf_pretrain wrote.")
    missing, unexpected = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    reshaped = [name for name in wanted.keys() & found.keys() if wanted[name].shape != found[name].shape]
    if missing or unexpected or reshaped:
        raise ValueError(
            f"{path} holds another encoder than this one: missing {some_of(missing)}, not expected "
            f"{some_of(unexpected)}, of another shape {some_of(reshaped)}. Set encoder to the one that was pre-trained."
        )
    encoder.load_state_dict(found)


def _load_imagenet(swin: SwinTransformer) -> None:
    weights = Swin_T_Weights.DEFAULT
    try:
        found = weights.get_state_dict(check_hash=True)
    except URLError as error:
        raise ValueError(
            f"The ImageNet weights of swin_t could not be downloaded ({error.reason}). Fetch {weights.url} where there "
            "is a network and put it into torch's hub folder, or set weights to scratch."
        ) from error
    swin.load_state_dict({name: tensor for name, tensor in found.items() if not name.startswith("head.")}, strict=False)
