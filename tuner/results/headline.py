"""The gain of a search in one line, with its state: the first thing that a reader sees."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord
from tuner.selection import in_search
from tuner.selection.comparison import Choice, Confirmation


class State(StrEnum):
    RUNNING = "running"
    CONFIRMING = "confirming"
    INTERRUPTED = "interrupted"
    OVER = "done"


class Verdict(StrEnum):
    """Verdict on the exported trial; completes a sentence that begins with its name."""

    NO_RESULT_YET = "no result yet"
    NO_RESULT = "no result"
    BEST_SO_FAR = "is the best so far"
    NOT_CONFIRMED = "is the best on one seed"
    AHEAD = "is ahead of the default, but this may be chance"
    CHOSEN = "is the best on several seeds"
    UNSTABLE = "is ahead of the default where its training did not fail"
    EQUAL = "is no better than the default, but this may be chance"
    BEHIND = "is behind the default, but this may be chance"
    BETTER = "is better than the default"
    WORSE = "is worse than the default"
    DEFAULT = "is exported, no trial is better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    verdict: Verdict
    trial: str | None
    """Name of the exported trial."""
    metric: str
    default_value: float | None
    value: float | None
    where: str
    """The split that both values are of."""
    evidence: str
    """Gain, seeds and interval, or what is missing."""
    is_default: bool = False
    """Whether the exported trial is the default."""

    @property
    def title(self) -> str:
        """The verdict as a sentence."""
        if self.trial is None:
            return self.verdict.capitalize()
        return f"{'The default' if self.is_default else f'Trial {self.trial}'} {self.verdict}"

    @property
    def sentence(self) -> str:
        """Sentence such as `Trial 025-7682ec2b is better than the default: s_measure 0.856 -> 0.912 ...`."""
        shown = (self.default_value, self.value) if self.value is None or not self.is_default else (self.value,)
        values = [formatting.number(one) for one in shown if one is not None]
        numbers = f"{self.metric} {' -> '.join(values)} {self.where}; " if self.trial is not None and values else ""
        return f"{self.title}: {numbers}{self.evidence}."


def headline_of(
    search: SearchRecord,
    exported: TrialRecord | None,
    confirmations: Sequence[Confirmation],
    state: State,
    choice: Choice | None = None,
) -> Headline:
    """Headline of the exported trial: on the test split if it was scored there, else on the validation split.

    Args:
        choice: how several seeds chose it; None where they did not.
    """
    own = [one for one in confirmations if exported is not None and one.trial == exported.name and one.gains]
    if own and state is not State.RUNNING:
        return _test_headline(search, own[0])
    if exported is not None and exported is search.default_trial and confirmations:
        values = list(confirmations[0].default_values.values())
        return Headline(
            verdict=Verdict.DEFAULT,
            trial=exported.name,
            metric=search.settings.metric,
            default_value=statistics.fmean(values) if values else None,
            value=None,
            where="on the test split",
            evidence=f"the best mean over several seeds on the validation split{_best_rival_clause(confirmations)}",
            is_default=True,
        )
    if choice is not None and state is not State.RUNNING:
        failed = [one.failures for one in confirmations if one.trial == choice.trial.name and one.failures]
        return _chosen_headline(search, choice, *failed)
    return _validation_headline(search, exported, state)


def _chosen_headline(search: SearchRecord, choice: Choice, missing: str = "no value on the test split") -> Headline:
    """Headline of a confirmation without values on the test split, such as of a loop that returns none.

    Args:
        missing: why there are no values.
    """
    default = search.default_trial
    is_default, name = choice.trial is default, "" if default is None else default.name
    default_mean = choice.others.get(name, math.nan)
    seeds = formatting.count(choice.num_seeds, "seed")
    wins = "" if name not in choice.wins else f", better than the default on {choice.wins[name]}"
    return Headline(
        verdict=Verdict.DEFAULT if is_default else Verdict.CHOSEN,
        trial=choice.trial.name,
        metric=search.settings.metric,
        default_value=None if math.isnan(default_mean) else default_mean,
        value=choice.mean,
        where="on the validation split",
        evidence=f"mean of {seeds}{wins}; {missing}",
        is_default=is_default,
    )


def _best_rival_clause(confirmations: Sequence[Confirmation]) -> str:
    """Clause about the best other trial on the test split."""
    rivals = [one for one in confirmations if one.gains]
    if not rivals:
        return "".join(f"; {one.failures}" for one in confirmations if one.failures)
    rival = max(rivals, key=lambda one: one.mean_gain)
    gain = formatting.gain(rival.mean_gain)
    better = f"{sum(gain > 0 for gain in rival.gains)} of {formatting.count(len(rival.gains), 'seed')}"
    failures = f"; {rival.failures}" if rival.failures else ""
    doubt = "" if rival.is_distinguishable or rival.is_contradicted else ", but this may be chance"
    return f"; on the test split, trial {rival.trial} is {gain}{doubt} (better on {better}{failures})"


def _test_headline(search: SearchRecord, confirmation: Confirmation) -> Headline:
    gains = confirmation.gains
    mean, interval = confirmation.mean_gain, confirmation.interval
    better = f"{sum(gain > 0 for gain in gains)} of {formatting.count(len(gains), 'seed')} better"
    bounds = "" if interval is None else f"; 95 % interval {' to '.join(map(formatting.difference, interval))}"
    verdict = Verdict.UNSTABLE if confirmation.is_contradicted else Verdict.AHEAD
    if mean <= 0:
        verdict = Verdict.BEHIND if mean < 0 else Verdict.EQUAL
    if confirmation.is_distinguishable:
        verdict = Verdict.BETTER if mean > 0 else Verdict.WORSE
    seeds = confirmation.values.keys() & confirmation.default_values.keys()
    failures = f"; {confirmation.failures}" if confirmation.failures else ""
    return Headline(
        verdict=verdict,
        trial=confirmation.trial,
        metric=search.settings.metric,
        default_value=statistics.fmean(confirmation.default_values[seed] for seed in seeds),
        value=statistics.fmean(confirmation.values[seed] for seed in seeds),
        where="on the test split",
        evidence=f"{formatting.gain(mean)}; {better}{bounds}{failures}",
    )


def _validation_headline(search: SearchRecord, exported: TrialRecord | None, state: State) -> Headline:
    comparison = in_search.compare_with_default(search, exported)
    is_over = state is State.OVER
    verdict = Verdict.NOT_CONFIRMED if is_over else Verdict.BEST_SO_FAR
    if exported is None:
        verdict = Verdict.NO_RESULT if is_over else Verdict.NO_RESULT_YET
    last = None if exported is None or exported.last is None else exported.last.objective
    evidence = "on one seed, not scored on the test split yet"
    if exported is None:
        evidence = "no trial has a value to compare"
    elif comparison is not None and exported is not search.default_trial:
        evidence = f"{formatting.gain(comparison.gain)} at epoch {comparison.epoch}, {evidence}"
    return Headline(
        verdict=verdict,
        trial=None if exported is None else exported.name,
        metric=search.settings.metric,
        default_value=None if comparison is None else comparison.default_value,
        value=last if comparison is None or exported is None else comparison.value,
        where="on the validation split",
        evidence=evidence,
        is_default=exported is not None and exported is search.default_trial,
    )
