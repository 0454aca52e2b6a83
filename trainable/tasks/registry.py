"""The workloads by name."""

from collections.abc import Mapping
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

from trainable.config import TrialConfig, from_dict
from trainable.fields import unknown_name
from trainable.reference import is_reference, load
from trainable.tasks.task import Task

TASKS = {
    "moe": "trainable.tasks.moe:MoeTask",
    "dishes": "trainable.tasks.dishes:DishesTask",
    "leaf_pretrain": "trainable.tasks.leaf_pretrain:LeafPretrainTask",
    "leaf": "trainable.tasks.leaf:LeafTask",
    "retina": "trainable.tasks.retina:RetinaTask",
    "agroforestry": "trainable.tasks.agroforestry:AgroforestryTask",
    # One line for each workload.
}
"""Where each lies. Only the one that is asked for is imported: the detection of one takes seconds to import."""


def get_task(name: str) -> Task[Any]:
    """The task of that name, or of a reference to a user's class whose folder is on `sys.path`.

    Raises:
        ValueError: there is none (the nearest name is given), or the reference is to no class of tasks.
    """
    if is_reference(name):
        task = load(name, type)
        if not issubclass(task, Task):
            raise ValueError(f"{name} is the class {task.__name__}; it must derive from trainable.tasks.task.Task.")
        return task()
    if name not in TASKS:
        raise ValueError(unknown_name("workload", name, TASKS))
    return resolve_name(TASKS[name])()


def default_config(workload: str, source: str | None = None) -> TrialConfig:
    """The default of a workload, which names the workload as it was given: by name or by reference."""
    return replace(get_task(workload).default_config(source), workload=workload)


def read_config(data: object) -> TrialConfig:
    """A configuration from what `to_dict` wrote of it.

    Raises:
        ValueError: a field is missing, unknown (the nearest is given), of another type or out of its range.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("workload"), str):
        raise ValueError("config must hold the fields of a configuration, workload first.")
    return from_dict(data, get_task(data["workload"]).default_config())
