import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from trainable.models.output import RoutingInfo
from trainable.techniques.experts.collapse_evidence import (
    CollapseLimits,
    LayerVerdict,
    assignments_to_find_dead_expert,
    effective_experts,
    judge_layer,
    largest_cv,
    share_upper_bounds,
    single_test_level,
    uniform_p_value,
)
from trainable.techniques.experts.expert_collapse import CollapseConfig, ExpertCollapseDetector

NUM_EXPERTS = 6
LEVEL = single_test_level(NUM_EXPERTS, 1, 0.01)


def routing_to(experts, num_experts: int = NUM_EXPERTS, confidence: float = 0.9, **fields) -> RoutingInfo:
    """Tokens that choose the given experts, (T,) or (T, k); the first choice has the given probability."""
    chosen = torch.as_tensor(experts).reshape(len(experts), -1)
    rest = (1.0 - confidence) / (num_experts - 1)
    probs = torch.full((len(chosen), num_experts), rest).scatter(1, chosen[:, :1], confidence)
    return RoutingInfo(routing_probs=probs, expert_assignments=chosen, **fields)


def uniform_choices(rng, tokens: int, *, num_experts: int = NUM_EXPERTS, top_k: int = 1) -> np.ndarray:
    return rng.random((tokens, num_experts)).argsort(axis=1)[:, :top_k]


def judged(counts, tokens: int, *, fraction: float = 0.3, confidence: float = 1.0) -> LayerVerdict:
    limits = CollapseLimits(share=fraction / len(counts), cv=None, confidence=None, level=LEVEL)
    counts = np.asarray(counts, dtype=float)
    return judge_layer(counts, tokens=tokens, confidence=confidence, entropy=0.5, limits=limits)


# Evidence.


@pytest.mark.parametrize("counts", [[0, 30, 30, 30, 30, 30], [3, 29, 29, 29, 30, 30], [150, 0, 0, 0, 0, 0]])
def test_the_bound_of_a_share_is_the_exact_one_sided_binomial_limit(counts):
    bounds = share_upper_bounds(np.array(counts, dtype=float), 150, LEVEL)
    exact = [stats.binomtest(c, 150, alternative="less").proportion_ci(1 - LEVEL, "exact").high for c in counts]
    assert bounds == pytest.approx(exact)


@pytest.mark.parametrize("assignments", [50, 51, 128, 400, 1000, 2500, 5000])
@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
def test_a_balanced_expert_is_called_dead_in_less_than_one_check_of_a_hundred(assignments, fraction):
    # The bound lies below the threshold exactly for the counts that are rarer than the level at the threshold.
    counts = np.arange(assignments + 1)
    alarming = (stats.binom.cdf(counts, assignments, fraction / NUM_EXPERTS) < LEVEL).sum()
    assert NUM_EXPERTS * stats.binom.cdf(alarming - 1, assignments, 1 / NUM_EXPERTS) < 0.002


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("tokens", [8, 50, 300, 5000])
def test_uniform_routing_raises_an_alarm_in_less_than_one_check_of_a_hundred(tokens, top_k):
    rng = np.random.default_rng(tokens + top_k)
    experts = [uniform_choices(rng, tokens, top_k=top_k).ravel() for _ in range(20 if tokens == 5000 else 400)]
    verdicts = [judged(np.bincount(chosen, minlength=NUM_EXPERTS), tokens) for chosen in experts]
    assert sum(bool(verdict.reasons) for verdict in verdicts) < 0.01 * len(verdicts)


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6])
def test_a_dead_expert_is_found_within_the_predicted_number_of_assignments_and_not_before(top_k, threshold):
    predicted = assignments_to_find_dead_expert(NUM_EXPERTS, threshold, top_k=top_k)
    detector = ExpertCollapseDetector.from_config(
        NUM_EXPERTS, CollapseConfig(collapse_threshold=threshold), top_k=top_k
    )
    rng = np.random.default_rng(0)
    living = uniform_choices(rng, predicted // top_k, num_experts=NUM_EXPERTS - 1, top_k=top_k)
    for token in living[:-1]:
        detector.observe([routing_to(token[None])])
    assert [layer.dead_experts for layer in detector.check().layers] == [()]
    detector.observe([routing_to(living[-1:])])
    assert [layer.dead_experts for layer in detector.check().layers] == [(NUM_EXPERTS - 1,)]


def test_a_dead_expert_of_six_takes_128_assignments():
    # An unused expert is seen n times in n tokens not to be chosen; six experts and the CV are tested, hence the 7.
    assert assignments_to_find_dead_expert(6, 0.3) == 128 == math.ceil(math.log(0.01 / 7) / math.log(0.95))


def test_an_expert_above_the_threshold_is_not_called_dead_however_much_is_seen():
    share = 0.35 / NUM_EXPERTS
    counts = np.array([share, *[(1 - share) / 5] * 5]) * 1e6
    assert judged(counts, 10**6).dead_experts == ()
    assert judged(counts, 10**6, fraction=0.4).dead_experts == (0,)


def test_full_collapse_is_found_after_a_handful_of_tokens():
    assert judged([0, 0, 5, 0, 0, 0], 5).reasons == ("High load imbalance (CV: 2.24 > 1.12)",)


def test_the_chi_square_of_top_k_routing_has_the_right_size():
    # 300 tokens choosing 2 of 6: the naive statistic would have mean N - k = 4 instead of N - 1 = 5.
    rng = np.random.default_rng(3)
    draws = [np.bincount(uniform_choices(rng, 300, top_k=2).ravel(), minlength=6) for _ in range(1000)]
    p_values = [uniform_p_value(counts.astype(float), 300) for counts in draws]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


# Numbers.


def test_the_largest_cv_is_reached_when_all_tokens_choose_the_same_experts():
    assert largest_cv(4) == pytest.approx(np.std([1, 0, 0, 0]) / 0.25)
    assert largest_cv(6, 2) == pytest.approx(math.sqrt(2))
    assert judged([40, 40, 0, 0, 0, 0], 40).load_imbalance_cv == pytest.approx(math.sqrt(2))


def test_effective_experts_is_one_at_balance_and_a_half_with_half_of_them():
    assert effective_experts(np.full(6, 1 / 6)) == pytest.approx(1.0)
    assert effective_experts(np.array([1 / 3] * 3 + [0.0] * 3)) == pytest.approx(0.5)


def test_everything_chosen_by_every_token_is_no_imbalance():
    verdict = judged([9, 9, 9], 9)
    assert verdict.reasons == ()
    assert verdict.load_imbalance_cv == 0.0


def test_an_undecided_router_is_named_but_is_no_collapse_and_a_certain_one_only_with_imbalance():
    detector = ExpertCollapseDetector(8)
    balanced = [expert for expert in range(8) for _ in range(50)]
    detector.observe([routing_to(balanced, 8, confidence=1 / 8)])
    assert detector.get_statistics()["router_undecided"]
    assert not detector.check().collapsed
    detector.reset()
    detector.observe([routing_to(balanced, 8, confidence=1.0)])
    assert not detector.get_statistics()["router_saturated"]
    detector.reset()
    detector.observe([routing_to([0] * 400, 8, confidence=1.0)])
    assert detector.get_statistics()["router_saturated"]


# The documented form.


def test_the_documented_report_has_its_exact_text():
    detector = ExpertCollapseDetector(num_experts=6, collapse_threshold=0.05, window_size=100, cv_threshold=2.0)
    detector.observe([routing_to([0] * 960 + [1] * 20 + [2] * 20)])
    assert detector.check().report().splitlines() == [
        "Expert Collapse Detected:",
        "5/6 experts underutilized (min usage: 0.00 < 0.05)",
        "High load imbalance (CV: 2.13 > 2.0)",
    ]


def test_the_documented_example_of_three_underutilised_experts_is_worded_as_printed():
    detector = ExpertCollapseDetector(num_experts=6)
    detector.observe([routing_to([0] * 310 + [1] * 310 + [2] * 310 + [3] * 25 + [4] * 25 + [5] * 20)])
    assert detector.check_collapse() == (True, ["3/6 experts underutilized (min usage: 0.02 < 0.05)"])


def test_low_confidence_is_reported_when_the_documented_threshold_is_asked_for():
    with pytest.warns(UserWarning, match="confidence_threshold 0.3 calls a balanced, undecided router"):
        detector = ExpertCollapseDetector(6, confidence_threshold=0.3)
    detector.observe([routing_to(list(range(6)) * 20, confidence=0.2)])
    assert detector.check_collapse() == (True, ["Low routing confidence (0.20 < 0.3)"])


def test_the_documented_statistics_have_their_names_and_hand_worked_values():
    detector = ExpertCollapseDetector(num_experts=4)
    probs = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]])
    detector.update(probs, torch.tensor([[0, 1], [0, 2]]))
    statistics = detector.get_statistics()
    usage = [0.5, 0.25, 0.25, 0.0]
    assert list(statistics) == [
        "expert_usage",
        "min_usage",
        "max_usage",
        "avg_confidence",
        "load_imbalance_cv",
        "effective_experts",
        "router_undecided",
        "router_saturated",
        "collapsed",
        "collapse_reasons",
    ]
    assert statistics["expert_usage"] == pytest.approx(usage)
    assert (statistics["min_usage"], statistics["max_usage"]) == (0.0, 0.5)
    assert statistics["avg_confidence"] == pytest.approx(0.55)
    assert statistics["load_imbalance_cv"] == pytest.approx(np.std(usage) / np.mean(usage))
    assert (statistics["collapsed"], statistics["collapse_reasons"]) == (False, [])
    # exp(entropy) of shares 1/2, 1/4, 1/4 is 2 ** 1.5 experts.
    assert statistics["effective_experts"] == pytest.approx(2**1.5)


@pytest.mark.parametrize(
    ("logits", "undecided", "saturated"),
    [([0.0, 0.1, 0.0, 0.1], True, False), ([20.0, 0.0, 0.0, 0.0], False, True), ([1.0, 0.0, 0.0, 2.0], False, False)],
)
def test_an_undecided_router_and_a_saturated_one_are_told_apart(logits, undecided, saturated):
    detector = ExpertCollapseDetector(num_experts=4)
    probs = torch.tensor([logits] * 400).softmax(dim=1)
    detector.update(probs, probs.topk(1).indices)
    statistics = detector.get_statistics()
    assert (statistics["router_undecided"], statistics["router_saturated"]) == (undecided, saturated)
    assert statistics["effective_experts"] == pytest.approx(1.0)


def test_before_the_first_batch_nothing_is_collapsed_and_usage_is_zero():
    statistics = ExpertCollapseDetector(4).get_statistics()
    assert statistics["collapsed"] is False
    assert statistics["expert_usage"] == [0.0] * 4


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        (
            {"num_experts": 4, "cv_threshold": 2.0},
            "cv_threshold 2.0 can't be exceeded.*at most 1.73",
        ),
        ({"num_experts": 6, "top_k": 2, "cv_threshold": 2.0}, "at most 1.41"),
        ({"num_experts": 32}, "collapse_threshold 0.05 calls a balanced router collapsed"),
        ({"num_experts": 3, "confidence_threshold": 0.3}, "can't fire: 3 experts have 0.33 or more"),
        ({"num_experts": 8, "confidence_threshold": 0.3}, "calls a balanced, undecided router of 8 experts"),
    ],
)
def test_a_threshold_that_cannot_mean_what_it_says_is_warned_about_where_it_is_set(arguments, warning):
    with pytest.warns(UserWarning, match=warning) as caught:
        ExpertCollapseDetector(**arguments)
    assert caught[0].filename == __file__


def test_thresholds_that_fit_are_taken_without_a_word():
    ExpertCollapseDetector(6, cv_threshold=2.0)
    for num_experts in (2, 4, 8, 64):
        ExpertCollapseDetector.from_config(num_experts, CollapseConfig(collapse_threshold=0.9))


# The window.


def test_each_layer_is_judged_by_itself():
    detector = ExpertCollapseDetector.from_config(2, CollapseConfig())
    detector.observe([routing_to([0, 1] * 100, 2), routing_to([0] * 200, 2)])
    verdict = detector.check()
    assert [layer.dead_experts for layer in verdict.layers] == [(), (1,)]
    assert [reason[:8] for reason in verdict.reasons] == ["layer 1:", "layer 1:"]
    assert detector.get_statistics()["expert_usage"] == [0.5, 0.5, 1.0, 0.0]


def test_masked_tokens_are_no_evidence():
    detector = ExpertCollapseDetector(NUM_EXPERTS)
    mask = torch.tensor([True] * 6 + [False] * 500)
    detector.observe([routing_to([*range(6), *[0] * 500], token_mask=mask)])
    layer = detector.check().layers[0]
    assert layer.num_assignments == 6
    assert layer.usage == pytest.approx([1 / 6] * 6)
    assert layer.confidence == pytest.approx(0.9)


def test_the_documented_window_holds_the_last_batches():
    detector = ExpertCollapseDetector(2, window_size=3)
    for expert in (0, 0, 1, 1, 1):
        detector.observe([routing_to([expert], 2)])
    assert detector.check().layers[0].usage == (0.0, 1.0)


def test_the_projects_window_holds_enough_assignments_however_small_the_batches():
    config = CollapseConfig(window_size=2, window_assignments=300)
    detector = ExpertCollapseDetector.from_config(NUM_EXPERTS, config)
    for _ in range(500):
        detector.observe([routing_to([0, 1])])
    assert detector.check().layers[0].num_assignments == 300


def test_forgetting_the_window_clears_the_alarm():
    detector = ExpertCollapseDetector(NUM_EXPERTS)
    detector.observe([routing_to([0] * 500)])
    assert detector.check().collapsed
    detector.reset()
    assert not detector.check().collapsed


class NoHostRead(TorchDispatchMode):
    """Fails on the operation behind .item(), bool(tensor) and the like."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default, "a tensor's value was read"
        return func(*args, **(kwargs or {}))


def test_counting_reads_nothing_back_to_the_host():
    detector = ExpertCollapseDetector.from_config(NUM_EXPERTS, CollapseConfig())
    routing = [routing_to([0, 1, 2], token_mask=torch.tensor([True, False, True]))]
    with NoHostRead():
        detector.observe(routing)


def test_a_restored_detector_gives_the_same_verdicts(tmp_path):
    config = CollapseConfig(window_size=3, window_assignments=128)
    rng = np.random.default_rng(1)
    batches = [[routing_to(uniform_choices(rng, 20)), routing_to([2] * 20)] for _ in range(12)]
    original = ExpertCollapseDetector.from_config(NUM_EXPERTS, config)
    for batch in batches[:8]:
        original.observe(batch)
    torch.save(original.state_dict(), tmp_path / "state.pt")
    restored = ExpertCollapseDetector.from_config(NUM_EXPERTS, config)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert restored.check() == original.check()
    for batch in batches[8:]:
        original.observe(batch)
        restored.observe(batch)
    assert restored.check() == original.check()


# Wrong input.


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"collapse_threshold": 0.0}, "threshold is 0.0; it must lie between 0 and 1"),
        ({"collapse_threshold": math.nan}, "threshold is nan"),
        ({"false_alarm_rate": 1.0}, "false_alarm_rate is 1.0"),
        ({"collapse_response": "restart"}, "response is 'restart'; allowed: none, rebalance, noise, reinitialise"),
        ({"window_size": 0}, "window_size is 0"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        CollapseConfig(**wrong)


def test_what_does_not_fit_the_detector_is_refused():
    with pytest.raises(ValueError, match="num_experts is 1 and top_k 1"):
        ExpertCollapseDetector(1)
    with pytest.raises(ValueError, match="num_experts is 4 and top_k 5"):
        ExpertCollapseDetector(4, top_k=5)
    with pytest.raises(ValueError, match=r"window_assignments is 100; .* takes 128 to prove"):
        ExpertCollapseDetector.from_config(6, CollapseConfig(window_assignments=100))
    detector = ExpertCollapseDetector(6)
    with pytest.raises(ValueError, match="covers 4 experts, num_experts is 6"):
        detector.observe([routing_to([0], 4)])
    detector.observe([routing_to([0])])
    with pytest.raises(ValueError, match="2 layers were routed after 1"):
        detector.observe([routing_to([0]), routing_to([0])])
    with pytest.raises(ValueError, match="saved window counts 6 experts, this detector 4"):
        ExpertCollapseDetector(4).load_state_dict(detector.state_dict())
