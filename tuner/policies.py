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
    """A policy that knows nothing yet."""
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
    first = [source.of(answers) for answers in settings.first_answers]
    if settings.policy == "promote":
        return PromotingPolicy(source, config, first=first)
    sampler = TpeSampler(space, mode=settings.mode) if settings.policy == "asha" else RandomSampler(source)
    return StoppingPolicy(sampler, config, first=first)
