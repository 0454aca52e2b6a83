"""How strong an augmentation is at each epoch: constant, a linear ramp, constant."""


def strength_at(
    epoch: float,
    *,
    initial_strength: float,
    max_strength: float,
    transition_epoch: float,
    transition_duration: float,
) -> float:
    """Strength at an epoch, whole or in between."""
    if epoch < transition_epoch:
        return initial_strength
    if epoch >= transition_epoch + transition_duration:
        return max_strength
    return initial_strength + (max_strength - initial_strength) * (epoch - transition_epoch) / transition_duration


def check_strengths(initial_strength: float, max_strength: float) -> None:
    """Raises ValueError unless the strength rises inside [0, 1]."""
    if not 0.0 <= initial_strength <= max_strength <= 1.0:
        raise ValueError(
            f"initial_strength is {initial_strength} and max_strength {max_strength}, but strength rises from the "
            "first to the second inside [0, 1]: lower the first, or raise the second."
        )


def check_ramp(start_fraction: float, ramp_fraction: float) -> None:
    """Raises ValueError unless the ramp ends within the planned training."""
    if min(start_fraction, ramp_fraction) < 0 or start_fraction + ramp_fraction > 1:
        raise ValueError(
            f"start_fraction is {start_fraction} and ramp_fraction {ramp_fraction}, but both must be at "
            "least 0 and together at most 1, or max_strength is never reached: lower one of them."
        )
