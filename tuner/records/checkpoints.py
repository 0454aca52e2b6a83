"""Where the checkpoints of a search lie: `checkpoints/<trial>/epoch_0003.pt`, the last of each trial.

Their places follow from trial and epoch, so that no record can point out of the folder.
"""

import shutil
from pathlib import Path

from trainable.leg import checkpoint_name
from tuner.records.search_record import CHECKPOINTS, SearchRecord, TrialRecord


def trial_folder(folder: Path, trial: str) -> Path:
    return folder / CHECKPOINTS / trial


def last_checkpoint(folder: Path, trial: TrialRecord) -> Path | None:
    """That of the trial's last epoch on record; None where there is none, or it is gone."""
    if trial.last is None:
        return None
    path = trial_folder(folder, trial.name) / checkpoint_name(trial.last.epoch)
    return path if path.is_file() else None


def remove_others(folder: Path, trial: str, epoch: int) -> None:
    """Of the trial's checkpoints, half-written ones included, only that of this epoch stays; none of epoch 0.

    Follows no link.
    """
    place = trial_folder(folder, trial)
    for path in () if place.is_symlink() else place.glob("*epoch_*.pt*"):
        if path.name != checkpoint_name(epoch):
            path.unlink(missing_ok=True)


def remove(folder: Path, trial: str) -> None:
    shutil.rmtree(trial_folder(folder, trial), ignore_errors=True)


def remove_leftovers(folder: Path, search: SearchRecord) -> None:
    """What a kill left: half-written files, and epochs that are not on record."""
    if not (folder / CHECKPOINTS).is_dir():
        return
    for place in (folder / CHECKPOINTS).iterdir():
        trial = search.by_name.get(place.name)
        if trial is not None and place.is_dir():
            remove_others(folder, trial.name, trial.last.epoch if trial.last else 0)
