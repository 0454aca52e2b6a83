"""Small folders of images and masks, written by the tests themselves."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WritePairs = Callable[..., list[str]]


def picture(name: str, size: tuple[int, int]) -> np.ndarray:
    """Noise that only this name has: uint8, shape (*size, 3)."""
    return np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (*size, 3), dtype=np.uint8)


def centred_mask(size: tuple[int, int], share: float) -> np.ndarray:
    """uint8 0 or 255 with a rectangle of about this share of the area in the middle."""
    mask = np.zeros(size, np.uint8)
    half = [max(1, round(side * share**0.5 / 2)) for side in size]
    rows, columns = (slice(side // 2 - extent, side // 2 + extent) for side, extent in zip(size, half, strict=True))
    mask[rows, columns] = 255
    return mask


@pytest.fixture
def write_pairs() -> WritePairs:
    def write(
        folder: Path,
        num_pairs: int = 10,
        *,
        images: str = "Imgs",
        masks: str = "GT",
        prefix: str = "img",
        ending=".png",
    ) -> list[str]:
        (folder / images).mkdir(parents=True, exist_ok=True)
        (folder / masks).mkdir(parents=True, exist_ok=True)
        names = [f"{prefix}_{number:03d}" for number in range(num_pairs)]
        for number, name in enumerate(names):
            Image.fromarray(picture(name, (32, 48))).save(folder / images / f"{name}{ending}")
            mask = centred_mask((32, 48), 0.05 + 0.3 * number / num_pairs)
            Image.fromarray(mask).save(folder / masks / f"{name}.png")
        return names

    return write
