"""Configurations that older versions wrote: what came later gets the value that does what they did."""

import json
import logging
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)


class LaterField(NamedTuple):
    """A field that configurations of the version `after` and of earlier ones do not have."""

    after: str
    value: object
    """The value that does what those versions did."""
    workloads: frozenset[str] | None = None
    """Workloads that have the field; None: all."""


LATER_FIELDS = {
    "best_epoch": LaterField("0.2.0", None),
    "head_start": LaterField("0.2.0", "random", frozenset({"dishes", "leaf", "retina"})),
    "tasks": LaterField("0.2.0", ("retinopathy", "edema"), frozenset({"retina"})),
    "kinds": LaterField("0.2.0", (), frozenset({"agroforestry"})),
}
"""Later fields by name, without those that are null by default, which any file may lack."""


def as_written_now(data: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    """A configuration as this version would have written it; logs the fields that it lacks and their values.

    Files of version 0.2 and older also switch a leaf network's gradient checkpointing on inside its `model`.

    Args:
        known: the fields of its workload's configuration.
    """
    workload, model = data.get("workload"), data.get("model")
    later = {
        name: field.value
        for name, field in LATER_FIELDS.items()
        if name in known and name not in data and (field.workloads is None or workload in field.workloads)
    }
    if later:
        _log_once(str(workload), ", ".join(f"{name}={json.dumps(value)}" for name, value in later.items()))
    if isinstance(model, Mapping) and "checkpoint_gradients" in model:
        former = {name: value for name, value in model.items() if name != "checkpoint_gradients"}
        is_on = bool(model["checkpoint_gradients"] or data.get("gradient_checkpointing"))
        later |= {"model": former, "gradient_checkpointing": is_on}
    return {**data, **later}


@cache
def _log_once(workload: str, values: str) -> None:
    """Logs once per process: exports and confirmations read a search's configuration for each training."""
    logger.warning("the configuration of %s is of an older version, and goes on as there: %s", workload, values)
