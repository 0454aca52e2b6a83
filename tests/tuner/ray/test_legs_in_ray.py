"""A small real search by Ray whose legs are toys: processes that are reused, and that die at bad moments."""

import os
import sys
import time
from pathlib import Path

import pytest
import ray
from ray import tune

from tests.tuner.conftest import recorded_settings
from tests.tuner.played_session import FIRST, objective, opened, report_of
from tests.tuner.test_session import story
from trainable.ray.trainable import LEG, REPORT
from trainable.workloads.registry import read_config
from tuner.policy.outcomes import Outcome
from tuner.ray import tuner as ray_tuner
from tuner.ray.cluster import ray_running
from tuner.records import Recorder, TrialResources, read_search

NUM_TRIALS, MAX_EPOCHS = 6, 4


class Toy(tune.Trainable):
    """Its process dies when it is handed its first other leg, and once in the middle of an epoch."""

    marks: str

    @classmethod
    def default_resource_request(cls, config):
        return tune.PlacementGroupFactory([{"CPU": 1.0}])

    def setup(self, config):
        self.reset_config(config)

    def reset_config(self, new_config):
        if hasattr(self, "leg"):
            self.die_once("handed_over", new_config[LEG].trial)
        self.leg = new_config[LEG]
        self.epoch = self.leg.from_epoch
        return True

    def step(self):
        self.epoch += 1
        if self.epoch == 2:
            self.die_once("training", self.leg.trial)
        report = report_of(self.leg, self.epoch)
        return {REPORT: type(report)(result=report.result, process=str(os.getpid()))}

    def die_once(self, when, trial):
        mark = Path(self.search_marks) / when
        if not mark.exists():
            mark.write_text(trial)
            os._exit(1)


def search(folder, toy, *, slots, **changes):
    """Runs the toy in these slots."""
    resources = TrialResources(concurrent=slots, cpus_per_trial=1.0, gpus_per_trial=0.0)
    settings = recorded_settings(
        num_trials=NUM_TRIALS, max_epochs=MAX_EPOCHS, resources=resources, first_answers=FIRST, **changes
    )
    Recorder.create(folder, settings).close()
    base = read_config(settings.base_config)
    modules = [sys.modules[name] for name in (Toy.__module__, report_of.__module__)]
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    with pytest.MonkeyPatch.context() as patch, ray_running(None) as cluster, opened(folder) as session:
        patch.setattr(ray_tuner, "LegTrainable", toy)
        ray_tuner.run_legs(session, settings, base, scratch=cluster.scratch, on_step=lambda: None)
        session.close()
    for module in modules:
        ray.cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    place = tmp_path_factory.mktemp("toy")
    folder, marks = place / "run", place / "marks"
    marks.mkdir()
    toy = type("MarkedToy", (Toy,), {"search_marks": str(marks)})
    search(folder, toy, slots=1, scheduler="asha", rung_epochs=(1, 2))
    return folder, marks


class Slow(Toy):
    """The process of the second trial starts once that of the first has ended a leg; all others wait for it."""

    def setup(self, config):
        if config[LEG].trial.startswith("001"):
            self.wait_for("ended")
        super().setup(config)

    def step(self):
        report = super().step()
        if self.leg.trial.startswith("000"):
            (Path(self.search_marks) / "ended").touch()
        elif self.leg.trial.startswith("001"):
            (Path(self.search_marks) / "started").touch()
        else:
            self.wait_for("started")
        return report

    def wait_for(self, mark):
        while not (Path(self.search_marks) / mark).exists():
            time.sleep(0.05)

    def die_once(self, when, trial):
        """It lives."""


@pytest.mark.slow
def test_a_leg_whose_process_is_starting_keeps_it_and_no_slot_stays_empty(tmp_path):
    toy = type("MarkedSlow", (Slow,), {"search_marks": str(tmp_path)})
    search(tmp_path / "run", toy, slots=2, scheduler="none", rung_epochs=())
    trials = read_search(tmp_path / "run").trials
    processes = [{result.process for result in trial.results.values()} for trial in trials]
    assert all(len(one) == 1 for one in processes)
    assert len(set.union(*processes)) == 2
    assert processes[1] != processes[0]


def test_every_trial_goes_on_from_its_own_checkpoint(searched):
    search = read_search(searched[0])
    assert [trial.number for trial in search.trials] == list(range(NUM_TRIALS))
    assert {trial.outcome for trial in search.trials} == {Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG}
    for trial in search.trials:
        assert list(trial.results) == list(range(1, len(trial.results) + 1))
        assert all(result.objective == objective(trial.params, epoch) for epoch, result in trial.results.items())


def test_a_process_that_dies_costs_its_leg_and_no_epoch_is_counted_twice(searched):
    folder, marks = searched
    lines = story(folder)
    failed = [line["trial"] for line in lines if line["event"] == "leg_failed"]
    assert sorted(failed) == sorted(mark.read_text() for mark in marks.iterdir())
    assert len(failed) == 2
    results = [(line["trial"], line["epoch"]) for line in lines if line["event"] == "result"]
    assert len(results) == len(set(results))


def test_one_process_trains_leg_after_leg_until_it_dies(searched):
    search = read_search(searched[0])
    processes = {result.process for trial in search.trials for result in trial.results.values()}
    assert len(processes) == 3


def test_the_results_hold_no_files_of_ray(searched):
    left = {path.name for path in searched[0].iterdir()}
    assert left == {"settings.json", "trials.jsonl", "checkpoints"}
