"""The workloads by name."""

from collections.abc import Mapping

from trainable.config import TrialConfig, from_dict
from trainable.fields import unknown_name
from trainable.tasks.agroforestry import AgroforestryTask
from trainable.tasks.dishes import DishesTask
from trainable.tasks.leaf import LeafTask
from trainable.tasks.leaf_pretrain import LeafPretrainTask
from trainable.tasks.moe import MoeTask
from trainable.tasks.retina import RetinaTask
from trainable.tasks.task import Task

_TASKS: tuple[type[Task], ...] = (
    MoeTask,
    DishesTask,
    LeafPretrainTask,
    LeafTask,
    RetinaTask,
    AgroforestryTask,
    # One line for each workload.
)
TASKS: dict[str, type[Task]] = {task.name: task for task in _TASKS}


def get_task(name: str) -> Task:
    """The task of that name; raises ValueError with the nearest name when there is none."""
    if name not in TASKS:
        raise ValueError(unknown_name("workload", name, TASKS))
    return TASKS[name]()


def read_config(data: object) -> TrialConfig:
    """A configuration from what `to_dict` wrote of it.

    Raises:
        ValueError: a field is missing, unknown (the nearest is given), of another type or out of its range.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("workload"), str):
        raise ValueError("config must hold the fields of a configuration, workload first.")
    return from_dict(data, get_task(data["workload"]).default_config())
