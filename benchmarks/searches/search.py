"""The share of a search's slots that is training: 24 trials with epochs of 0.5 s, two at a time; and its start.

The three sides run one after the other, once: one search has enough trials for a median and its spread. A slot's time
for a trial runs from the end of the trial before it to its own end, so the time between two trials counts as lost.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios
from benchmarks.searches.sleep import LOG
from benchmarks.searches.sleeping import PLAIN_RAY, SIDES, SLOTS
from trainable.data.io.counted import counted
from tuner.records.events import TRIALS

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
NUM_TRIALS, NUM_EPOCHS, EPOCH_SECONDS = 24, 6, 0.5
MIN_SHARE, MAX_START = 0.95, 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A trial, from the begin of its first epoch to the end of its last, in seconds."""

    began: float
    ended: float
    trained: float
    """Seconds inside its epochs."""


def measure(size: Size) -> list[Claim]:
    return [_shares(size), _starts(size)]


def spans_of(epochs: Sequence[Mapping]) -> list[Span]:
    """The trials of a log of epochs, in order of their begin."""
    trials: dict[str, list[Mapping]] = {}
    for epoch in epochs:
        trials.setdefault(epoch["trial"], []).append(epoch)
    spans = [
        Span(
            began=min(epoch["began"] for epoch in own),
            ended=max(epoch["ended"] for epoch in own),
            trained=sum(epoch["ended"] - epoch["began"] for epoch in own),
        )
        for own in trials.values()
    ]
    return sorted(spans, key=lambda span: span.began)


def training_shares(spans: Sequence[Span], num_slots: int) -> tuple[float, ...]:
    """Share of training time in a trial, from the end before it to its own end; without the first trial of a slot."""
    free = sorted(span.ended for span in spans[:num_slots])
    shares = []
    for span in spans[num_slots:]:
        shares.append(span.trained / (span.ended - free.pop(0)))
        free = sorted([*free, span.ended])
    return tuple(shares)


def overall_share(spans: Sequence[Span], num_slots: int) -> float:
    """Training seconds over slots times seconds, from the first epoch's begin to the last one's end."""
    wall = max(span.ended for span in spans) - min(span.began for span in spans)
    return sum(span.trained for span in spans) / (num_slots * wall)


def _shares(size: Size) -> Claim:
    num_epochs = size.pick(NUM_EPOCHS, 1)
    spans = {}
    for side in SIDES:
        logger.info("%s by %s", counted(NUM_TRIALS, "trial"), side)
        # Until the last epoch has ended: without the report and Ray's shutdown.
        with _temporary_folder() as folder, _running(_sleeping(side, folder, NUM_TRIALS, num_epochs)) as process:
            spans[side] = spans_of(_awaited(process, Path(folder) / LOG, count=NUM_TRIALS * num_epochs))
    overall = {side: overall_share(own, SLOTS) for side, own in spans.items()}
    return Claim(
        number=5,
        work=f"share of {SLOTS} slots that is training, {NUM_TRIALS} trials of {num_epochs} x {EPOCH_SECONDS} s",
        unit="of the slot's time",
        sides=sides_of({side: training_shares(own, SLOTS) for side, own in spans.items()}),
        reference=OURS,
        target=f"{MIN_SHARE}",
        finding="over the whole search " + ", ".join(f"{side} {share:.3f}" for side, share in overall.items()),
        reached=overall[OURS] >= MIN_SHARE,
    )


def _starts(size: Size) -> Claim:
    sides: dict[str, Measure] = {OURS: _seconds_to_our_first_epoch}
    sides |= {side: partial(_seconds_to_first_epoch, side) for side in SIDES if side != OURS}
    # No warm-up: files and caches are warm from the searches before.
    numbers = interleaved(sides, rounds=size.rounds, warmups=0)
    share = Spread.of(ratios(numbers[OURS], numbers[PLAIN_RAY])).median
    return Claim(
        number=5,
        work="from the command to the first epoch of a search",
        unit="s",
        sides=sides_of(numbers),
        reference=PLAIN_RAY,
        target=f"at most {MAX_START} of plain Ray Tune's",
        finding=f"{share:.2f} of plain Ray Tune's: {Spread.of(numbers[OURS]).median:.1f} s",
        reached=share <= MAX_START,
    )


def _seconds_to_first_epoch(side: str) -> float:
    with _temporary_folder() as folder:
        began = time.time()
        with _running(_sleeping(side, folder, SLOTS, 1)) as process:
            return _awaited(process, Path(folder) / LOG)[0]["began"] - began


def _seconds_to_our_first_epoch() -> float:
    """Seconds of the real command until its first epoch, without the training."""
    with _temporary_folder() as folder:
        began = time.time()
        options = ["--trials", "2", "--max-epochs", "1", "--confirm", "0", "--storage", folder, "--name", "start"]
        with _running(["tuner.search", *options, "--device", "cpu"]) as process:
            (result, *_) = _awaited(process, Path(folder) / "moe" / "start" / TRIALS, event="result")
            return time.time() - result["seconds"] - began


def _awaited(process: subprocess.Popen, path: Path, *, count: int = 1, **fields: str) -> list[dict]:
    """Waits until the file has `count` lines with these fields, and returns them."""
    while True:
        has_ended = process.poll() is not None
        complete = path.read_text().split("\n")[:-1] if path.exists() else []
        found = [line for line in map(json.loads, complete) if fields.items() <= line.items()]
        if len(found) >= count:
            return found
        if has_ended:
            raise RuntimeError(f"{process.args!r} ended ({process.returncode}) after {len(found)} of {count} epochs")
        time.sleep(0.02)


def _temporary_folder() -> tempfile.TemporaryDirectory:
    """Processes that are being killed may still write into it."""
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


def _sleeping(side: str, folder: str, num_trials: int, num_epochs: int) -> list[str]:
    return ["benchmarks.searches.sleeping", side, folder, str(num_trials), str(num_epochs), str(EPOCH_SECONDS)]


@contextmanager
def _running(arguments: Sequence[str]) -> Iterator[subprocess.Popen]:
    """A module as a command; what still runs of it when the context ends is ended at once, not waited for.

    A search that is not needed any more would take seconds to report and to shut Ray down. Ray's own processes are in
    other groups, and some look for the others for two minutes before they end by themselves, beside the next search. A
    search removes the temporary folders of those that were killed.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            itself = psutil.Process(process.pid)
            for one in [*itself.children(recursive=True), itself]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        process.wait()
