"""Data parallelism: several processes, the ranks, train one model exactly as one process would.

What: every rank reads and augments the same micro-batches, and computes its own part of their samples. Gradients and
loss terms, weighted by samples, are summed over ranks once an optimizer update, so that the batch, the schedule and
the random numbers of data and augmentation are those of one process, and every decision is taken from the same sums on
every rank. Validation hands out whole batches; their sums are merged, no sample counts twice. Exceptions are those of
accumulation: contrastive negatives and a capacity see a rank's part, and dropout and router noise draw anew.
Why not torch's DistributedDataParallel: it averages gradients over ranks, which is wrong for parts of different size;
it reduces after each backward pass, of which an update has several here, some skipped; it searches the graph for
parameters without a gradient; and it wraps the model that techniques change.
Source: Li et al., PyTorch Distributed: Experiences on Accelerating Data Parallel Training, VLDB 2020,
https://arxiv.org/abs/2006.15704.
Cost: one sum over ranks of the gradients an update, not overlapped with the backward pass; reading and augmenting are
not divided. Off: `ranks=None`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, distributed, nn

from trainable.techniques.parallel.random_streams import stream_seed
from trainable.techniques.parallel.synced_batch_norm import sync_batch_norms
from trainable.techniques.parallel.tensor_tree import map_tensors

T = TypeVar("T")

BUCKET_NUMBERS = 8 * 2**20
"""Gradients are summed in buckets of about this many numbers, which bounds the memory of the copy."""


@runtime_checkable
class Mergeable(Protocol):
    """Accumulates sums, here over the batches of one rank."""

    def state_dict(self) -> dict[str, Any]:
        """All that was accumulated, in tensors and plain values."""

    def merge(self, states: Sequence[dict[str, Any]]) -> None:
        """Replaces what was accumulated by that of all `states`, in their order; its own is among them."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among those that train one model together; torch.distributed must be set up.

    Every method but those of one rank's share is called by all ranks, in the same order.
    """

    rank: int
    """Rank of this process, from 0."""
    size: int
    """Processes in all."""

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes files and logs."""
        return self.rank == 0

    def prepare(self, *modules: nn.Module, seed: int) -> None:
        """Makes modules, built alike on every rank, normalise over all ranks; gives each rank its own random stream.

        Call it before a trainer is made with these ranks.
        """
        for module in modules:
            sync_batch_norms(module)
        if not self.is_first:
            torch.manual_seed(stream_seed(seed, f"rank {self.rank}"))

    def shares(
        self, batches: Sequence[tuple[Tensor, Any]], weights: Sequence[float]
    ) -> tuple[list[tuple[Tensor, Any]], list[float]]:
        """Returns this rank's samples of each micro-batch, split as evenly as possible, and their part of its weight.

        With fewer samples than ranks, every rank computes all of them at a share of the weight: a rank without a sample
        would skip the collective sums that others wait for in a forward pass.
        """
        taken, own_weights = [], []
        for batch, weight in zip(batches, weights, strict=True):
            count = len(batch[0])
            if count < self.size:
                start, stop, share = 0, count, 1.0 / self.size
            else:
                start, stop = self.rank * count // self.size, (self.rank + 1) * count // self.size
                share = (stop - start) / count
            taken.append(taken_of(batch, slice(start, stop)))
            own_weights.append(weight * share)
        return taken, own_weights

    def sum_update(self, parameters: Iterable[nn.Parameter], terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sums over ranks the gradients of an update, in place, and each named scalar.

        A parameter that no rank has a gradient for keeps none.
        """
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
        # On the CPU, where reading it does not wait for the device.
        has_gradient = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.uint8)
        distributed.all_reduce(has_gradient, op=distributed.ReduceOp.MAX)
        used = [parameter for parameter, is_used in zip(parameters, has_gradient.tolist(), strict=True) if is_used]
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([parameter.grad for parameter in used if parameter.grad is not None]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            distributed.all_reduce(flat)
            totals = flat.split([gradient.numel() for gradient in bucket])
            for gradient, total in zip(bucket, totals, strict=True):
                gradient.copy_(total.view(gradient.shape))
        total = torch.stack([value.float() for value in terms.values()])
        distributed.all_reduce(total)
        return dict(zip(terms, total.unbind(), strict=True))

    def merge(self, *accumulators: object) -> None:
        """Merges each accumulator over all ranks, on every rank.

        Raises:
            ValueError: an accumulator can't be merged.
        """
        for accumulator in accumulators:
            if not isinstance(accumulator, Mergeable):
                raise ValueError(
                    f"{type(accumulator).__name__} can't be merged over ranks; give it state_dict() and "
                    "merge(states), or train with one rank."
                )
            accumulator.merge(self.gathered(accumulator.state_dict()))

    def gathered(self, value: T) -> list[T]:
        """Each rank's value, in the order of ranks, with its tensors on the CPU."""
        everyone: list[Any] = [None] * self.size
        distributed.all_gather_object(everyone, map_tensors(Tensor.cpu, value))
        return everyone


def join(device: torch.device, **rendezvous: Any) -> Ranks:
    """Sets torch.distributed up for this process; without a rendezvous by torchrun's environment."""
    # Counts and objects travel between CPUs in any case.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.index is not None:
        torch.cuda.set_device(device)
    distributed.init_process_group(backend, **rendezvous)
    return Ranks(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined(device: torch.device, **rendezvous: Any) -> Iterator[Ranks]:
    """Calls `join` for the duration of this context."""
    try:
        yield join(device, **rendezvous)
    finally:
        distributed.destroy_process_group()


@contextmanager
def ranks_of_torchrun(device: torch.device) -> Iterator[Ranks | None]:
    """The ranks that torchrun started, inside this context; None where it did not, or a single one.

    Raises:
        ValueError: there are several, on an Apple GPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield None
        return
    if device.type == "mps":
        raise ValueError("device is mps, whose sums several processes can't share; start one process, or --device cpu.")
    with joined(device) as ranks:
        yield ranks


def taken_of(batch: Any, part: slice) -> Any:
    """Selects samples of a batch: along the first axis of tensors and along lists, inside tuples and dicts."""
    if isinstance(batch, Tensor):
        return batch[part] if batch.dim() else batch
    if isinstance(batch, list):
        return batch[part]
    if isinstance(batch, Mapping):
        return {name: taken_of(value, part) for name, value in batch.items()}
    if isinstance(batch, tuple):
        taken = [taken_of(value, part) for value in batch]
        return type(batch)(*taken) if hasattr(batch, "_fields") else tuple(taken)
    return batch


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Groups consecutive gradients of one dtype into buckets of about BUCKET_NUMBERS."""
    bucket: list[Tensor] = []
    held = 0
    for gradient in gradients:
        if bucket and (gradient.dtype != bucket[0].dtype or held >= BUCKET_NUMBERS):
            yield bucket
            bucket, held = [], 0
        bucket.append(gradient)
        held += gradient.numel()
    if bucket:
        yield bucket
