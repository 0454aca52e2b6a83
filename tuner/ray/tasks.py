"""Function calls on the cluster that are no trials: the trainings of a confirmation, the timed steps of a dry run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, Generic, TypeVar

from trainable.ray.node_labels import elsewhere_than
from tuner.ray.signals import interrupt_again
from tuner.records import TrialResources

Key = TypeVar("Key")
Result = TypeVar("Result")

WAIT_SECONDS = 1.0
"""Between two calls of `on_wait`."""


def run_tasks(
    function: Callable[..., Result],
    calls: Iterable[tuple[Key, tuple[Any, ...]]],
    resources: TrialResources,
    *,
    in_new_processes: bool = False,
    name: Callable[[Key], str] | None = None,
    on_wait: Callable[[], None] = lambda: None,
    unfit_nodes: Callable[[], Sequence[str]] = tuple,
) -> Iterator[tuple[Key, Future[Result]]]:
    """Runs each call in a process with what one rank of a trial gets, as many at a time as trials.

    Args:
        calls: a key and the arguments of each; taken one by one, as slots come free.
        in_new_processes: each call gets a process of its own, and is not repeated where that dies.
        name: what a call is called on Ray's dashboard and in the list of processes; None is the function's name.
        on_wait: called every second, and before each wait; what it raises is raised here.
        unfit_nodes: ids of the nodes that get no call; asked before each.

    Yields:
        The key of each call as it ends, and its future, which is done: with a result, or with the error that the call
        raised or its process died of.
    """
    import ray

    options: dict[str, Any] = {"max_calls": 1, "max_retries": 0} if in_new_processes else {}
    task = ray.remote(num_cpus=resources.cpus_per_rank, num_gpus=resources.gpus_per_rank, **options)(function)
    waiting = iter(calls)
    running: dict[Any, Key] = {}
    while True:
        for key, arguments in islice(waiting, resources.concurrent - len(running)):
            placed = task.options(**_elsewhere(unfit_nodes()), **({} if name is None else {"name": name(key)}))
            running[placed.remote(*arguments)] = key
        if not running:
            return
        on_wait()
        interrupt_again()
        for ended in ray.wait(list(running), num_returns=1, timeout=WAIT_SECONDS)[0]:
            yield running.pop(ended), _ended(ended)


class BackgroundCall(Generic[Result]):
    """One call beside the trials: it takes no slot, and its process ends with it. It ends with Ray at the latest.

    Args:
        unfit_nodes: ids of the nodes that it does not run on.
    """

    def __init__(
        self, function: Callable[..., Result], *arguments: Any, unfit_nodes: Sequence[str] = (), **named: Any
    ) -> None:
        import ray

        task = ray.remote(num_cpus=0, max_calls=1, max_retries=0, **_elsewhere(unfit_nodes))(function)
        self._reference = task.remote(*arguments, **named)

    def is_done(self) -> bool:
        import ray

        ended, _ = ray.wait([self._reference], timeout=0)
        return bool(ended)

    @property
    def result(self) -> Future[Result]:
        """Waits for the end; done with a result, or with the error that the call raised or its process died of."""
        return _ended(self._reference)


def _elsewhere(unfit: Sequence[str]) -> dict[str, Any]:
    return {"label_selector": elsewhere_than(unfit)} if unfit else {}


def _ended(reference: Any) -> Future:
    import ray

    future: Future = Future()
    try:
        future.set_result(ray.get(reference))
    except ray.exceptions.RayError as error:
        future.set_exception(error)
    return future


def assigned_cpus() -> int:
    """CPUs of the call that asks, at least 1."""
    import ray

    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))
