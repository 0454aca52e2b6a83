"""On a GPU: time and memory of a step in each precision, the kernels' share of it, and several trials on one GPU.

`resnet50` as a classifier, batch 16 at 352 x 352; the reference is the same network in a hand-written loop in fp32
without TF32. Without a GPU every row says so.
"""

import gc
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
import torchvision
from torch import Tensor, nn

from benchmarks.claims import OURS, Claim, Side, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios
from trainable.optimized_trainer import OptimizedTrainer

BATCH, SIDE, NUM_CLASSES = 16, 352, 10
TIMES_AS_FAST, SHARE_OF_MEMORY, KERNEL_SHARE = 2.0, 0.5, 0.9
REFERENCE = "hand-written loop, fp32 without TF32"
NO_GPU = "this machine has no CUDA device"
STEPS = 20

Batch = tuple[Tensor, Tensor]
Start = Callable[[], Callable[[], None]]
"""Builds a network with what trains it, and returns its epoch."""

_barrier = None
"""Of the processes that train together."""


def measure(size: Size) -> list[Claim]:
    if not torch.cuda.is_available():
        return [
            _skipped(work) for work in ("a step of resnet50, batch 16 at 352 x 352", "trials side by side on one GPU")
        ]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    steps = size.pick(STEPS, 2)
    return [*_steps(size.rounds, steps), _side_by_side(size.rounds, 5 * steps)]


def _skipped(work: str) -> Claim:
    return Claim(
        number=9, work=work, unit="ms", sides=(Side(name=OURS, note=NO_GPU),), reference=OURS,
        target="2 times as fast with half the memory", finding=f"not measured: {NO_GPU}", reached=None,
    )  # fmt: skip


def _variants(steps: int) -> dict[str, Start]:
    best = partial(_ours, steps, "bf16", channels_last=True)
    return {
        REFERENCE: partial(_hand_written, steps),
        "ours, fp32": partial(_ours, steps, "fp32"),
        OURS: best,
        "ours, bf16": partial(_ours, steps, "bf16"),
        "ours, fp16": partial(_ours, steps, "fp16"),
        "ours, bf16, channels-last, compiled": partial(best, compiled=True),
        "ours, bf16, channels-last, batches from the CPU": partial(best, on_gpu=False),
    }


def _steps(rounds: int, steps: int) -> list[Claim]:
    """Time and peak memory of each variant, which is built on its own turn, so that the peaks do not add up."""
    variants = _variants(steps)
    peaks: dict[str, list[float]] = {name: [] for name in variants}
    turns = {name: _turn(begin, steps, peaks[name]) for name, begin in variants.items()}
    numbers = interleaved(turns, rounds=rounds, warmups=0)
    return [_timed(numbers, _kernel_share(variants[OURS]())), _weighed(peaks)]


def _timed(numbers: Mapping[str, Sequence[float]], kernel_share: float) -> Claim:
    faster = Spread.of(ratios(numbers[REFERENCE], numbers[OURS])).median
    return Claim(
        number=9,
        work="a step of resnet50, batch 16 at 352 x 352 (ours: bf16, channels-last)",
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


def _turn(begin: Start, steps: int, peaks: list[float]) -> Measure:
    """Seconds of a step; the peak counts from what others have left on the GPU."""

    def measure() -> float:
        _forget()
        left_by_others = torch.cuda.memory_allocated()
        epoch = begin()
        epoch()  # cuDNN chooses its kernels, and the compiler compiles
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        epoch()
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - began) / steps
        peaks.append((torch.cuda.max_memory_allocated() - left_by_others) / 2**30)
        return seconds

    return measure


def _forget() -> None:
    """A trainer is freed at the next garbage collection, a compiled network with the compiler's cache."""
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def _kernel_share(epoch: Callable[[], None]) -> float:
    """Seconds in which a kernel ran over the seconds of the epoch; one stream, so kernels do not overlap."""
    epoch()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        began = time.perf_counter()
        epoch()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / seconds


def _hand_written(steps: int) -> Callable[[], None]:
    net, optimizer = _net_and_optimizer()
    images, labels = _batch("cuda")

    def epoch() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()

    return epoch


def _ours(
    steps: int, precision: str, *, channels_last: bool = False, compiled: bool = False, on_gpu: bool = True
) -> Callable[[], None]:
    net, optimizer = _net_and_optimizer()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    net = net.to(memory_format=memory_format)
    images, labels = _batch("cuda" if on_gpu else "cpu")
    images = images.to(memory_format=memory_format)
    if not on_gpu:
        images, labels = images.pin_memory(), labels.pin_memory()
    trainer = OptimizedTrainer(
        torch.compile(net) if compiled else net,
        optimizer,
        nn.functional.cross_entropy,
        "cuda",
        precision=precision,
        enable_progressive_aug=False,
        max_grad_norm=None,
    )
    return lambda: trainer.train_epoch([(images, labels)] * steps, 0, log_interval=0)


def _side_by_side(rounds: int, steps: int) -> Claim:
    """Images a second of 1, 2 and 4 processes that train on the GPU at once."""
    rates = {f"{count} trials": _rates_of_processes(count, steps, rounds) for count in (1, 2, 4)}
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


def _rates_of_processes(count: int, steps: int, rounds: int) -> tuple[float, ...]:
    """One a round, in which all begin together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with context.Pool(count, initializer=_keep, initargs=(barrier,)) as pool:
        spans = pool.map(partial(_train_together, steps), [rounds] * count, chunksize=1)
    seconds = [
        max(ended for _, ended in together) - min(began for began, _ in together)
        for together in zip(*spans, strict=True)
    ]
    return tuple(count * steps * BATCH / one for one in seconds)


def _keep(barrier) -> None:
    global _barrier
    _barrier = barrier


def _train_together(steps: int, rounds: int) -> list[tuple[float, float]]:
    """When each round began and ended in this process."""
    epoch = _ours(steps, "bf16", channels_last=True)
    epoch()
    spans = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        _barrier.wait()
        began = time.time()
        epoch()
        torch.cuda.synchronize()
        spans.append((began, time.time()))
    return spans


def _net_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = torchvision.models.resnet50(num_classes=NUM_CLASSES).cuda()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)


def _batch(device: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator)
    labels = torch.randint(NUM_CLASSES, (BATCH,), generator=generator)
    return images.to(device), labels.to(device)
