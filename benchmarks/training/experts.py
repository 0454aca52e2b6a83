"""Throughput of a mixture-of-experts layer: 8 experts, top 2, 4096 tokens of 256 channels, forward and backward.

The dense layer has the same arithmetic: a perceptron twice as wide as one expert, because every token passes two.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.claims import OURS, Claim, sides_of
from benchmarks.harness import Measure, Size, Spread, interleaved, ratios, seconds_of
from trainable.models.moe import MixtureOfExperts, route

NUM_EXPERTS, TOP_K = 8, 2
SHARE_OF_DENSE = 0.8
DENSE, LOOP = "dense layer", "loop over the experts"


class Dense(nn.Module):
    """Norm, perceptron and residual, as wide as the experts that serve a token together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.up = nn.Linear(channels, 2 * TOP_K * channels, bias=False)
        self.down = nn.Linear(2 * TOP_K * channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).permute(0, 2, 3, 1)
        return x + self.down(self.up(tokens).relu()).permute(0, 3, 1, 2)


class LoopOverExperts(nn.Module):
    """The usual way: each expert gathers its tokens and adds its output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.router = nn.Linear(channels, NUM_EXPERTS)
        self.ups = nn.ModuleList(nn.Linear(channels, 2 * channels, bias=False) for _ in range(NUM_EXPERTS))
        self.downs = nn.ModuleList(nn.Linear(2 * channels, channels, bias=False) for _ in range(NUM_EXPERTS))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(-1, channels)
        chosen = route(self.router(tokens), TOP_K)
        y = torch.zeros_like(tokens)
        for number, (up, down) in enumerate(zip(self.ups, self.downs, strict=True)):
            rows, choice = (chosen.experts == number).nonzero(as_tuple=True)
            served = down(F.relu(up(tokens[rows])))
            y.index_add_(0, rows, served * chosen.gates[rows, choice, None])
        return x + y.view(batch, height, width, channels).permute(0, 3, 1, 2)


class Grouped(MixtureOfExperts):
    """Ours, with its output alone."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


def measure(size: Size) -> list[Claim]:
    channels, side = size.pick(256, 16), size.pick(32, 4)
    torch.manual_seed(0)
    x = torch.randn(4, channels, side, side).to(memory_format=torch.channels_last)
    layers = {
        DENSE: Dense(channels),
        OURS: Grouped(channels, num_experts=NUM_EXPERTS, top_k=TOP_K, routing="token"),
        LOOP: LoopOverExperts(channels),
    }
    numbers = interleaved({name: _step(layer, x) for name, layer in layers.items()}, rounds=3 * size.rounds)
    share = Spread.of(ratios(numbers[DENSE], numbers[OURS])).median
    return [
        Claim(
            number=6,
            work=f"mixture of 8 experts, top 2, {4 * side * side} tokens x {channels}, forward and backward",
            unit="ms",
            sides=sides_of(numbers, scale=1e3),
            reference=DENSE,
            target=f"{SHARE_OF_DENSE} of the dense layer's throughput",
            finding=f"{share:.2f} of the dense layer's throughput",
            reached=share >= SHARE_OF_DENSE,
        )
    ]


def _step(layer: nn.Module, x: Tensor) -> Measure:
    """Forward and backward, into fresh gradients of the weights and of the input."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()

    def step() -> None:
        layer.zero_grad()
        x.grad = None
        layer(x).sum().backward()

    return seconds_of(step)
