"""Trackers that log a run beside its own files: TensorBoard always, the others on request.

Nothing leaves the machine unless the environment says so (MLFLOW_TRACKING_URI, WANDB_MODE). Only parameters and
metrics are logged: no environment, no repository, no code.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from trainable.console.process import silence_loggers

TRACKERS = ("mlflow", "wandb")
"""Names of packages, and of the extras that install them."""
CLIENTS = {"mlflow": "mlflow.tracking", "wandb": "wandb"}
"""The module that logs."""
INSTALL = "pip install 'vision-tuner[{}]'"
IMPORT_ERRORS = (ImportError, AttributeError, TypeError)
"""Errors of an old package next to newer ones: a name is missing, or protobuf refuses its generated code."""
PROJECT = "vision-tuner"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
}
"""Unless the user's environment says otherwise."""
_REFUSED_BY_MLFLOW = re.compile(r"[^\w./: -]")
"""Characters that MLflow refuses in names of metrics and parameters, such as of a class `Corn_(maize)`."""
_LONGEST_IN_MLFLOW = 250
WANDB_SETTINGS = {
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    # Command line, paths and hardware.
    "x_disable_meta": True,
}


class Tracker(Protocol):
    """Logs one run."""

    last_epoch: int
    """Last epoch of the run that it already has; 0 for none."""

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of an epoch; the first is 1."""

    def end(self) -> None: ...


def check_trackers(names: Sequence[str]) -> None:
    """Raises ValueError for a tracker that is unknown, or whose package is not installed or can't be imported."""
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"--track is {name!r}; allowed: {', '.join(TRACKERS)}. TensorBoard is always on.")
        if find_spec(name) is None:
            raise ValueError(f"--track {name} needs its package; install it with: {INSTALL.format(name)}.")
    if names:
        # They read them when they are imported.
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
    for name in names:
        try:
            import_module(CLIENTS[name])
        except IMPORT_ERRORS as error:
            install = INSTALL.format(name)
            raise ValueError(f"--track {name}: can't be imported ({error}); update it: {install}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """The data of a run that a tracker needs before its first epoch."""

    folder: Path
    """Results folder, also for the trackers' own files unless the environment says otherwise."""
    name: str
    experiment: str
    """Runs of one experiment are shown together."""
    params: Mapping[str, object]

    @property
    def identity(self) -> str:
        """Identifies the run on a server by its results folder, so that a copy of the folder is another run."""
        return sha256(f"{self.folder.absolute()}/{self.name}".encode()).hexdigest()[:16]


def open_tracker(name: str, run: TrackedRun) -> Tracker:
    """Opens the named tracker of TRACKERS, for a new or a continued run."""
    kinds: dict[str, Callable[[TrackedRun], Tracker]] = {"mlflow": _MlflowRun, "wandb": _WandbRun}
    return kinds[name](run)


def tracker_errors(names: Sequence[str]) -> tuple[type[Exception], ...]:
    """The exceptions that the named trackers raise when they can't be reached or refuse data."""
    errors: list[type[Exception]] = [OSError]
    if "mlflow" in names:
        from mlflow.exceptions import MlflowException

        errors.append(MlflowException)
    if "wandb" in names:
        from wandb.errors import Error

        errors.append(Error)
    return tuple(errors)


@contextmanager
def opened_trackers(names: Sequence[str], run: TrackedRun) -> Iterator[list[Tracker]]:
    """TensorBoard and the named trackers; they end with this context."""
    check_trackers(names)
    opened: list[Tracker] = [_Board(run.folder), *(open_tracker(name, run) for name in names)]
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
        # Imports torch, which a command that only checks tracker names does not need.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(folder)
        self.last_epoch = 0

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.last_epoch = epoch
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)

    def end(self) -> None:
        self._writer.close()


class _MlflowRun:
    """A run of an experiment; a continued one is found by its identity, or by name in the results' own store."""

    def __init__(self, run: TrackedRun) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        is_shared = bool(os.environ.get("MLFLOW_TRACKING_URI"))
        # MLflow's filters have no way to write a quote.
        identity = run.identity if is_shared else run.name.replace("'", "_")
        with silence_loggers("alembic"):
            # It logs each table of a new store.
            self._client = MlflowClient(tracking_uri=mlflow_store(run.folder))
            known = self._client.get_experiment_by_name(run.experiment)
        experiment = known.experiment_id if known else self._client.create_experiment(run.experiment)
        mine = self._client.search_runs([experiment], f"tags.identity = '{identity}'") if known else []
        if mine:
            self._run, self.last_epoch = mine[0].info.run_id, int(mine[0].data.tags.get("last_epoch", 0))
            self._client.update_run(self._run, status="RUNNING")
        else:
            created = self._client.create_run(experiment, run_name=run.name, tags={"identity": identity})
            self._run, self.last_epoch = created.info.run_id, 0
            params = [Param(_in_mlflow(name), str(value)) for name, value in run.params.items()]
            self._client.log_batch(self._run, params=params)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, RunTag

        now = int(1000 * time.time())
        batch = [Metric(_in_mlflow(name), value, now, epoch) for name, value in metrics.items()]
        self._client.log_batch(self._run, metrics=batch, tags=[RunTag("last_epoch", str(epoch))])
        self.last_epoch = epoch

    def end(self) -> None:
        self._client.set_terminated(self._run)


def _in_mlflow(name: str) -> str:
    """Converts a name to one that MLflow accepts."""
    return _REFUSED_BY_MLFLOW.sub("_", name)[:_LONGEST_IN_MLFLOW]


class _WandbRun:
    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=run.experiment,
            name=run.name,
            id=run.identity,
            resume="allow",
            reinit="create_new",
            dir=run.folder,
            # Numbers as they are, all else as text.
            config={name: one if isinstance(one, bool | int | float) else str(one) for name, one in run.params.items()},
            settings=WANDB_SETTINGS,
        )
        # Offline it can't read earlier files, so each file holds the whole curve.
        self.last_epoch = max(0, self._run.starting_step - 1)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=epoch)
        self.last_epoch = epoch

    def end(self) -> None:
        self._run.finish()
