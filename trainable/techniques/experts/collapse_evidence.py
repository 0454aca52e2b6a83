"""Statistical tests of expert collapse from assignment counts: N experts, k of them chosen by each token.

What: an expert is dead when the exact upper confidence bound of its share lies below a threshold; the load is
imbalanced when its coefficient of variation (CV) exceeds a limit and a chi-square test rejects the uniform router.
Sources: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, 1934,
https://doi.org/10.1093/biomet/26.4.404; Shazeer et al., Outrageously Large Neural Networks, 2017,
https://arxiv.org/abs/1701.06538 (CV of the load).
Cost: microseconds on the host. Off: no detector.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

IMBALANCE_LIMIT = 0.5
"""Share of the largest possible CV above which the load is imbalanced, where no absolute limit is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseLimits:
    """Limits beyond which a layer counts as collapsed."""

    share: float
    """Share of the assignments below which an expert is dead."""
    cv: float | None
    """Absolute limit of the CV; None is IMBALANCE_LIMIT of the largest possible one."""
    confidence: float | None
    """Mean largest probability below which a layer counts as collapsed; None judges by the load alone."""
    level: float
    """Significance of each single test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVerdict:
    """The verdict on one layer's window."""

    reasons: tuple[str, ...]
    """Why the layer counts as collapsed; empty when it does not."""
    usage: tuple[float, ...]
    """Share of the assignments of each expert; zeros when nothing was routed yet."""
    dead_experts: tuple[int, ...]
    """Experts proven to lie below the threshold, the least used first."""
    can_tell: bool
    """Enough was routed to prove that an expert which is never chosen is dead. If not, finding none proves nothing."""
    num_assignments: int
    load_imbalance_cv: float
    """Coefficient of variation of the assignments over the experts, from 0 to `largest_cv`."""
    effective_experts: float
    """exp(entropy of the usage) / N, 0 to 1."""
    confidence: float
    """Mean largest router probability."""
    router_entropy: float
    """Mean entropy of the router's probabilities as a share of log N, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseVerdict:
    """One check of all layers."""

    layers: tuple[LayerVerdict, ...]

    @property
    def collapsed(self) -> bool:
        return any(layer.reasons for layer in self.layers)

    @property
    def is_healthy(self) -> bool:
        """No layer is collapsed, and each has enough evidence for that."""
        return all(layer.can_tell and not layer.reasons for layer in self.layers)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of all layers, with the layer's number where there are several."""
        several = len(self.layers) > 1
        return tuple(
            f"layer {index}: {reason}" if several else reason
            for index, layer in enumerate(self.layers)
            for reason in layer.reasons
        )

    def report(self) -> str:
        """The documented text, one reason a line; empty when nothing is wrong."""
        return "\n".join(("Expert Collapse Detected:", *self.reasons)) if self.collapsed else ""


def judge_layer(
    counts: np.ndarray, *, tokens: float, confidence: float, entropy: float, limits: CollapseLimits
) -> LayerVerdict:
    """Judges assignment counts (N,) of a number of tokens, with the means of the router's confidence and entropy."""
    usage = counts / max(1.0, counts.sum())
    possible = largest_cv(len(counts), counts.sum() / tokens) if counts.any() else 0.0
    cv = float(usage.std() * len(counts))
    cv_limit = IMBALANCE_LIMIT * possible if limits.cv is None else limits.cv
    # The last one is that of an expert which is never chosen.
    is_dead = share_upper_bounds(np.append(counts, 0.0), tokens, limits.level) < limits.share
    dead = np.flatnonzero(is_dead[:-1])
    reasons = []
    if len(dead):
        reasons.append(
            f"{len(dead)}/{len(counts)} experts underutilized (min usage: {usage.min():.2f} < {round(limits.share, 3)})"
        )
    if cv > cv_limit and uniform_p_value(counts, tokens) < limits.level:
        reasons.append(f"High load imbalance (CV: {cv:.2f} > {round(cv_limit, 2)})")
    if limits.confidence is not None and counts.any() and confidence < limits.confidence:
        reasons.append(f"Low routing confidence ({confidence:.2f} < {limits.confidence})")
    return LayerVerdict(
        reasons=tuple(reasons),
        usage=tuple(usage.tolist()),
        dead_experts=tuple(dead[usage[dead].argsort(kind="stable")].tolist()),
        can_tell=bool(is_dead[-1]),
        num_assignments=round(counts.sum()),
        load_imbalance_cv=cv,
        effective_experts=effective_experts(usage),
        confidence=confidence,
        router_entropy=entropy,
    )


def largest_cv(num_experts: int, top_k: float = 1) -> float:
    """Coefficient of variation of the load when every token chooses the same k experts."""
    return math.sqrt(max(0.0, num_experts / top_k - 1.0))


def effective_experts(usage: np.ndarray) -> float:
    """Share of the experts that are in use, exp(entropy) / N, from 1 / N to 1; 0 where nothing was routed."""
    used = usage[usage > 0]
    return float(np.exp(-(used * np.log(used)).sum()) / len(usage)) if len(used) else 0.0


def share_upper_bounds(counts: np.ndarray, tokens: float, significance: float) -> np.ndarray:
    """Exact upper confidence bound of each expert's share of the assignments, shape (N,).

    A token chooses an expert at most once, so the count is binomial in the tokens, whatever k is. The true share is
    above its bound with a chance of at most `significance`.
    """
    if not counts.any():
        return np.ones_like(counts)
    # Of the beta distribution with these two parameters; scipy.stats, which names it so, takes a second to import.
    choosing_tokens = special.betainccinv(counts + 1.0, np.maximum(tokens - counts, 1e-9), significance)
    return choosing_tokens * tokens / counts.sum()


def uniform_p_value(counts: np.ndarray, tokens: float) -> float:
    """Chance of a load at least this uneven under a uniform router: chi-square, corrected for k distinct choices."""
    num_experts, assignments = len(counts), counts.sum()
    top_k = assignments / tokens
    if assignments == 0 or top_k >= num_experts:
        return 1.0
    expected = assignments / num_experts
    statistic = ((counts - expected) ** 2 / expected).sum() * (num_experts - 1) / (num_experts - top_k)
    return float(special.chdtrc(num_experts - 1, statistic))


def single_test_level(num_experts: int, num_layers: int, false_alarm_rate: float) -> float:
    """Level of each single test, so that all of one check together stay below the rate: N + 1 tests a layer."""
    return false_alarm_rate / (num_layers * (num_experts + 1))


def assignments_to_find_dead_expert(
    num_experts: int, threshold: float = 0.3, *, top_k: int = 1, false_alarm_rate: float = 0.01
) -> int:
    """Number of assignments that prove that a never chosen expert is dead, in a network with one routed layer.

    Args:
        num_experts: experts of the layer.
        threshold: fraction of the fair share below which an expert is dead, between 0 and 1.
        top_k: experts per token.
        false_alarm_rate: chance of an alarm at a balanced router.
    """
    significance = single_test_level(num_experts, 1, false_alarm_rate)
    tokens = math.floor(math.log(significance) / math.log1p(-top_k * threshold / num_experts)) + 1
    return tokens * top_k
