"""Measures ours beside its peers on the same work.

    python -m benchmarks                    everything: the table, results/benchmarks.json and the picture
    python -m benchmarks experts metrics    the named ones: the table alone

One thread, and memory kept between steps as in a trial of a search.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib import rc_context
from rich.console import Console

from benchmarks.harness import Size
from benchmarks.registry import BENCHMARKS
from benchmarks.report import picture, table, to_json
from tuner.cluster import ENVIRONMENT

RESULTS = Path("results")
MEMORY = {name: value for name, value in ENVIRONMENT.items() if name.startswith("MALLOC_")}
TABLE_CHARACTERS = 160


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(arguments)
    if any(os.environ.get(name) != value for name, value in MEMORY.items()):
        # The C library reads these when a process begins.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *arguments], os.environ | MEMORY)
    torch.set_num_threads(1)
    began = time.perf_counter()
    claims = []
    for name in options.names or BENCHMARKS:
        sys.stderr.write(f"[{time.perf_counter() - began:4.0f} s] {name}\n")
        claims += BENCHMARKS[name](Size(rounds=options.rounds))
    Console(width=TABLE_CHARACTERS).print(table(claims))
    if not options.names:
        (RESULTS / "benchmarks.json").write_text(to_json(claims, seconds=time.perf_counter() - began))
        with rc_context({"savefig.dpi": 110}):
            picture(claims).savefig(RESULTS / "figures" / "benchmarks.png")
        sys.stdout.write(f"{RESULTS / 'benchmarks.json'}, {RESULTS / 'figures' / 'benchmarks.png'}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Ours beside its peers, on the same work."
    )
    parser.add_argument("names", nargs="*", type=_known, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each side (default: 5)")
    return parser


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{name} is no benchmark; known: {', '.join(BENCHMARKS)}")
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
