"""A small real search by Ray, and one that is stopped in the middle and restored."""

import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
from ray import tune

from tuner.proposer import Proposer
from tuner.ray_controller import patient_controller
from tuner.recorder import Recorder

MAX_EPOCHS = 4
SETTINGS = {"space": "toy", "objective": "objective", "mode": "max"}
ENVIRONMENT = {
    "TUNE_GLOBAL_CHECKPOINT_S": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Toy(tune.Trainable):
    """`total` says which epochs this very trial has trained: a lost or foreign checkpoint would show."""

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
    """Records results, stops the search once by the signal that Ray listens to, and closes the proposer."""

    def __init__(self, recorder: Recorder, proposer: Proposer, must_stop: Callable) -> None:
        self.recorder, self.proposer, self.must_stop = recorder, proposer, must_stop

    def on_trial_result(self, iteration, trials, trial, result, **info):
        if trial.trial_id not in self.recorder.record.by_id:
            number = self.proposer.number_of(trial.trial_id)
            self.recorder.start(trial.trial_id, number=number, params=trial.config)
        metrics = {"process": float(result["process"])}
        self.recorder.result(
            trial.trial_id, epoch=result["epoch"], objective=result["objective"], metrics=metrics, seconds=0
        )
        mark = self.recorder.folder / "stopped_once"
        if self.must_stop(self.recorder, trial, result) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGUSR1)

    def on_experiment_end(self, trials, **info):
        self.proposer.close()
        self.recorder.close()


def toy_tuner(trainable, recorder, proposer, scheduler, *, listener, num_samples, **limits) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric="objective",
            mode="max",
            search_alg=proposer,
            scheduler=scheduler,
            num_samples=num_samples,
            reuse_actors=True,
            **limits,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(recorder.folder),
            verbose=0,
            callbacks=[listener],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1),
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    )


def stopped_and_restored(begin: Callable[[Path], tune.Tuner], folder: Path, trainable: type[Toy]) -> None:
    """Fills the folder with a search that was stopped in the middle and restored."""
    with toy_ray(trainable, num_cpus=1):
        begin(folder).fit()
        tune.Tuner.restore(str(folder / "ray"), trainable=trainable).fit()


@contextmanager
def toy_ray(trainable: type[tune.Trainable], *, num_cpus: int) -> Iterator[None]:
    """Ray with our controller, to which the tests' modules are sent with the trainable."""
    # Unix sockets need a short path.
    ray_folder = tempfile.mkdtemp(prefix="t", dir="/tmp")
    modules = {sys.modules[Toy.__module__], sys.modules[trainable.__module__]}
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, _temp_dir=ray_folder)
        try:
            with patient_controller():
                yield
        finally:
            ray.shutdown()
            for module in modules:
                ray.cloudpickle.unregister_pickle_by_value(module)
            shutil.rmtree(ray_folder, ignore_errors=True)
