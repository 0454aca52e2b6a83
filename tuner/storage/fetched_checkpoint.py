"""The checkpoint of a trial whose weights are needed on this machine: from its folder, else from the search's store."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from trainable.leg import checkpoint_name
from trainable.reporting.waiting import Waiting
from tuner import formatting
from tuner.records import TrialRecord
from tuner.records.checkpoints import last_checkpoint
from tuner.records.search_record import CHECKPOINTS
from tuner.records.settings import read_settings

if TYPE_CHECKING:
    from trainable.remote.remote_folder import RemoteFolder

logger = logging.getLogger(__name__)


def checkpoint_here(folder: Path, trial: TrialRecord) -> Path | None:
    """The checkpoint of the trial's last recorded epoch, fetched where only the store has it; None if it is gone.

    A store that can't be reached costs a warning.
    """
    path, store = last_checkpoint(folder, trial), read_settings(folder).store
    if path is not None or store is None or trial.last is None:
        return path
    # pyarrow takes a third of a second to import.
    from trainable.remote.remote_folder import RemoteFolder

    try:
        with Waiting(f"Fetching the checkpoint of trial {trial.name} from {store}"):
            fetch_checkpoint(RemoteFolder(store), folder, trial)
    except (ValueError, OSError) as error:
        logger.warning(
            "The checkpoint of trial %s can't be fetched from %s: %s.", trial.name, store, formatting.reason(error)
        )
    return last_checkpoint(folder, trial)


def fetch_checkpoint(remote: "RemoteFolder", folder: Path, trial: TrialRecord) -> None:
    """Copies the last checkpoint of a trial from the store, if it has one and the folder has not.

    Raises:
        OSError: the store can't be reached, or the disk is full.
    """
    name = f"{CHECKPOINTS}/{trial.name}/{checkpoint_name(trial.last_epoch)}"
    if trial.results and not (folder / name).is_file():
        remote.get(name, folder / name)
