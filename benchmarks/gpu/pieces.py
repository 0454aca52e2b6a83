"""The pieces of `make gpu`: each takes at most some minutes and gives numbers; the order is that of the table."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.result import Number
from benchmarks.gpu.side_by_side import COUNTS, images_per_second
from benchmarks.gpu.steps import TOP_KERNELS, kernel_seconds, step_seconds
from benchmarks.gpu.work import OURS, REFERENCE, MissingPackageError, Work
from benchmarks.harness import Size, Spread, ratios

ROOT = Path(__file__).resolve().parents[2]
WAYS = ("fp32", "bf16", "fp16", "compiled", "accumulated", "checkpointed")
"""Ways to compute each technique, as in tests/gpu/techniques.py."""
OF_A_SEARCH = ("ray", "optuna", "pydantic", "pandas", "plotly", "jinja2", "tensorboard", "rich")

Measure = Callable[[str, Size], list[Number]]
"""Measures a device at a size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the whole, measured in a process of its own."""

    measure: Measure
    seconds: float
    """About what it takes on a GPU of 2023, unmeasured: it decides what is begun before a stated time is over."""


def measured_steps(network: str, device: str, size: Size) -> list[Number]:
    work = Work.of(network, device, size)
    seconds, peaks = step_seconds(work, size.rounds)
    faster = Spread.of(ratios(seconds[REFERENCE], seconds[OURS])).median
    return [
        *(Number(f"{work.text}: {name}", "ms a step", tuple(1e3 * value for value in own))
          for name, own in seconds.items()),
        *(Number(f"{work.text}: {name}", "GiB at the peak", tuple(own)) for name, own in peaks.items()),
        Number(f"{work.text}: {OURS} beside {REFERENCE}", "times as fast", (faster,)),
    ]  # fmt: skip


def measured_kernels(network: str, device: str, size: Size) -> list[Number]:
    work = Work.of(network, device, size)
    share, seconds = kernel_seconds(work)
    longest = list(seconds.items())[:TOP_KERNELS]
    whole = sum(seconds.values()) or 1.0
    return [
        Number(f"{work.text}: kernels, of the time", "%", (100 * share,)),
        *(Number(f"{work.text}: kernel {name[:80]}", "% of kernels", (100 * one / whole,)) for name, one in longest),
    ]


def measured_side_by_side(device: str, size: Size) -> list[Number]:
    work = Work.of("small" if size.is_tiny else "resnet50", device, size)
    counts = COUNTS[: size.pick(len(COUNTS), 2)]
    rates = {count: images_per_second(work, count, size.rounds) for count in counts}
    return [Number(f"{work.text}: {count} at once", "images/s together", rates[count]) for count in counts]


def tested(selection: Sequence[str], device: str, size: Size) -> list[Number]:
    """Runs the tests that are marked for a GPU; on a CPU their own logic.

    Raises:
        MissingPackageError: pytest is missing.
        AssertionError: a test failed; names the tests.
    """
    if importlib.util.find_spec("pytest") is None:
        raise MissingPackageError("pytest is not installed")
    on_device = ["-m", "gpu"] if device == "cuda" else ["-m", "slow or not slow"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *on_device, *selection, f"--junitxml={report}", "--tb=short"]
        quiet = [
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore::pytest.PytestConfigWarning",
            "--continue-on-collection-errors",
        ]
        done = subprocess.run([*command, *quiet], cwd=ROOT, capture_output=True, text=True, check=False)
        if not report.exists():
            raise AssertionError(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
        cases = ElementTree.parse(report).getroot().iter("testcase")
        outcomes = [(case.get("name", "?"), {child.tag for child in case}) for case in cases]
    failed = [name for name, tags in outcomes if tags & {"failure", "error"}]
    if failed:
        raise AssertionError(f"{len(failed)} of {len(outcomes)} tests failed: {', '.join(failed)}")
    skipped = sum("skipped" in tags for _, tags in outcomes)
    return [
        Number("tests that passed", "tests", (len(outcomes) - skipped,)),
        Number("tests that were skipped", "tests", (skipped,)),
    ]


def marked_files() -> list[str]:
    """Files outside tests/gpu with tests for a GPU."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.gpu" in path.read_text()]
    return [str(path.relative_to(ROOT)) for path in files if path.parent.name != "gpu"]


def tested_ways(way: str, device: str, size: Size) -> list[Number]:
    names = f"{device}- and -{way}]" if not size.is_tiny else f"{device}-clipping-{way}]"
    return tested(["tests/gpu/test_techniques.py", "-k", names.replace("]", "")], device, size)


def tested_others(device: str, size: Size) -> list[Number]:
    # Tests outside tests/gpu that are marked for a GPU are about nothing else.
    elsewhere = marked_files() if device == "cuda" else []
    files = [f"tests/gpu/test_{name}.py" for name in size.pick(("memory", "data_and_resume"), ("memory",))]
    return tested([*files, *elsewhere], device, size)


def searched(device: str, size: Size) -> list[Number]:
    """Eight trials, two at a time on one GPU.

    Raises:
        MissingPackageError: a package is missing that a search needs.
        AssertionError: the search failed; with the end of what it said.
    """
    missing = [name for name in OF_A_SEARCH if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(f"a search needs {', '.join(missing)}")
    sharing = (
        ["--gpus-per-trial", "0.5", "--num-gpus", "1"] if device == "cuda" else ["--device", "cpu", "--concurrent", "2"]
    )
    trials, epochs = size.pick(8, 2), size.pick(6, 1)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--space", "moe", "--trials", str(trials), "--max-epochs", str(epochs), "--confirm", "0"]
        command = [sys.executable, "-m", "tuner.search", *options, "--storage", folder, "--name", "gpu", *sharing]
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
        seconds = time.monotonic() - began
        if done.returncode:
            raise AssertionError(f"the search ended with {done.returncode}: {done.stderr[-800:]}")
        events = (Path(folder) / "moe" / "gpu" / "trials.jsonl").read_text().splitlines()
    return [
        Number(f"search of {trials} trials, two at a time", "s", (seconds,)),
        Number(f"search of {trials} trials, two at a time", "records", (len(events),)),
    ]


NETWORKS = ("resnet50", "timm", "small")
PIECES: Mapping[str, Piece] = {
    **{f"tests {way}": Piece(measure=partial(tested_ways, way), seconds=80) for way in WAYS},
    "tests of memory, resume and data": Piece(measure=tested_others, seconds=120),
    **{f"steps {name}": Piece(measure=partial(measured_steps, name), seconds=80) for name in NETWORKS},
    **{f"kernels {name}": Piece(measure=partial(measured_kernels, name), seconds=20) for name in NETWORKS},
    "trainings side by side": Piece(measure=measured_side_by_side, seconds=60),
    "search at half a GPU a trial": Piece(measure=searched, seconds=180),
}
"""Together below 20 minutes by these guesses, each below 9."""
