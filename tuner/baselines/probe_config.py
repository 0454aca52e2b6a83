"""Chooses the network whose frozen features the linear probe reads."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from trainable.config import TrialConfig, flat_params, from_params
from trainable.configuration.run_config import RunConfig
from trainable.models.backbones.weights_at_hand import trained_backbones
from trainable.workloads.registry import get_workload
from tuner.baselines.measuring import PROBE_NAME
from tuner.planning.base_config import CPU_SIDE_PX, SIDE, small_network

logger = logging.getLogger(__name__)


class Probed(NamedTuple):
    """Configuration of a probe and its name in tables."""

    config: RunConfig
    name: str = PROBE_NAME


def probed_config(default: RunConfig, pinned: Mapping[str, object]) -> Probed:
    """The default, or the default with trained weights of this machine if the pilot run chose the small network.

    Args:
        pinned: values of the search; the small network that a pilot run chose is pinned.
    """
    names = flat_params(default) if isinstance(default, TrialConfig) else {}
    if not {"backbone", "weights"} <= names.keys() or not small_network(default.workload).items() <= pinned.items():
        return Probed(default)
    found = next(trained_backbones(), None)
    if found is None:
        return Probed(default)
    # The network is not trained, and small images would hide what its weights know.
    side_px = names.get(SIDE)
    params = {"drop_path": 0.0, SIDE: max(CPU_SIDE_PX, side_px)} if isinstance(side_px, int) else {}
    try:
        config = from_params({**found._asdict(), **params}, default)
    except ValueError as error:
        logger.info("No linear probe of %s beside this search: %s", found.backbone, error)
        return Probed(default)
    if get_workload(config.workload).no_linear_probe(config) is not None:
        return Probed(default)
    return Probed(config, f"{PROBE_NAME} of {found.backbone}")
