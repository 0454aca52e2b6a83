"""Milliseconds and GiB of a training step in each precision, and which kernels take its time."""

import time
from collections.abc import Mapping, Sequence

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.work import OURS, Epoch, Start, Work, forget, synchronise, variants
from benchmarks.harness import Measure, interleaved

TOP_KERNELS = 10

Numbers = Mapping[str, Sequence[float]]


def step_seconds(work: Work, rounds: int) -> tuple[Numbers, Numbers]:
    """Seconds of a step and its peak in GiB by variant, one a round; no peaks on a CPU.

    Each variant is built on its own turn, so that the peaks do not add up.
    """
    peaks: dict[str, list[float]] = {name: [] for name in variants(work)}
    turns = {name: _turn(work, begin, peaks[name]) for name, begin in variants(work).items()}
    return interleaved(turns, rounds=rounds, warmups=0), {name: own for name, own in peaks.items() if own}


def _turn(work: Work, begin: Start, peaks: list[float]) -> Measure:
    """Seconds of a step; the peak counts from what others have left on the device."""

    def measure() -> float:
        forget()
        is_cuda = work.device == "cuda"
        left_by_others = torch.cuda.memory_allocated() if is_cuda else 0
        epoch = begin()
        epoch()  # cuDNN chooses its kernels, and the compiler compiles
        synchronise(work.device)
        if is_cuda:
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        epoch()
        synchronise(work.device)
        seconds = (time.perf_counter() - began) / work.steps
        if is_cuda:
            peaks.append((torch.cuda.max_memory_allocated() - left_by_others) / 2**30)
        return seconds

    return measure


def kernel_seconds(work: Work) -> tuple[float, dict[str, float]]:
    """Share of an epoch in which a kernel ran, and the seconds of each kernel, the longest first.

    One stream, so kernels do not overlap. On a CPU its operators stand in their place.
    """
    forget()
    epoch = variants(work)[OURS]()
    epoch()
    synchronise(work.device)
    activity = ProfilerActivity.CUDA if work.device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiled:
        seconds = _seconds_of(epoch, work.device)
    attribute = "self_device_time_total" if work.device == "cuda" else "self_cpu_time_total"
    found = {event.key: getattr(event, attribute) / 1e6 for event in profiled.key_averages()}
    longest = dict(sorted(found.items(), key=lambda pair: -pair[1]))
    return sum(longest.values()) / seconds, longest


def _seconds_of(epoch: Epoch, device: str) -> float:
    began = time.perf_counter()
    epoch()
    synchronise(device)
    return time.perf_counter() - began
