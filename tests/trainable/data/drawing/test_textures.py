"""Promises of the textures, checked on their power spectra."""

import numpy as np
import pytest

from trainable.data.drawing.textures import blotches, stripes

SIZE_PX = 96


def power_spectrum(draw):
    """Mean power of 20 textures and the (down, across) frequency of every coefficient, in cycles per side."""
    textures = [draw(np.random.default_rng(seed)) for seed in range(20)]
    power = np.mean([np.abs(np.fft.fft2(texture - texture.mean())) ** 2 for texture in textures], axis=0)
    frequency = np.fft.fftfreq(SIZE_PX, 1 / SIZE_PX)
    down, across = np.meshgrid(frequency, frequency, indexing="ij")
    return power, down, across


@pytest.mark.parametrize("cycles", [5.0, 9.0, 16.0])
@pytest.mark.parametrize("kind", ["blotches", "stripes"])
def test_most_power_lies_around_the_cycles_asked_for(kind, cycles):
    def draw(rng):
        if kind == "blotches":
            return blotches(rng, SIZE_PX, cycles=cycles)
        return stripes(rng, SIZE_PX, cycles=cycles, direction=0.7)

    power, down, across = power_spectrum(draw)
    radius = np.hypot(down, across)
    share = power[(radius > 0.5 * cycles) & (radius < 2 * cycles)].sum() / power.sum()
    assert share > 0.8
    assert np.exp(np.average(np.log(radius.clip(0.5)), weights=power)) == pytest.approx(cycles, rel=0.3)


@pytest.mark.parametrize("direction", [0.0, 0.6, 1.5, 2.8])
def test_stripes_vary_along_their_direction_and_blotches_along_all(direction):
    def share_along(draw):
        power, down, across = power_spectrum(draw)
        cosine = np.cos(np.arctan2(down, across) - direction)
        return power[np.abs(cosine) > np.cos(np.pi / 4)].sum() / power.sum()

    assert share_along(lambda rng: stripes(rng, SIZE_PX, cycles=9.0, direction=direction)) > 0.9
    assert share_along(lambda rng: blotches(rng, SIZE_PX, cycles=9.0)) == pytest.approx(0.5, abs=0.05)


def test_contrast_does_not_depend_on_scale():
    spreads = [blotches(np.random.default_rng(0), SIZE_PX, cycles=cycles).std() for cycles in (5.0, 9.0, 16.0)]
    assert max(spreads) < 1.1 * min(spreads)
