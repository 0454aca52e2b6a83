"""Tree crowns from the air: Mask R-CNN, and three dense heads on the same pyramid.

What: the pyramid feeds torchvision's region proposals with box and mask heads (instances), and, its levels summed at
stride 4, three maps: semantic classes, crown or not, and trees per area. The images of a batch have one size, so that
nothing is resized on the way.
Sources: Kaiming He et al., "Mask R-CNN", 2017, https://arxiv.org/abs/1703.06870; Alexander Kirillov et al., "Panoptic
    Feature Pyramid Networks", 2019, https://arxiv.org/abs/1901.02446 (dense heads on the sum of the levels).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, paste_masks_in_image
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from trainable.models.backbone_config import BackboneConfig, BackboneNetwork, check_pyramid_channels, check_sides
from trainable.models.output import ModelOutput

MASK_THRESHOLD = 0.5
_LEVELS = ("0", "1", "2", "3")
_BOX_PX, _MASK_PX = 7, 10
_BOX_FEATURES = 128
_MIN_SCORE = 0.05
_SMALLEST = {"num_instance_classes": 1, "num_semantic_classes": 2, "anchor_px": 4, "max_detections": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownNetConfig(BackboneConfig):
    """Architecture of the network."""

    pyramid_channels: int = 32
    """Channels of the pyramid and of the heads, a multiple of 8."""
    num_instance_classes: int = 3
    """Kinds of crowns, background not counted, 1 or more."""
    num_semantic_classes: int = 6
    """Classes of the semantic map, 2 or more."""
    anchor_px: int = 12
    """Side of the smallest anchor box, about the smallest crown's; each of the three coarser levels doubles it."""
    max_detections: int = 40
    """Crowns that are reported for an image, the surest; COCO's metrics look at no more than 100."""

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        self.refuse_network("agroforestry")
        check_pyramid_channels(self.pyramid_channels)
        for name, low in _SMALLEST.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; give {low} or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrownOutput(ModelOutput):
    """`predictions` are the semantic logits (B, S, H, W)."""

    crown_logits: Tensor
    """Shape (B, H, W)."""
    density: Tensor
    """Trees per 1,000 square pixels, >= 0, shape (B, H / 4, W / 4)."""
    detections: list[dict[str, Tensor]] = field(default_factory=list)
    """Detections of each image, in evaluation: boxes (n, 4), labels and scores (n,), masks (n, H, W) of 0 and 1."""
    instance_losses: Mapping[str, Tensor] = field(default_factory=dict)
    """Losses of proposals, boxes and masks by torchvision, in training with targets."""


class _Maps(TypedDict):
    predictions: Tensor
    crown_logits: Tensor
    density: Tensor


class CrownNet(BackboneNetwork):
    """Images (B, 3, H, W) in [0, 1], H and W of at least MIN_SIDE_PX."""

    def __init__(self, config: CrownNetConfig) -> None:
        super().__init__()
        width = config.pyramid_channels
        self.backbone = config.build_backbone()
        self.pyramid = FeaturePyramidNetwork(list(self.backbone.channels), width)
        self.proposals = _build_proposals(width, anchor_px=config.anchor_px)
        self.instances = _build_roi_heads(
            width, num_classes=config.num_instance_classes, max_detections=config.max_detections
        )
        self.semantic_head = _head(width, config.num_semantic_classes)
        self.crown_head = _head(width, 1)
        self.density_head = _head(width, 1)

    def forward(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]] | None = None) -> CrownOutput:
        """Maps of all images; in training the losses of instances, in evaluation the detections.

        Args:
            targets: in training, of the first images of the batch, as torchvision's detection takes them: boxes
                (n, 4) in px as left, top, right, bottom, labels (n,) from 1, masks (n, H, W) of 0 and 1. Images beyond
                have no instances to learn.

        Raises:
            ValueError: a side is below 32 px.
        """
        check_sides(images)
        maps = self.backbone(images)
        levels = self.pyramid(OrderedDict((str(level), one) for level, one in enumerate(maps)))
        dense = self._dense(levels, size=images.shape[-2:])
        if not self.training:
            return CrownOutput(**dense, detections=self._detected(images, levels))
        return CrownOutput(**dense, instance_losses=self._instance_losses(images, levels, targets or ()))

    def _dense(self, levels: Mapping[str, Tensor], *, size: torch.Size) -> _Maps:
        finest, *coarser = levels.values()
        fused = finest + sum(F.interpolate(one, size=finest.shape[-2:], mode="nearest") for one in coarser)
        semantic, crown = (
            F.interpolate(head(fused), size=size, mode="bilinear", align_corners=False)
            for head in (self.semantic_head, self.crown_head)
        )
        density = F.softplus(self.density_head(fused).float())
        return {"predictions": semantic, "crown_logits": crown[:, 0], "density": density[:, 0]}

    def _instance_losses(
        self, images: Tensor, levels: Mapping[str, Tensor], targets: Sequence[Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Terms of the images that have targets, as means over them."""
        if not targets:
            return {}
        images, targets = images[: len(targets)], list(targets)
        levels = {name: level[: len(targets)] for name, level in levels.items()}
        listed = _listed(images)
        boxes, proposal_losses = self.proposals(listed, levels, targets)
        _, losses = self.instances(levels, boxes, listed.image_sizes, targets)
        return proposal_losses | losses

    def _detected(self, images: Tensor, levels: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        listed = _listed(images)
        boxes, _ = self.proposals(listed, levels)
        found, _ = self.instances(levels, boxes, listed.image_sizes)
        for one, size in zip(found, listed.image_sizes, strict=True):
            # From the frame of their boxes to that of the image.
            masks = paste_masks_in_image(one["masks"].float(), one["boxes"].float(), size)
            one["masks"] = (masks[:, 0] > MASK_THRESHOLD).to(torch.uint8)
        return found


def _build_proposals(width: int, *, anchor_px: int) -> RegionProposalNetwork:
    """Builds proposals with one square anchor per level, since crowns are about as wide as high."""
    sizes = tuple((anchor_px * 2**level,) for level in range(len(_LEVELS)))
    anchors = AnchorGenerator(sizes, ((1.0,),) * len(_LEVELS))
    return RegionProposalNetwork(
        anchors,
        RPNHead(width, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.6,
        bg_iou_thresh=0.3,
        batch_size_per_image=64,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 200, "testing": 200},
        post_nms_top_n={"training": 100, "testing": 100},
        nms_thresh=0.7,
    )


def _build_roi_heads(width: int, *, num_classes: int, max_detections: int) -> RoIHeads:
    """Boxes, their classes and masks; class 0 is the background."""
    return RoIHeads(
        box_roi_pool=MultiScaleRoIAlign(list(_LEVELS), output_size=_BOX_PX, sampling_ratio=2),
        box_head=TwoMLPHead(width * _BOX_PX**2, _BOX_FEATURES),
        box_predictor=FastRCNNPredictor(_BOX_FEATURES, num_classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=32,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=_MIN_SCORE,
        nms_thresh=0.5,
        detections_per_img=max_detections,
        mask_roi_pool=MultiScaleRoIAlign(list(_LEVELS), output_size=_MASK_PX, sampling_ratio=2),
        mask_head=MaskRCNNHeads(width, (width, width), dilation=1),
        mask_predictor=MaskRCNNPredictor(width, width, num_classes + 1),
    )


def _head(width: int, num_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_outputs, 1))


def _listed(images: Tensor) -> Any:
    return ImageList(images, [tuple(images.shape[-2:])] * len(images))
