"""The overhead of the training loop per step: forward, backward and AdamW of a small convolutional net, batch 16.

All sides run over the same list of tensors with the same net and optimizer, so only the loop differs.
"""

import importlib.util
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, differences, interleaved
from trainable.optimized_trainer import OptimizedTrainer
from trainable.techniques.optim.averaging import WeightAverage

HAND_WRITTEN = "hand-written loop"
NUM_EXPERTS = 4
PEER = "Accelerate"
MAX_ADDED = 0.4
"""Largest share of the time that the peer adds to a step."""
ROUNDS_OF_EACH = 6
ROUNDS_BESIDE_OTHERS = 20
"""Many short rounds, for each of --rounds: the difference is a few hundredths of the whole."""

Batches = Sequence[tuple[Tensor, Tensor]]


class SmallNet(nn.Sequential):
    """About 0.7 ms a step of 16 images on one core."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 1, 1), nn.Upsample(scale_factor=4),
        )  # fmt: skip


class RoutedNet(nn.Module):
    """The same with the probabilities of a router beside its prediction, for the techniques that use them."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.router = SmallNet(), nn.Linear(3, NUM_EXPERTS)

    def forward(self, images: Tensor) -> dict:
        logits = self.router(images.mean((2, 3)))
        probs = logits.softmax(1)
        routing = {"routing_probs": probs, "expert_assignments": probs.topk(2).indices, "router_logits": logits}
        return {"predictions": self.net(images), "routing_info": routing}


def measure(size: Size) -> list[Claim]:
    """The loop with every technique off beside other loops, then each technique alone."""
    batches = _batches(size.pick(50, 2))
    return [_beside_other_loops(batches, size), _technique_by_technique(batches, size)]


def _beside_other_loops(batches: Batches, size: Size) -> Claim:
    sides = {HAND_WRITTEN: _hand_written(batches), OURS: _ours(batches)}
    missing = {}
    for name, (package, begin) in {
        PEER: ("accelerate", _accelerate),
        "Lightning": ("lightning", _lightning),
    }.items():
        if importlib.util.find_spec(package) is None:
            missing[name] = f"{package} is not installed: pip install '.[bench]'"
        else:
            sides[name] = begin(batches)
    numbers = interleaved(sides, rounds=size.pick(ROUNDS_BESIDE_OTHERS, 1) * size.rounds)
    added = {name: Spread.of(differences(own, numbers[HAND_WRITTEN])).median for name, own in numbers.items()}
    listed = ", ".join(f"{name} {1e6 * value:+.0f} us" for name, value in added.items() if name != HAND_WRITTEN)
    share = added[OURS] / added[PEER] if PEER in added else None
    return Claim(
        number=1,
        work="training step of a small net, batch 16, techniques off",
        unit="us a step",
        sides=sides_of(numbers, scale=1e6, missing=missing),
        reference=HAND_WRITTEN,
        target=f"adds at most {MAX_ADDED} of {PEER}'s",
        finding=listed if share is None else f"adds {share:.2f} of {PEER}'s: {listed}",
        reached=None if share is None else share <= MAX_ADDED,
    )


def _technique_by_technique(batches: Batches, size: Size) -> Claim:
    plain = "all off, with a router"
    variants: dict[str, dict[str, Any]] = {
        plain: {},
        "clipping": {"max_grad_norm": 1.0},
        "weight averaging": {"averaging": True},
        "z-loss": {"z_loss_weight": 1e-3},
        "load balancing": {"enable_load_balancing": True, "num_experts": NUM_EXPERTS},
        "collapse detection": {"enable_collapse_detection": True, "num_experts": NUM_EXPERTS},
        "2 micro-batches an update": {"accumulation_steps": 2},
        "bf16": {"precision": "bf16"},
        "augmentation at strength .3": {"enable_progressive_aug": True},
    }
    sides = {name: _ours(batches, RoutedNet(), **options) for name, options in variants.items()}
    numbers = interleaved(sides, rounds=size.pick(ROUNDS_OF_EACH, 1) * size.rounds)
    added = {name: Spread.of(differences(own, numbers[plain])).median for name, own in numbers.items()}
    return Claim(
        number=1,
        work="what each technique adds to that step",
        unit="us a step",
        sides=sides_of(numbers, scale=1e6),
        reference=plain,
        target="listed",
        finding=", ".join(f"{name} {1e6 * value:+.0f} us" for name, value in added.items() if name != plain),
        reached=None,
    )


def _hand_written(batches: Batches) -> Measure:
    net, optimizer = _net_and_optimizer()

    def steps() -> None:
        for images, masks in batches:
            optimizer.zero_grad()
            cross_entropy(net(images), masks).backward()
            optimizer.step()

    return _seconds_a_step(steps, len(batches))


def _ours(batches: Batches, net: nn.Module | None = None, *, averaging: bool = False, **options) -> Measure:
    net, optimizer = _net_and_optimizer(net)
    off = {"use_amp": False, "enable_progressive_aug": False, "max_grad_norm": None, "warmup_epochs": 0}
    trainer = OptimizedTrainer(net, optimizer, cross_entropy, "cpu", **off | options)
    trainer.averaging = WeightAverage(net, decay=0.99) if averaging else None
    return _seconds_a_step(lambda: trainer.train_epoch(batches, 0, log_interval=0), len(batches))


def _accelerate(batches: Batches) -> Measure:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    net, optimizer = accelerator.prepare(*_net_and_optimizer())

    def steps() -> None:
        for images, masks in batches:
            optimizer.zero_grad()
            accelerator.backward(cross_entropy(net(images), masks))
            optimizer.step()

    return _seconds_a_step(steps, len(batches))


def _lightning(batches: Batches) -> Measure:
    """Timed from the first to the last step of an epoch; set-up and tear-down are not part of a step."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.own_optimizer = _net_and_optimizer()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            return cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.own_optimizer

        def on_train_epoch_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.seconds = time.perf_counter() - self.began

    module = Module()

    def measure_epoch() -> float:
        lightning.Trainer(max_epochs=1, accelerator="cpu", devices=1, barebones=True).fit(module, _Loader(batches))
        return module.seconds / len(batches)

    return measure_epoch


class _Loader:
    """Lightning takes a list for several loaders."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._batches)


def _net_and_optimizer(net: nn.Module | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = net or SmallNet()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-4)


def _batches(count: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(16, 3, 32, 32, generator=generator)
    masks = (torch.rand(16, 1, 32, 32, generator=generator) < 0.3).float()
    return [(images, masks)] * count


def _seconds_a_step(steps: Callable[[], object], count: int) -> Measure:
    def measure_epoch() -> float:
        began = time.perf_counter()
        steps()
        return (time.perf_counter() - began) / count

    return measure_epoch
