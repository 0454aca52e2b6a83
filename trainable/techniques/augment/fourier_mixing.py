"""Fourier mixing: an image takes over the broad colours and light of another one and keeps its own details.

What: the spectrum of image 1 is moved towards that of image 2 at low frequencies only, by the weight
`mixing * exp(-(d / sigma)^2)`, where d is the distance from the zero frequency and 1 is the corner of the spectrum.
"amplitude" moves the amplitudes and keeps the phase of image 1, which carries structure; "complex" moves amplitude
and phase together along the straight line between the two numbers, a low-pass cross-fade. Objects stay where image 1
has them, so its mask stays right and binary.
Source: Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020,
https://arxiv.org/abs/2004.05498, which swaps a square of the spectrum; the smooth weight here leaves no ringing and
means the same at every resolution. A relative for camouflage that learns its weight: "CamoFA", WACV 2025.
Cost: two forward and one inverse FFT an image; about 5 ms for one of 352 x 352 on one CPU core.
Off: `mixing=0`, or `p_fourier=0` in the progressive augmentation.
"""

import math

import torch
from torch import Tensor

from trainable.techniques.augment.batch_augmentation import sent

_CORNER_CYCLES_PER_PX = 0.5 * math.sqrt(2.0)
_SMALLEST_POWER = 1e-24


def fourier_mixing(
    images1: Tensor,
    images2: Tensor,
    *,
    mixing: float | Tensor,
    sigma: float = 0.15,
    blend: str = "amplitude",
    value_range: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Image 1 with a share `mixing` in [0, 1] of image 2's low frequencies.

    Args:
        images1: [..., C, H, W], the content images.
        images2: same shape, the images whose low frequencies are borrowed.
        mixing: one number, or one per image with shape [...].
        sigma: width of the borrowed band, as a part of the way from the zero frequency to the spectrum's corner.
        blend: what is borrowed, see the module.
        value_range: the result is clamped to it.
    """
    if images1.shape != images2.shape:
        raise ValueError(
            f"Fourier mixing got images of shape {tuple(images1.shape)} and {tuple(images2.shape)}; "
            "both need the same shape: resize one of them first."
        )
    if not sigma > 0:
        raise ValueError(f"fourier sigma is {sigma}, but must be above 0; to switch the mixing off use mixing=0.")
    if blend not in _CHANGES:
        raise ValueError(f"blend is {blend!r}, but must be one of {', '.join(_CHANGES)}.")
    height, width = images1.shape[-2:]
    with torch.autocast(images1.device.type, enabled=False):
        content = images1.float()
        share = sent(torch.as_tensor(mixing, dtype=torch.float32), images1)[..., None, None, None]
        weight = share * low_pass(height, width, sigma=sigma, device=images1.device)
        spectrum1, spectrum2 = torch.fft.rfft2(content), torch.fft.rfft2(images2.float())
        change = _CHANGES[blend](spectrum1, spectrum2, weight)
        # Only the change is transformed back: where nothing is borrowed, image 1 stays as it is to the bit.
        mixed = torch.fft.irfft2(change, s=(height, width)).add_(content).clamp_(*value_range)
    return mixed.to(images1.dtype)


def low_pass(height: int, width: int, *, sigma: float, device: torch.device | str = "cpu") -> Tensor:
    """Gaussian weight on the grid of `rfft2`, [H, W // 2 + 1]: 1 at the zero frequency."""
    rows = torch.fft.fftfreq(height, device=device)[:, None]
    columns = torch.fft.rfftfreq(width, device=device)[None, :]
    distance = torch.hypot(rows, columns) / _CORNER_CYCLES_PER_PX
    return torch.exp(-((distance / sigma) ** 2))


def derangement(count: int, generator: torch.Generator) -> Tensor:
    """Draws a partner for each of `count` images, never itself, by one random shift of the indices, [count]."""
    step = int(torch.randint(1, max(count, 2), (), generator=generator))
    return torch.arange(count).roll(step)


def _amplitude_change(spectrum1: Tensor, spectrum2: Tensor, weight: Tensor) -> Tensor:
    power1, power2 = (one.real.square().addcmul_(one.imag, one.imag) for one in (spectrum1, spectrum2))
    ratio = power2.div_(power1.clamp_min_(_SMALLEST_POWER)).sqrt_()
    return spectrum1.mul_(ratio.sub_(1.0).mul_(weight))


_CHANGES = {
    "amplitude": _amplitude_change,
    "complex": lambda spectrum1, spectrum2, weight: spectrum2.sub_(spectrum1).mul_(weight),
}
