"""The configuration that a search's parameters are put over, from its settings file."""

from collections.abc import Mapping

from trainable.config import TrialConfig, from_dict
from trainable.tasks.registry import get_task


def base_config(settings: Mapping[str, dict]) -> TrialConfig:
    """Raises ValueError when the settings come from a version with other fields."""
    said = settings["base_config"]
    return from_dict(said, get_task(said["workload"]).default_config())
