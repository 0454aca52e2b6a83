"""Whose frozen features the linear probe reads."""

from typing import NamedTuple

from trainable.config import TrialConfig, flat_params, from_params
from trainable.configuration.run_config import RunConfig
from trainable.models.backbones.weights_at_hand import trained_backbones
from trainable.workloads.registry import get_workload
from tuner.baselines.measuring import PROBE_NAME
from tuner.planning.base_config import CPU_SIDE_PX, SIDE


class Probed(NamedTuple):
    """What is measured, and how it is called."""

    config: RunConfig
    name: str = PROBE_NAME


def probed_config(default: RunConfig, *, is_own_data: bool) -> Probed:
    """The default itself; where it starts from scratch, the default with trained weights that are on this machine.

    Embedded data stays from scratch, and so does a network without a choice of backbones, or one of the user's own.
    """
    names = flat_params(default) if isinstance(default, TrialConfig) else {}
    if not is_own_data or not {"backbone", "weights"} <= names.keys() or names.get("network") is not None:
        return Probed(default)
    found = next(trained_backbones(), None)
    if found is None or getattr(default, "has_trained_weights", False):
        return Probed(default)
    # The network is not trained, and small images would hide what its weights know.
    side_px = names.get(SIDE)
    params = {"drop_path": 0.0, SIDE: max(CPU_SIDE_PX, side_px)} if isinstance(side_px, int) else {}
    try:
        config = from_params({**found._asdict(), **params}, default)
    except ValueError:
        # Values that only fit the network from scratch.
        return Probed(default)
    if get_workload(config.workload).no_linear_probe(config) is not None:
        return Probed(default)
    return Probed(config, f"{PROBE_NAME} of {found.backbone}")
