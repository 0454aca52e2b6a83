"""The nodes of a running cluster: each is checked when it joins, and one that can't train gets no trials.

A node that can't is asked again every minute: its disk may be mounted late.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainable.configuration.reference import Reference
from trainable.configuration.run_config import RunConfig
from trainable.reporting.waiting import Waiting
from trainable.workloads.registry import CarriedConfig
from tuner import formatting
from tuner.ray.cluster import RunningRay
from tuner.ray.nodes import NEEDED, answer_of, call_on_node, node_name, what_is_missing
from tuner.records import RecordedSettings

logger = logging.getLogger(__name__)

LOOK_SECONDS, AGAIN_SECONDS = 2.0, 60.0
"""Between two looks at who has joined, and between two checks of a node that can't train."""
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 300.0
"""A search begins without the nodes that have not answered by then, if there are others. A check decodes the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Requirements that a node must meet to train."""

    base: CarriedConfig
    """Any configuration of the search; they share their data."""
    fingerprint: Mapping[str, str]
    folder: Path | None = None
    """The results folder, where there is no store; None where nothing is written."""
    store: str | None = None
    """The URI of its copy."""
    references: Sequence[Reference] = field(default_factory=tuple)


class ClusterNodes:
    """Follows the nodes of the cluster.

    Args:
        needs: what each is checked for.
    """

    def __init__(self, needs: Needs, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._needs, self._clock, self._looked = needs, clock, -LOOK_SECONDS
        self._names: dict[str, str] = {}
        self._checks: dict[str, Any] = {}
        self._fit: dict[str, Mapping[str, float]] = {}
        self._reported: set[str] = set()
        """Nodes among them that `has_changed` has reported."""
        self._asked: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        """Reported problem of each node that can't train."""

    @property
    def resources(self) -> list[Mapping[str, float]]:
        """Resources of the nodes that can train."""
        return list(self._fit.values())

    def unfit_now(self) -> list[str]:
        """As `unfit`, after a look at who has joined."""
        self._refresh()
        return self.unfit

    @property
    def unfit(self) -> list[str]:
        """Ids of the nodes that are not known to be able to train. None if that is all of them: a trial that avoids
        them would wait for ever, even after one turns out to be able."""
        return sorted(self._names.keys() - self._fit.keys()) if self._fit else []

    def wait(self) -> None:
        """Checks all nodes that are there, and goes on without those that take too long.

        Raises:
            ValueError: none can train.
        """
        self._look()
        began = self._clock()
        with Waiting("Checking the nodes of the cluster"):
            while self._checks and not (self._fit and self._clock() - began > PATIENCE_SECONDS):
                time.sleep(POLL_SECONDS)
                self._take_answers()
        self._reported = set(self._fit)
        for late in self._checks:
            logger.warning(
                "%s has not answered for %.0f s; it gets no trials before", self._names[late], PATIENCE_SECONDS
            )
        if not self._fit:
            raise ValueError(
                f"0 of {formatting.count(len(self._names), 'node')} can train, as said above. Give --data a path that "
                "they have or an address, and --storage a folder that they see or an address."
            )

    def has_changed(self) -> bool:
        """Whether a node has come or gone since the last call; looks at most every LOOK_SECONDS."""
        self._refresh()
        before, self._reported = self._reported, set(self._fit)
        return before != self._reported

    def _refresh(self) -> None:
        if self._clock() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock()
            self._look()
            self._take_answers()

    def _look(self) -> None:
        import ray

        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}
        for gone in self._names.keys() - alive.keys():
            if self._fit.pop(gone, None) is not None:
                logger.info("%s has left; its trials continue elsewhere from their last epochs", self._names[gone])
            for known in (self._checks, self._asked, self._problems):
                known.pop(gone, None)
            del self._names[gone]
        for node in alive.keys() - self._fit.keys() - self._checks.keys():
            if self._clock() - self._asked.get(node, -math.inf) >= AGAIN_SECONDS:
                self._names[node], self._asked[node] = node_name(alive[node]), self._clock()
                self._checks[node] = (call_on_node(node, why_it_can_not_train, self._needs), alive[node]["Resources"])

    def _take_answers(self) -> None:
        import ray

        for node, (answer, resources) in list(self._checks.items()):
            if not ray.wait([answer], timeout=0)[0]:
                continue
            del self._checks[node]
            problem = answer_of(answer)
            if problem is None:
                self._fit[node] = resources
                logger.info("%s has joined, with %g CPUs", self._names[node], resources["CPU"])
            elif problem != self._problems.get(node):
                self._problems[node] = problem
                logger.warning("%s gets no trials: %s", self._names[node], problem)


def followed_nodes(
    cluster: RunningRay, settings: RecordedSettings, base: RunConfig, folder: Path | None
) -> ClusterNodes | None:
    """The nodes of a cluster that ran before; None for this machine alone, which opened the data itself.

    Args:
        base: any configuration of the search.
        folder: its results, where trials write; None for trainings that write nothing, as those of a confirmation.
    """
    if not cluster.is_joined:
        return None
    return ClusterNodes(
        Needs(
            base=CarriedConfig(base, settings.references),
            fingerprint=settings.data_fingerprint,
            folder=folder,
            store=None if folder is None else settings.store,
            references=settings.references,
        )
    )


def why_it_can_not_train(needs: Needs) -> str | None:
    """Runs on a node, and decodes the data into the cache of that node; None where it can train."""
    problem = what_is_missing(NEEDED, needs.references)
    if problem is not None:
        return problem
    from trainable.run_setup import open_trial_data

    if needs.store is None and needs.folder is not None and not needs.folder.is_dir():
        return (
            f"it does not see {needs.folder}, where checkpoints go; give --storage a folder that all nodes see, or an "
            "address such as s3://bucket/results"
        )
    try:
        if needs.store is not None:
            from trainable.remote.remote_folder import RemoteFolder

            RemoteFolder(needs.store).names("checkpoints")
        open_trial_data(needs.base.read(), needs.fingerprint)
    except (ValueError, OSError) as error:
        return formatting.one_line(str(error))
    return None
