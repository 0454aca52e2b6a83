"""Makes the report of a search from its results folder, and reruns nothing.

python -m tuner.report results/moe/<run>    writes report.md, figures/*.png and results.csv into it
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tuner import report_text, standing
from tuner.confirmation import choose, read_confirmations
from tuner.figures import save_pictures
from tuner.records import SearchRecord, TrialRecord, read_search

REPORT, FIGURES, TABLE = "report.md", "figures", "results.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0 done, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m tuner.report", description="Report what a search came to.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{write_report(options.folder)}\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def write_report(folder: Path) -> Path:
    """Writes the report and what belongs to it into `folder`, over an earlier one; returns its path.

    Raises:
        ValueError: the folder holds no search, or a damaged one.
    """
    search = read_search(folder)
    confirmations = read_confirmations(folder, search)
    results_table(search).to_csv(folder / TABLE, index=False)
    pictures = save_pictures(search, folder / FIGURES)
    sections = [
        report_text.say_result(search, confirmations, choose(folder, search)),
        report_text.say_what_was_searched(search),
        report_text.say_winner(search),
        report_text.say_confirmations(search, confirmations),
        report_text.say_pictures([(p, path and path.relative_to(folder)) for p, path in pictures]),
        report_text.say_trials(search),
        report_text.say_what_next(search, folder, is_confirmed=bool(confirmations)),
    ]
    report = folder / REPORT
    report.write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")
    return report


def results_table(search: SearchRecord) -> pd.DataFrame:
    """One row per trial; a parameter that a trial does not have is missing there."""
    rows = [_facts(search, trial) | trial.params | {"ending": trial.sentence} for trial in search.trials]
    parameters = list(dict.fromkeys(name for trial in search.trials for name in trial.params))
    return pd.DataFrame(rows, columns=[*_FACTS, *parameters, "ending"])


_FACTS = ("number", "trial", "outcome", "epochs", "objective", "best_objective", "best_epoch", "seconds")


def _facts(search: SearchRecord, trial: TrialRecord) -> dict[str, object]:
    best = standing.best_epoch(search, trial)
    values = (
        trial.number,
        trial.name,
        "running" if trial.outcome is None else str(trial.outcome),
        standing.last_epoch(trial),
        trial.last.objective if trial.last else None,
        None if best is None else trial.objective_at(best),
        best,
        round(sum(result.seconds for result in trial.results.values()), 3),
    )
    return dict(zip(_FACTS, values, strict=True))


if __name__ == "__main__":
    sys.exit(main())
