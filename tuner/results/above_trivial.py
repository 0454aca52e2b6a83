"""Whether a search has learned anything: its values beside those of a prediction that looks at no image.

On several seeds the 95 % interval of the mean must lie above it, by the paired comparison's own rule; on one seed, the
value alone.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

from tuner import formatting
from tuner.confirm import sequential
from tuner.confirm.comparison import Confirmation
from tuner.records import SearchRecord, TrialRecord
from tuner.records.trivial import Split, TrivialScore

ADVICE = (
    "What helps: longer trainings (--max-epochs), trained weights (--init or --set weights=...), larger images or "
    "crops, more images."
)
FIRST_LOOK = 3
"""Trials at the first rung, before a running search says that none has learned anything."""


def warning_of_nothing_learned(
    search: SearchRecord,
    exported: TrialRecord | None,
    confirmations: Sequence[Confirmation],
    scores: Mapping[Split, TrivialScore],
) -> str | None:
    """The headline of a search whose exported trial is not clearly above the trivial prediction; None where it is."""
    if exported is None:
        return None
    values = _test_values(search, exported, confirmations)
    if values and "test" in scores:
        trivial, where = scores["test"], f"on the test split, {formatting.count(len(values), 'seed')}"
        reached = statistics.fmean(values)
        is_above = _clearly_above([search.settings.sign * (value - trivial.objective) for value in values])
    elif "validation" in scores and exported.last is not None:
        trivial, where = scores["validation"], "on the validation split"
        reached = exported.last_result.objective
        is_above = search.settings.sign * (reached - trivial.objective) > 0
    else:
        return None
    if is_above:
        return None
    return (
        f"Nothing was learned for sure: trial {exported.name} scores {formatting.number(reached)}; predicting "
        f"{trivial.name} for every image scores {formatting.number(trivial.objective)} ({where}). {ADVICE}"
    )


def warning_at_first_rung(search: SearchRecord, score: TrivialScore) -> str | None:
    """Of a running search: no trial at the first rung is above the trivial prediction; None before enough are there."""
    settings = search.settings
    rung = settings.rung_epochs[0] if settings.rung_epochs else settings.max_epochs
    there = [value for trial in search.trials if (value := trial.objective_at(rung)) is not None]
    if len(there) < FIRST_LOOK or any(settings.sign * (value - score.objective) > 0 for value in there):
        return None
    best = max(there, key=lambda value: settings.sign * value)
    return (
        f"After epoch {rung} none of {len(there)} trials has learned anything: the best scores "
        f"{formatting.number(best)}; predicting {score.name} for every image scores "
        f"{formatting.number(score.objective)}. {ADVICE}"
    )


def _test_values(search: SearchRecord, trial: TrialRecord, confirmations: Sequence[Confirmation]) -> list[float]:
    for one in confirmations:
        if trial is search.default_trial:
            return list(one.default_values.values())
        if one.trial == trial.name:
            return list(one.values.values())
    return []


def _clearly_above(gains: Sequence[float]) -> bool:
    interval = sequential.interval(gains)
    return math.fsum(gains) > 0 if interval is None else interval[0] > 0
