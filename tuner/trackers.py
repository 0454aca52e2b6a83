"""MLflow and Weights & Biases in a search, through Ray's own callbacks; each package is imported when asked for."""

import os
from collections.abc import Sequence
from pathlib import Path

from ray import tune

from trainable.tracking import PROJECT, WANDB_SETTINGS, check_trackers, mlflow_store


def tracker_callbacks(names: Sequence[str], folder: Path, *, search: str) -> list[tune.Callback]:
    """Ray's callbacks of the named trackers, for the results in `folder`."""
    check_trackers(names)
    callbacks: list[tune.Callback] = []
    if "mlflow" in names:
        from tuner.mlflow_callback import MlflowCallback

        # A store of the user's is read from the environment, so that a password in it is in no file of the results.
        own = None if "MLFLOW_TRACKING_URI" in os.environ else mlflow_store(folder)
        callbacks.append(MlflowCallback(own, experiment_name=search))
    if "wandb" in names:
        from tuner.wandb_callback import WandbCallback

        project = os.environ.get("WANDB_PROJECT", PROJECT)
        options = {"dir": str(folder), "resume": "allow", "mode": os.environ["WANDB_MODE"], "settings": WANDB_SETTINGS}
        callbacks.append(WandbCallback(project=project, group=search, **options))
    return callbacks
