"""The benchmarks by name, in the order of the claims."""

from collections.abc import Callable

from benchmarks import (
    augmentation,
    data_loading,
    decision,
    driver,
    experts,
    gpu,
    metrics,
    search,
    training_step,
    validation,
)
from benchmarks.claims import Claim
from benchmarks.harness import Size

BENCHMARKS: dict[str, Callable[[Size], list[Claim]]] = {
    "training_step": training_step.measure,
    "data_loading": data_loading.measure,
    "augmentation": augmentation.measure,
    "metrics": metrics.measure,
    "search": search.measure,
    "experts": experts.measure,
    "validation": validation.measure,
    "driver": driver.measure,
    "decision": decision.measure,
    "gpu": gpu.measure,
}
