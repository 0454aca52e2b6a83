"""Retrains the default and the best configurations on several seeds, and scores them on the test split.

    python -m tuner.confirm results/moe/<run> --seeds 3..10

The search compared single runs on the validation split; this tests whether the gain holds on data it never saw.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trainable import process
from trainable.command_line import error_line, run_main
from trainable.run_setup import open_data
from tuner import formatting
from tuner.confirm.comparison import confirmed_runs
from tuner.confirm.training import confirm, log_training
from tuner.confirm.wanted import NUM_BEST, candidates, next_trainings
from tuner.export import exported_config_of
from tuner.ray.address import cluster_address
from tuner.ray.cluster import ray_running
from tuner.records import ConfirmSeeds, locked, read_search
from tuner.records.settings import read_settings

PROG = "python -m tuner.confirm"


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command; returns its exit status: 0 done, 1 a training is missing, 2 user error, 130 Ctrl-C."""
    options = build_parser(prog).parse_args(arguments)
    try:
        seeds = _seeds(options)
        check_confirmable(options.folder, top=options.top)
        with process.shown(), locked(options.folder), ray_running(cluster_address(None)):
            done = confirm(options.folder, top=options.top, seeds=seeds, on_run=log_training)
        return _report_missing(options.folder, num_done=len(done), top=options.top, seeds=seeds)
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Finished trainings are saved; run the same command to continue.\n")
        return 130


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
        help="N seeds each, and up to M for the exported one and the default while they cannot be told apart; a single "
        "N is exactly N (default: the search's)",
    )
    return parser


def _seeds(options: argparse.Namespace) -> ConfirmSeeds:
    if options.seeds is None:
        return read_settings(options.folder).confirm_seeds
    return ConfirmSeeds.parse(options.seeds, option="--seeds")


def check_confirmable(folder: Path, *, top: int) -> None:
    """Checks what can be checked before Ray starts.

    Raises:
        ValueError: --top is below 1, the folder holds nothing to confirm, or its data has changed.
    """
    if top < 1:
        raise ValueError(f"--top is {top}; it must be 1 or more.")
    record = read_search(folder)
    confirmed_runs(folder, record)
    exported = exported_config_of(record, candidates(record, top)[0], folder)
    open_data(exported.config, exported.data_fingerprint)


def _report_missing(folder: Path, *, num_done: int, top: int, seeds: ConfirmSeeds) -> int:
    missing = next_trainings(folder, read_search(folder), top=top, seeds=seeds)
    if missing:
        listed, total = (
            "; ".join(f"trial {trial.name}, seed {seed}" for trial, seed in missing),
            num_done + len(missing),
        )
        sys.stderr.write(
            f"error: {len(missing)} of {formatting.count(total, 'training')} missing: {listed}. Run it again.\n"
        )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(run_main(main))
