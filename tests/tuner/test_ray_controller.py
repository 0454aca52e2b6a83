"""What Ray's controller does with the processes of trials, in a real search."""

import os
import time
from pathlib import Path

from ray import tune

from tests.tuner.toy_search import Toy, toy_ray

SLOW_TO_START, LAST = 1, 3


class Named(Toy):
    def step(self):
        return {"done": True, "number": self.config["number"], "process": os.getpid()}


class SlowToStart(Named):
    """The process of one trial is up only when the last trial has run; in a process that was free it begins at once."""

    def setup(self, config):
        while config["number"] == SLOW_TO_START and not Path(config["mark"]).exists():
            time.sleep(0.02)
        super().setup(config)

    def step(self):
        if self.config["number"] == LAST:
            Path(self.config["mark"]).touch()
        return super().step()


def processes_of(trainable, folder: Path, *, num_trials: int, num_cpus: int) -> dict[int, int]:
    """The process in which each trial of a search ran that may have two at a time."""
    space = {"number": tune.grid_search(list(range(num_trials))), "mark": str(folder / "last_ran")}
    with toy_ray(trainable, num_cpus=num_cpus):
        results = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=2),
            run_config=tune.RunConfig(name="ray", storage_path=str(folder), verbose=0),
        ).fit()
    return {result.metrics["number"]: result.metrics["process"] for result in results}


def test_a_process_that_is_starting_is_left_to_start_while_the_other_takes_the_next_trials(tmp_path):
    processes = processes_of(SlowToStart, tmp_path, num_trials=LAST + 1, num_cpus=2)
    others = {process for number, process in processes.items() if number != SLOW_TO_START}
    assert len(processes) == LAST + 1
    assert len(others) == 1
    assert processes[SLOW_TO_START] not in others


def test_a_trial_for_whose_process_there_is_no_room_takes_one_that_becomes_free(tmp_path):
    processes = processes_of(Named, tmp_path, num_trials=3, num_cpus=1)
    assert len(processes) == 3
    assert len(set(processes.values())) == 1
