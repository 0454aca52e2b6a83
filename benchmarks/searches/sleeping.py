"""Searches whose epochs sleep, so that the rest of their time is overhead: ours, plain Ray Tune, plain Optuna.

    python -m benchmarks.searches.sleeping SIDE FOLDER NUM_TRIALS NUM_EPOCHS SECONDS

Each epoch appends a line with its begin and end to FOLDER/epochs.jsonl. Trials are not stopped early, two run at a
time, and each epoch is reported and, with Ray, saves a checkpoint.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.searches.sleep import Sleep

SLOTS = 2
PLAIN_RAY = "plain Ray Tune"


def ours(sleep: Sleep) -> None:
    """The real search, except for the training."""
    import tuner.ray.tuner
    from benchmarks.searches.sleeping_run import SleepingRun
    from trainable.ray.trainable import LegTrainable
    from trainable.run import EpochRun
    from tuner.planning.plan import plan_as_given
    from tuner.run import run_search

    class SleepingTrial(LegTrainable):
        def _run_or_begin(self) -> EpochRun:
            self._run = self._run or SleepingRun(sleep, self._leg.trial)
            return self._run

    tuner.ray.tuner.LegTrainable = SleepingTrial  # type: ignore[misc]
    settings = settings_of(sleep)
    run_search(settings, plan_as_given(settings))


def settings_of(sleep: Sleep) -> Any:
    """The settings of our search, on the CPU: on a machine with one GPU a single trial would have it."""
    from tuner.settings import SearchSettings

    return SearchSettings(
        num_trials=sleep.num_trials,
        max_epochs=sleep.num_epochs,
        concurrent=SLOTS,
        device="cpu",
        scheduler="none",
        confirm=0,
        storage=sleep.folder,
    )


def plain_ray(sleep: Sleep) -> None:
    """A Ray Tune script as its documentation writes it: a function, reported with checkpoints."""
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict) -> None:
        _import_what_training_needs()
        trial = tune.get_context().get_trial_id()
        for epoch in range(1, sleep.num_epochs + 1):
            sleep.epoch(trial)
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "state").write_text(str(epoch))
                tune.report({"objective": 0.5, "epoch": epoch}, checkpoint=tune.Checkpoint.from_directory(folder))

    search = OptunaSearch(space={"max_lr": tune.loguniform(1e-4, 1e-2)}, metric="objective", mode="max")
    tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        tune_config=tune.TuneConfig(num_samples=sleep.num_trials, max_concurrent_trials=SLOTS, search_alg=search),
        run_config=tune.RunConfig(storage_path=str(sleep.folder), verbose=0),
    ).fit()


def plain_optuna(sleep: Sleep) -> None:
    """Two processes on one study."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_optuna_worker, args=(sleep,)) for _ in range(SLOTS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _optuna_worker(sleep: Sleep) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    _import_what_training_needs()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(sleep.folder / "study.journal")))
    study = optuna.create_study(storage=storage, study_name="sleep", load_if_exists=True)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("max_lr", 1e-4, 1e-2, log=True)
        for epoch in range(1, sleep.num_epochs + 1):
            sleep.epoch(str(trial.number))
            trial.report(0.5, epoch)
        return 0.5

    study.optimize(objective, n_trials=sleep.num_trials // SLOTS)


def _import_what_training_needs() -> None:
    """Our trial processes do the same before their first epoch."""
    import torch

    from trainable.training_run import TrainingRun  # noqa: F401

    # The first optimizer of a process imports torch's compiler.
    torch.optim.SGD([torch.zeros(1)])


SIDES = {"ours": ours, PLAIN_RAY: plain_ray, "Optuna, two processes": plain_optuna}


def main() -> None:
    side, folder, num_trials, num_epochs, seconds = sys.argv[1:]
    os.environ["RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS"] = "0"
    SIDES[side](
        Sleep(folder=Path(folder), num_trials=int(num_trials), num_epochs=int(num_epochs), seconds=float(seconds))
    )


if __name__ == "__main__":
    main()
