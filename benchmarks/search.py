"""How much of a search's slots is training: 24 trials whose epochs take 0.5 s, two at a time; and how soon it begins.

The three sides run one after the other, once: a search has trials enough for a median and its spread. A slot's time for
a trial is that from the end of the trial before it to its own end, so what lies between two trials counts as lost.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved
from benchmarks.sleeping import LOG, SIDES, SLOTS
from tuner.records import TRIALS

ROOT = Path(__file__).resolve().parents[1]
NUM_TRIALS, NUM_EPOCHS, EPOCH_SECONDS = 24, 6, 0.5
MIN_SHARE, MAX_START_SECONDS = 0.95, 8.0


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
    """Of each trial but the first of a slot: its training over the time from the end before it to its own end."""
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
    spans = {side: _run(side, NUM_TRIALS, size.pick(NUM_EPOCHS, 1))[1] for side in SIDES}
    overall = {side: overall_share(own, SLOTS) for side, own in spans.items()}
    return Claim(
        number=5,
        work=f"share of {SLOTS} slots that is training, {NUM_TRIALS} trials of {NUM_EPOCHS} x {EPOCH_SECONDS} s",
        unit="of the slot's time",
        sides=sides_of({side: training_shares(own, SLOTS) for side, own in spans.items()}),
        reference=OURS,
        target=f"{MIN_SHARE}",
        finding="over the whole search " + ", ".join(f"{side} {share:.3f}" for side, share in overall.items()),
        reached=overall[OURS] >= MIN_SHARE,
    )


def _starts(size: Size) -> Claim:
    sides: dict[str, Measure] = {OURS: _seconds_to_our_first_epoch}
    sides |= {side: lambda side=side: _run(side, SLOTS, 1)[0] for side in SIDES if side != OURS}
    numbers = interleaved(sides, rounds=size.rounds)
    seconds = Spread.of(numbers[OURS]).median
    return Claim(
        number=5,
        work="from the command to the first epoch of a search",
        unit="s",
        sides=sides_of(numbers),
        reference=OURS,
        target=f"within {MAX_START_SECONDS:.0f} s",
        finding=f"{seconds:.1f} s",
        reached=seconds <= MAX_START_SECONDS,
    )


def _run(side: str, num_trials: int, num_epochs: int) -> tuple[float, list[Span]]:
    """Seconds from the command to the first epoch, and the trials."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        arguments = [side, folder, str(num_trials), str(num_epochs), str(EPOCH_SECONDS)]
        _command("benchmarks.sleeping", *arguments).wait()
        epochs = [json.loads(line) for line in (Path(folder) / LOG).read_text().splitlines()]
    spans = spans_of(epochs)
    return spans[0].began - began, spans


def _seconds_to_our_first_epoch() -> float:
    """Of the real command with real training; its data is in the cache after the warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        options = ["--trials", "2", "--max-epochs", "1", "--confirm", "0", "--storage", folder, "--name", "start"]
        process = _command("tuner.search", *options)
        records = Path(folder) / "moe" / "start" / TRIALS
        while (result := _first_result(records)) is None:
            if process.poll() is not None:
                raise RuntimeError(f"the search ended with status {process.returncode} before its first result")
            time.sleep(0.02)
        first_epoch = time.time() - result["seconds"]
        process.wait()
    return first_epoch - began


def _first_result(records: Path) -> dict | None:
    lines = records.read_text().split("\n")[:-1] if records.exists() else []
    return next((event for event in map(json.loads, lines) if event["event"] == "result"), None)


def _command(*arguments: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, **silent)
