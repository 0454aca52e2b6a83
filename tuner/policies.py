"""The policy that a search's settings ask for."""

from collections.abc import Callable
from typing import Any

from tuner.policy.actions import HalvingConfig, Policy
from tuner.policy.candidates import SpaceSource
from tuner.policy.promoting import PromotingPolicy
from tuner.policy.stopping import RandomSampler, StoppingPolicy
from tuner.policy.tpe import TpeSampler
from tuner.records import RecordedSettings


def build_policy(settings: RecordedSettings, space: Callable[[Any], dict]) -> Policy:
    """A policy that knows nothing yet.

    Raises:
        ValueError: the space has changed, so that what is to be tried first is no configuration of it.
    """
    config = HalvingConfig(
        rung_epochs=settings.rung_epochs,
        max_epochs=settings.max_epochs,
        reduction_factor=settings.reduction_factor,
        mode=settings.mode,
        slots=settings.resources.concurrent,
        seed=settings.seed,
        num_trials=settings.num_trials,
    )
    source = SpaceSource(space)
    try:
        first = [source.of(answers) for answers in settings.first_answers]
    except ValueError as error:
        raise ValueError(
            f"The space {settings.space} has changed since this search began: {error}; restore the space, or begin a "
            "new search with --warm-start."
        ) from error
    if settings.policy == "promote":
        return PromotingPolicy(source, config, first=first)
    sampler = TpeSampler(space, mode=settings.mode) if settings.policy == "asha" else RandomSampler(source)
    return StoppingPolicy(sampler, config, first=first)
