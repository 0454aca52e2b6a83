"""The settings of successive halving: the rungs, how many trials continue, and which values are better."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvingConfig:
    """The settings of a policy; only the slots may change while it runs."""

    rung_epochs: tuple[int, ...]
    """Epochs at which trials are compared, ascending; empty: every trial trains to full length."""
    max_epochs: int
    """The full length of a trial."""
    reduction_factor: int
    """One in this many trials continues from a rung."""
    mode: str
    """`max` or `min`: which values are better."""
    slots: int
    """Trials at a time."""
    seed: int
    num_trials: int | None = None
    """Configurations to try; None is unlimited."""

    @property
    def sign(self) -> float:
        """Multiplies objectives so that higher is better, and converts them back."""
        return sign_of(self.mode)


def rung_epochs(*, grace_epochs: int, max_epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """The epochs of the rungs, ascending, all below `max_epochs`; a stop at `max_epochs` would save nothing."""
    if not 1 <= grace_epochs <= max_epochs:
        raise ValueError(f"grace_epochs is {grace_epochs}, but must be from 1 to max_epochs ({max_epochs})")
    if reduction_factor < 2:
        raise ValueError(f"reduction_factor is {reduction_factor}, but must be a whole number of at least 2")
    epochs, epoch = [], grace_epochs
    while epoch < max_epochs:
        epochs.append(epoch)
        epoch *= reduction_factor
    return tuple(epochs)


def sign_of(mode: str) -> float:
    """The factor that makes higher objectives better, and converts them back; `mode` is `max` or `min`."""
    return {"max": 1.0, "min": -1.0}[mode]
