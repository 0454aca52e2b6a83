"""On a GPU: time and memory of a step in each precision, the kernels' share of it, and several trials on one GPU.

`resnet50` as a classifier, batch 16 at 352 x 352; the reference is the same network in a hand-written loop in fp32
without TF32. Without a GPU every row says so.
"""

import multiprocessing
import time
from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import Tensor, nn

from benchmarks.claims import OURS, Claim, Side, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios
from trainable.trainer import OptimizedTrainer

BATCH, SIDE, NUM_CLASSES = 16, 352, 10
TIMES_AS_FAST, SHARE_OF_MEMORY, KERNEL_SHARE = 2.0, 0.5, 0.9
REFERENCE = "hand-written loop, fp32 without TF32"
NO_GPU = "this machine has no CUDA device"
STEPS = 20

Batch = tuple[Tensor, Tensor]


def measure(size: Size) -> list[Claim]:
    if not torch.cuda.is_available():
        return [
            _skipped(work) for work in ("a step of resnet50, batch 16 at 352 x 352", "trials side by side on one GPU")
        ]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    steps = size.pick(STEPS, 2)
    return [*_steps(size.rounds, steps), _side_by_side(steps)]


def _skipped(work: str) -> Claim:
    return Claim(
        number=9, work=work, unit="ms", sides=(Side(name=OURS, note=NO_GPU),), reference=OURS,
        target="2 times as fast with half the memory", finding=f"not measured: {NO_GPU}", reached=None,
    )  # fmt: skip


def _steps(rounds: int, steps: int) -> list[Claim]:
    """Time of each variant and its peak memory; each is built on its own turn, so that the peaks do not add up."""
    variants: dict[str, Callable[[], Callable[[], None]]] = {
        REFERENCE: partial(_hand_written, steps),
        "ours, fp32": partial(_ours, steps, "fp32"),
        OURS: partial(_ours, steps, "bf16", channels_last=True),
        "ours, bf16": partial(_ours, steps, "bf16"),
        "ours, fp16": partial(_ours, steps, "fp16"),
        "ours, bf16, channels-last, compiled": partial(_ours, steps, "bf16", channels_last=True, compiled=True),
        "ours, bf16, channels-last, batches from the CPU": partial(
            _ours, steps, "bf16", channels_last=True, on_gpu=False
        ),
    }
    peaks: dict[str, float] = {}
    numbers = interleaved(
        {name: _turn(name, begin, steps, peaks) for name, begin in variants.items()}, rounds=rounds, warmups=0
    )
    faster = Spread.of(ratios(numbers[REFERENCE], numbers[OURS])).median
    memory = peaks[OURS] / peaks[REFERENCE]
    share = _kernel_share(variants[OURS]())
    timed = Claim(
        number=9,
        work="a step of resnet50, batch 16 at 352 x 352 (ours: bf16, channels-last)",
        unit="ms",
        sides=sides_of(numbers, scale=1e3),
        reference=REFERENCE,
        target=f"{TIMES_AS_FAST:g} times as fast, {KERNEL_SHARE:.0%} of the time in kernels",
        finding=f"{faster:.2f} times as fast, {share:.0%} of the time in kernels",
        reached=faster >= TIMES_AS_FAST and share >= KERNEL_SHARE,
    )
    weighed = Claim(
        number=9,
        work="peak memory of that step",
        unit="GiB",
        sides=sides_of({name: (peak,) for name, peak in peaks.items()}),
        reference=REFERENCE,
        target="half the memory",
        finding=f"{memory:.2f} of the memory",
        reached=memory <= SHARE_OF_MEMORY,
    )
    return [timed, weighed]


def _turn(name: str, begin: Callable[[], Callable[[], None]], steps: int, peaks: dict[str, float]) -> Measure:
    def measure() -> float:
        epoch = begin()
        epoch()  # cuDNN chooses its kernels, and the compiler compiles
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        epoch()
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - began) / steps
        peaks[name] = torch.cuda.max_memory_allocated() / 2**30
        del epoch
        torch.cuda.empty_cache()
        return seconds

    return measure


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


def _side_by_side(steps: int) -> Claim:
    """Images a second of 1, 2 and 4 processes that train on the GPU at once."""
    rates = {f"{count} trials": (_rate_of_processes(count, 5 * steps),) for count in (1, 2, 4)}
    gain = rates["2 trials"][0] / rates["1 trials"][0]
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


def _rate_of_processes(count: int, steps: int) -> float:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with context.Pool(count, initializer=_keep, initargs=(barrier,)) as pool:
        spans = pool.map(_train_together, [steps] * count, chunksize=1)
    seconds = max(ended for _, ended in spans) - min(began for began, _ in spans)
    return count * steps * BATCH / seconds


_barrier = None


def _keep(barrier) -> None:
    global _barrier
    _barrier = barrier


def _train_together(steps: int) -> tuple[float, float]:
    epoch = _ours(steps, "bf16", channels_last=True)
    epoch()
    torch.cuda.synchronize()
    _barrier.wait()
    began = time.time()
    epoch()
    torch.cuda.synchronize()
    return began, time.time()


def _net_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = torchvision.models.resnet50(num_classes=NUM_CLASSES).cuda()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)


def _batch(device: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator)
    labels = torch.randint(NUM_CLASSES, (BATCH,), generator=generator)
    return images.to(device), labels.to(device)
