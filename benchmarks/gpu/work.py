"""The measured work: networks, how they are trained, and on which device at which size."""

import gc
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Size
from trainable.optimized_trainer import OptimizedTrainer

NUM_CLASSES = 10
REFERENCE = "hand-written loop, fp32 without TF32"
OURS = "bf16, channels-last"

Epoch = Callable[[], None]
Start = Callable[[], Epoch]
"""Builds a network with what trains it, and returns its epoch."""


class MissingPackageError(RuntimeError):
    """A package is missing that a piece needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A network, a device, and how much is trained."""

    network: str
    """resnet50, timm or small."""
    device: str
    """cuda or cpu."""
    batch: int
    side_px: int
    steps: int
    """Steps of an epoch."""

    @classmethod
    def of(cls, network: str, device: str, size: Size) -> "Work":
        """The work that is reported; a tiny one shows that it runs."""
        return cls(
            network=network, device=device, batch=size.pick(16, 2), side_px=size.pick(352, 32), steps=size.pick(20, 2)
        )

    @property
    def text(self) -> str:
        return f"{self.network}, batch {self.batch} at {self.side_px} x {self.side_px}"

    def batch_on(self, device: str) -> tuple[Tensor, Tensor]:
        """Images and labels, the same in every process."""
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(self.batch, 3, self.side_px, self.side_px, generator=generator)
        labels = torch.randint(NUM_CLASSES, (self.batch,), generator=generator)
        return images.to(device), labels.to(device)

    def network_and_optimizer(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = NETWORKS[self.network]().to(self.device)
        return net, torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)


def resnet50() -> nn.Module:
    if importlib.util.find_spec("torchvision") is None:
        raise MissingPackageError("torchvision is not installed")
    import torchvision

    return torchvision.models.resnet50(num_classes=NUM_CLASSES)


def of_timm() -> nn.Module:
    if importlib.util.find_spec("timm") is None:
        raise MissingPackageError("timm is not installed")
    import timm

    return timm.create_model("convnext_nano", num_classes=NUM_CLASSES)


def small() -> nn.Module:
    """The default backbone of a training from scratch, as a classifier."""
    from trainable.models.classifier import Classifier, ClassifierConfig

    return Classifier(ClassifierConfig(class_names=tuple(map(str, range(NUM_CLASSES)))))


NETWORKS: dict[str, Callable[[], nn.Module]] = {"resnet50": resnet50, "timm": of_timm, "small": small}


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def forget() -> None:
    """A trainer is freed at the next garbage collection, a compiled network with the compiler's cache."""
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def hand_written(work: Work) -> Epoch:
    net, optimizer = work.network_and_optimizer()
    images, labels = work.batch_on(work.device)

    def epoch() -> None:
        for _ in range(work.steps):
            optimizer.zero_grad()
            logits = net(images)
            nn.functional.cross_entropy(getattr(logits, "predictions", logits), labels).backward()
            optimizer.step()

    return epoch


def ours(
    work: Work, precision: str, *, channels_last: bool = False, compiled: bool = False, on_device: bool = True
) -> Epoch:
    """An epoch of our loop, every technique off.

    Args:
        on_device: the batches lie on the device; False: in pinned memory of the CPU.
    """
    net, optimizer = work.network_and_optimizer()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    net = net.to(memory_format=memory_format)
    images, labels = work.batch_on(work.device if on_device else "cpu")
    images = images.to(memory_format=memory_format)
    if not on_device and work.device == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()
    network: Any = torch.compile(net) if compiled else net
    trainer = OptimizedTrainer(
        network,
        optimizer,
        nn.functional.cross_entropy,
        work.device,
        precision=precision,
        enable_progressive_aug=False,
        max_grad_norm=None,
    )

    def epoch() -> None:
        trainer.train_epoch([(images, labels)] * work.steps, 0, log_interval=0)

    return epoch


def variants(work: Work) -> dict[str, Start]:
    """Each way of training the network, the reference first. A CPU has no fp16, and compiles for minutes."""
    best = partial(ours, work, "bf16", channels_last=True)
    everywhere: dict[str, Start] = {
        REFERENCE: partial(hand_written, work),
        "fp32": partial(ours, work, "fp32"),
        OURS: best,
        "bf16": partial(ours, work, "bf16"),
        "bf16, channels-last, batches from the CPU": partial(best, on_device=False),
    }
    if work.device != "cuda":
        return everywhere
    return everywhere | {
        "fp16": partial(ours, work, "fp16"),
        "bf16, channels-last, compiled": partial(best, compiled=True),
    }
