"""Random textures of one scale: white noise filtered in the Fourier domain and squashed to high contrast.

Source: own; filtering noise to a band is Lewis, "Algorithms for Solid Noise Synthesis" (SIGGRAPH 1989),
https://dl.acm.org/doi/10.1145/74334.74360
Cost: two real FFTs an image, under a millisecond at 96 px.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_RING_LOG_WIDTH = 0.35
_BAND_RELATIVE_WIDTH = 0.25
_CONTRAST = 2.5


def blotches(rng: np.random.Generator, size_px: int, *, cycles: float) -> NDArray[np.float32]:
    """Spots without direction.

    Args:
        cycles: spots and gaps across the image side; a log-normal ring around this frequency is kept.

    Returns:
        Values in (-1, 1), shape (size_px, size_px).
    """
    _, _, radius = _frequencies(size_px)
    transfer = np.exp(-0.5 * (np.log(np.maximum(radius, 0.5) / cycles) / _RING_LOG_WIDTH) ** 2)
    return _filtered_noise(rng, size_px, transfer)


def stripes(rng: np.random.Generator, size_px: int, *, cycles: float, direction: float) -> NDArray[np.float32]:
    """Wavy stripes across `direction` (radians); a Gaussian around one frequency is kept, otherwise as `blotches`."""
    across, down, _ = _frequencies(size_px)
    wave = cycles * np.array([np.cos(direction), np.sin(direction)])
    # A real image has no sign of frequency, and the half-plane that rfft keeps may hold the wave or its mirror image.
    squared_distance = np.minimum(
        (across - wave[0]) ** 2 + (down - wave[1]) ** 2, (across + wave[0]) ** 2 + (down + wave[1]) ** 2
    )
    return _filtered_noise(rng, size_px, np.exp(-0.5 * squared_distance / (_BAND_RELATIVE_WIDTH * cycles) ** 2))


def _filtered_noise(rng: np.random.Generator, size_px: int, transfer: NDArray[np.float32]) -> NDArray[np.float32]:
    noise = rng.standard_normal((size_px, size_px), dtype=np.float32)
    texture = np.fft.irfft2(np.fft.rfft2(noise) * transfer, s=noise.shape)
    return np.tanh(_CONTRAST * texture / texture.std()).astype(np.float32)


@lru_cache(maxsize=4)
def _frequencies(size_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Cycles per image side of every rfft2 coefficient: across, down, and their length."""
    across = np.fft.rfftfreq(size_px, 1 / size_px)[None, :].astype(np.float32)
    down = np.fft.fftfreq(size_px, 1 / size_px)[:, None].astype(np.float32)
    return across, down, np.hypot(across, down)
