"""Sparse mixture of experts: a router sends each image, or each position, to k of N small expert blocks.

What: y = x + sum over the k chosen experts of gate * expert(norm(x)). The gates are the chosen router probabilities,
    made to sum to 1 for k > 1; for k = 1 the gate is the probability itself, because a gate that is always 1 would
    hand the router no gradient. A capacity factor bounds how many assignments an expert serves while training: the
    ones beyond it are counted and skip the experts through the residual path. In evaluation nothing is dropped, so
    that a prediction does not depend on the other images of its batch.
Sources: Noam Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", 2017,
    https://arxiv.org/abs/1701.06538 (top-k gates, noise); William Fedus, Barret Zoph, Noam Shazeer, "Switch
    Transformers", 2021, https://arxiv.org/abs/2101.03961 (k = 1, capacity).
Cost: k expert blocks an image or position whatever N is, and no host synchronisation; dropped assignments are
    computed and weighed by zero.
Off: num_experts=1 builds one plain block without a router; forward then returns no routing.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainable.models.output import RoutingInfo

Routing = Literal["image", "token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Assignment of T tokens to k of N experts each."""

    probs: Tensor
    """Router probabilities, fp32, shape (T, N)."""
    experts: Tensor
    """Chosen experts, best first, int64, shape (T, k)."""
    gates: Tensor
    """Weight of each chosen expert's output, fp32, shape (T, k); zero where the expert was full."""
    overflow: Tensor | None
    """Number of assignments to a full expert, a scalar; None without a capacity."""


def route(logits: Tensor, top_k: int, *, capacity_factor: float | None = None) -> Route:
    """Chooses experts for each row of logits (T, N).

    Args:
        top_k: experts a row, from 1 to N.
        capacity_factor: an expert serves at most ceil(capacity_factor * T * top_k / N) rows; None is unlimited.
    """
    probs = logits.float().softmax(dim=-1)
    chosen, experts = probs.topk(top_k, dim=-1)
    gates = chosen if top_k == 1 else chosen / chosen.sum(dim=-1, keepdim=True)
    if capacity_factor is None:
        return Route(probs=probs, experts=experts, gates=gates, overflow=None)
    num_tokens, num_experts = logits.shape
    capacity = math.ceil(capacity_factor * num_tokens * top_k / num_experts)
    # How many earlier assignments each one finds at its expert, (T, k): all first choices come before any second.
    arrivals = F.one_hot(experts.T.flatten(), num_experts)
    earlier = arrivals.cumsum(dim=0) - arrivals
    queued = (earlier * arrivals).sum(dim=-1).view(top_k, num_tokens).T
    served = queued < capacity
    return Route(probs=probs, experts=experts, gates=gates * served, overflow=(~served).sum())


class MixtureOfExperts(nn.Module):
    """Residual block of routed experts on maps (B, C, H, W).

    Routing "image" makes one decision per image and the experts are small convolution blocks; "token" makes one per
    position and the experts are two-layer perceptrons.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_experts: int = 4,
        top_k: int = 2,
        routing: Routing = "image",
        router_features: int | None = None,
        capacity_factor: float | None = None,
        router_noise: float = 0.0,
    ):
        """Builds the experts and, for more than one, their router.

        Args:
            channels: C of the maps; a multiple of 8 for routing by token.
            num_experts: 1 or more.
            top_k: experts that an image or a token goes to, from 1 to num_experts.
            router_features: length of forward's `router_input`; None lets the router read the map itself.
            capacity_factor: most assignments an expert serves in training, in fair shares, 1 or more; None: unlimited.
            router_noise: standard deviation of the noise on the logits in training, 0 or more.

        Raises:
            ValueError: the channels do not suit routing by token.
        """
        super().__init__()
        self.num_experts = num_experts
        self.top_k = top_k
        self.routing: Routing = routing
        self.capacity_factor = capacity_factor
        self.router_noise = router_noise
        self.norm = nn.GroupNorm(1, channels)
        self.experts = _EXPERTS[routing](num_experts, channels)
        own_features = 2 * channels if routing == "image" else channels
        self.router = nn.Linear(router_features or own_features, num_experts) if num_experts > 1 else None

    def forward(self, x: Tensor, router_input: Tensor | None = None) -> tuple[Tensor, RoutingInfo | None]:
        """A map (B, C, H, W) to one of the same shape, and its routing; None with one expert.

        Args:
            router_input: what the router reads instead of the map, (B, router_features); for routing by image.
        """
        if self.routing == "image":
            # The layout of the experts' result: an addition across two takes five times as long on a CPU.
            x = x.contiguous()
        tokens = self.norm(x)
        if self.router is None:
            # Not len(x), which is a constant where the network is exported for any batch.
            rows = x.shape[0] if self.routing == "image" else x.shape[0] * x.shape[2] * x.shape[3]
            first, whole = torch.zeros(rows, 1, dtype=torch.long, device=x.device), torch.ones(rows, 1, device=x.device)
            return x + self.experts(tokens, first, whole), None
        logits = self._router_logits(self.router, tokens if router_input is None else router_input)
        noisy = logits
        if self.training and self.router_noise:
            noisy = logits + self.router_noise * torch.randn_like(logits)
        chosen = route(noisy, self.top_k, capacity_factor=self.capacity_factor if self.training else None)
        y = x + self.experts(tokens, chosen.experts, chosen.gates)
        return y, RoutingInfo(
            routing_probs=chosen.probs,
            expert_assignments=chosen.experts,
            router_logits=logits,
            capacity_overflow=chosen.overflow,
        )

    @torch.no_grad()
    def reinitialise_expert(
        self, dead: int, busiest: int, generator: torch.Generator, noise: float = 0.02
    ) -> list[tuple[nn.Parameter, int]]:
        """Replaces a dead expert by a noisy copy of the busiest one, router row included: they share its tokens.

        Args:
            dead: index of the expert to overwrite.
            busiest: index of the expert to copy.
            generator: a CPU generator.
            noise: standard deviation of the noise as a fraction of the copied weights' root mean square.

        Returns:
            The rewritten rows as (parameter, index along its first axis): an optimizer's moments there are stale.

        Raises:
            ValueError: there is one expert only, or an index is none of another expert.
        """
        if self.router is None or dead == busiest or not {dead, busiest} <= set(range(self.num_experts)):
            raise ValueError(
                f"Cannot make expert {dead} from expert {busiest}: give two different indices below num_experts, "
                f"which is {self.num_experts} here."
            )
        rewritten = [*self.experts.parameters(), *self.router.parameters()]
        for parameter in rewritten:
            source = parameter[busiest]
            scale = noise * source.square().mean().sqrt()
            draw = torch.randn(source.shape, generator=generator).to(source)
            parameter[dead] = source + scale * draw
        return [(parameter, dead) for parameter in rewritten]

    def _router_logits(self, router: nn.Linear, source: Tensor) -> Tensor:
        """Router logits per image, from its mean and standard deviation or a descriptor (B, D), or else per token.

        Computed in fp32 even under autocast: a rounding error in a logit changes which expert is chosen.
        """
        with torch.autocast(source.device.type, enabled=False):
            source = source.float()
            if source.ndim == 4 and self.routing == "token":
                source = source.permute(0, 2, 3, 1).flatten(0, 2)
            elif source.ndim == 4:
                spread, mean = torch.std_mean(source, dim=(2, 3), correction=0)
                source = torch.cat([mean, spread], dim=1)
            return router(source)


class ConvExperts(nn.Module):
    """N blocks of 3x3 convolution, ReLU, 1x1 convolution, C channels throughout; all chosen run as one convolution."""

    def __init__(self, num_experts: int, channels: int):
        super().__init__()
        # Stored flat: channels-last conversion of a module accepts no parameter of five dimensions.
        self.spatial = nn.Parameter(_he_uniform(num_experts, channels, 9 * channels, fan_in=9 * channels))
        self.spatial_bias = nn.Parameter(torch.zeros(num_experts, channels))
        self.mix = nn.Parameter(_he_uniform(num_experts, channels, channels, fan_in=channels))
        self.mix_bias = nn.Parameter(torch.zeros(num_experts, channels))

    def forward(self, x: Tensor, experts: Tensor, gates: Tensor) -> Tensor:
        """x (B, C, H, W), experts and gates (B, k): every image is one group, with its own experts' weights."""
        batch, channels, height, width = x.shape
        flat = experts.flatten()
        # Selected, not indexed: indexing's backward pass adds in an arbitrary order where there are several threads.
        spatial = self.spatial.index_select(0, flat).view(-1, channels, 3, 3)
        spatial_bias = self.spatial_bias.index_select(0, flat).flatten()
        mix = self.mix.index_select(0, flat).unflatten(0, experts.shape)
        mix_bias = self.mix_bias.index_select(0, flat).unflatten(0, experts.shape)
        one_group_each = x.reshape(1, batch * channels, height, width)
        hidden = F.conv2d(one_group_each, spatial, spatial_bias, padding=1, groups=batch).relu()
        # The last layer is linear, so the gates may scale its small weights instead of its large output.
        mix = (mix * gates[:, :, None, None]).transpose(1, 2).flatten(2)
        mix_bias = (mix_bias * gates[:, :, None]).sum(dim=1)
        y = torch.baddbmm(mix_bias[:, :, None], mix, hidden.view(batch, -1, height * width))
        return y.view(x.shape)


class TokenExperts(nn.Module):
    """N perceptrons C -> 2C -> C; tokens are sorted by expert and multiplied group by group.

    Raises:
        ValueError: C is not a multiple of 8.
    """

    def __init__(self, num_experts: int, channels: int):
        super().__init__()
        if channels % 8:
            raise ValueError(
                f"Token routing was given {channels} channels; grouped matrix products need a multiple of 8."
            )
        self.up = nn.Parameter(_he_uniform(num_experts, channels, 2 * channels, fan_in=channels))
        self.down = nn.Parameter(_he_uniform(num_experts, 2 * channels, channels, fan_in=2 * channels))

    def forward(self, x: Tensor, experts: Tensor, gates: Tensor) -> Tensor:
        """x (B, C, H, W), experts and gates (B*H*W, k)."""
        batch, channels, height, width = x.shape
        top_k = experts.shape[1]
        tokens = x.permute(0, 2, 3, 1).reshape(-1, channels)
        by_expert = experts.flatten().argsort(stable=True)
        group_ends = F.one_hot(experts.flatten(), len(self.up)).sum(dim=0).cumsum(dim=0).to(torch.int32)
        # Repeating before sorting keeps every index unique, so that no backward pass adds in an arbitrary order.
        grouped = tokens.repeat_interleave(top_k, dim=0).index_select(0, by_expert)
        # grouped_mm does not follow autocast by itself, hence the casts.
        autocast = torch.is_autocast_enabled(x.device.type)
        dtype = torch.get_autocast_dtype(x.device.type) if autocast else grouped.dtype
        hidden = F.grouped_mm(grouped.to(dtype), self.up.to(dtype), offs=group_ends).relu()
        grouped = F.grouped_mm(hidden, self.down.to(dtype), offs=group_ends)
        y = grouped.index_select(0, by_expert.argsort()).unflatten(0, (-1, top_k))
        y = (y * gates[:, :, None]).sum(dim=1).to(x.dtype)
        return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


_EXPERTS = {"image": ConvExperts, "token": TokenExperts}


def _he_uniform(*shape: int, fan_in: int) -> Tensor:
    bound = math.sqrt(3 / fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
