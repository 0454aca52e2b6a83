"""Progressive resolution: the first epochs train on small images, the rest on whole ones.

What: two stages within one budget. Learning rate, weights and moments continue across the change. Evaluation is always
at full resolution, so that epochs are comparable. As two trainings, the first is at low resolution throughout and the
second starts from its weights.
Source: Touvron et al., Fixing the Train-Test Resolution Discrepancy, 2019, https://arxiv.org/abs/1906.06423; Tan and
Le, EfficientNetV2: Smaller Models and Faster Training, 2021, https://arxiv.org/abs/2104.00298 (progressive learning).
Cost: none; an epoch at half the side takes about a quarter of the time in the convolutions.
Off: `progressive_resolution=None`.
"""

from dataclasses import dataclass

from trainable.configuration.share_of_epochs import share_of_epochs

_STEP_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressiveResolutionConfig:
    """The first stage."""

    low_resolution_fraction: float = 0.4
    """Share of the planned epochs at low resolution, above 0 to 1; 1 is the first of two trainings."""
    low_resolution_scale: float = 0.5
    """Side of the images in the first stage as a share of the whole, from 0.25 and below 1."""

    def __post_init__(self) -> None:
        if not 0.0 < self.low_resolution_fraction <= 1.0:
            raise ValueError(
                f"low_resolution_fraction is {self.low_resolution_fraction}; it must lie above 0, at most 1, off is "
                "none."
            )
        if not 0.25 <= self.low_resolution_scale < 1.0:
            raise ValueError(f"low_resolution_scale is {self.low_resolution_scale}; give 0.25 or more and less than 1.")

    def build(self, max_epochs: int) -> "ProgressiveResolution":
        return ProgressiveResolution(self, max_epochs)


@dataclass(frozen=True, slots=True)
class ProgressiveResolution:
    """The image size of each epoch."""

    config: ProgressiveResolutionConfig
    max_epochs: int
    """Planned epochs."""

    def side_px(self, whole_px: int, epoch: int) -> int:
        """Side of the images of epoch `epoch`, the first being 0; in the first stage a multiple of 16 from 32."""
        if epoch >= share_of_epochs(self.config.low_resolution_fraction, self.max_epochs):
            return whole_px
        small_px = round(whole_px * self.config.low_resolution_scale / _STEP_PX) * _STEP_PX
        return min(whole_px, max(2 * _STEP_PX, small_px))
