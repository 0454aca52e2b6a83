"""Disease-focused cross-attention: what the picture shows asks where the colour spectrum is not a healthy leaf's.

What: each token of the image attends to tokens of five planes that follow from the colours of every pixel (the green
and the red excess, two normalised differences and the saturation), which brighten where a leaf turns brown or yellow
whatever the light. Queries come from the image, keys and values from the planes; the result is added to the tokens.
Sources: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, https://arxiv.org/abs/1706.03762; Woebbecke et al.,
    "Color Indices for Weed Identification", 1995, https://doi.org/10.13031/2013.27838; Meyer and Camargo Neto,
    "Verification of color vegetation indices", 2008, https://doi.org/10.1016/j.compag.2008.03.009 (red excess).
Cost: one strided convolution over the planes and one attention over the tokens of the last stage.
Off: `spectral_attention=False`.
"""

import torch
from torch import Tensor, nn

NUM_PLANES = 5
_FAINT = 0.05


def spectral_planes(images: Tensor) -> Tensor:
    """Computes from images (B, 3, H, W) in [0, 1] five planes (B, 5, H, W) that hardly depend on brightness."""
    red, green, blue = images.float().unbind(dim=1)
    total = red + green + blue + _FAINT
    r, g, b = red / total, green / total, blue / total
    largest, smallest = images.float().amax(dim=1), images.float().amin(dim=1)
    planes = (
        2 * g - r - b,
        1.4 * r - g,
        (green - red) / (green + red + _FAINT),
        (red - blue) / (red + blue + _FAINT),
        (largest - smallest) / (largest + _FAINT),
    )
    return torch.stack(planes, dim=1)


class SpectralAttention(nn.Module):
    """Adds to image tokens their attention over the spectral planes.

    Args:
        channels: D of the tokens.
        num_heads: of the attention; divides the channels.
        stride_px: side of the pixels that one token stands for.
    """

    def __init__(self, channels: int, *, num_heads: int, stride_px: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(NUM_PLANES, channels, stride_px, stride_px)
        self.norm_queries, self.norm_keys = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, num_heads, batch_first=True)

    def forward(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Tokens (B, h, w, D) of images (B, 3, H, W) in [0, 1] to tokens of the same shape."""
        spectrum = self.norm_keys(self.embed(spectral_planes(images)).flatten(2).transpose(1, 2))
        queries = self.norm_queries(tokens.flatten(1, 2))
        found, _ = self.attention(queries, spectrum, spectrum, need_weights=False)
        return tokens + found.view_as(tokens)
