"""Paths of a search's checkpoints: `checkpoints/<trial>/epoch_0003.pt`, the last of each trial.

A path is built from trial and epoch, so no record can point out of the folder.
"""

from fnmatch import fnmatch
from pathlib import Path

from trainable.leg import checkpoint_name
from tuner.records.search_record import CHECKPOINTS, SearchRecord, TrialRecord


def trial_folder(folder: Path, trial: str) -> Path:
    return folder / CHECKPOINTS / trial


def last_checkpoint(folder: Path, trial: TrialRecord) -> Path | None:
    """The checkpoint of the trial's last recorded epoch; None if there is none or it is gone."""
    if trial.last is None:
        return None
    path = trial_folder(folder, trial.name) / checkpoint_name(trial.last.epoch)
    return path if path.is_file() else None


def remove_others(folder: Path, trial: str, epoch: int) -> None:
    """Removes all the trial's checkpoints, partial ones too, except that of this epoch; with epoch 0, all of them.

    Follows no links.
    """
    checkpoints, kept = trial_folder(folder, trial), checkpoint_name(epoch)
    paths = checkpoints.iterdir() if checkpoints.is_dir() and not checkpoints.is_symlink() else ()
    for path in paths:
        if path.name != kept and fnmatch(path.name, "*epoch_*.pt*"):
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, search: SearchRecord) -> None:
    """Removes what a kill left: partial files, and checkpoints of epochs that are not recorded."""
    if not (folder / CHECKPOINTS).is_dir():
        return
    for path in (folder / CHECKPOINTS).iterdir():
        trial = search.by_name.get(path.name)
        if trial is not None and path.is_dir():
            remove_others(folder, trial.name, trial.last.epoch if trial.last else 0)
