"""Time of the segmentation metrics per image, and whether they equal the reference's."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios, seconds_of
from trainable.metrics.camouflage import CamouflageMetrics
from trainable.metrics.level_histogram import count_levels, stretched_levels
from trainable.metrics.weighted_f import weighted_f_measure

PEER = "pysodmetrics 1.6.2"
PEER_PYTHON = Path(".venv-bench/bin/python")
"""An environment of its own: the package needs an older numpy than ours."""
WORKER = Path(__file__).with_name("pysodmetrics_worker.py")
TIMES_AS_FAST, TIMES_AS_FAST_WEIGHTED = 15, 3
TOLERANCE = 1e-6
IMAGES, BATCH = 64, 16
"""A small validation split: the metrics count each batch, and do the arithmetic of 64 images together."""


def measure(size: Size, peer_python: Path = PEER_PYTHON) -> list[Claim]:
    """S, E, F and MAE of a split of 64 images in batches of 16, then weighted F alone."""
    probabilities, masks = _split(size.pick(352, 32))
    works = {"S, E, F and MAE": _all_but_weighted_f, "weighted F": _weighted_f}
    with _peer(peer_python, probabilities, masks) as ask:
        return [_claim(what, work, probabilities, masks, size, ask) for what, work in works.items()]


def _claim(what: str, work, probabilities: Tensor, masks: Tensor, size: Size, ask) -> Claim:
    found: dict[str, dict[str, float]] = {}

    def ours() -> float:
        measured = seconds_of(lambda: found.__setitem__(OURS, work(probabilities, masks)))()
        return measured / IMAGES

    def peer() -> float:
        answer = ask(what)
        found[PEER] = answer["values"]
        return answer["seconds"] / IMAGES

    sides: dict[str, Measure] = {OURS: ours} | ({} if ask is None else {PEER: peer})
    numbers = interleaved(sides, rounds=size.rounds)
    missing = {} if ask else {PEER: "no .venv-bench: `make bench` makes it where the package can be had"}
    factor = TIMES_AS_FAST_WEIGHTED if what == "weighted F" else TIMES_AS_FAST
    claim = {
        "number": 4,
        "work": f"metrics of an image of {masks.shape[-1]} px: {what}",
        "unit": "ms an image",
        "sides": sides_of(numbers, scale=1e3, missing=missing),
        "reference": OURS,
        "target": f"at least {factor} times, equal to 1e-6",
    }
    if ask is None:
        return Claim(**claim, finding="nothing to compare with", reached=None)
    times = Spread.of(ratios(numbers[PEER], numbers[OURS])).median
    off_by = max(abs(found[OURS][name] - value) for name, value in found[PEER].items())
    return Claim(
        **claim,
        finding=f"{times:.1f} times as fast, largest difference {off_by:.1e}",
        reached=times >= factor and off_by <= TOLERANCE,
    )


def _all_but_weighted_f(probabilities: Tensor, masks: Tensor) -> dict[str, float]:
    metrics = CamouflageMetrics()
    for some, theirs in zip(probabilities.split(BATCH), masks.split(BATCH), strict=True):
        metrics.update(some, theirs)
    return metrics.compute()


def _weighted_f(probabilities: Tensor, masks: Tensor) -> dict[str, float]:
    values = []
    for some, theirs in zip(probabilities.split(BATCH), masks.split(BATCH), strict=True):
        values.append(weighted_f_measure(stretched_levels(some, count_levels(some, theirs)), theirs))
    return {"weighted_f_measure": float(torch.cat(values).mean())}


@contextmanager
def _peer(python: Path, probabilities: Tensor, masks: Tensor) -> Iterator:
    """A function that measures the split once in the peer's process; None where it is not installed."""
    if not python.exists():
        yield None
        return
    command = [str(python), "-W", "ignore", str(WORKER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout
        levels = probabilities.mul(255).round().byte().numpy()[:, 0]
        arrays = (levels, (masks.numpy()[:, 0] * 255).astype(np.uint8))

        def ask(what: str) -> dict:
            requests.write(json.dumps(what) + "\n")
            requests.flush()
            return json.loads(answers.readline())

        requests.write(json.dumps([array.tolist() for array in arrays]) + "\n")
        yield ask
        requests.close()


def _split(side: int) -> tuple[Tensor, Tensor]:
    """Soft predictions of ellipses, slightly off their masks."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side] / side
    probabilities, masks = [], []
    for _ in range(IMAGES):
        row, column, height, width = rng.uniform((0.3, 0.3, 0.1, 0.1), (0.7, 0.7, 0.3, 0.3))
        distance = ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2
        masks.append(distance < 1)
        noisy = 1.2 - distance + rng.normal(0, 0.3, (side, side))
        probabilities.append(1 / (1 + np.exp(-4 * noisy)))
    shape = (IMAGES, 1, side, side)
    soft, hard = (torch.tensor(np.array(one), dtype=torch.float32).view(shape) for one in (probabilities, masks))
    return soft, hard
