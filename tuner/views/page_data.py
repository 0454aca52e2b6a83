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
from tuner.export import trial_config
from tuner.records import SearchRecord, TrialRecord
from tuner.records.checkpoints import last_checkpoint, trial_folder
from tuner.results.baselines import Row

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


def baselines(rows: Sequence[Row]) -> pd.DataFrame:
    """The objective of the best trial, the default and what needs no training, on both splits."""
    columns = ["", "validation split", "test split"]
    return pd.DataFrame([row[:3] for row in rows], columns=columns).set_index("").dropna(axis="columns", how="all")


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
