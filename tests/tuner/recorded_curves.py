"""Records of searches whose trials have given curves."""

from tests.tuner.conftest import recorded_settings
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, TrialResources, trial_name


def settings_of(*, lanes=1, **changed):
    resources = TrialResources(concurrent=lanes, cpus_per_trial=1.0, gpus_per_trial=0.0)
    return recorded_settings(
        **{"num_trials": 4, "max_epochs": 4, "rung_epochs": (2,), "resources": resources} | changed
    )


def recorded(folder, *, curves, endings=None, **changed):
    """Trials with these curves, two seconds an epoch; `endings` by trial number."""
    recorder = Recorder.create(folder, settings_of(**changed), clock=lambda: 0.0)
    for number, curve in enumerate(curves):
        trial = trial_name(number, {})
        recorder.start(trial, params={}, answers={})
        for epoch, value in enumerate(curve, start=1):
            recorder.result(trial, epoch=epoch, objective=value, metrics={}, seconds=2.0)
        if number in (endings or {}):
            numbers = {"rung": 1} if endings[number] is Outcome.STOPPED_AT_RUNG else {}
            recorder.end(trial, endings[number], numbers=numbers, epoch=len(curve))
    recorder.close()
    return recorder.record
