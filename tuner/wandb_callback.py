"""Ray's Weights & Biases callback, told the metrics alone; offline unless WANDB_MODE says otherwise."""

from ray.air.constants import TRAINING_ITERATION
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial

from tuner.outcomes import EPOCH, measured


class WandbCallback(WandbLoggerCallback):
    """A run for each trial, written by a process of its own."""

    def log_trial_result(self, iteration: int, trial: Trial, result: dict) -> None:
        super().log_trial_result(iteration, trial, measured(result) | {TRAINING_ITERATION: result[EPOCH]})

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        # Of a trial whose setup failed Ray tells the end alone.
        if trial in self._trial_logging_actors:
            super().log_trial_end(trial, failed)
