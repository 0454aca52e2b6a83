"""A new run of Ray's in the folder of a search, whose proposer knows what is on record.

For more trials in a search that is over: Ray itself cannot raise the number of a restored search's trials, and a new
run under the old name would hide them. And for a search that was killed while Ray wrote down where it stood.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from optuna.trial import FrozenTrial

from tuner import wording
from tuner.outcomes import Outcome
from tuner.records import SETTINGS, SearchRecord
from tuner.settings import SearchSettings
from tuner.study_mirror import FILE, load_mirror

logger = logging.getLogger(__name__)

RAY_FOLDER = "ray"
_PATHS = ("storage", "init", "warm_start")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrial:
    """An ended trial of an earlier run of the same search, or of another search that this one starts from."""

    trial_id: str
    number: int | None
    """None for a trial of another search."""
    frozen: FrozenTrial
    """As the Optuna study knew it."""
    values: Mapping[int, float]
    """Finite objectives by epoch."""
    outcome: Outcome


def past_trials(folder: Path, search: SearchRecord) -> list[PastTrial]:
    """By number, each once; what was interrupted, or is missing in the study's copy, is left out, to be tried again."""
    if not (folder / FILE).exists():
        return []
    copied = {trial.user_attrs["trial"]: trial for trial in load_mirror(folder / FILE).trials}
    past = {
        trial.number: PastTrial(
            trial_id=trial.trial,
            number=trial.number,
            frozen=copied[trial.trial],
            values={e: r.objective for e, r in sorted(trial.results.items()) if r.objective is not None},
            outcome=trial.outcome,
        )
        for trial in search.trials
        if trial.trial in copied and trial.outcome not in (None, Outcome.INTERRUPTED)
    }
    return [past[number] for number in sorted(past)]


def extended_settings(search: SearchRecord, more: int) -> SearchSettings:
    """The settings that the search began with, for so many more trials."""
    if more < 1:
        raise ValueError(f"--trials is {more}; give the number of additional trials, 1 or more.")
    return settings_of(search, more=more)


def settings_of(search: SearchRecord, *, more: int = 0) -> SearchSettings:
    """The settings that the search began with, but for the source of a warm start that has moved since."""
    said = {field.name: search.settings[field.name] for field in fields(SearchSettings)}
    said |= {name: Path(said[name]) for name in _PATHS if said[name] is not None}
    source = said["warm_start"]
    if source is not None and not (source / SETTINGS).is_file():
        logger.info("%s is gone: the search goes on with what it found itself.", wording.path(source))
        said["warm_start"] = None
    return SearchSettings(**said | {"num_trials": said["num_trials"] + more, "track": tuple(said["track"])})


def latest_ray_folder(folder: Path) -> Path:
    """Where Ray's own state of the last run lies; of a search that was never extended, `ray`."""
    numbered = [
        (int(match[1] or 1), path) for path in folder.glob(f"{RAY_FOLDER}*") if (match := _NAME.match(path.name))
    ]
    return max(numbered, default=(1, folder / RAY_FOLDER))[1]


def next_ray_folder(folder: Path) -> Path:
    return folder / f"{RAY_FOLDER}_{_number(latest_ray_folder(folder)) + 1}"


def _number(ray_folder: Path) -> int:
    return int(_NAME.match(ray_folder.name)[1] or 1)


_NAME = re.compile(rf"{RAY_FOLDER}(?:_(\d+))?$")
