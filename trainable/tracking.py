"""Trackers: where the curve of a run is shown beside its own files; TensorBoard always, the others on request.

Nothing leaves the machine unless the environment says so (MLFLOW_TRACKING_URI, WANDB_MODE), and what is kept of a run
are its parameters and metrics: no environment, no repository, no code.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

TRACKERS = ("mlflow", "wandb")
"""Each is the name of a package and of the extra that installs it."""
PROJECT = "vision-tuner"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
}
"""Unless the user's environment says otherwise."""
WANDB_SETTINGS = {"console": "off", "disable_git": True, "disable_code": True, "save_code": False}


class Tracker(Protocol):
    """Shows one run."""

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """The metrics of an epoch, 1 after the first."""

    def end(self) -> None: ...


def check_trackers(names: Sequence[str]) -> None:
    """Raises ValueError for a tracker that is unknown or whose package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"--track is {name!r}; allowed: {', '.join(TRACKERS)}. TensorBoard is always on.")
        if find_spec(name) is None:
            raise ValueError(f"--track {name} needs its package; install it with: pip install 'vision-tuner[{name}]'.")
    if names:
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)


@contextmanager
def opened_trackers(
    names: Sequence[str], folder: Path, *, experiment: str, params: Mapping[str, object]
) -> Iterator[list[Tracker]]:
    """TensorBoard and the named ones, of a run whose results are in `folder`; ended with this context."""
    check_trackers(names)
    opened: list[Tracker] = [_Board(folder)]
    plain = {name: value if isinstance(value, bool | int | float) else str(value) for name, value in params.items()}
    if "mlflow" in names:
        opened.append(_MlflowRun(folder, experiment, plain))
    if "wandb" in names:
        opened.append(_WandbRun(folder, experiment, plain))
    try:
        yield opened
    finally:
        for tracker in opened:
            tracker.end()


def mlflow_store(folder: Path) -> str:
    """The user's own MLflow, or a file in the results."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.absolute() / 'mlflow.db'}"


class _Board:
    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(folder)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)

    def end(self) -> None:
        self._writer.close()


class _MlflowRun:
    """A run of an experiment; a resumed training goes on with its own."""

    def __init__(self, folder: Path, experiment: str, params: Mapping[str, Any]) -> None:
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=mlflow_store(folder))
        known = self._client.get_experiment_by_name(experiment)
        identity = known.experiment_id if known else self._client.create_experiment(experiment)
        tags = {"results": str(folder.absolute())}
        mine = self._client.search_runs([identity], f"tags.results = '{tags['results']}'") if known else []
        run = mine[0] if mine else self._client.create_run(identity, run_name=folder.name, tags=tags)
        self._run = run.info.run_id
        for name, value in params.items() if not mine else ():
            self._client.log_param(self._run, name, value)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def end(self) -> None:
        self._client.set_terminated(self._run)


class _WandbRun:
    def __init__(self, folder: Path, experiment: str, params: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=experiment,
            name=folder.name,
            id=sha256(str(folder.absolute()).encode()).hexdigest()[:16],
            resume="allow",
            dir=folder,
            config=dict(params),
            settings=WANDB_SETTINGS,
        )

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=epoch)

    def end(self) -> None:
        self._run.finish()
