"""Why the winner won and why a trial ended, in sentences, from the records alone.

python -m tuner.explain results/moe/2026-11-20_10-00-00
python -m tuner.explain results/moe/2026-11-20_10-00-00 7
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tuner import standing, wording
from tuner.records import DecisionRecord, SearchRecord, TrialRecord, read_search
from tuner.rungs import CONTINUE, PAUSE, PROMOTE


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0 done, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m tuner.explain", description="Why trials ended as they did.")
    parser.add_argument("folder", type=Path, help="results/<space>/<run>")
    parser.add_argument("trial", nargs="?", type=int, help="number of a trial (default: the winner, and all in a line)")
    options = parser.parse_args(arguments)
    try:
        search = read_search(options.folder)
        lines = explain_search(search) if options.trial is None else explain_trial(search, options.trial)
        sys.stdout.write("\n".join(lines) + "\n")
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def explain_search(search: SearchRecord) -> list[str]:
    """The winner, and a line for each trial."""
    lines = [*_why_it_won(search), ""]
    return lines + [f"Trial {trial.number} {trial.sentence}." for trial in search.trials]


def explain_trial(search: SearchRecord, number: int) -> list[str]:
    """One trial from its start to its end."""
    trials = {trial.number: trial for trial in search.trials}
    if number not in trials:
        raise ValueError(f"there is no trial {number}; the search has the trials {min(trials)} to {max(trials)}")
    trial = trials[number]
    lines = [_decision(decision) for decision in search.decisions if decision.trial == trial.trial and decision.rung]
    lines.append(f"It {trial.sentence}." if trial.outcome else "It has not ended.")
    lines += _what_it_cost(search, trial)
    if trial is search.winner:
        lines += _why_it_won(search)
    return [f"Trial {number}: {_configuration(search, trial)}.", *lines]


def _decision(decision: DecisionRecord) -> str:
    place = f"At rung {decision.rung} (epoch {decision.epoch}) it had {_number(decision.value)}"
    rank = f", rank {decision.rank} of {decision.of}" if decision.rank else ""
    cutoff = "" if decision.cutoff is None else f", with the cutoff at {_number(decision.cutoff)}"
    expected = "" if decision.expected is None else f"; {_number(decision.expected)} was expected of it at full length"
    return f"{place}{rank}{cutoff}{expected}: {_ACTIONS.get(decision.action, 'it was stopped')}."


_ACTIONS = {CONTINUE: "it went on", PAUSE: "it waited", PROMOTE: "it was promoted"}


def _what_it_cost(search: SearchRecord, trial: TrialRecord) -> Iterator[str]:
    epochs, longest = standing.last_epoch(trial), search.settings["max_epochs"]
    seconds = sum(result.seconds for result in trial.results.values())
    if epochs:
        saved = f", and {longest - epochs} were saved" if trial.outcome and epochs < longest else ""
        yield f"It trained {epochs} of {longest} epochs in {wording.duration(seconds)}{saved}."


def _why_it_won(search: SearchRecord) -> Iterator[str]:
    epoch, winner = search.comparison_epoch, search.winner
    if winner is None:
        yield "No trial was measured that may win."
        return
    ranked = search.ranked(epoch)
    value = winner.objective_at(epoch)
    others = "the best of " + wording.count(len(ranked), "trial") if len(ranked) > 1 else "the only one"
    yield f"Trial {winner.number} won: with {_number(value)} after epoch {epoch} it is {others} that came so far."
    if len(ranked) > 1:
        second = ranked[1]
        behind = abs(value - second.objective_at(epoch))
        yield f"Next is trial {second.number} with {_number(second.objective_at(epoch))}, {_number(behind)} behind."
    yield from _beside_the_default(search, winner)


def _beside_the_default(search: SearchRecord, winner: TrialRecord) -> Iterator[str]:
    if winner is search.default_trial:
        yield "It is the default configuration: the search found nothing better."
        return
    comparison = standing.compare_with_default(search, winner)
    if comparison is not None:
        early = "" if comparison.epoch == search.comparison_epoch else ", the last that the default was trained for"
        values = f"{_number(comparison.winner_value)} against {_number(comparison.default_value)}"
        yield f"Beside the default after epoch {comparison.epoch}{early}: {values}, {wording.gain(comparison.gain)}."
    yield f"It differs from the default in {_configuration(search, winner)}."


def _configuration(search: SearchRecord, trial: TrialRecord) -> str:
    """What is not as in the default configuration."""
    default = search.default_trial
    if default is None or trial is default:
        return "the default configuration"
    names = [name for name, value in trial.params.items() if default.params.get(name) != value]
    changes = [f"{name} {wording.parameter(trial.params[name])}{_instead_of(default, name)}" for name in names]
    return ", ".join(changes) or "the same as the default"


def _instead_of(default: TrialRecord, name: str) -> str:
    return f" instead of {wording.parameter(default.params[name])}" if name in default.params else ""


def _number(value: float | None) -> str:
    return "a value that is not finite" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
