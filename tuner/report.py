"""Writes the report of a search from its results folder, and reruns nothing.

python -m tuner.report results/moe/<run>                  writes report.html, report.md and results.csv into it, and
                                                          best/ if a finished search lacks it
python -m tuner.report results/moe/<run> --output DIR     writes them to DIR; works while the search runs
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.console.command_line import error_line, run_main, unnamed_errors_name
from trainable.console.json_output import write_json
from trainable.console.process import collector_paused
from trainable.console.visible_text import to_csv_cell, visible
from trainable.reporting.output_folder import check_writable

# Nothing that is imported and drawn is garbage; to find that out takes a quarter of the time.
with collector_paused():
    from tuner.confirmation.wanted import what_is_left
    from tuner.importance.measure import Importance, measure_importance
    from tuner.records import SearchRecord, lock_folder, read_search
    from tuner.records.atomic_file import replacing
    from tuner.records.lock import is_in_use
    from tuner.records.settings import read_settings
    from tuner.records.trivial import PROBE, TRIVIAL
    from tuner.results import baselines, report_text
    from tuner.results.above_trivial import warning_of_nothing_learned
    from tuner.results.data import data_section
    from tuner.results.headline import State
    from tuner.results.importance_text import importance_section
    from tuner.results.report_text import table
    from tuner.selection import in_search
    from tuner.selection.comparison import read_confirmations
    from tuner.selection.selected_trial import select_trial
    from tuner.views.html.content import read_result
    from tuner.views.html.page import PAGE, write_page

if TYPE_CHECKING:
    import pandas as pd

PROG = "python -m tuner.report"
REPORT, TABLE = "report.md", "results.csv"


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command; returns its exit status: 0 done, 2 user error."""
    options = build_parser(prog).parse_args(arguments)
    folder, output = options.folder, options.output or options.folder
    try:
        read_settings(folder)
        check_writable(output, "--output")
        is_own = output.resolve() == folder.resolve()
        with lock_folder(folder) if is_own else nullcontext(), unnamed_errors_name(output), collector_paused():
            report = write_report(folder, output)
            if is_own:
                _export_if_missing(folder)
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    paths = {"report": str(report), "table": str(output / TABLE), "page": str(output / PAGE)}
    if options.json:
        write_json(paths)
    else:
        sys.stdout.write(f"{report}\n")
    return 0


def _export_if_missing(folder: Path) -> None:
    """Exports a finished search that has no export; a failure is logged, so that the report is still written."""
    search = read_search(folder)
    is_exportable = search.leader is not None and what_is_left(folder, search) is None
    if not is_exportable or (folder / "best").exists():
        return
    # Brings in torch.
    from tuner.export import export

    try:
        sys.stderr.write(f"{export(folder)} was missing, and is written again.\n")
    except ValueError as error:
        sys.stderr.write(visible(f"{error}\n"))


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Write the report of a search.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write the report there; works while the search runs (default: the search's folder)",
    )
    parser.add_argument("--json", action="store_true", help="print the paths as JSON")
    return parser


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Writes the page, the table and the report over earlier ones; returns the path of the report.

    The report is written last: an earlier one stays intact until the new page and table exist.

    Args:
        output: folder to write to; None is the search's own, whose lock the caller holds.

    Raises:
        ValueError: the folder holds no search, or a damaged one.
    """
    search = read_search(folder)
    return write_measured(folder, search, measure_importance(search), output)


def write_measured(
    folder: Path, search: SearchRecord, importance: Importance | None, output: Path | None = None
) -> Path:
    """Like `write_report`, for a search that is already read and its importance measured, which takes seconds."""
    selected = select_trial(folder, search)
    exported = None if selected is None else selected.trial
    output = folder if output is None else output
    confirmations = read_confirmations(folder, search)
    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / TABLE) as partial:
        _write_table(search, partial)
    is_running = output.resolve() != folder.resolve() and is_in_use(folder)
    state = State.RUNNING if is_running else None
    write_page(read_result(folder, search, state, importance=importance), output)
    settings = table(("setting", "value"), report_text.settings_rows(search))
    sections = [
        report_text.result_section(
            search,
            confirmations,
            selected,
            is_running=is_running,
            interruption=None if is_running else what_is_left(folder, search),
            nothing_learned=warning_of_nothing_learned(
                search, exported, confirmations, TRIVIAL.read(folder), PROBE.read(folder)
            ),
        ),
        f"## Settings\n\n{settings}\n\nAll settings are in `settings.json`.",
        report_text.exported_section(search, selected),
        report_text.confirmations_section(search, confirmations),
        baselines.baselines_section(search, baseline_rows(folder, search)),
        importance_section(search, importance),
        report_text.trials_section(search, exported),
        data_section(search.settings),
        ""
        if selected is None
        else report_text.next_steps_section(search, folder, is_confirmed=bool(confirmations) or selected.is_confirmed),
    ]
    with replacing(output / REPORT) as partial:
        partial.write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")
    return output / REPORT


def baseline_rows(folder: Path, search: SearchRecord) -> list[baselines.Row]:
    """The exported trial and the default beside what needs no training."""
    selected = select_trial(folder, search)
    exported, confirmations = None if selected is None else selected.trial, read_confirmations(folder, search)
    return baselines.rows_of(search, exported, confirmations, TRIVIAL.read(folder), PROBE.read(folder))


def outcome_lines(folder: Path, search: SearchRecord) -> list[str]:
    """Terminal lines about the result: the values on both splits, and whether anything was learned."""
    selected = select_trial(folder, search)
    exported, confirmations = None if selected is None else selected.trial, read_confirmations(folder, search)
    scores = TRIVIAL.read(folder), PROBE.read(folder)
    warning = warning_of_nothing_learned(search, exported, confirmations, *scores)
    rows = baseline_rows(folder, search)
    values = ("Validation", baselines.in_words(rows, "validation")), ("Test", baselines.in_words(rows, "test"))
    lines = [f"{name:<12}{words}" for name, words in values if words]
    return lines if warning is None else [f"{'Caution':<12}{warning}", *lines]


_FACTS = ("number", "trial", "outcome", "epochs", "objective", "best_objective", "best_epoch", "seconds")
_ENDING = "ending"


def results_table(search: SearchRecord) -> "pd.DataFrame":
    """One row per trial; a parameter that a trial does not have is missing there."""
    # Half a second, which a report does without.
    import pandas as pd

    return pd.DataFrame(_rows(search), columns=_columns(search))


def _write_table(search: SearchRecord, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        columns = _columns(search)
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writerow({name: to_csv_cell(name) for name in columns})
        writer.writerows({name: to_csv_cell(cell) for name, cell in row.items()} for row in _rows(search))


def _columns(search: SearchRecord) -> list[str]:
    parameters = dict.fromkeys(name for trial in search.trials for name in trial.params)
    return [*_FACTS, *map(_column, parameters), _ENDING]


def _column(parameter: str) -> str:
    """Column of a parameter: its name, or `config/NAME`, as in Ray Tune's tables, if a fact has that name."""
    return f"config/{parameter}" if parameter in (*_FACTS, _ENDING) else parameter


def _rows(search: SearchRecord) -> list[Mapping[str, Any]]:
    """One row per trial by column; values that a trial does not have are missing."""
    rows: list[Mapping[str, Any]] = []
    for trial in search.trials:
        best = in_search.best_epoch(search, trial)
        facts = (
            trial.number,
            trial.name,
            "unfinished" if trial.outcome is None else str(trial.outcome),
            trial.last_epoch,
            trial.last.objective if trial.last else None,
            None if best is None else trial.objective_at(best),
            best,
            round(sum(result.seconds for result in trial.results.values()), 3),
        )
        params = {_column(name): value for name, value in trial.params.items()}
        rows.append(dict(zip(_FACTS, facts, strict=True)) | params | {_ENDING: trial.sentence})
    return rows


if __name__ == "__main__":
    sys.exit(run_main(main))
