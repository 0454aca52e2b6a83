"""Brings the code of a search to the nodes of a running cluster, and checks each before the first trial."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainable.configuration.reference import Reference
from tuner import formatting

OWN = ("search_spaces", "trainable", "tuner")
NEEDED = ("trainable.ray.trainable", "tuner.confirmation.training")
"""Modules that a trial and a training of the confirmation import."""
PATIENCE_SECONDS = 300.0
"""The first call on a node fetches the code, and imports torch."""


def shipped_code(packages: Path, own: Iterable[Reference]) -> dict[str, Any]:
    """A runtime environment with our packages and the user's modules, for the processes of every node.

    Args:
        packages: the folder that our packages are in.
        own: references to the user's objects; their modules and what those import of the same folder are shipped.
    """
    modules = [str(packages / name) for name in OWN]
    for reference in own:
        folder = Path(reference.folder)
        files = [reference.file, *(one.path for one in reference.imports or ())]
        modules += [str(folder / Path(file).relative_to(folder).parts[0]) for file in files]
    return {"py_modules": list(dict.fromkeys(modules)), "excludes": ["__pycache__", "*.pyc"]}


def check_nodes(modules: Sequence[str] = NEEDED, *, references: Sequence[Reference] = ()) -> None:
    """Imports what trials need on every node that can run one.

    A node that lacks something gets no trials (cluster_nodes.py).

    Raises:
        ValueError: every node lacks something: which node, and what.
    """
    import ray

    calls = [
        (node_name(node), call_on_node(node["NodeID"], what_is_missing, modules, references))
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    ]
    answers = [(name, answer_of(call)) for name, call in calls]
    problems = [f"{name}: {problem}" for name, problem in answers if problem is not None]
    if problems and len(problems) == len(calls):
        raise ValueError(
            f"{len(problems)} of {len(calls)} nodes can't run a trial: {'; '.join(problems)}. Install there "
            "what is missing, in the versions of this machine."
        )


def node_name(node: Mapping[str, Any]) -> str:
    """Host and address of one of `ray.nodes()`."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def call_on_node(node_id: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function on a node, beside its trials; returns Ray's reference to the answer."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=there).remote(*arguments)


def what_is_missing(modules: Sequence[str], references: Sequence[Reference]) -> str | None:
    """Runs on a node: why one of the modules, or of those that the user's own objects are in, can't be imported there;
    None where all can."""
    import importlib
    import platform

    for module in (*modules, *(reference.text.partition(":")[0] for reference in references)):
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a library's import may raise anything
            return f"Python {platform.python_version()} can't import {module}: {type(error).__name__}: {error}"
    return None


def answer_of(call: Any) -> str | None:
    """The answer of a call on a node, or in its place the error that kept it from answering."""
    import ray

    try:
        return ray.get(call, timeout=PATIENCE_SECONDS)
    except ray.exceptions.RayError as error:
        return formatting.one_line(str(error))[-300:]
