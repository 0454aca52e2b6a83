"""The configuration that every trial starts from: the workload's default with the user's values outside the space."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from search_spaces.space import Situation, Space
from trainable.config import NETWORK_PARAM, flat_params, from_params, parameters_of
from trainable.configuration.run_config import RunConfig
from trainable.models.external.own_network import ANY_NETWORK
from trainable.run_setup import initial_weights
from trainable.workloads.registry import get_workload
from trainable.workloads.workload import Workload
from tuner.settings import SearchSettings


def base_config(settings: SearchSettings, space: Space) -> RunConfig:
    """The workload's default with the user's values outside the space."""
    # Trial processes have other working folders.
    source = None if settings.data is None else str(Path(settings.data).absolute())
    default = get_workload(space.workload).default_config(source)
    if settings.inverted_masks is not None and "inverted_masks" not in flat_params(default):
        raise ValueError(f"--inverted-masks is about masks, and {space.workload} has none; leave it out.")
    return from_params(fixed_params(settings, space, default), default)


def check_own_loop(settings: SearchSettings, workload: Workload[Any]) -> None:
    """Raises ValueError for what a loop of the user's own can't be given."""
    if workload.can_use_ranks:
        return
    if max(settings.ranks_per_trial or 1, settings.gpus_per_trial or 1) > 1:
        raise ValueError(
            f"{workload.name} is a loop of your own, which trains in one process; give at most --ranks-per-trial 1 and "
            "--gpus-per-trial 1."
        )
    if settings.init is not None:
        raise ValueError(
            f"--init is for networks of this project, and {workload.name} is a loop of your own; load it there."
        )


def check_own_network(settings: SearchSettings, base: RunConfig) -> None:
    """Raises ValueError for a value that describes the network in whose place the user's stands."""
    network = getattr(getattr(base, "model", None), "network", None)
    if network is None:
        return
    of_network = {name for name, parameter in parameters_of(base).items() if parameter.section == "model"}
    for name in (settings.pinned | settings.ranges).keys() & of_network - ANY_NETWORK:
        if not name.startswith(NETWORK_PARAM):
            raise ValueError(
                f"--set {name} has no effect: it describes a network of this project, and {network} takes its place; "
                "leave it out."
            )


def is_of_space(name: str, asked: Collection[str], base: RunConfig) -> bool:
    """Whether the space asks for a parameter, or should, because the configuration knows no names of parameters."""
    return name in asked or (base.free_params is not None and name not in flat_params(base))


def fixed_params(settings: SearchSettings, space: Space, base: RunConfig) -> dict[str, object]:
    """The user's values of parameters that the space does not ask for."""
    situation = Situation(num_train_images=1, pretrained=False)
    searched = space.defaults(situation).keys()
    fixed = {name: value for name, value in settings.pinned.items() if not is_of_space(name, searched, base)}
    fixed |= {"max_epochs": space.max_epochs, "seed": settings.seed}
    if settings.init is not None:
        path = initial_weights(settings.init)
        has_field = "weights" in flat_params(base) and "network" not in fixed
        fixed |= {"init_weights": path} | ({"weights": path} if has_field else {})
    return fixed | ({} if settings.inverted_masks is None else {"inverted_masks": settings.inverted_masks})
