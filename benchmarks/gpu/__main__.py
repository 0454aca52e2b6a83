"""Measures this project on a CUDA device: tests, speed, memory, and trainings that share it.

    make gpu                                       every piece that is not measured yet
    make gpu GPU='--seconds 540'                   begins no piece that would end later; run it again for the rest
    python -m benchmarks.gpu "steps resnet50"      this piece
    python -m benchmarks.gpu --again               all of them anew

Each piece runs in a process of its own and is saved when it is done, in results/gpu.json: after an interruption the
same command goes on. What needs a package that is not there says so and is skipped. With the Python and torch of the
machine: nothing is installed, nothing is downloaded.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from benchmarks.gpu import result
from benchmarks.gpu.pieces import PIECES
from benchmarks.gpu.result import Result

FILE = Path("results") / "gpu.json"
FILE_OF_A_TRY = Path("results") / "gpu_tried" / "gpu.json"
"""Holds pieces that were only tried, on a CPU or tiny: they do not measure a GPU."""
PIECE_SECONDS = 530.0
"""A piece that takes longer has failed."""
DONE, FAILED, LEFT, NO_DEVICE = 0, 1, 3, 2


def main(arguments: Sequence[str]) -> int:
    """Runs the command: 0 all done, 1 a piece failed, 2 no such device, 3 pieces are left."""
    options = _parser().parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("This machine has no CUDA device; --device cpu --tiny tries the pieces themselves.\n")
        return NO_DEVICE
    if options.file is None:
        options.file = FILE if options.device == "cuda" and not options.tiny else FILE_OF_A_TRY
    began, left = time.monotonic(), []
    for name in _to_measure(options):
        if options.seconds is not None and time.monotonic() - began + PIECES[name].seconds > options.seconds:
            left.append(name)
            continue
        sys.stdout.write(f"{name} ...\n")
        sys.stdout.flush()
        results = result.read(options.file) | {name: _measured(name, options)}
        result.write(options.file, {known: results[known] for known in PIECES if known in results})
    results = result.read(options.file)
    sys.stdout.write("".join(f"{line}\n" for line in result.table(results)))
    if left:
        sys.stdout.write(f"Left for another run of this command: {', '.join(left)}\n")
        return LEFT
    return FAILED if any(one.status == "failed" for one in results.values()) else DONE


def _to_measure(options: argparse.Namespace) -> list[str]:
    """Requested pieces that this machine has not measured at this commit."""
    known, commit, machine = result.read(options.file), record.commit(), record.machine()["gpu"]
    done = {
        name
        for name, one in known.items()
        if one.status == "measured" and (one.commit, one.machine.get("gpu")) == (commit, machine)
    }
    names = options.names or list(PIECES)
    return names if options.again else [name for name in names if name not in done]


def _measured(name: str, options: argparse.Namespace) -> Result:
    """The piece, measured in a process of its own, which leaves no memory of the device behind."""
    began = time.monotonic()
    here: dict[str, Any] = {"commit": record.commit(), "machine": record.machine()}
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "piece.json"
        command = [sys.executable, "-m", "benchmarks.gpu.piece", name, options.device, str(written)]
        command += ["--tiny"] if options.tiny else []
        try:
            status, errors = run_whole(command, PIECE_SECONDS)
        except subprocess.TimeoutExpired:
            return Result(status="failed", seconds=PIECE_SECONDS, note=f"took over {PIECE_SECONDS:g} s", **here)
        seconds = round(time.monotonic() - began, 1)
        if not written.exists():
            note = f"ended with {status}: {errors.strip()[-500:]}"
            return Result(status="failed", seconds=seconds, note=note, **here)
        found = result.read(written)[name]
    return Result(status=found.status, seconds=seconds, note=found.note, numbers=found.numbers, **here)


def run_whole(command: Sequence[str], most_seconds: float) -> tuple[int, str]:
    """Runs a command; returns its exit status and what it wrote to standard error. Nothing that it started outlives it:
    that would keep the device busy for the next piece.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    # To a file: a pipe stays open as long as one that the command has left running holds it.
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True) as process,
    ):
        try:
            status = process.wait(most_seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        errors.seek(0)
        return status, errors.read()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Try and measure a CUDA device.")
    parser.add_argument("names", nargs="*", type=_known, metavar="PIECE", help=", ".join(PIECES))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the pieces themselves")
    parser.add_argument("--tiny", action="store_true", help="so small that it shows nothing but that it runs")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no piece that would end later")
    parser.add_argument("--again", action="store_true", help="also what is measured already")
    parser.add_argument("--file", type=Path, metavar="FILE", help=f"default: {FILE}, of a try {FILE_OF_A_TRY}")
    return parser


def _known(name: str) -> str:
    if name not in PIECES:
        raise argparse.ArgumentTypeError(f"{name} is not a piece; known: {', '.join(PIECES)}")
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
