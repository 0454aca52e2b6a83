"""A small real search by Ray whose trials wait at rungs, stopped in the middle and restored; the trials are toys."""

import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import ray
from optuna.trial import TrialState
from ray import tune

from tuner.outcomes import Outcome
from tuner.promoting import PromotingProposer, PromotingScheduler
from tuner.recorder import Recorder
from tuner.records import read_search
from tuner.study_mirror import StudyMirror, load_mirror

NUM_TRIALS, MAX_EPOCHS = 6, 4
SETTINGS = {"space": "toy", "objective": "objective", "mode": "max"}
ENVIRONMENT = {
    "TUNE_GLOBAL_CHECKPOINT_S": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def space(trial):
    return {"quality": trial.suggest_float("quality", 0.1, 1.0)}


class Toy(tune.Trainable):
    """The value says which epochs this very trial has trained: a lost or foreign checkpoint would show."""

    def setup(self, config):
        logging.getLogger("ray.train._internal.storage").setLevel(logging.WARNING)
        self.reset_config(config)

    def reset_config(self, new_config):
        self.config, self.epoch, self.total = new_config, 0, 0.0
        return True

    def step(self):
        self.epoch += 1
        self.total += self.config["quality"] * self.epoch
        ending = {"done": True, "outcome": "completed"} if self.epoch == MAX_EPOCHS else {}
        return {"epoch": self.epoch, "objective": self.total, "process": os.getpid(), **ending}

    def save_checkpoint(self, checkpoint_dir):
        (Path(checkpoint_dir) / "state").write_text(f"{self.epoch} {self.total!r}")

    def load_checkpoint(self, checkpoint_dir):
        epoch, total = (Path(checkpoint_dir) / "state").read_text().split()
        self.epoch, self.total = int(epoch), float(total)


class Bookkeeper(tune.Callback):
    """Records, and stops the search once when the second promoted trial reports."""

    def __init__(self, recorder, proposer):
        self.recorder, self.proposer = recorder, proposer

    def on_trial_result(self, iteration, trials, trial, result, **info):
        if trial.trial_id not in self.recorder.record.by_id:
            number = self.proposer.number_of(trial.trial_id)
            self.recorder.start(trial.trial_id, number=number, params=trial.config)
        metrics = {"process": float(result["process"])}
        self.recorder.result(
            trial.trial_id, epoch=result["epoch"], objective=result["objective"], metrics=metrics, seconds=0
        )
        mark = self.recorder.folder / "stopped_once"
        promoted = {d.trial for d in self.recorder.decisions if d.action == "promote"}
        if len(promoted) == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGUSR1)

    def on_experiment_end(self, trials, **info):
        self.proposer.close()
        self.recorder.close()


def begin(folder):
    recorder = Recorder.create(folder, SETTINGS)
    proposer = PromotingProposer(
        space,
        metric="objective",
        mode="max",
        max_epochs=MAX_EPOCHS,
        rung_epochs=(1, 2),
        reduction_factor=2,
        slots=1,
        seed=0,
        num_trials=NUM_TRIALS,
        mirror=StudyMirror(folder / "study.journal", study_name="toy"),
    )
    return tune.Tuner(
        Toy,
        tune_config=tune.TuneConfig(
            metric="objective",
            mode="max",
            search_alg=proposer,
            scheduler=PromotingScheduler(proposer, recorder),
            num_samples=NUM_TRIALS + 1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(folder),
            verbose=0,
            callbacks=[Bookkeeper(recorder, proposer)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1),
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    # Unix sockets need a short path.
    ray_folder = tempfile.mkdtemp(prefix="t", dir="/tmp")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=ray_folder)
        try:
            begin(folder).fit()
            tune.Tuner.restore(str(folder / "ray"), trainable=Toy).fit()
        finally:
            ray.shutdown()
            ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
            shutil.rmtree(ray_folder, ignore_errors=True)
    return folder


@pytest.fixture(scope="module")
def search(folder):
    return read_search(folder)


def test_every_trial_goes_on_from_its_own_checkpoint(search):
    assert [trial.number for trial in search.trials] == list(range(NUM_TRIALS))
    for trial in search.trials:
        assert list(trial.results) == list(range(1, len(trial.results) + 1))
        for epoch, result in trial.results.items():
            assert result.objective == pytest.approx(trial.params["quality"] * epoch * (epoch + 1) / 2)


def test_as_many_are_promoted_as_the_quotas_say_and_one_is_complete(search):
    epochs = sorted(len(trial.results) for trial in search.trials)
    assert epochs == [1, 1, 1, 2, 2, 4]


def test_the_study_knows_how_each_ended(folder, search):
    told = {trial.user_attrs["number"]: trial for trial in load_mirror(folder / "study.journal").trials}
    assert told.keys() == set(range(NUM_TRIALS))
    for trial in search.trials:
        is_complete = len(trial.results) == MAX_EPOCHS
        assert told[trial.number].state is (TrialState.COMPLETE if is_complete else TrialState.PRUNED)
        outcome = Outcome.COMPLETED if is_complete else Outcome.STOPPED_AT_RUNG
        assert told[trial.number].user_attrs["outcome"] == outcome
        assert list(told[trial.number].intermediate_values) == list(trial.results)


def test_processes_are_reused(search):
    """One before the restore and one after it."""
    processes = {result.metrics["process"] for trial in search.trials for result in trial.results.values()}
    assert len(processes) == 2
