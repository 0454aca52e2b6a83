"""The workload of a name, and the configuration of what it wrote."""

from collections.abc import Iterable, Mapping
from typing import Any

from trainable.config import TrialConfig, from_dict, to_dict
from trainable.configuration.reference import Reference, activate, is_reference, load
from trainable.configuration.run_config import RunConfig
from trainable.tasks.registry import get_task
from trainable.tasks.task import Task
from trainable.workloads.loop_workload import Loop, LoopWorkload
from trainable.workloads.task_workload import TaskWorkload
from trainable.workloads.workload import Workload


def get_workload(name: str) -> Workload[Any]:
    """The workload of that name, or of a reference to a task or a loop of the user's whose folder is on `sys.path`.

    Raises:
        ValueError: there is none (the nearest name is given), or the reference is to neither.
    """
    if is_reference(name) and isinstance(loop := load(name), Loop):
        return LoopWorkload(loop, name=name)
    return TaskWorkload(get_task(name), name=name)


def task_of(config: RunConfig) -> tuple[Task[Any], TrialConfig]:
    """The task that trains a configuration, and the same configuration.

    Raises:
        ValueError: a loop of the user's own trains it, of whose data and network this project knows nothing.
    """
    if not isinstance(config, TrialConfig):
        raise ValueError(
            f"{config.workload} is a loop of your own, and this command needs data and a network that it can build; "
            "load weights.pt with your own code."
        )
    return get_task(config.workload), config


class CarriedConfig:
    """A configuration for another process as plain data, since processes on the way may not know the user's classes."""

    def __init__(self, config: RunConfig, references: Iterable[Reference]) -> None:
        self._data, self._references = to_dict(config), tuple(references)

    def read(self) -> RunConfig:
        """The configuration, after the folders of the user's own objects are on `sys.path`.

        Raises:
            ValueError: a file is missing on this machine, or has changed.
        """
        activate(self._references)
        return read_config(self._data)


def read_config(data: object) -> RunConfig:
    """Reads a configuration that `to_dict` wrote.

    Raises:
        ValueError: a field is missing, unknown (the nearest is given), of another type or out of its range.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("workload"), str):
        raise ValueError("config must hold the fields of a configuration, workload first.")
    return from_dict(data, get_workload(data["workload"]).default_config())
