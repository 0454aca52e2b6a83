"""Checks that a network takes the views of the final test, which would otherwise fail after the training."""

from torch import nn

from trainable.models.camouflage_net import CamouflageNetConfig
from trainable.models.user_network import check_mask
from trainable.techniques.test_time_augmentation import MaskViewsConfig


def check_views(
    views: MaskViewsConfig, size_px: tuple[int, int], model: CamouflageNetConfig, network: nn.Module
) -> None:
    """Raises ValueError for a scale at which the network takes no images of this height and width."""
    for scale, scaled_px in zip(views.tta_scales, views.sizes_px(size_px), strict=True):
        try:
            if scaled_px != size_px:
                check_mask(model.network or model.backbone, network, scaled_px)
        except ValueError as error:
            raise ValueError(f"tta_scales has {scale:g}: {error}") from error
