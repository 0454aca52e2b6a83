"""The workloads by name."""

from trainable.fields import unknown_name
from trainable.tasks.moe import MoeTask
from trainable.tasks.task import Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (MoeTask,)}


def get_task(name: str) -> Task:
    """The task of that name; raises ValueError with the nearest name when there is none."""
    if name not in TASKS:
        raise ValueError(unknown_name("workload", name, TASKS))
    return TASKS[name]()
