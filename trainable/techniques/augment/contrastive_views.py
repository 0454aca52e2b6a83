"""Contrastive views: each image beside a copy with other light, blurred or mirrored.

What: the anchor is the image itself, the positive the same image with its own random brightness, contrast, Gaussian
blur and horizontal flip. `ViewPair` knows which positives were flipped, so that dense features of the two views can be
compared pixel by pixel. Each image has its own draws. Serves metric learning, consistency regularisation and
self-supervised pre-training.
Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (SimCLR), ICML 2020,
https://arxiv.org/abs/2002.05709; views that are aligned before they are compared: Pinheiro et al., "Unsupervised
Learning of Dense Visual Representations", NeurIPS 2020, https://arxiv.org/abs/2011.05499.
Cost: a few passes over the pixels, and two weighted sums of shifted copies for the images that are blurred; on average
1.2 ms for one of 352 x 352 at full probability and magnitude on one CPU core.
Off: `probability=0`, or `p_contrastive=0` in the progressive augmentation.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import per_image, sent

MAX_BRIGHTNESS_CHANGE = 0.5
MAX_CONTRAST_CHANGE = 0.5
MAX_BLUR_SIGMA_PX = 2.0
BLUR_SHARE = 0.5
FLIP_SHARE = 0.5
_MIN_BLUR_SIGMA_PX = 0.1
_SIGMAS_IN_KERNEL = 3.0
_CACHED_PIXELS = 2**17


@dataclass(frozen=True, slots=True)
class ViewPair:
    """Two views of a batch: images [B, 3, H, W], masks [B, 1, H, W], and which positives are mirrored, [B] bool."""

    anchor: Tensor
    positive: Tensor
    anchor_masks: Tensor
    positive_masks: Tensor
    flipped: Tensor

    def undo_geometry(self, features: Tensor) -> Tensor:
        """Maps of the positive view, [B, C, h, w] of any size, laid over those of the anchor: mirrored where it is."""
        return torch.where(per_image(self.flipped), features.flip(-1), features)


def contrastive_views(
    images: Tensor, masks: Tensor, *, probability: float, magnitude: float, generator: torch.Generator
) -> ViewPair:
    """Images [B, 3, H, W] in [0, 1] and masks [B, 1, H, W] beside a randomly changed second view of each.

    Args:
        probability: of new brightness and contrast; blur and flip come half as often.
        magnitude: in [0, 1]; at 1 brightness and contrast change by up to 50 % and the blur has a sigma up to 2 px.
        generator: on the CPU, whatever device the images are on.
    """
    count = len(images)
    chance, size = torch.rand(2, 3, count, generator=generator)
    recoloured, blurred, flipped = chance < probability * torch.tensor([1.0, BLUR_SHARE, FLIP_SHARE])[:, None]
    limits = torch.tensor([MAX_BRIGHTNESS_CHANGE, MAX_CONTRAST_CHANGE])[:, None]
    brightness, contrast = 1.0 + recoloured * magnitude * (limits * (2.0 * size[:2] - 1.0))
    sigma_px = (size[2] * magnitude * MAX_BLUR_SIGMA_PX).clamp_min(_MIN_BLUR_SIGMA_PX)
    positive = adjust_colour(images, sent(brightness, images), sent(contrast, images))
    if blurred.any():
        for rows in blurred.nonzero().squeeze(1).split(_cached_images(images)):
            on_device = sent(rows, images)
            positive[on_device] = _blur(positive[on_device], sigma_px[rows])
    positive.clamp_(0.0, 1.0)
    positive_masks = masks.clone()
    # One image at a time: gathering them first would read their pixels three times.
    for row in flipped.nonzero().squeeze(1).tolist():
        positive[row], positive_masks[row] = positive[row].flip(-1), masks[row].flip(-1)
    return ViewPair(images, positive, masks, positive_masks, sent(flipped, images))


def adjust_colour(images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Each image [B, C, H, W] scaled by its brightness [B], then stretched about its mean by its contrast [B]."""
    mean = images.mean(dim=(1, 2, 3))
    scale = brightness * contrast
    offset = brightness * mean * (1.0 - contrast)
    return (images * per_image(scale)).add_(per_image(offset))


def gaussian_blur(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Each image [B, C, H, W] blurred with its own sigma [B], mirrored at the border; separable."""
    count = _cached_images(images)
    return torch.cat([_blur(*part) for part in zip(images.split(count), sigma_px.split(count), strict=True)])


def _cached_images(images: Tensor) -> int:
    """Number of images [B, C, H, W] that fit in the CPU cache while they are blurred together."""
    return max(1, _CACHED_PIXELS // images[0, 0].numel())


def _blur(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Sums of shifted copies, which stay in the cache: twice as fast as a convolution with a kernel for each plane."""
    reach = min(math.ceil(_SIGMAS_IN_KERNEL * float(sigma_px.max())), *(side - 1 for side in images.shape[2:]))
    offsets_px = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = sent(torch.softmax(-0.5 * (offsets_px / sigma_px[:, None]) ** 2, dim=1), images, images.dtype).T
    for axis in (2, 3):
        size = images.shape[axis]
        before, after = (images.narrow(axis, start, reach).flip(axis) for start in (1, size - 1 - reach))
        wide, images = torch.cat([before, images, after], axis), torch.zeros_like(images)
        for shift, weight in enumerate(weights):
            images.addcmul_(wide.narrow(axis, shift, size), per_image(weight))
    return images
