"""Why a trial ended as it did, and why the winner won, in sentences, from the records alone.

python -m tuner.explain results/moe/<run>        # the search and its winner
python -m tuner.explain results/moe/<run> 17     # one trial
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tuner import standing, wording
from tuner.confirmation import choose, read_confirmations
from tuner.importance import measure_importance
from tuner.policy.outcomes import Outcome
from tuner.records import DecisionRecord, SearchRecord, TrialRecord, read_search

MOST_PARAMETERS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        search = read_search(options.folder)
        lines = explain_search(search, options.folder) if options.trial is None else _explain(search, options.trial)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def explain_search(search: SearchRecord, folder: Path) -> list[str]:
    """How the trials ended, why the winner won, and whether it can be told from the default on new data."""
    endings = standing.count_endings(search)
    open_ended = len(search.trials) - sum(endings.values())
    endings |= {"without an ending so far": open_ended} if open_ended else {}
    counts = ", ".join(f"{number} {ending}" for ending, number in endings.items()) or "none has begun"
    lines = [f"{wording.count(len(search.trials), 'trial')} in {wording.duration(search.elapsed)}: {counts}."]
    if search.winner is None:
        return [*lines, "None gave a value that could be compared, so there is no winner."]
    lines += [*_why_it_won(search), *explain_trial(search, search.winner)[1:]]
    lines += [confirmation.sentence for confirmation in read_confirmations(folder, search)]
    choice = choose(folder, search)
    return lines if choice is None else [*lines, choice.sentence]


def explain_trial(search: SearchRecord, trial: TrialRecord) -> list[str]:
    """Its ending with the numbers, what happened at each rung, how it stood, and in what it is not the default."""
    name = f"Trial {trial.number}" + (" (the default)" if trial is search.default_trial else "")
    lines = [f"{name} {_ending(trial)}."]
    lines += [_rung(search, decision) for decision in search.decisions if decision.trial == trial.name]
    lines += [line for line in (_against_default(search, trial), _what_it_meant(trial)) if line]
    return lines + list(_differences(search, trial))


def _ending(trial: TrialRecord) -> str:
    """The records of a search that was killed end in the middle, as those of one that is running."""
    if trial.outcome is not None:
        return trial.sentence
    done = wording.count(standing.last_epoch(trial), "epoch")
    return f"has {done} on record and no ending: it trains, waits at a rung, or was cut off"


def _explain(search: SearchRecord, number: int) -> list[str]:
    found = {trial.number: trial for trial in search.trials}
    if number not in found:
        raise ValueError(f"There is no trial {number}; the trials of this search are 0 to {max(found, default=0)}.")
    return explain_trial(search, found[number])


def _why_it_won(search: SearchRecord) -> list[str]:
    epoch, winner = search.comparison_epoch, search.winner
    rivals = search.ranked(epoch)
    objective = wording.metric(search.settings.objective)
    value = wording.number(winner.objective_at(epoch))
    measured = winner.result_at(epoch).epoch
    where = "the highest that was reached" if measured == epoch else "where it plateaued"
    line = f"Trial {winner.number} won: its {objective} of {value} at epoch {measured}, {where},"
    if len(rivals) == 1:
        return [f"{line} has no rival: no other trial came so far."]
    second = rivals[1]
    behind = wording.number(abs(winner.objective_at(epoch) - second.objective_at(epoch)))
    return [f"{line} is the best of {len(rivals)}; trial {second.number} is {behind} behind."]


def _rung(search: SearchRecord, decision: DecisionRecord) -> str:
    """What was compared with what, and what became of those above it."""
    place = f"Epoch {decision.epoch}" if decision.rung is None else f"Rung {decision.rung} (epoch {decision.epoch})"
    rank = "" if decision.rank is None else f", rank {decision.rank} of {decision.of} that had arrived"
    cutoff = "" if decision.cutoff is None else f", cutoff {wording.number(decision.cutoff)}"
    full = "" if decision.expected is None else f", {wording.number(decision.expected)} expected at full length"
    later = _standing_now(search, decision)
    return f"{place}: {wording.number(decision.value)}{rank}{cutoff}{full}: {_ACTIONS[decision.action]}{later}."


def _standing_now(search: SearchRecord, decision: DecisionRecord) -> str:
    """Whether the decision would be the same among all that came to the rung in the end."""
    there = search.ranked(decision.epoch)
    ranks = [rank for rank, trial in enumerate(there, start=1) if trial.name == decision.trial]
    is_news = bool(ranks) and decision.rank is not None and len(there) > decision.of
    return f"; in the end rank {ranks[0]} of {len(there)}" if is_news else ""


def _against_default(search: SearchRecord, trial: TrialRecord) -> str:
    comparison = standing.compare_with_default(search, trial)
    if comparison is None or trial is search.default_trial:
        return ""
    values = f"{wording.number(comparison.winner_value)} against {wording.number(comparison.default_value)}"
    return f"At epoch {comparison.epoch} it was {wording.gain(comparison.gain)} than the default: {values}."


def _what_it_meant(trial: TrialRecord) -> str:
    return "" if trial.outcome is None else _MEANINGS.get(trial.outcome, "")


def _differences(search: SearchRecord, trial: TrialRecord) -> Iterator[str]:
    """In what it is not the default; where that can be told, what mattered most in this search first."""
    default = search.default_trial
    if default is None or trial is default:
        return
    importance = measure_importance(search)
    shares = {} if importance is None else importance.shares
    names = [name for name in {**default.params, **trial.params} if _value(trial, name) != _value(default, name)]
    names.sort(key=lambda name: -shares.get(name, 0.0))
    told = [f"{name} {_value(trial, name)} ({_value(default, name)})" for name in names[:MOST_PARAMETERS]]
    more = f" and {len(names) - MOST_PARAMETERS} more" if len(names) > MOST_PARAMETERS else ""
    if told:
        order = "" if importance is None else ", with what mattered most first"
        yield f"Not as the default{order}: {', '.join(told)}{more}."


def _value(trial: TrialRecord, name: str) -> str:
    return wording.parameter(trial.params[name]) if name in trial.params else "not used"


_ACTIONS = {
    "continue": "went on",
    "stop": "stopped",
    "keep": "went on because it is the default, with which all are compared",
    "pause": "waited",
    "promote": "was promoted",
}
_MEANINGS = {
    Outcome.STOPPED_AT_RUNG: "Its value is real but early: a slow starter may be stopped so.",
    Outcome.DIVERGED: "The proposer counts the configuration as bad and keeps away from it.",
    Outcome.OUT_OF_MEMORY: "A micro-batch of one image did not fit; the proposer counts the configuration as bad.",
    Outcome.EXPERTS_COLLAPSED: "Its mixture had become a single network, which the response could not undo; the "
    "proposer counts the configuration as bad.",
    Outcome.PLATEAUED: "Early stopping saved the rest of its budget; its value stands beside those of full trainings.",
    Outcome.FAILED: "This says nothing about the configuration, and the proposer learns nothing from it.",
    Outcome.INTERRUPTED: "The search ended first; --resume goes on with it.",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tuner.explain", description="Why trials ended, and who won.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a search, results/<space>/<run>")
    parser.add_argument("trial", type=int, nargs="?", metavar="TRIAL", help="number of a trial (default: the winner)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
