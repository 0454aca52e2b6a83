"""CPU time of the commands that read a large search: report, explain, and a resume until its first decision.

Each runs in a process of its own, its imports included; beside it an import of torch and Ray, by which a slow or busy
machine can be told from a slow command. CPU time is measured, which a busy machine distorts less than wall time.
"""

import logging
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Size, Spread, interleaved
from benchmarks.searches.recorded_search import record_finished, record_interrupted
from benchmarks.searches.search import ROOT
from trainable.data.io.counted import counted

logger = logging.getLogger(__name__)

IMPORTS = "import of torch and Ray"
MOST_ROUNDS = 3
"""Rounds of the short commands; long ones, and a resume, which changes its folder, have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Arguments of Python, and the time limit in seconds."""

    arguments: tuple[str, ...]
    max_seconds: float
    is_short: bool = False
    """Whether it is repeated."""


def measure(size: Size) -> list[Claim]:
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(Path(folder), size)
        short = {work: partial(cpu_seconds, *one.arguments) for work, one in commands.items() if one.is_short}
        short[IMPORTS] = partial(cpu_seconds, "-c", "import torch, ray")
        # No warm-up: of three rounds the median leaves out a cold start.
        seconds = interleaved(short, rounds=min(MOST_ROUNDS, size.rounds), warmups=0)
        for work in [work for work in commands if work not in short]:
            logger.info("%s", work)
            seconds[work] = (cpu_seconds(*commands[work].arguments),)
    return [_claim(work, one, seconds[work], seconds[IMPORTS]) for work, one in commands.items()]


def cpu_seconds(*arguments: str) -> float:
    """User and system CPU seconds of Python with these arguments, over all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended ({process.returncode}): {process.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _commands(folder: Path, size: Size) -> Mapping[str, Command]:
    """Commands by their work, on records that are written here."""
    few, many = size.pick((300, 3_000), (20, 30))
    num_ended, num_waiting = size.pick((1_000, 50), (8, 3))
    reported = {count: folder / str(count) for count in (few, many)}
    for count, own in reported.items():
        logger.info("records of %s", counted(count, "trial"))
        record_finished(own, count)
    logger.info("records of %s", counted(num_ended + num_waiting, "trial"))
    record_interrupted(folder / "interrupted", num_ended=num_ended, num_waiting=num_waiting)
    commands = {
        f"report of {count} trials": Command(
            arguments=("-m", "tuner.report", str(own), "--output", str(folder / f"report of {count}")),
            max_seconds=max_seconds,
            is_short=count == few,
        )
        for (count, own), max_seconds in zip(reported.items(), (3.0, 15.0), strict=True)
    }
    return commands | {
        f"explain, {few} trials": Command(
            arguments=("-m", "tuner.explain", str(reported[few])), max_seconds=2.0, is_short=True
        ),
        f"resume of {num_ended} ended and {num_waiting} waiting trials, until the first decision": Command(
            arguments=("-m", "benchmarks.searches.first_decision", str(folder / "interrupted")), max_seconds=10.0
        ),
    }


def _claim(work: str, command: Command, seconds: Sequence[float], references: Sequence[float]) -> Claim:
    median, reference = Spread.of(seconds).median, Spread.of(references).median
    return Claim(
        number=10,
        work=work,
        unit="s of CPU",
        # A long command has one round: all are relative to the median.
        sides=sides_of({OURS: seconds, IMPORTS: (reference,) * len(seconds)}),
        reference=IMPORTS,
        target=f"at most {command.max_seconds:g} s of CPU",
        finding=f"{median:.1f} s of CPU, {median / reference:.2f} of an {IMPORTS}: {reference:.1f} s",
        reached=median <= command.max_seconds,
    )
