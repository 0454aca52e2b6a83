"""The importance of the parameters in words."""

from tuner import formatting
from tuner.importance.measure import BEST_SHARE, MIN_TRIALS, Importance, usable_trials
from tuner.records import SearchRecord
from tuner.results.report_text import table

MAX_ROWS = 12
MAX_NAMED = 5


def what_mattered(importance: Importance | None) -> str | None:
    """Sentence on which parameters mattered; None if not measured."""
    if importance is None:
        return None
    beyond = [f"{name} ({importance.shares[name]:.0%})" for name in importance.beyond_chance]
    if not beyond:
        return "No parameter mattered more than chance."
    more = f" and {len(beyond) - MAX_NAMED} more" if len(beyond) > MAX_NAMED else ""
    return f"{', '.join(beyond[:MAX_NAMED])}{more} mattered more than chance; in brackets, the share of the importance."


def mattered_most(importance: Importance | None) -> str | None:
    """The most important parameters in a few words; None if not measured."""
    if importance is None:
        return None
    first = [f"{name} ({importance.shares[name]:.0%})" for name in importance.beyond_chance[:2]]
    return ", ".join(first) or "nothing beyond chance"


def importance_sentence(search: SearchRecord, importance: Importance | None) -> str:
    """Describes how importance was measured and what is beyond chance, or why it was not measured."""
    if importance is None:
        return f"Left out: {_why_not_measured(search)}."
    ended = importance.num_ended_before
    worst = (
        f"; {formatting.count(ended, 'trial')} that diverged, ran out of memory or collapsed counted as worst"
        if ended
        else ""
    )
    beyond = ", ".join(importance.beyond_chance) or "none"
    return (
        f"PED-ANOVA: what separates the best {BEST_SHARE:.0%} of {importance.num_trials} trials from all of them, at "
        f"epoch {importance.epoch}, before any was stopped at a rung{worst}. Above the 95 % quantile of chance: "
        f"{beyond}."
    )


def _why_not_measured(search: SearchRecord) -> str:
    _, measured, ended_badly = usable_trials(search)
    number = len(measured) + len(ended_badly)
    if number < MIN_TRIALS:
        return f"needs {MIN_TRIALS} trials at the first rung; this search has {number}"
    if len(measured) < BEST_SHARE * number:
        return f"needs a value at the first rung from {BEST_SHARE:.0%} of {number} trials; {len(measured)} have one"
    return f"no parameter differs between the {number} trials"


def importance_section(search: SearchRecord, importance: Importance | None) -> str:
    """The section of the report, in Markdown."""
    parts = ["## Importance of the parameters", importance_sentence(search, importance)]
    if importance is not None:
        rows = [
            (formatting.code(name), f"{share:.0%}", f"{importance.chance[name]:.0%}")
            for name, share in list(importance.shares.items())[:MAX_ROWS]
        ]
        parts.append(table(("parameter", "share", "chance"), rows))
    return "\n\n".join(parts)
