"""The benchmarks by name, in the order of the claims."""

from collections.abc import Callable

from benchmarks.claims import Claim
from benchmarks.harness import Size
from benchmarks.searches import decision, driver, many_running, search
from benchmarks.training import augmentation, data_loading, epoch, experts, gpu, metrics, training_step, validation

BENCHMARKS: dict[str, Callable[[Size], list[Claim]]] = {
    "training_step": training_step.measure,
    "epoch": epoch.measure,
    "data_loading": data_loading.measure,
    "augmentation": augmentation.measure,
    "metrics": metrics.measure,
    "search": search.measure,
    "experts": experts.measure,
    "validation": validation.measure,
    "driver": driver.measure,
    "decision": decision.measure,
    "many_running": many_running.measure,
    "gpu": gpu.measure,
}
SECONDS = {
    "training_step": 50.0,
    "epoch": 20.0,
    "data_loading": 30.0,
    "augmentation": 20.0,
    "metrics": 15.0,
    "search": 300.0,
    "experts": 10.0,
    "validation": 25.0,
    "driver": 60.0,
    "decision": 20.0,
    "many_running": 40.0,
    "gpu": 1.0,
}
"""About what each takes on two quiet cores, for the time left; together below ten minutes."""
