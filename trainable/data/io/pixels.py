"""Bytes of the memory-mapped cache on their way into a batch: where they lie, which are taken, what they become."""

import numpy as np
import torch
from torch import Tensor

DEVICE_MEMORY_SHARE = 0.2
"""A set that takes less than this share of the free memory of a GPU is kept there whole."""


def place_pixels(array: np.ndarray, device: torch.device) -> np.ndarray | Tensor:
    """The mapped array itself, or a copy on the GPU where it takes little of the free memory."""
    if device.type == "cuda" and array.nbytes < DEVICE_MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]:
        return torch.from_numpy(np.array(array)).to(device)
    return array


def take(pixels: np.ndarray | Tensor, at: tuple[np.ndarray, ...]) -> Tensor:
    """Copies pixels by index, on whichever side they lie."""
    if isinstance(pixels, Tensor):
        return pixels[tuple(torch.from_numpy(part).to(pixels.device, non_blocking=True) for part in at)]
    return torch.from_numpy(pixels[at])


def as_images(pixels: Tensor) -> Tensor:
    """Bytes (B, H, W, 3) as float images (B, 3, H, W) in [0, 1]; the memory stays channels-last."""
    return pixels.permute(0, 3, 1, 2).float().div_(255.0)
