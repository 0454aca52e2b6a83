"""Ray's controller with two things put right.

A process that dies between two trials costs a try, not the next trial: Ray hears twice of a process that is gone when
its next trial is handed to it. The first time the trial is queued for another process; the second time Ray takes the
queued trial for one that cannot begin, and fails it for good, however many tries are left.

A process that is starting is left to start: Ray gives its trial to the first process that becomes free meanwhile, ends
the one that was starting, and starts another for the next trial. Where trials take less time than a process takes to
start, the second slot would stay empty for as long.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayActorError
from ray.tune import tune as ray_tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


class PatientController(TuneController):
    """Lets the second word about the same death pass, and waits for processes that are starting."""

    def _trial_task_failure(self, trial: Trial, exception: Exception) -> None:
        is_told_again = isinstance(exception, RayActorError) and trial.status == Trial.PENDING
        if is_told_again and trial in self._resetting_trials:
            # Otherwise Ray would wait for ever for the process that was to take it over.
            self._resetting_trials.remove(trial)
        else:
            super()._trial_task_failure(trial, exception)

    def _maybe_reuse_cached_actor(self, trial: Trial) -> bool:
        """Whether the trial got a free process; one whose own is starting leaves it to the next trial."""
        own = self._trial_to_actor.get(trial)
        is_starting = own is not None and self._actor_manager.is_actor_started(own)
        return not is_starting and super()._maybe_reuse_cached_actor(trial)


@contextmanager
def patient_controller() -> Iterator[None]:
    """Ray has no option for the class of its controller."""
    former = ray_tune.TuneController
    ray_tune.TuneController = PatientController
    try:
        yield
    finally:
        ray_tune.TuneController = former
