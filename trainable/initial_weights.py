"""Where a training starts: the weights that an earlier one exported."""

from dataclasses import replace
from pathlib import Path

from trainable.config import TrialConfig
from trainable.output_folder import WEIGHTS


def initial_weights(given: Path) -> str:
    """The absolute path of a weights file, for other processes have other working folders.

    Args:
        given: the folder `best` of an export, or a weights file.

    Raises:
        ValueError: there are no weights.
    """
    path = given / WEIGHTS if given.is_dir() else given
    if not path.is_file():
        raise ValueError(
            f"--init is {given}, but {path} is not a file; give the folder of an export, such as "
            "results/leaf_pretrain/<run>/best, or a file of weights."
        )
    return str(path.absolute())


def started_from(config: TrialConfig, given: Path) -> TrialConfig:
    """The configuration with its network starting from these weights; that they fit is seen when it is built."""
    return replace(config, model=replace(config.model, weights=initial_weights(given)))
