"""Calls on a Ray of two CPUs, each with one."""

import os
import threading

import pytest
import ray

from tuner.ray import tasks
from tuner.ray.cluster import ray_running
from tuner.ray.tasks import BackgroundCall, assigned_cpus, run_tasks
from tuner.records import TrialResources

ONE_CPU = TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0)


@pytest.fixture(scope="module", autouse=True)
def _ray_here():
    with ray_running(None):
        yield


def test_each_call_ends_once_with_its_result_or_its_error():
    def invert(number):
        return 1 / number

    ended = dict(run_tasks(invert, ((number, (number,)) for number in (4, 2, 0, 1)), ONE_CPU))
    assert {number: call.result() for number, call in ended.items() if number} == {4: 0.25, 2: 0.5, 1: 1.0}
    assert isinstance(ended[0].exception(), ZeroDivisionError)


@pytest.mark.skipif("RAY_worker_niceness" in os.environ, reason="the user has set another priority")
def test_a_call_has_the_priority_of_the_search():
    """Ray's own choice, 15, leaves a trial a thirtieth of a core beside another program."""

    def priority():
        return os.nice(0)

    ((_, call),) = run_tasks(priority, [("own", ())], ONE_CPU, in_new_processes=True)
    assert call.result() == priority()


def test_a_call_whose_process_dies_leaves_the_others_alone():
    def leave(code):
        if code:
            os._exit(code)
        return assigned_cpus()

    ended = dict(run_tasks(leave, [("well", (0,)), ("ill", (3,))], ONE_CPU, in_new_processes=True))
    assert ended["well"].result() == 1
    assert ended["ill"].exception() is not None


def test_a_call_has_its_name_on_rays_dashboard():
    def own_name():
        return ray.get_runtime_context().get_task_name()

    ended = run_tasks(own_name, [((7, 1001), ())], ONE_CPU, name=lambda key: f"trial {key[0]}, seed {key[1]}")
    assert [call.result() for _, call in ended] == ["trial 7, seed 1001"]


def test_no_call_runs_on_an_unfit_node():
    here = ray.get_runtime_context().get_node_id()
    nowhere, elsewhere = (
        BackgroundCall(lambda: 0, unfit_nodes=[here]),
        BackgroundCall(lambda: 0, unfit_nodes=["0" * len(here)]),
    )
    assert elsewhere.result.result() == 0
    assert not nowhere.is_done()
    ended = run_tasks(lambda: 0, [("elsewhere", ())], ONE_CPU, unfit_nodes=lambda: ["0" * len(here)])
    assert [call.result() for _, call in ended] == [0]


def test_no_more_calls_are_taken_than_there_are_slots():
    taken = []

    def calls():
        for number in range(3):
            taken.append(number)
            yield number, (number,)

    one_slot = TrialResources(concurrent=1, cpus_per_trial=1.0, gpus_per_trial=0.0)
    for number, _ in run_tasks(lambda number: number, calls(), one_slot):
        assert taken == list(range(number + 1))


def test_an_error_raised_while_a_call_runs_ends_the_wait(monkeypatch):
    monkeypatch.setattr(tasks, "WAIT_SECONDS", 0.01)
    waits = []

    def on_wait():
        waits.append(1)
        if len(waits) > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_tasks(lambda: threading.Event().wait(), [("endless", ())], ONE_CPU, on_wait=on_wait))
