"""Compares this project with its peers on the same work.

    python -m benchmarks                    all benchmarks
    python -m benchmarks experts metrics    only these
    python -m benchmarks --resume           those not yet measured at this commit

Each benchmark prints its table and updates results/benchmarks.json when it is done, so Ctrl-C loses only the running
one. At the end the figures and the table in results/README.md are made from that file. Runs on one thread and keeps
memory between steps, like a trial of a search.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import record
from benchmarks.harness import Size
from benchmarks.progress import Progress
from benchmarks.registry import BENCHMARKS, SECONDS
from benchmarks.report import table
from benchmarks.showing import show
from tuner.ray.cluster import ENVIRONMENT

RESULTS = Path("results")
# As a search sets them. Two threads of numpy's library on matrices as small as a decision's wait for each other, and
# where other work runs beside them spend ten times the processor's time doing so.
AS_IN_A_SEARCH = {name: value for name, value in ENVIRONMENT.items() if name.startswith("MALLOC_")}
AS_IN_A_SEARCH |= {"OPENBLAS_NUM_THREADS": "1"}
TABLE_CHARACTERS = 160
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit status."""
    options = _parser().parse_args(arguments)
    if any(os.environ.get(name) != value for name, value in AS_IN_A_SEARCH.items()):
        # Libraries read these when a process starts.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *arguments], os.environ | AS_IN_A_SEARCH)
    torch.set_num_threads(1)
    measured: set[str] = set()
    if options.resume:
        commit = record.commit()
        measured = {name for name, row in record.read(RESULTS / record.FILE).items() if row.commit == commit}
    names = [name for name in options.names or BENCHMARKS if name not in measured]
    status = 0
    try:
        _measure(names, Size(rounds=options.rounds))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Finished benchmarks are saved; continue with: python -m benchmarks --resume\n")
        status = INTERRUPTED
    for written in show(RESULTS):
        sys.stdout.write(f"{written}\n")
    return status


def _measure(names: Sequence[str], size: Size) -> None:
    progress = Progress({name: SECONDS[name] for name in names}, sys.stderr)
    logger = logging.getLogger("benchmarks")
    logger.setLevel(logging.INFO)
    logger.addHandler(progress)
    try:
        for name in names:
            progress.begin(name)
            began = time.perf_counter()
            claims = BENCHMARKS[name](size)
            row = record.measured_now(claims, seconds=time.perf_counter() - began)
            rows = record.read(RESULTS / record.FILE) | {name: row}
            record.write(RESULTS / record.FILE, {known: rows[known] for known in BENCHMARKS if known in rows})
            Console(width=TABLE_CHARACTERS).print(table(claims))
    finally:
        logger.removeHandler(progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare this project with its peers on the same work."
    )
    parser.add_argument("names", nargs="*", type=_known, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds per side (default: 5)")
    parser.add_argument("--resume", action="store_true", help="skip benchmarks already measured at this commit")
    return parser


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{name} is not a benchmark; known: {', '.join(BENCHMARKS)}")
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
