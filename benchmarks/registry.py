"""The benchmarks by name, in the order of the claims."""

from collections.abc import Callable

from benchmarks.claims import Claim
from benchmarks.harness import Size
from benchmarks.searches import decision, driver, many_running, report_and_resume, search
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
    "report_and_resume": report_and_resume.measure,
}
SECONDS = {
    "training_step": 50.0,
    "epoch": 20.0,
    "data_loading": 30.0,
    "augmentation": 10.0,
    "metrics": 5.0,
    "search": 300.0,
    "experts": 8.0,
    "validation": 22.0,
    "driver": 60.0,
    "decision": 20.0,
    "many_running": 20.0,
    "gpu": 1.0,
    "report_and_resume": 50.0,
}
"""About what each takes on two quiet cores, for the time left; together below ten minutes."""
