"""The data of a search, opened, and the configuration that a trial's parameters override on it."""

from dataclasses import dataclass
from typing import Any

from search_spaces.space import Space
from trainable.config import from_params
from trainable.configuration.run_config import RunConfig
from trainable.workloads.registry import get_workload
from trainable.workloads.workload import DataFacts, Progress, Workload
from tuner.planning.base_config import (
    base_config,
    check_objective,
    check_user_loop,
    check_user_network,
    fixed_params,
)
from tuner.planning.spaces import FoundSpace
from tuner.records.trivial import TrivialScore
from tuner.settings import SearchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData:
    """Everything that a plan needs and that does not depend on the budget."""

    found: FoundSpace
    workload: Workload[Any]
    base: RunConfig
    """The workload's default, adapted to the data, with the user's values outside the space."""
    facts: DataFacts
    fingerprint: dict[str, str]
    trivial: TrivialScore | None
    """Score on the validation split of a prediction that looks at no image."""

    @property
    def space(self) -> Space:
        return self.found.space


def open_for_search(settings: SearchSettings, *, on_progress: Progress | None = None) -> OpenedData:
    """Opens the data of a search.

    Raises:
        ValueError: the data cannot be used, or a value of the user's does not fit the workload.
    """
    found = settings.found_space
    space = found.space if settings.max_epochs is None else found.space.with_max_epochs(settings.max_epochs)
    workload = get_workload(space.workload)
    check_objective(space, workload)
    check_user_loop(settings, workload)
    base = base_config(settings, space)
    data = workload.open_data(base, on_progress=on_progress)
    base = from_params(fixed_params(settings, space, base), workload.adapt_to_data(base, data))
    check_user_network(settings, base)
    floor = workload.trivial_floor(base, data, "validation")
    return OpenedData(
        found=found,
        workload=workload,
        base=base,
        facts=workload.facts(base, data),
        fingerprint=data.fingerprint,
        trivial=None if floor is None else TrivialScore(**floor._asdict()),
    )
