"""Gradual unfreezing: the heads of a pre-trained network train alone first, then its backbone from the top down.

What: milestones (fraction of the budget, share of the backbone's blocks that train from then on). A frozen block gets
no gradient, so that neither weight decay nor a moment moves it, and it runs in evaluation mode: its BatchNorm keeps
its statistics and an average of the weights stays where it is. Every parameter is in the optimizer from the start and
follows the schedule; a block that is unfrozen starts with zero moments at the current rate.
Source: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018,
https://arxiv.org/abs/1801.06146.
Cost: negative, frozen blocks need no backward pass. Off: `unfreezing=None`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

Milestones = tuple[tuple[float, float], ...]
"""(fraction of the budget, share of the blocks that train from then on), in order of time."""

STEPS_OF_50_EPOCHS: Milestones = ((0.0, 0.0), (0.12, 0.25), (0.22, 0.5), (0.32, 1.0))
"""Heads alone for 6 of 50 epochs, then the top quarter, from epoch 11 the top half, from epoch 16 all."""

_CONTAINERS = (nn.Sequential, nn.ModuleList)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezingConfig:
    """Milestones at which more of the backbone starts to train."""

    milestones: Milestones = STEPS_OF_50_EPOCHS
    """Pairs (fraction of the budget in [0, 1), share of the backbone in [0, 1]); from the first epoch to all of it."""

    def __post_init__(self) -> None:
        starts, shares = zip(*self.milestones, strict=True) if self.milestones else ((), ())
        in_time = starts[:1] == (0.0,) and all(before < after < 1 for before, after in pairwise(starts))
        if not in_time or not all(before <= after for before, after in pairwise(shares)) or shares[0] < 0:
            raise ValueError(
                f"milestones is {self.milestones}; they start at (0, share), their fractions of the budget rise and "
                "stay below 1, their shares lie from 0 to 1 and never fall."
            )
        if shares[-1] != 1:
            raise ValueError(
                f"milestones ends with share {shares[-1]}; it must be 1, so that every block is trained at the end. "
                "A backbone that stays frozen is backbone_lr_ratio=0."
            )


def unfrozen_share(milestones: Milestones, fraction: float) -> float:
    """The share of the blocks that train at `fraction` of the budget."""
    # An epoch that was divided by the budget and multiplied by it again may be a little less than itself.
    return [share for start, share in milestones if start <= fraction + 1e-9][-1]


def blocks_in_order(backbone: nn.Module) -> list[nn.Module]:
    """The blocks with parameters that a backbone is run through, bottom first; rows of blocks are opened.

    What only wraps another module, as around a network of timm, is that module.
    """
    children = _with_parameters(backbone)
    if len(children) == 1 and len(_with_parameters(children[0])) > 0:
        return blocks_in_order(children[0])
    return [block for child in _with_parameters(backbone) for block in _opened(child)]


class GradualUnfreezing:
    """Freezes the lower blocks of one backbone; has no state to save, since everything follows from the epoch.

    Args:
        backbone: the part of the model that can be frozen; whatever else the model has always trains.
        total_epochs: the planned budget, of which the milestones are fractions.
    """

    def __init__(self, backbone: nn.Module, milestones: Milestones, *, total_epochs: float) -> None:
        self.backbone = backbone
        self.milestones = milestones
        self.total_epochs = total_epochs
        self.current_share = unfrozen_share(milestones, 0.0)

    def update_epoch(self, epoch: float) -> None:
        """Call it before each training epoch, after `model.train()`, which puts frozen blocks into training mode."""
        self.current_share = unfrozen_share(self.milestones, epoch / self.total_epochs)
        # Looked up each time: layers may have been replaced since, such as by SyncedBatchNorm.
        blocks = blocks_in_order(self.backbone)
        num_frozen = len(blocks) - math.ceil(self.current_share * len(blocks))
        for index, block in enumerate(blocks):
            block.requires_grad_(index >= num_frozen)
            if index < num_frozen:
                block.eval()


def _opened(module: nn.Module) -> Iterator[nn.Module]:
    children = _with_parameters(module)
    if type(module) in _CONTAINERS and any(_with_parameters(child) for child in children):
        for child in children:
            yield from _opened(child)
    else:
        yield module


def _with_parameters(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.children() if any(True for _ in child.parameters())]
