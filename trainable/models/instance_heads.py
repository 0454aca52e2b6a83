"""Torchvision's region proposals and box and mask heads, sized for small tiles with many round crowns."""

from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

LEVELS = ("0", "1", "2", "3")
_BOX_PX, _MASK_PX = 7, 10
_BOX_FEATURES = 128
_MIN_SCORE = 0.05


def build_proposals(width: int, *, anchor_px: int) -> RegionProposalNetwork:
    """Square anchors, one size a level: a crown is as wide as it is high."""
    sizes = tuple((anchor_px * 2**level,) for level in range(len(LEVELS)))
    anchors = AnchorGenerator(sizes, ((1.0,),) * len(LEVELS))
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


def build_roi_heads(width: int, *, num_classes: int, max_detections: int) -> RoIHeads:
    """Boxes, their classes and masks; class 0 is the background."""
    return RoIHeads(
        box_roi_pool=MultiScaleRoIAlign(list(LEVELS), output_size=_BOX_PX, sampling_ratio=2),
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
        mask_roi_pool=MultiScaleRoIAlign(list(LEVELS), output_size=_MASK_PX, sampling_ratio=2),
        mask_head=MaskRCNNHeads(width, (width, width), dilation=1),
        mask_predictor=MaskRCNNPredictor(width, width, num_classes + 1),
    )
