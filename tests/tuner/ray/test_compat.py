"""The private parts of Ray that are touched, in a cluster of one's own, as Ray really starts its processes."""

import os

import psutil
import pytest
import ray
from ray.tune.execution import class_cache

from tests.tuner.end_to_end.search_process import title
from tuner.ray.cluster import ENVIRONMENT, ray_running


class Process:
    def told(self):
        return os.getpid(), dict(os.environ)


@pytest.fixture(scope="module")
def local():
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:
            patch.delenv(name, raising=False)
        with ray_running(None):
            yield


def spare_processes() -> set[int]:
    """One for each CPU; it takes a moment to start them."""
    spare = set()
    while len(spare) < ray.cluster_resources()["CPU"]:
        children = psutil.Process().children(recursive=True)
        spare = {child.pid for child in children if title(child).startswith("ray::IDLE")}
    return spare


def test_ray_still_has_what_is_touched():
    """tuner.ray.compat.inherited_environment: drop it when this fails and the next test passes without it."""
    assert {"PL_DISABLE_FORK": ENVIRONMENT["PL_DISABLE_FORK"]} == class_cache.DEFAULT_ENV_VARS
    assert "RAY_CHDIR_TO_TRIAL_DIR" in class_cache.ENV_VARS_TO_PROPAGATE


def test_a_trial_begins_in_a_process_that_ray_has_ready_and_finds_there_what_tune_would_have_given_it(local):
    ready = spare_processes()
    given = class_cache._ActorClassCache().get(Process).remote()
    process, environment = ray.get(given.told.remote())
    assert process in ready
    assert ENVIRONMENT.items() <= environment.items()
