"""Response to expert collapse: escalates from a gentle push to a new expert, one step at a time.

What: healthy -> warned, for some alarmed checks in a row -> one act -> cooldown, in which nothing is done. Every act
takes the next step of a ladder, and an episode ends with the first check after it that has the evidence for an alarm
and gives none:

1. rebalance: the load balancer's coefficients are doubled, up to a cap, and stay so.
2. noise: the collapsed layers' routers get noise on their logits, which fades again from check to check.
3. reinitialise: each dead expert becomes a noisy twin of the busiest one, router row included, and the optimizer's
   moments of the rewritten rows are zeroed, their average is the new weights; a cap holds for the whole run.

A step that can do no more gives way to the next one, after the last to the first. Evidence from before an act is
dropped. All ranks act alike if their generators were seeded alike.
Sources: the ladder is this project's; twins of a busy expert follow Komatsuzaki et al., Sparse Upcycling, 2023,
https://arxiv.org/abs/2212.05055; noise on router logits Shazeer et al., Outrageously Large Neural Networks, 2017,
https://arxiv.org/abs/1701.06538.
Cost: none while healthy. Off: `collapse_response="none"`, or no response at all.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypedDict, get_args

import torch
from torch import nn

from trainable.techniques.experts.collapse_evidence import CollapseVerdict, LayerVerdict
from trainable.techniques.experts.expert_collapse import CollapseConfig, ExpertCollapseDetector, Response
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer

Action = Literal["rebalance", "noise", "reinitialise"]
Rows = list[tuple[nn.Parameter, int]]
_COUNTERS = ("alarmed_checks", "cooldown_left", "acts", "reinitialised")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseConfig:
    """Patience and strength of the response."""

    patience_checks: int = 2
    """Alarmed checks in a row before an act, >= 1."""
    cooldown_checks: int = 1
    """Checks after an act in which nothing is done, >= 0."""
    max_balance_factor: float = 8.0
    """Largest factor on the balance coefficients, >= 1."""
    response_noise: float = 0.3
    """Standard deviation added to the noise on a collapsed layer's router logits, > 0."""
    response_noise_decay: float = 0.5
    """Share of the added noise that is left after each check, 0 up to but not including 1."""
    max_reinitialisations: int = 8
    """Experts that may be re-initialised in a run, >= 0."""

    @property
    def ladder_checks(self) -> int:
        """Number of checks of a lasting collapse until each step was taken and had its cooldown."""
        return len(get_args(Action)) * (self.patience_checks + self.cooldown_checks)

    def __post_init__(self) -> None:
        limits = {"patience_checks": 1, "cooldown_checks": 0, "max_balance_factor": 1, "max_reinitialisations": 0}
        for name, least in limits.items():
            if not least <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more.")
        if not 0.0 < self.response_noise < math.inf:
            raise ValueError(
                f"response_noise is {self.response_noise}; it must be positive. Off is a response below 'noise'."
            )
        if not 0.0 <= self.response_noise_decay < 1.0:
            raise ValueError(f"response_noise_decay is {self.response_noise_decay}; it must be at least 0 and below 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseEvent:
    """One action of the response."""

    epoch: int
    """Epoch from 0; the text counts from 1."""
    step: int
    action: Action
    layer: int | None
    """None when the action is for all layers."""
    expert: int | None
    numbers: dict[str, float]

    def __str__(self) -> str:
        where = "" if self.layer is None else f" in layer {self.layer}"
        which = "" if self.expert is None else f" of expert {self.expert}"
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.numbers.items())
        return f"experts collapsed, epoch {self.epoch + 1}: {self.action}{which}{where} ({numbers})"


class _Done(TypedDict):
    layer: int | None
    expert: int | None
    numbers: dict[str, float]


class _Act(_Done):
    action: Action


class ExpertLayer(Protocol):
    """The methods of a mixture-of-experts layer that the response uses; see MixtureOfExperts."""

    router_noise: float

    def reinitialise_expert(self, dead: int, busiest: int, generator: torch.Generator) -> Rows: ...


def zero_moments(optimizer: torch.optim.Optimizer, rows: Iterable[tuple[nn.Parameter, int]]) -> None:
    """Zeroes the optimizer's moments of the given rows: averages of gradients and of their squares, momentum."""
    for parameter, index in rows:
        for moment in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(moment) and moment.shape == parameter.shape:
                moment[index] = 0


class CollapseResponse:
    """Acts on what a detector finds; `events` holds all of its actions.

    Args:
        response: the highest step of the ladder; "none" only watches.
        balancer: needed from "rebalance" on, with an alpha above 0.
        layers: the mixture-of-experts layers in the order of the model's routing; needed from "noise" on.
        optimizer: holds the layers' parameters.
        generator: a CPU generator for the noise of new experts.
        config: patience and strength.
    """

    def __init__(
        self,
        response: Response,
        *,
        balancer: GlobalBatchLoadBalancer | None,
        layers: Sequence[ExpertLayer],
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        config: ResponseConfig | None = None,
    ) -> None:
        self._ladder = get_args(Action)[
            : get_args(Response).index(CollapseConfig(collapse_response=response).collapse_response)
        ]
        if self._ladder and (balancer is None or not balancer.alpha_l2 + balancer.alpha_cv > 0.0):
            raise ValueError(f"response {response!r} raises the balance coefficients; switch load balancing on.")
        if len(self._ladder) > 1 and not layers:
            raise ValueError(f"response {response!r} changes expert layers, but the model has none that it can change.")
        self.events: list[CollapseEvent] = []
        self.rewritten: Rows = []
        """The rows that the last step reinitialised; what follows the weights, as an average does, restarts there."""
        self._config = config or ResponseConfig()
        self._balancer = balancer
        self._layers = layers
        self._optimizer = optimizer
        self._generator = generator
        self._own_noise = [layer.router_noise for layer in layers]
        self._added_noise = [0.0] * len(layers)
        self._alarmed_checks = self._cooldown_left = self._acts = self._reinitialised = 0

    def step(
        self, detector: ExpertCollapseDetector, *, epoch: int, step: int, verdict: CollapseVerdict | None = None
    ) -> tuple[CollapseEvent, ...]:
        """Responds to one check and returns the actions taken, usually none; an action clears the detector's window.

        Args:
            verdict: what the detector's `check` has just said; None checks now.
        """
        self.rewritten = []
        for index, noise in enumerate(self._added_noise):
            faded = noise * self._config.response_noise_decay
            if noise:
                self._add_noise(index, faded if faded > 0.01 * self._config.response_noise else 0.0)
        if self._cooldown_left:
            self._cooldown_left -= 1
            return ()
        verdict = verdict or detector.check()
        if verdict.is_healthy:
            self._alarmed_checks = self._acts = 0
        if not verdict.collapsed:
            return ()
        self._alarmed_checks += 1
        if self._alarmed_checks < self._config.patience_checks:
            return ()
        done = tuple(CollapseEvent(epoch=epoch, step=step, **fields) for fields in self._act(verdict))
        if done:
            self.events.extend(done)
            self._acts += 1
            self._alarmed_checks, self._cooldown_left = 0, self._config.cooldown_checks
            detector.reset()
        return done

    def state_dict(self) -> dict[str, object]:
        """The response's state, its generator included; rewritten weights are in the model's."""
        return {
            **{name: getattr(self, f"_{name}") for name in _COUNTERS},
            "added_noise": list(self._added_noise),
            "generator": self._generator.get_state(),
            "events": [asdict(event) for event in self.events],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave, on top of the router noise that is configured now."""
        if len(state["added_noise"]) != len(self._layers):
            raise ValueError(
                f"The saved response has {len(state['added_noise'])} expert layers, the model "
                f"{len(self._layers)}; resume with the model that the run was started with."
            )
        for name in _COUNTERS:
            setattr(self, f"_{name}", state[name])
        for index, noise in enumerate(state["added_noise"]):
            self._add_noise(index, noise)
        self._generator.set_state(state["generator"].cpu())
        self.events = [CollapseEvent(**event) for event in state["events"]]

    def _act(self, verdict: CollapseVerdict) -> list[_Act]:
        """Takes the episode's next step of the ladder, or the first after it that can still do something."""
        steps = {"rebalance": self._rebalance, "noise": self._make_noisy, "reinitialise": self._reinitialise}
        start = min(self._acts, max(0, len(self._ladder) - 1))
        for action in self._ladder[start:] + self._ladder[:start]:
            done: list[_Act] = [{"action": action, **fields} for fields in steps[action](verdict)]
            if done:
                return done
        return []

    def _rebalance(self, verdict: CollapseVerdict) -> Iterator[_Done]:
        balancer = self._balancer
        assert balancer is not None, "every ladder begins with it"
        factor = min(2.0 * balancer.coefficient_factor, self._config.max_balance_factor)
        if factor > balancer.coefficient_factor:
            balancer.coefficient_factor = factor
            yield {"layer": None, "expert": None, "numbers": {"factor": factor}}

    def _make_noisy(self, verdict: CollapseVerdict) -> Iterator[_Done]:
        for index, _ in self._collapsed_layers(verdict):
            self._add_noise(index, self._config.response_noise)
            yield {"layer": index, "expert": None, "numbers": {"router_noise": self._layers[index].router_noise}}

    def _reinitialise(self, verdict: CollapseVerdict) -> Iterator[_Done]:
        for index, layer in self._collapsed_layers(verdict):
            busiest = max(range(len(layer.usage)), key=layer.usage.__getitem__)
            for dead in layer.dead_experts:
                if dead == busiest or self._reinitialised >= self._config.max_reinitialisations:
                    continue
                rows = self._layers[index].reinitialise_expert(dead, busiest, self._generator)
                zero_moments(self._optimizer, rows)
                self.rewritten += rows
                self._reinitialised += 1
                yield {"layer": index, "expert": dead, "numbers": {"usage": layer.usage[dead], "twin_of": busiest}}

    def _collapsed_layers(self, verdict: CollapseVerdict) -> list[tuple[int, LayerVerdict]]:
        if len(verdict.layers) != len(self._layers):
            raise ValueError(
                f"The model routed through {len(verdict.layers)} layers, the response was given {len(self._layers)}; "
                "give it every mixture-of-experts layer, in the order of the routing."
            )
        return [(index, layer) for index, layer in enumerate(verdict.layers) if layer.reasons]

    def _add_noise(self, index: int, noise: float) -> None:
        """Adds to the noise that the layer was built with, replacing noise added earlier."""
        self._added_noise[index] = noise
        self._layers[index].router_noise = self._own_noise[index] + noise
