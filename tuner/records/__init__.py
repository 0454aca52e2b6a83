"""The files of a search: the single source of truth.

A results folder holds `settings.json`, `trials.jsonl` (one event per line), `confirm.jsonl` and the checkpoints; a
resume, an extension, a report and an export read nothing else. Everything is validated on reading, and an error names
the file and line. The state in memory is built from the events on disk, so the two can't differ. May import
search_spaces.ranges, search_spaces.space, search_spaces.stub_trials, trainable.leg, trainable.configuration.reference,
trainable.data.io.findings, tuner.formatting and tuner.policy; neither torch nor ray.
"""

from tuner.records.confirm_seeds import ConfirmSeeds
from tuner.records.confirmed_runs import CONFIRM, ConfirmedRun, append_run, read_runs
from tuner.records.lock import lock_folder
from tuner.records.recorder import Execution, Recorder
from tuner.records.search_record import SearchRecord, TrialRecord, read_search
from tuner.records.settings import SETTINGS, RecordedSettings, TrialResources
from tuner.records.trial_name import trial_name

__all__ = [
    "CONFIRM",
    "SETTINGS",
    "ConfirmSeeds",
    "ConfirmedRun",
    "Execution",
    "RecordedSettings",
    "Recorder",
    "SearchRecord",
    "TrialRecord",
    "TrialResources",
    "append_run",
    "lock_folder",
    "read_runs",
    "read_search",
    "trial_name",
]
