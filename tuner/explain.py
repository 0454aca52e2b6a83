"""Explains why a trial ended and why one is exported, from the records alone.

python -m tuner.explain results/moe/<run>        # the search and the trial that is exported
python -m tuner.explain results/moe/<run> 17     # one trial, by its number or its name
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from trainable.console.command_line import error_line, run_main
from trainable.console.json_output import write_json
from trainable.console.visible_text import visible
from tuner import formatting
from tuner.confirmation.wanted import is_over, what_is_left
from tuner.importance.measure import measure_importance
from tuner.policy.decision import CONTINUE, KEEP, PAUSE, PROMOTE, STOP, Decision
from tuner.policy.outcomes import Outcome
from tuner.records import SearchRecord, TrialRecord, read_search
from tuner.records.lock import is_in_use
from tuner.results import progress
from tuner.results.differences import differences
from tuner.selection import in_search
from tuner.selection.comparison import read_confirmations
from tuner.selection.selected_trial import select_trial

PROG = "python -m tuner.explain"
MOST_PARAMETERS = 5


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command and returns its exit status."""
    options = build_parser(prog).parse_args(arguments)
    try:
        search = read_search(options.folder)
        if options.trial is None:
            selected = select_trial(options.folder, search)
            trial, lines = None if selected is None else selected.trial, explain_search(search, options.folder)
        else:
            trial = find_trial(search, options.trial)
            lines = [*explain_trial(search, trial), *_on_further_seeds(search, options.folder, trial)]
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    if options.json:
        write_json({"trial": None if trial is None else _facts(search, trial), "sentences": lines})
    else:
        sys.stdout.write(visible("\n".join(lines)) + "\n")
    return 0


def explain_search(search: SearchRecord, folder: Path) -> list[str]:
    """Explains how the trials ended, which one is exported and why, and whether it beats the default on new data."""
    endings = progress.count_endings(search.trials)
    counts = ", ".join(f"{number} {ending}" for ending, number in endings.items()) or "none has started"
    lines = [
        f"{formatting.count(len(search.trials), 'trial')} in {formatting.duration(search.search_seconds)}: {counts}."
    ]
    is_running = is_in_use(folder)
    left = None if is_running else what_is_left(folder, search)
    lines = lines if left is None else [left, *lines]
    selected = select_trial(folder, search)
    if selected is None:
        return [*lines, "No trial has a value to compare, so none is exported."]
    lines.append(_why_it_led(search, selected.trial) if selected.choice is None else selected.choice.sentence)
    evidence = selected.evidence(is_over=is_over(folder, search), is_running=is_running)
    return [*lines, *evidence, *explain_trial(search, selected.trial)]


def explain_trial(search: SearchRecord, trial: TrialRecord) -> list[str]:
    """Explains how a trial ended, its decision at each rung, its gain over the default and its different parameters."""
    name = f"Trial {trial.name}" + (" (the default)" if trial is search.default_trial else "")
    # Records alone can't tell a killed search from a running one.
    open_end = f"is {trial.sentence}: it is training, waiting at a rung, or was interrupted"
    lines = [f"{name} {open_end if trial.outcome is None else trial.sentence}."]
    lines += [_rung(search, trial, decision) for decision in search.decisions_of(trial.name)]
    comparison = in_search.compare_with_default(search, trial)
    if comparison is not None and trial is not search.default_trial:
        values = f"{formatting.number(comparison.value)}, default {formatting.number(comparison.default_value)}"
        lines.append(f"At epoch {comparison.epoch}: {values}; {formatting.gain(comparison.gain)}.")
    if trial.outcome in _MEANINGS:
        lines.append(_MEANINGS[trial.outcome])
    return lines + _differences(search, trial)


def _on_further_seeds(search: SearchRecord, folder: Path, trial: TrialRecord) -> list[str]:
    """Sentences of the trial's confirmation, and of the choice if several seeds chose another trial."""
    lines = [one.sentence for one in read_confirmations(folder, search) if one.trial == trial.name]
    selected = select_trial(folder, search)
    if selected is None or selected.choice is None or trial is selected.trial or not lines:
        return lines
    return [*lines, selected.choice.sentence]


def find_trial(search: SearchRecord, called: str) -> TrialRecord:
    """Finds the trial of this number or name; raises ValueError if there is none."""
    for trial in search.trials:
        if called in (trial.name, str(trial.number)):
            return trial
    if not search.trials:
        raise ValueError(f"There is no trial {called}: this search has none yet.")
    last = search.trials[-1]
    raise ValueError(
        f"There is no trial {called}; give a number from 0 to {last.number}, or a name such as {last.name}."
    )


def _facts(search: SearchRecord, trial: TrialRecord) -> dict[str, object]:
    """A trial as plain data, for --json."""
    return {
        "name": trial.name,
        "params": trial.params,
        "outcome": trial.outcome,
        "numbers": dict(trial.numbers),
        "objectives": {epoch: result.objective for epoch, result in trial.results.items()},
        "decisions": [asdict(decision) for decision in search.decisions_of(trial.name)],
    }


def _why_it_led(search: SearchRecord, leader: TrialRecord) -> str:
    epoch = search.comparison_epoch or 0
    rivals, result = search.rank(epoch), leader.measured(epoch)
    objective = search.settings.metric
    value = formatting.number(result.objective)
    where = "the highest epoch reached" if result.epoch == epoch else "where it ended"
    verb = "leads" if search.is_unfinished else "is exported"
    line = f"Trial {leader.name} {verb}: its {objective} of {value} at epoch {result.epoch}, {where},"
    if len(rivals) == 1:
        return f"{line} has no rival: no other trial reached that epoch."
    second = rivals[1]
    behind = formatting.number(abs(result.objective - second.measured(epoch).objective))
    return f"{line} is the best of {len(rivals)} on one seed; trial {second.name} is {behind} behind."


def _rung(search: SearchRecord, trial: TrialRecord, decision: Decision) -> str:
    """Sentence on a decision at a rung, with the trial's final rank there if that differs."""
    place = f"Epoch {decision.epoch}" if decision.rung is None else f"Rung {decision.rung} (epoch {decision.epoch})"
    rank = "" if decision.rank is None else f", rank {decision.rank} of {decision.of} so far"
    cutoff = "" if decision.cutoff is None else f", cutoff {formatting.number(decision.cutoff)}"
    final = "" if decision.predicted is None else f", predicted final {formatting.number(decision.predicted)}"
    there = search.rank(decision.epoch)
    is_news = trial in there and decision.rank is not None and len(there) > decision.of
    later = f"; final rank {there.index(trial) + 1} of {len(there)}" if is_news else ""
    return f"{place}: {formatting.number(decision.value)}{rank}{cutoff}{final}: {_ACTIONS[decision.action]}{later}."


def _differences(search: SearchRecord, trial: TrialRecord) -> list[str]:
    """Parameters that differ from the default's, by importance, or else by difference."""
    if trial is search.default_trial:
        return []
    importance = measure_importance(search)
    found = differences(search, trial, importance)
    if not found:
        return []
    shown = [f"{one.parameter} {one.value} ({one.default})" for one in found[:MOST_PARAMETERS]]
    more = f" and {len(found) - MOST_PARAMETERS} more" if len(found) > MOST_PARAMETERS else ""
    order = "the largest difference first" if importance is None else "the most important first"
    return [f"Differs from the default, {order}: {', '.join(shown)}{more}."]


_ACTIONS = {
    CONTINUE: "continued",
    STOP: "stopped",
    KEEP: "continued: the default is never stopped",
    PAUSE: "waited",
    PROMOTE: "promoted",
}
_MEANINGS = {
    Outcome.STOPPED_AT_RUNG: "Its value is from an early epoch: slow starters can be stopped too soon.",
    Outcome.DIVERGED: "The sampler counts the configuration as bad and avoids similar ones.",
    Outcome.OUT_OF_MEMORY: "A micro-batch of one image did not fit; the sampler counts the configuration as bad.",
    Outcome.OVER_LIMIT: "It was measured before its training, so it cost no training time; the sampler counts the "
    "configuration as bad.",
    Outcome.EXPERTS_COLLAPSED: "Nearly all tokens went to the same experts, and the response did not help; the "
    "sampler counts the configuration as bad.",
    Outcome.PLATEAUED: "Stopped early; its last value is compared with those of full trainings.",
    Outcome.FAILED: "This says nothing about the configuration; the sampler does not count it.",
}


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Explain why trials ended and why one is exported.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a search, results/<space>/<run>")
    parser.add_argument(
        "trial", nargs="?", metavar="TRIAL", help="a trial's number or name (default: the exported one)"
    )
    parser.add_argument("--json", action="store_true", help="print the trial and the sentences as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run_main(main))
