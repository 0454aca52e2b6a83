"""Colour of whole batches: each image with its own brightness, contrast, saturation and hue.

What: brightness scales, contrast stretches about the mean grey, saturation moves between grey and colour, and hue turns
the colour about the grey axis at equal luma; together they are one 3x3 matrix and one offset for each image, and values
are clamped once, at the end. Tones are posterised, solarised, spread to the full range or sharpened image by image.
Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012,
https://doi.org/10.1145/3065386; the factors are those of torchvision's ColorJitter, but for hue, which is turned in
the YIQ colour space instead of HSV, where it is linear.
Cost: one 3x3 product for each pixel. Off: factors of 1 and a turn of 0.
"""

import math

import torch
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import per_image, sent
from trainable.techniques.augment.contrastive_views import gaussian_blur

LUMA = (0.299, 0.587, 0.114)
SHARPENING_SIGMA_PX = 1.0
_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def jitter_colour(
    images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue_turns: Tensor
) -> Tensor:
    """Jitters images [B, 3, H, W] in [0, 1] by factors (1: unchanged) and a hue shift (0: unchanged), each [B]."""
    brightness, contrast, saturation, hue_turns = (
        sent(values, images, torch.float32) for values in (brightness, contrast, saturation, hue_turns)
    )
    shares = saturation[:, None, None]
    greys = sent(torch.tensor(LUMA), saturation).expand(3, 3)
    saturations = shares * torch.eye(3, device=images.device) + (1.0 - shares) * greys
    matrices = _hue_matrices(hue_turns) @ saturations * (brightness * contrast)[:, None, None]
    luma = sent(torch.tensor(LUMA, dtype=images.dtype), images)[:, None, None]
    grey = brightness * (images * luma).sum(dim=1, keepdim=True).mean(dim=(1, 2, 3))
    offsets = (1.0 - contrast) * grey
    # One product for the whole batch, on pixels that lie in rows: on a CPU ten times faster than with channels last.
    pixels = images.contiguous().flatten(2)
    recoloured = torch.baddbmm(offsets[:, None, None].to(images.dtype), matrices.to(images.dtype), pixels)
    return recoloured.view(images.shape).clamp_(0.0, 1.0)


def posterise(images: Tensor, levels: Tensor) -> Tensor:
    """Reduces each channel to this many levels, [B]."""
    steps = per_image(sent(levels, images, images.dtype))
    return (images * steps).floor().minimum(steps - 1) / (steps - 1)


def solarise(images: Tensor, threshold: Tensor) -> Tensor:
    """Inverts values from the threshold [B] on."""
    return torch.where(images >= per_image(sent(threshold, images, images.dtype)), 1.0 - images, images)


def spread_tones(images: Tensor, share: Tensor) -> Tensor:
    """Moves each channel by a share [B] towards using the full range."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    spread = torch.where(high > low, (images - low) / (high - low).clamp_min(1e-6), images)
    return images.lerp(spread, per_image(sent(share, images, images.dtype)))


def sharpen(images: Tensor, amount: Tensor) -> Tensor:
    """Adds `amount` [B] of the difference from a blurred copy; negative amounts blur."""
    soft = gaussian_blur(images, torch.full((len(images),), SHARPENING_SIGMA_PX))
    return (images + per_image(sent(amount, images, images.dtype)) * (images - soft)).clamp(0.0, 1.0)


def _hue_matrices(turns: Tensor) -> Tensor:
    # Inverted on the CPU: on a GPU it would wait for the device, to learn whether there is an inverse.
    to_yiq = torch.tensor(_TO_YIQ)
    from_yiq, to_yiq = sent(torch.linalg.inv(to_yiq), turns), sent(to_yiq, turns)
    angles = 2.0 * math.pi * turns
    turned = torch.eye(3, device=turns.device).repeat(len(turns), 1, 1)
    turned[:, 1, 1] = turned[:, 2, 2] = angles.cos()
    turned[:, 1, 2], turned[:, 2, 1] = -angles.sin(), angles.sin()
    return from_yiq @ turned @ to_yiq
