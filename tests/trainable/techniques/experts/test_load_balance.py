import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trainable.models.output import RoutingInfo
from trainable.techniques.experts.load_balance import (
    GlobalBatchLoadBalancer,
    LoadBalanceConfig,
    cv_squared,
    global_cv_surrogate,
    importance_l2,
)

ROOT = Path(__file__).parents[4]
NUM_EXPERTS = 6


def routing_of(logits: torch.Tensor, top_k: int = 1, **fields: torch.Tensor) -> RoutingInfo:
    probs = logits.softmax(dim=-1)
    return RoutingInfo(routing_probs=probs, expert_assignments=probs.topk(top_k).indices, **fields)


def routing_to(experts: list[int], num_experts: int = NUM_EXPERTS) -> RoutingInfo:
    """One token per entry, all but certain of its expert."""
    one_hot = torch.nn.functional.one_hot(torch.tensor(experts), num_experts)
    return routing_of(20.0 * one_hot.float())


# The two statistics.


def test_both_terms_are_zero_at_balance_and_grow_to_the_known_limit_at_collapse():
    balanced = torch.full((NUM_EXPERTS,), 1 / NUM_EXPERTS)
    collapsed = torch.eye(NUM_EXPERTS)[2]
    for term in (importance_l2, cv_squared):
        assert term(balanced).item() == pytest.approx(0.0, abs=1e-12)
        assert term(collapsed).item() == pytest.approx(NUM_EXPERTS - 1)


def test_the_cv_is_the_population_standard_deviation_over_the_mean():
    fractions = np.array([0.4, 0.3, 0.2, 0.1])
    assert cv_squared(torch.tensor(fractions)).item() == pytest.approx((fractions.std() / fractions.mean()) ** 2)


def test_splitting_every_expert_in_two_leaves_both_terms_as_they_are():
    fractions = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    twice_as_many = fractions.repeat_interleave(2) / 2
    for term in (importance_l2, cv_squared):
        assert term(twice_as_many).item() == pytest.approx(term(fractions).item(), rel=1e-12)


def test_importance_and_load_disagree_where_the_router_is_unsure():
    logits = torch.zeros(10, NUM_EXPERTS)
    logits[:, 3] = 0.01
    info = routing_of(logits)
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=1.0, alpha_cv=0.0)
    balancer.observe([info])
    importance = balancer.loss([info]).item()
    balancer.alpha_l2, balancer.alpha_cv = 0.0, 1.0
    load = balancer.loss([info]).item()
    assert importance < 1e-3
    assert load == pytest.approx(NUM_EXPERTS - 1)


def test_the_surrogate_has_the_value_and_the_slope_of_cv_squared_at_the_global_load():
    load = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    probability = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64, requires_grad=True)
    surrogate = global_cv_surrogate(load, probability)
    surrogate.backward()
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    numeric = [(cv_squared(load + d) - cv_squared(load - d)).item() / 2e-6 for d in step]
    assert surrogate.item() == pytest.approx(cv_squared(load).item())
    assert probability.grad.tolist() == pytest.approx(numeric, rel=1e-6)


# The effect.


def test_each_term_alone_lowers_the_busiest_experts_logit():
    for alphas in ({"alpha_l2": 1.0, "alpha_cv": 0.0}, {"alpha_l2": 0.0, "alpha_cv": 1.0}):
        logits = torch.randn(32, NUM_EXPERTS, generator=torch.Generator().manual_seed(0))
        logits[:, 4] += 2.0
        logits.requires_grad_()
        balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, **alphas)
        info = routing_of(logits)
        balancer.observe([info])
        balancer.loss([info]).backward()
        push = -logits.grad.sum(dim=0)
        assert push.argmin() == 4
        assert push[4] < -1e-3


def trained_router_cv(loss_of, updates: int) -> float:
    """CV of the load after balancing alone, from a router that sends everything to expert 0; 4 x 4 images an update."""
    generator = torch.Generator().manual_seed(1)
    router = torch.nn.Linear(8, NUM_EXPERTS)
    with torch.no_grad():
        router.weight.copy_(0.3 * torch.randn(router.weight.shape, generator=generator))
        router.bias.copy_(6.0 * torch.eye(NUM_EXPERTS)[0])
    optimizer = torch.optim.Adam(router.parameters(), lr=0.02)
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.0, alpha_cv=1.0)
    for _ in range(updates):
        optimizer.zero_grad()
        for _ in range(4):
            info = routing_of(router(torch.randn(4, 8, generator=generator)))
            balancer.observe([info])
            loss = loss_of(balancer, info)
            if loss.requires_grad:
                (loss / 4).backward()
        optimizer.step()
        balancer.reset_batch_statistics()
    experts = router(torch.randn(2000, 8, generator=generator)).argmax(dim=1)
    return cv_squared(torch.bincount(experts, minlength=NUM_EXPERTS) / 2000).sqrt().item()


def test_a_collapsed_router_is_freed_within_300_updates():
    assert trained_router_cv(lambda balancer, info: balancer.loss([info]), updates=300) < 0.6


def test_the_documented_hard_counts_leave_a_collapsed_router_where_it_is():
    def hard_counts(balancer, info):
        counts = torch.bincount(info.expert_assignments.flatten(), minlength=NUM_EXPERTS)
        return cv_squared(counts / counts.sum())

    assert trained_router_cv(hard_counts, updates=20) == pytest.approx(math.sqrt(NUM_EXPERTS - 1))


def test_a_micro_batch_of_one_domain_may_keep_its_expert_while_the_update_is_balanced():
    logits = (3.0 * torch.eye(NUM_EXPERTS)).requires_grad_()
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.0, alpha_cv=1.0, mode="exact")
    micro_batches = [routing_of(row[None]) for row in logits]
    for info in micro_batches:
        balancer.observe([info])
    sum(balancer.loss([info]) for info in micro_batches).backward()
    assert logits.grad.abs().max() < 1e-6


# The global batch.


def load_and_gradient(balancer, features, weight, num_micro_batches, top_k=2):
    """One update: the load that the last micro-batch saw as CV^2, and the summed gradient of the router's weight."""
    weight = weight.clone().requires_grad_()
    micro_batches = features.chunk(num_micro_batches)
    if balancer.mode != "running":
        for images in micro_batches:
            balancer.observe([routing_of(images @ weight.detach(), top_k)])
    for images in micro_batches:
        info = routing_of(images @ weight, top_k)
        if balancer.mode == "running":
            balancer.observe([info])
        loss = balancer.loss([info])
        (loss / num_micro_batches).backward()
    balancer.reset_batch_statistics()
    return loss.item(), weight.grad


def two_updates(mode: str, num_micro_batches: int, rank: int = 0, num_ranks: int = 1):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(8, NUM_EXPERTS, generator=generator)
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.0, alpha_cv=1.0, mode=mode)
    for _ in range(2):
        features = torch.randn(32, 8, generator=generator).chunk(num_ranks)[rank]
        load, gradient = load_and_gradient(balancer, features, weight, num_micro_batches)
    return load, gradient, balancer.get_global_statistics()["global_expert_usage"]


@pytest.mark.parametrize("mode", ["previous", "exact"])
def test_four_micro_batches_and_one_large_batch_give_the_same_load_and_gradient(mode):
    load, gradient, usage = two_updates(mode, num_micro_batches=1)
    load_4, gradient_4, usage_4 = two_updates(mode, num_micro_batches=4)
    assert load_4 == pytest.approx(load, abs=1e-6)
    assert load > 0.01
    torch.testing.assert_close(gradient_4, gradient, atol=1e-6, rtol=0)
    assert usage_4 == usage


def run_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    results = {mode: two_updates(mode, 2, rank, num_ranks=2) for mode in ("previous", "exact", "running")}
    torch.save(results, folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_of_two_micro_batches_give_the_load_and_gradient_of_one_large_batch(tmp_path):
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": loopback}
    ranks = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)], env=environment) for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=100) for process in ranks] == [0, 0]
    finally:
        for process in ranks:
            process.kill()
    results = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    for mode in ("previous", "exact"):
        load, gradient, usage = two_updates(mode, num_micro_batches=1)
        for result in results:
            assert result[mode][0] == pytest.approx(load, abs=1e-6)
            assert result[mode][2] == usage
        mean_gradient = (results[0][mode][1] + results[1][mode][1]) / 2
        torch.testing.assert_close(mean_gradient, gradient, atol=1e-6, rtol=0)
    assert results[0]["running"][0] == pytest.approx(two_updates("exact", 1)[0], abs=1e-6)


def test_in_running_mode_the_last_micro_batch_sees_the_load_of_the_whole_update():
    load, _, usage = two_updates("running", num_micro_batches=4)
    exact_load, _, exact_usage = two_updates("exact", num_micro_batches=1)
    assert load == pytest.approx(exact_load, abs=1e-6)
    assert usage == exact_usage


def test_in_running_mode_the_first_micro_batch_sees_only_itself():
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.0, alpha_cv=1.0)
    one = routing_to([1])
    balancer.observe([one])
    assert balancer.loss([one]).item() == pytest.approx(NUM_EXPERTS - 1)
    others = routing_to([0, 2, 3, 4, 5])
    balancer.observe([others])
    assert balancer.loss([others]).item() == pytest.approx(0.0, abs=1e-6)


def test_in_previous_mode_nothing_is_pushed_before_the_first_update_and_memory_fades():
    balancer = GlobalBatchLoadBalancer(2, alpha_l2=0.0, alpha_cv=1.0, mode="previous", previous_decay=0.5)
    left, right = routing_to([0, 0], 2), routing_to([1, 1], 2)
    assert balancer.loss([left]).item() == 0.0
    for info in (left, right):
        balancer.observe([info])
        balancer.reset_batch_statistics()
    # 0.5 * 2 assignments left and 2 right: shares 1/3 and 2/3, CV^2 = (1/3)^2.
    assert balancer.loss([left]).item() == pytest.approx(1 / 9)


def test_a_new_window_forgets_the_former_one_but_the_lifetime_does_not():
    balancer = GlobalBatchLoadBalancer(2, alpha_l2=0.0, alpha_cv=1.0)
    balancer.observe([routing_to([0, 0, 0], 2)])
    balancer.reset_batch_statistics()
    balanced = routing_to([0, 1], 2)
    balancer.observe([balanced])
    assert balancer.loss([balanced]).item() == pytest.approx(0.0, abs=1e-6)
    assert balancer.get_global_statistics()["global_expert_usage"] == pytest.approx([0.8, 0.2])


# What is counted.


def test_masked_tokens_count_neither_for_the_load_nor_for_the_importance():
    kept = torch.randn(5, NUM_EXPERTS, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([kept, 9.0 * torch.eye(NUM_EXPERTS)[:1].expand(3, -1)])
    mask = torch.tensor([True] * 5 + [False] * 3)
    plain, masked = GlobalBatchLoadBalancer(NUM_EXPERTS), GlobalBatchLoadBalancer(NUM_EXPERTS)
    plain.observe([routing_of(kept, 2)])
    masked.observe([routing_of(padded, 2, token_mask=mask)])
    expected = plain.loss([routing_of(kept, 2)]).item()
    assert masked.loss([routing_of(padded, 2, token_mask=mask)]).item() == pytest.approx(expected)
    assert masked.get_global_statistics() == plain.get_global_statistics()


def test_a_fully_masked_micro_batch_pushes_nothing():
    logits = torch.randn(3, NUM_EXPERTS, requires_grad=True)
    info = routing_of(logits, token_mask=torch.zeros(3, dtype=torch.bool))
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS)
    balancer.observe([info])
    balancer.loss([info]).backward()
    assert not logits.grad.any()


def test_the_documented_statistics_have_their_names_and_hand_worked_values():
    balancer = GlobalBatchLoadBalancer(num_experts=4)
    assignments = torch.tensor([[0, 1], [0, 2], [0, 1]])
    balancer.update(torch.full((3, 4), 0.25), assignments, capacity_overflow=torch.tensor(2))
    balancer.reset_batch_statistics()
    balancer.update(torch.full((1, 4), 0.25), torch.tensor([[2, 1]]), capacity_overflow=1)
    statistics = balancer.get_global_statistics()
    usage = [3 / 8, 3 / 8, 2 / 8, 0.0]
    assert list(statistics) == [
        "global_expert_usage",
        "min_global_usage",
        "max_global_usage",
        "global_usage_std",
        "capacity_overflow_rate",
        "total_tokens_processed",
    ]
    assert statistics["global_expert_usage"] == pytest.approx(usage)
    assert (statistics["min_global_usage"], statistics["max_global_usage"]) == (0.0, 0.375)
    assert statistics["global_usage_std"] == pytest.approx(np.std(usage))
    assert statistics["capacity_overflow_rate"] == pytest.approx(3 / 8)
    assert statistics["total_tokens_processed"] == 4


def test_statistics_before_the_first_batch_are_zeros():
    statistics = GlobalBatchLoadBalancer(3).get_global_statistics()
    assert statistics["global_expert_usage"] == [0.0, 0.0, 0.0]
    assert statistics["total_tokens_processed"] == 0


def test_a_dead_expert_of_one_layer_is_not_hidden_by_another_layer():
    balancer = GlobalBatchLoadBalancer(2, alpha_l2=0.0, alpha_cv=1.0)
    layers = [routing_to([0, 0], 2), routing_to([1, 1], 2)]
    balancer.observe(layers)
    assert balancer.loss(layers).item() == pytest.approx(1.0)
    statistics = balancer.get_global_statistics()
    assert statistics["global_expert_usage"] == [1.0, 0.0, 0.0, 1.0]
    assert statistics["min_global_usage"] == 0.0


def test_the_documented_single_layer_calls_equal_observe_and_loss():
    info = routing_of(torch.randn(7, NUM_EXPERTS, generator=torch.Generator().manual_seed(2)), top_k=2)
    documented, own = GlobalBatchLoadBalancer(NUM_EXPERTS), GlobalBatchLoadBalancer(NUM_EXPERTS)
    for _ in range(2):
        value = documented.compute_load_balance_loss(info.routing_probs, info.expert_assignments)
        documented.update(info.routing_probs, info.expert_assignments)
        own.observe([info])
        assert value.item() == own.loss([info]).item()
    assert documented.get_global_statistics() == own.get_global_statistics()


class NoHostRead(TorchDispatchMode):
    """Fails on the operation behind .item(), bool(tensor) and the like."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default, "a tensor's value was read"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", ["running", "previous", "exact"])
def test_counting_and_losses_read_nothing_back_to_the_host(mode):
    logits = torch.randn(4, NUM_EXPERTS, requires_grad=True)
    mask, overflow = torch.tensor([True, True, False, True]), torch.tensor(1)
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, mode=mode)
    with NoHostRead():
        for _ in range(2):
            info = routing_of(logits, 2, token_mask=mask, capacity_overflow=overflow)
            balancer.observe([info])
            balancer.loss([info]).backward()
            balancer.reset_batch_statistics()


# State and configuration.


@pytest.mark.parametrize("mode", ["running", "previous", "exact"])
def test_a_restored_balancer_continues_to_the_bit(mode, tmp_path):
    generator = torch.Generator().manual_seed(5)
    batches = [routing_of(torch.randn(6, NUM_EXPERTS, generator=generator), 2) for _ in range(4)]
    original = GlobalBatchLoadBalancer(NUM_EXPERTS, mode=mode)
    original.observe(batches[:1])
    original.reset_batch_statistics()
    original.observe(batches[1:2])
    original.coefficient_factor = 4.0
    torch.save(original.state_dict(), tmp_path / "state.pt")
    restored = GlobalBatchLoadBalancer(NUM_EXPERTS, mode=mode)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for balancer in (original, restored):
        balancer.observe(batches[2:3])
    assert original.loss(batches[2:3]).item() == restored.loss(batches[2:3]).item()
    assert original.get_global_statistics() == restored.get_global_statistics()


def test_restoring_keeps_the_present_weights_and_brings_back_the_raised_factor():
    raised = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.5, alpha_cv=0.5)
    raised.coefficient_factor = 2.0
    present = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.1, alpha_cv=0.2)
    present.load_state_dict(raised.state_dict())
    assert (present.alpha_l2, present.alpha_cv, present.coefficient_factor) == (0.1, 0.2, 2.0)


def test_the_factor_multiplies_both_terms():
    info = routing_of(torch.randn(5, NUM_EXPERTS))
    balancer = GlobalBatchLoadBalancer.from_config(NUM_EXPERTS, LoadBalanceConfig(alpha_l2=0.3, alpha_cv=0.7))
    balancer.observe([info])
    once = balancer.loss([info]).item()
    balancer.coefficient_factor = 2.0
    assert balancer.loss([info]).item() == pytest.approx(2 * once)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"alpha_l2": -0.1}, "alpha_l2 is -0.1; it must be a finite number"),
        ({"alpha_cv": math.nan}, "alpha_cv is nan"),
        ({"mode": "global"}, "mode is 'global'; allowed: running, previous, exact"),
        ({"previous_decay": 1.0}, "previous_decay is 1.0"),
        ({"num_experts": 1}, "num_experts is 1; balancing needs at least 2"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        GlobalBatchLoadBalancer(**{"num_experts": 4} | wrong)


def test_what_does_not_fit_the_balancer_is_refused():
    balancer = GlobalBatchLoadBalancer(4)
    with pytest.raises(ValueError, match=r"call observe\(\) first"):
        balancer.loss([routing_to([0], 4)])
    with pytest.raises(ValueError, match="covers 6 experts, num_experts is 4"):
        balancer.observe([routing_to([0], 6)])
    balancer.observe([routing_to([0], 4)])
    with pytest.raises(ValueError, match="2 layers were routed after 1"):
        balancer.observe([routing_to([0], 4), routing_to([0], 4)])
    with pytest.raises(ValueError, match="saved balancer counts 4 experts, this one 6"):
        GlobalBatchLoadBalancer(6).load_state_dict(balancer.state_dict())


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
