"""How often and how much each augmentation changes an image, and how its strength rises over the epochs."""

from dataclasses import dataclass

_SHARES = (
    "p_fourier",
    "p_contrastive",
    "p_mirror",
    "magnitude_fourier",
    "magnitude_contrastive",
    "magnitude_mirror",
)


def check_ramp(
    initial_strength: float, max_strength: float, start_fraction: float = 0.0, ramp_fraction: float = 0.0
) -> None:
    """Raises ValueError unless the strength rises inside [0, 1], and the ramp ends within the planned training."""
    if not 0.0 <= initial_strength <= max_strength <= 1.0:
        raise ValueError(
            f"initial_strength is {initial_strength} and max_strength {max_strength}, but strength rises from the "
            "first to the second inside [0, 1]: lower the first, or raise the second."
        )
    if min(start_fraction, ramp_fraction) < 0 or start_fraction + ramp_fraction > 1:
        raise ValueError(
            f"start_fraction is {start_fraction} and ramp_fraction {ramp_fraction}, but both must be at "
            "least 0 and together at most 1, or max_strength is never reached: lower one of them."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationSettings:
    """Probability and magnitude of each type; the current strength multiplies all of them."""

    p_fourier: float = 1.0
    """Chance that an image picked for Fourier mixing is mixed, in [0, 1]."""
    p_contrastive: float = 1.0
    """Chance that an image picked for contrastive views is recoloured, in [0, 1]; blur and flip come half as often."""
    p_mirror: float = 1.0
    """Chance that an image picked for a mirror is mirrored, in [0, 1]; a crop follows half as often."""
    magnitude_fourier: float = 1.0
    """Largest share of another image's low frequencies, in [0, 1]."""
    magnitude_contrastive: float = 1.0
    """Largest change, in [0, 1] of 50 % brightness and contrast and of a blur with a sigma of 2 px."""
    magnitude_mirror: float = 1.0
    """Largest crop, in [0, 1] of the way from keeping 95 % to keeping 70 % of each side."""
    fourier_sigma: float = 0.15
    """Width of the mixed band of frequencies, above 0; 1 is the corner of the spectrum."""

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be in [0, 1]; 0 switches it off.")
        if not self.fourier_sigma > 0:
            raise ValueError(
                f"fourier_sigma is {self.fourier_sigma}, but must be above 0; p_fourier=0 switches it off."
            )
