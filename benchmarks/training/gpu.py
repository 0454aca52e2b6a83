"""On a GPU: time and memory of a step in each precision, the kernels' share of it, and several trials on one GPU.

`resnet50` as a classifier, batch 16 at 352 x 352; the reference is the same network in a hand-written loop in fp32
without TF32. Without a GPU every row says so. More networks, tests and a search: `make gpu`.
"""

from collections.abc import Mapping, Sequence

import torch

from benchmarks.claims import OURS, Claim, Side, sides_of
from benchmarks.gpu.side_by_side import COUNTS, images_per_second
from benchmarks.gpu.steps import kernel_seconds, step_seconds
from benchmarks.gpu.work import OURS as BEST
from benchmarks.gpu.work import REFERENCE, Work
from benchmarks.harness import Size, Spread, ratios

TIMES_AS_FAST, SHARE_OF_MEMORY, KERNEL_SHARE = 2.0, 0.5, 0.9
NO_GPU = "this machine has no CUDA device"


def measure(size: Size) -> list[Claim]:
    work = Work.of("resnet50", "cuda", size)
    if not torch.cuda.is_available():
        return [_skipped(text) for text in (f"a step of {work.text}", "trials side by side on one GPU")]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    seconds, peaks = (
        {OURS if name == BEST else name if name == REFERENCE else f"{OURS}, {name}": own for name, own in found.items()}
        for found in step_seconds(work, size.rounds)
    )
    share, _ = kernel_seconds(work)
    return [_timed(work, seconds, share), _weighed(peaks), _side_by_side(work, size.rounds)]


def _skipped(work: str) -> Claim:
    return Claim(
        number=9, work=work, unit="ms", sides=(Side(name=OURS, note=NO_GPU),), reference=OURS,
        target="2 times as fast with half the memory", finding=f"not measured: {NO_GPU}", reached=None,
    )  # fmt: skip


def _timed(work: Work, numbers: Mapping[str, Sequence[float]], kernel_share: float) -> Claim:
    faster = Spread.of(ratios(numbers[REFERENCE], numbers[OURS])).median
    return Claim(
        number=9,
        work=f"a step of {work.text} (ours: bf16, channels-last)",
        unit="ms",
        sides=sides_of(numbers, scale=1e3),
        reference=REFERENCE,
        target=f"{TIMES_AS_FAST:g} times as fast, {KERNEL_SHARE:.0%} of the time in kernels",
        finding=f"{faster:.2f} times as fast, {kernel_share:.0%} of the time in kernels",
        reached=faster >= TIMES_AS_FAST and kernel_share >= KERNEL_SHARE,
    )


def _weighed(peaks: Mapping[str, Sequence[float]]) -> Claim:
    share = Spread.of(ratios(peaks[OURS], peaks[REFERENCE])).median
    return Claim(
        number=9,
        work="peak memory of that step",
        unit="GiB",
        sides=sides_of(peaks),
        reference=REFERENCE,
        target="half the memory",
        finding=f"{share:.2f} of the memory",
        reached=share <= SHARE_OF_MEMORY,
    )


def _side_by_side(work: Work, rounds: int) -> Claim:
    """Images a second of 1, 2 and 4 processes that train on the GPU at once."""
    rates = {f"{count} trials": images_per_second(work, count, rounds) for count in COUNTS}
    gain = Spread.of(rates["2 trials"]).median / Spread.of(rates["1 trials"]).median
    return Claim(
        number=9,
        work="trials side by side on one GPU, all their images together",
        unit="images/s",
        sides=sides_of(rates),
        reference="1 trials",
        target="listed",
        finding=f"two together do {gain:.2f} times the work of one",
        reached=None,
    )
