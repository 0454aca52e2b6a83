"""The data of a search's page: tables of its records and of this machine; independent of Streamlit."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psutil

from trainable.config import flat_params
from tuner import formatting
from tuner.budget.disk import folder_bytes
from tuner.budget.time_left import time_left
from tuner.confirmation.remaining import confirmation_left
from tuner.confirmation.wanted import interruption
from tuner.export import trial_config
from tuner.records import SearchRecord, TrialRecord
from tuner.records.checkpoints import last_checkpoint, trial_folder
from tuner.records.lock import is_in_use
from tuner.records.settings import SETTINGS, read_settings
from tuner.results import progress
from tuner.results.baselines import Row
from tuner.results.report_text import settings_rows
from tuner.selection.selected_trial import select_trial

NOT_USED = "not used"
"""Value of a field whose technique is off."""
_GPU_COLUMNS = {"name": "GPU", "utilization.gpu": "busy %", "memory.used": "used MiB", "memory.total": "of MiB"}


def metric_names(search: SearchRecord) -> list[str]:
    """All measured metrics, the objective first."""
    results = [result for trial in search.trials for result in trial.results.values()]
    objective = search.settings.objective
    return [objective, *sorted({name for result in results for name in result.metrics} - {objective})]


def last_metrics(search: SearchRecord, exported: TrialRecord | None) -> pd.DataFrame:
    """All metrics of each trial's last epoch, one row per trial, the exported one first."""
    ordered = sorted(search.trials, key=lambda trial: trial is not exported)
    objective = search.settings.objective
    rows = {
        trial.name: {"epoch": last.epoch, objective: last.objective, **last.metrics}
        for trial in ordered
        if (last := trial.last) is not None
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")


def clock(search: SearchRecord, folder: Path) -> str:
    """Formats the time so far and, while a process runs, the time left: `12:04, confirming, about 3:20 left`."""
    so_far = formatting.duration(search.elapsed)
    if not is_in_use(folder):
        return so_far
    left = time_left(search) if search.is_unfinished else confirmation_left(folder, search)
    doing = "" if search.is_unfinished else ", confirming"
    return so_far if left is None else f"{so_far}{doing}, {left} left"


def baselines(rows: Sequence[Row]) -> pd.DataFrame:
    """Objectives of the best trial, the default and the baselines on both splits."""
    columns = ["", "validation split", "test split"]
    return pd.DataFrame([row[:3] for row in rows], columns=columns).set_index("").dropna(axis="columns", how="all")


def others(folder: Path, search: SearchRecord) -> list[Path]:
    """Searches of the same objective in the folders of all spaces beside this one's, to compare with."""
    here = folder.resolve()
    beside = {path.parent.resolve() for path in here.parent.parent.glob(f"*/*/{SETTINGS}")} - {here}
    return sorted(path for path in beside if _objective_of(path) == (search.settings.objective, search.settings.mode))


def _objective_of(folder: Path) -> tuple[str, str] | None:
    """Objective of a search's folder; None if it can't be read."""
    try:
        settings = read_settings(folder)
    except (ValueError, OSError):
        return None
    return settings.objective, settings.mode


def side_by_side(folders: Sequence[Path], searches: Sequence[SearchRecord]) -> pd.DataFrame:
    """Exported trial of each search, its objective and the default's on both splits, and the duration.

    Raises:
        ValueError: a file of a confirmation is damaged.
    """
    rows = {formatting.path(folder): _outcome(folder, search) for folder, search in zip(folders, searches, strict=True)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("search").dropna(axis="columns", how="all")


def _outcome(folder: Path, search: SearchRecord) -> dict[str, object]:
    selected = select_trial(folder, search)
    compared, tested = (None, None) if selected is None else (selected.in_search, selected.on_test)
    gains = [] if tested is None else tested.gains
    bounds = None if tested is None or tested.interval is None else map(formatting.difference, tested.interval)
    return {
        "exported": None if selected is None else selected.trial.name,
        "validation": None if compared is None else compared.value,
        "default, validation": None if compared is None else compared.default_value,
        "gain on test": tested.mean_gain if tested is not None and gains else None,
        "seeds": len(gains) or None,
        "95 % interval": None if bounds is None else " to ".join(bounds),
        "trials": f"{len(search.trials) - len(search.unfinished)} of {search.settings.num_trials}",
        "epochs": progress.epochs_done(search),
        "time": formatting.duration(search.elapsed),
        "left": interruption(folder, search),
    }


def differing_settings(folders: Sequence[Path], searches: Sequence[SearchRecord]) -> pd.DataFrame:
    """Settings that differ between the searches, one column per search."""
    columns = {
        formatting.path(folder): dict(settings_rows(search)) for folder, search in zip(folders, searches, strict=True)
    }
    table = pd.DataFrame(columns).fillna("").rename_axis("setting")
    return table[table.nunique(axis="columns") > 1]


def configuration(search: SearchRecord, trial: TrialRecord) -> pd.DataFrame:
    """A trial's whole configuration, compared with the default trial's."""
    own, default = (flat_params(trial_config(search, one)) for one in (trial, search.default_trial or trial))
    names = [name for name in own | default if name != "workload"]
    rows = [(name, str(own.get(name, NOT_USED)), str(default.get(name, NOT_USED))) for name in names]
    table = pd.DataFrame(rows, columns=["parameter", "value", "default"]).set_index("parameter")
    return table.assign(differs=table["value"] != table["default"])


def checkpoints(search: SearchRecord, folder: Path) -> pd.DataFrame:
    """The checkpoints on disk, one row per trial that has one."""
    found = [(trial, last_checkpoint(folder, trial)) for trial in search.trials]
    rows = [
        (trial.name, trial.last.epoch, folder_bytes(trial_folder(folder, trial.name)) / 1e6, formatting.path(path))
        for trial, path in found
        if trial.last is not None and path is not None
    ]
    return pd.DataFrame(rows, columns=["trial", "epoch", "MB", "path"]).set_index("trial")


def machine() -> dict[str, str]:
    """Load of this machine."""
    memory = psutil.virtual_memory()
    return {
        "CPUs busy": f"{psutil.cpu_percent():.0f} % of {psutil.cpu_count()}",
        "memory used": f"{memory.used / 2**30:.1f} of {memory.total / 2**30:.1f} GiB",
    }


def gpus() -> pd.DataFrame:
    """One row per GPU of this machine, from its driver; torch would allocate memory on each."""
    answer = ""
    if shutil.which("nvidia-smi") is not None:
        command = ["nvidia-smi", f"--query-gpu={','.join(_GPU_COLUMNS)}", "--format=csv,noheader,nounits"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines()]
    return pd.DataFrame([row for row in rows if len(row) == len(_GPU_COLUMNS)], columns=list(_GPU_COLUMNS.values()))
