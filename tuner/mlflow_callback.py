"""Ray's MLflow callback, told the metrics alone."""

import logging

from ray.air.constants import TRAINING_ITERATION
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.experiment import Trial

from tuner.outcomes import EPOCH, measured


class MlflowCallback(MLflowLoggerCallback):
    """A run for each trial, which goes on where a resumed search finds it."""

    def setup(self, *args, **kwargs) -> None:
        # Which tells of each table of a new store.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        super().setup(*args, **kwargs)

    def log_trial_start(self, trial: Trial) -> None:
        if trial not in self._trial_runs:
            client, named = self.mlflow_util._get_client(), f"tags.trial_name = '{trial}'"
            earlier = client.search_runs([self.mlflow_util.experiment_id], named)
            if earlier:
                self._trial_runs[trial] = earlier[0].info.run_id
        super().log_trial_start(trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict) -> None:
        super().log_trial_result(iteration, trial, measured(result) | {TRAINING_ITERATION: result[EPOCH]})

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        # Of a trial whose setup failed Ray tells the end alone.
        if trial in self._trial_runs:
            super().log_trial_end(trial, failed)
