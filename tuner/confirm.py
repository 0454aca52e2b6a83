"""Retrains the default and the best configurations on several seeds, and scores them on the test split.

    python -m tuner.confirm results/moe/<run> --seeds 3..10

The search compared single runs on the validation split; this tests whether the gain holds on data it never saw. Report,
page and export are written again: another trial may be selected.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, redirect_stdout
from pathlib import Path

from trainable.console import process
from trainable.console.command_line import error_line, error_with_next_step, run_main
from trainable.console.json_output import write_json
from tuner import formatting
from tuner.api.result import load
from tuner.api.searches import load_libraries
from tuner.ray.address import cluster_address
from tuner.ray.cluster import node_resources, ray_running, resources_here
from tuner.records import ConfirmSeeds, SearchRecord, lock_folder, read_search
from tuner.records.settings import read_settings

PROG = "python -m tuner.confirm"
NUM_BEST = 3
DONE, MISSING, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command; returns its exit status: 0 done, 1 a training is missing, 2 user error, 130 Ctrl-C."""
    options = build_parser(prog).parse_args(arguments)
    try:
        with process.shown():
            if options.seeds is None:
                seeds = read_settings(options.folder).confirm_seeds
            else:
                seeds = ConfirmSeeds.parse(options.seeds, option="--seeds")
            with redirect_stdout(sys.stderr) if options.json else nullcontext():
                status = _confirm(options.folder, top=options.top, seeds=seeds, address=options.address)
            if options.json:
                write_json(load(options.folder).summary())
            return status
    except ValueError as error:
        sys.stderr.write(error_line(error))
        return USER_ERROR
    except OSError as error:
        next_step = "Finished trainings are saved; fix the problem and run the same command again."
        sys.stderr.write(error_with_next_step(error, next_step))
        return USER_ERROR
    except KeyboardInterrupt:
        return _say_interrupted()


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Score the best trials on the test split.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument(
        "--top", type=int, default=NUM_BEST, metavar="K", help=f"number of best trials (default: {NUM_BEST})"
    )
    parser.add_argument(
        "--seeds",
        "--confirm-seeds",
        metavar="N..M",
        help="N seeds each, and up to M for the exported one and the default while undecided; a single "
        "N is exactly N (default: the search's)",
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="a running Ray cluster (default: RAY_ADDRESS, else start Ray here)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to standard error")
    return parser


def _confirm(folder: Path, *, top: int, seeds: ConfirmSeeds, address: str | None) -> int:
    load_libraries()
    from tuner.ending.steps import confirm_and_show, finish
    from tuner.export import trial_config
    from tuner.ray.cluster_nodes import followed_nodes
    from tuner.storage.mirror import mirror_folder

    check_confirmable(folder, top=top)
    with ExitStack() as held:
        held.enter_context(lock_folder(folder))
        search = read_search(folder)
        mirror = held.enter_context(mirror_folder(folder, search.settings.store))
        check_held = (lambda: None) if mirror is None else mirror.check_held
        references = search.settings.references
        with ray_running(cluster_address(address), references=references) as cluster:
            nodes = followed_nodes(cluster, search.settings, trial_config(search, search.trials[0]), None)
            if nodes is not None:
                nodes.wait()
            unfit = tuple if nodes is None else nodes.unfit_now
            there = node_resources() if nodes is None else nodes.resources
            resources = resources_here(search.settings.resources, there)
            is_whole = confirm_and_show(
                folder, search, top=top, seeds=seeds, on_wait=check_held, unfit_nodes=unfit, resources=resources
            )
        search.taken_over = None if mirror is None else mirror.taken_over
        finish(folder, search)
    return _report_missing(folder, search, top=top, seeds=seeds) if is_whole else _say_interrupted()


def check_confirmable(folder: Path, *, top: int) -> None:
    """Checks what can be checked before Ray starts.

    Raises:
        ValueError: --top is below 1, the folder holds nothing to confirm, or its data has changed.
    """
    from trainable.run_setup import open_data
    from tuner.confirmation.wanted import candidates
    from tuner.ending.steps import DATA_NOTES
    from tuner.export import exported_config_of
    from tuner.selection.comparison import confirmed_runs

    if top < 1:
        raise ValueError(f"--top is {top}; it must be 1 or more.")
    record = read_search(folder)
    confirmed_runs(folder, record)
    exported = exported_config_of(record, candidates(record, top)[0], folder)
    with process.silence_loggers(DATA_NOTES):
        open_data(exported.config, exported.data_fingerprint)


def _report_missing(folder: Path, search: SearchRecord, *, top: int, seeds: ConfirmSeeds) -> int:
    from tuner.confirmation.wanted import next_trainings
    from tuner.selection.comparison import confirmed_runs

    missing = next_trainings(folder, search, top=top, seeds=seeds)
    if not missing:
        return DONE
    listed = "; ".join(f"trial {trial.name}, seed {seed}" for trial, seed in missing)
    total = formatting.count(len(confirmed_runs(folder, search)) + len(missing), "training")
    sys.stderr.write(f"error: {len(missing)} of {total} missing: {listed}. Run it again.\n")
    return MISSING


def _say_interrupted() -> int:
    sys.stderr.write("Interrupted. Finished trainings are saved; run the same command to continue.\n")
    return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run_main(main))
