"""Detection of expert collapse: some experts of a mixture get almost no tokens, beyond what chance explains.

What: assignments are counted over a window and judged at any time, layer by layer, by the tests of
collapse_evidence.py. A balanced router is called collapsed in less than `false_alarm_rate` of the checks, however few
assignments were seen. Assignments count as independent draws; the tokens of one image are not, which is why the window
spans many micro-batches too.
The threshold of `CollapseConfig` is a fraction of the fair share 1/N. The constructor takes the documented
absolute thresholds and warns about those that cannot work.
Sources: see collapse_evidence.py.
Cost: N + 3 sums a layer and micro-batch on the device; one read per check. Off: no detector.
"""

import math
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from trainable.models.output import RoutingInfo
from trainable.techniques.experts.collapse_evidence import (
    CollapseLimits,
    CollapseVerdict,
    LayerVerdict,
    assignments_to_find_dead_expert,
    judge_layer,
    largest_cv,
    single_test_level,
)
from trainable.techniques.experts.routing import num_ranks, routing_counts, summed_over_ranks

Response = Literal["none", "rebalance", "noise", "reinitialise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseConfig:
    """Limits of the collapse detector, and the strongest response allowed."""

    collapse_threshold: float = 0.3
    """Fraction of the fair share 1/N below which an expert is dead, between 0 and 1."""
    collapse_response: Response = "none"
    """Highest step of the response's ladder: "none", "rebalance", "noise" or "reinitialise"."""
    window_size: int = 100
    """Micro-batches that the window spans at least, >= 1."""
    window_assignments: int | None = None
    """Assignments that the window spans at least; None is four times what proves an unused expert dead."""
    false_alarm_rate: float = 0.01
    """Largest chance that one check calls a balanced router collapsed, between 0 and 1."""
    collapse_patience_fraction: float | None = None
    """Share of the planned budget, above 0 to 1: a layer that chooses nothing any more for so long ends the training;
    None never does. See lasting_collapse.py."""

    def __post_init__(self) -> None:
        for name in ("collapse_threshold", "false_alarm_rate"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1. Off is no detector.")
        if self.collapse_response not in get_args(Response):
            raise ValueError(
                f"collapse_response is {self.collapse_response!r}; allowed: {', '.join(get_args(Response))}."
            )
        if self.window_size < 1:
            raise ValueError(f"window_size is {self.window_size}; it must be 1 micro-batch or more.")
        patience = self.collapse_patience_fraction
        if patience is not None and not 0.0 < patience <= 1.0:
            raise ValueError(
                f"collapse_patience_fraction is {patience}; it must be above 0 and at most 1. Off is null."
            )


class ExpertCollapseDetector:
    """Counts routing over a window and judges it; under torch.distributed every rank must check together.

    Args:
        num_experts: experts of a layer, >= 2.
        collapse_threshold: share of all assignments below which an expert is dead.
        window_size: micro-batches that the window spans at least.
        top_k: experts per token; the thresholds are checked against it.
        cv_threshold: absolute limit of the CV, 2.0 in the documents; None is half of the largest possible one.
        confidence_threshold: mean largest probability below which a layer counts as collapsed, 0.3 in the documents;
            None judges by the load alone, because an undecided router is not a collapse.
        window_assignments: assignments that the window spans at least.
        false_alarm_rate: largest chance that a check calls a balanced router collapsed.
    """

    def __init__(
        self,
        num_experts: int,
        collapse_threshold: float = 0.05,
        window_size: int = 100,
        *,
        top_k: int = 1,
        cv_threshold: float | None = None,
        confidence_threshold: float | None = None,
        window_assignments: int = 0,
        false_alarm_rate: float = 0.01,
    ) -> None:
        if num_experts < 2 or not 1 <= top_k <= num_experts:
            raise ValueError(
                f"num_experts is {num_experts} and top_k {top_k}; give 2 experts or more, and a top_k up to that."
            )
        CollapseConfig(
            collapse_threshold=collapse_threshold, window_size=window_size, false_alarm_rate=false_alarm_rate
        )
        self.num_experts = num_experts
        self.collapse_threshold = collapse_threshold
        self.cv_threshold = cv_threshold
        self.confidence_threshold = confidence_threshold
        self.window_size = window_size
        self.window_assignments = window_assignments
        self.false_alarm_rate = false_alarm_rate
        self._window: deque[tuple[Tensor, int]] = deque()
        _warn_of_thresholds(self, top_k)

    @classmethod
    def from_config(cls, num_experts: int, config: CollapseConfig, *, top_k: int = 1) -> "ExpertCollapseDetector":
        """A detector whose threshold is a fraction of the fair share.

        Raises:
            ValueError: the window holds too few assignments to prove anything.
        """
        needed = assignments_to_find_dead_expert(
            num_experts, config.collapse_threshold, top_k=top_k, false_alarm_rate=config.false_alarm_rate
        )
        window = 4 * needed if config.window_assignments is None else config.window_assignments
        if window < needed:
            raise ValueError(
                f"window_assignments is {window}; with {num_experts} experts and a threshold of "
                f"{config.collapse_threshold} it takes {needed} to prove an expert dead. Give at least that, or None."
            )
        return cls(
            num_experts,
            config.collapse_threshold / num_experts,
            config.window_size,
            top_k=top_k,
            window_assignments=window,
            false_alarm_rate=config.false_alarm_rate,
        )

    @torch.no_grad()
    def observe(self, routing: Sequence[RoutingInfo]) -> None:
        """Counts one micro-batch, one entry per layer; no host read."""
        sums = torch.stack([_sums(info, self.num_experts) for info in routing])
        if self._window and len(self._window[-1][0]) != len(sums):
            raise ValueError(f"{len(sums)} layers were routed after {len(self._window[-1][0])}; give all of them.")
        size = num_ranks() * min(info.expert_assignments.numel() for info in routing)
        self._window.append((sums, size))
        self._forget()

    def update(self, routing_probs: Tensor, expert_assignments: Tensor) -> None:
        """The documented form of `observe` for one layer; probabilities (T, N), assignments (T, k)."""
        self.observe([RoutingInfo(routing_probs=routing_probs, expert_assignments=expert_assignments)])

    def check(self) -> CollapseVerdict:
        """Judges what the window holds now, summed over ranks; one host read."""
        # One layer of zeros before the first batch; (L, N + 3).
        totals = np.zeros((1, self.num_experts + 3))
        if self._window:
            device = self._window[-1][0].device
            window = torch.stack([sums.to(device) for sums, _ in self._window])
            totals = summed_over_ranks(window.sum(dim=0)).cpu().double().numpy()
        limits = CollapseLimits(
            share=self.collapse_threshold,
            cv=self.cv_threshold,
            confidence=self.confidence_threshold,
            level=single_test_level(self.num_experts, len(totals), self.false_alarm_rate),
        )
        return CollapseVerdict(layers=tuple(_judge(layer, limits) for layer in totals))

    def check_collapse(self) -> tuple[bool, list[str]]:
        """The documented form of `check`: collapsed or not, and why."""
        verdict = self.check()
        return verdict.collapsed, list(verdict.reasons)

    def get_statistics(self, verdict: CollapseVerdict | None = None) -> dict[str, object]:
        """Statistics of the window under the documented names: usage by layer, mean confidence, largest CV of a layer.

        Beside them, of the layer that uses the fewest experts, how many it uses; and whether any router is undecided,
        which hardly tells experts apart, the opposite of collapse and no alarm, or saturated, every choice with a
        probability near 1 while the load is uneven: a mean confidence cannot tell.

        Args:
            verdict: what `check` has just said; None checks now.
        """
        verdict = verdict or self.check()
        usage = [share for layer in verdict.layers for share in layer.usage]
        return {
            "expert_usage": usage,
            "min_usage": min(usage),
            "max_usage": max(usage),
            "avg_confidence": sum(layer.confidence for layer in verdict.layers) / len(verdict.layers),
            "load_imbalance_cv": max(layer.load_imbalance_cv for layer in verdict.layers),
            "effective_experts": self.num_experts * min(layer.effective_experts for layer in verdict.layers),
            "router_undecided": any(layer.router_entropy > 0.98 for layer in verdict.layers),
            "router_saturated": any(layer.reasons and layer.router_entropy < 0.02 for layer in verdict.layers),
            "collapsed": verdict.collapsed,
            "collapse_reasons": list(verdict.reasons),
        }

    def reset(self) -> None:
        """Empties the window: counts from before a router was changed say nothing about it."""
        self._window.clear()

    def state_dict(self) -> dict[str, object]:
        """The window; thresholds are configuration."""
        sums = [sums for sums, _ in self._window]
        return {"sums": torch.stack(sums) if sums else None, "assignments": [size for _, size in self._window]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave; a state of another number of experts is a ValueError."""
        sums = [] if state["sums"] is None else state["sums"].unbind()
        if sums and sums[0].shape[1] != self.num_experts + 3:
            raise ValueError(
                f"The saved window counts {sums[0].shape[1] - 3} experts, this detector {self.num_experts}; "
                "resume with the number of experts that the run was started with."
            )
        self._window = deque(zip(sums, state["assignments"], strict=True))
        self._forget()

    def _forget(self) -> None:
        held = sum(size for _, size in self._window)
        while len(self._window) > self.window_size and held - self._window[0][1] >= self.window_assignments:
            held -= self._window.popleft()[1]


def _sums(info: RoutingInfo, num_experts: int) -> Tensor:
    """Sums over unmasked tokens: N assignment counts, tokens, confidence, entropy; fp32, shape (N + 3,)."""
    probs = info.routing_probs.float()
    kept = torch.ones_like(probs[:, 0]) if info.token_mask is None else info.token_mask.to(probs.dtype)
    confidence = probs.amax(dim=1)
    entropy = torch.special.entr(probs).sum(dim=1) / math.log(num_experts)
    means = torch.stack([(confidence * kept).sum(), (entropy * kept).sum()])
    return torch.cat([routing_counts(info, num_experts)[: num_experts + 1].float(), means])


def _judge(totals: np.ndarray, limits: CollapseLimits) -> LayerVerdict:
    tokens = max(1.0, float(totals[-3]))
    return judge_layer(
        totals[:-3],
        tokens=tokens,
        confidence=float(totals[-2]) / tokens,
        entropy=float(totals[-1]) / tokens,
        limits=limits,
    )


def _warn_of_thresholds(detector: ExpertCollapseDetector, top_k: int) -> None:
    """Warns of absolute thresholds that can't fire or always fire with this number of experts; not of from_config's."""
    num_experts, largest = detector.num_experts, largest_cv(detector.num_experts, top_k)
    usage, cv, confidence = detector.collapse_threshold, detector.cv_threshold, detector.confidence_threshold
    if usage >= 1.0 / num_experts:
        _warn(f"collapse_threshold {usage} calls a balanced router collapsed: each of {num_experts} experts gets less.")
    if cv is not None and cv >= largest:
        _warn(f"cv_threshold {cv} can't be exceeded: {num_experts} experts, top {top_k}, have at most {largest:.2f}.")
    if confidence is not None and confidence <= 1.0 / num_experts:
        _warn(
            f"confidence_threshold {confidence} can't fire: {num_experts} experts have {1 / num_experts:.2f} or more."
        )
    elif confidence is not None:
        _warn(
            f"confidence_threshold {confidence} calls a balanced, undecided router of {num_experts} experts collapsed."
        )


def _warn(problem: str) -> None:
    warnings.warn(f"{problem} ExpertCollapseDetector.from_config takes a fraction of the fair share.", stacklevel=4)
