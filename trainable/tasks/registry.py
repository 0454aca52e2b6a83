"""The workloads by name."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any

from torch import nn

from trainable.config import TrialConfig
from trainable.configuration.fields import unknown_name
from trainable.configuration.reference import is_reference, load
from trainable.tasks.task import Task

TASKS = {
    "moe": "trainable.tasks.moe:MoeTask",
    "dishes": "trainable.tasks.dishes:DishesTask",
    "leaf_pretrain": "trainable.tasks.leaf_pretrain:LeafPretrainTask",
    "leaf": "trainable.tasks.leaf:LeafTask",
    "retina": "trainable.tasks.retina:RetinaTask",
    "agroforestry": "trainable.tasks.agroforestry:AgroforestryTask",
    "moe_pretrain": "trainable.tasks.moe_pretrain:MoePretrainTask",
    # One line for each workload.
}
"""Import path of each task. Only the requested one is imported, since detection takes seconds to import."""
ENTRY_POINTS = "vision_tuner.tasks"
"""The group in which an installed package lists its workloads by name."""


def get_task(name: str) -> Task[Any]:
    """The task of that name, or of a reference to a user's class whose folder is on `sys.path`.

    Raises:
        ValueError: there is none (the nearest name is given), or the reference is to no class of tasks.
    """
    if is_reference(name):
        task = load(name)
        if not (isinstance(task, type) and issubclass(task, Task)):
            what = f"the class {task.__name__}" if isinstance(task, type) else f"of type {type(task).__name__}"
            raise ValueError(f"{name} is {what}; it must derive from trainable.tasks.task.Task, or be a LoopSpace.")
        _check_objective(name, task)
        return task()
    if name not in TASKS:
        installed = installed_tasks()
        if name not in installed:
            raise ValueError(unknown_name("workload", name, {*TASKS, *installed}))
        return get_task(installed[name].value)
    return resolve_name(TASKS[name])()


def _check_objective(name: str, task: type[Task[Any]]) -> None:
    """Raises ValueError where a user's task compares what it does not measure."""
    objective = getattr(task, "objective", None)
    if objective not in (known := getattr(task, "metric_names", ())):
        problem = unknown_name(f"metric of {name}", str(objective), known)
        raise ValueError(f"The objective of {name} must be one of its metric_names: {problem}")


def installed_tasks() -> Mapping[str, EntryPoint]:
    """The workloads of other installed packages, by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in TASKS}


def fresh_network(config: TrialConfig) -> nn.Module:
    """The network of a configuration with fresh weights: trained ones are neither fetched nor frozen."""
    scratch = {"weights": "scratch", "freeze_batch_norm": False}
    own = {name: value for name, value in scratch.items() if hasattr(config.model, name)}
    return get_task(config.workload).build_model(replace(config, model=replace(config.model, **own)))


def default_config(workload: str, source: str | None = None) -> TrialConfig:
    """The default of a workload, which names the workload as it was given: by name or by reference."""
    return replace(get_task(workload).default_config(source), workload=workload)
