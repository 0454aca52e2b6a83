"""Routing and experts against per-image and per-token loops, and the effects that the method card promises."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainable.models.moe import MixtureOfExperts, route


def _block(**options) -> MixtureOfExperts:
    torch.manual_seed(0)
    return MixtureOfExperts(8, **options)


def _maps(batch: int = 5, *, seed: int = 1, channels: int = 8, side: int = 6) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(seed))


def _image_loop(block: MixtureOfExperts, x: Tensor) -> Tensor:
    """Every image alone, every expert as two plain convolutions with its output scaled by its gate."""
    bank, result = block.experts, []
    for image in block.norm(x):
        descriptor = torch.cat([image.mean((1, 2)), image.std((1, 2), correction=0)])
        gates, chosen = block.router(descriptor).softmax(0).topk(block.top_k)
        total = torch.zeros_like(image)
        for gate, e in zip(gates / gates.sum(), chosen.tolist(), strict=True):
            hidden = F.conv2d(image[None], bank.spatial[e].view(8, 8, 3, 3), bank.spatial_bias[e], padding=1).relu()
            total = total + gate * F.conv2d(hidden, bank.mix[e].view(8, 8, 1, 1), bank.mix_bias[e])[0]
        result.append(total)
    return x + torch.stack(result)


def _token_loop(block: MixtureOfExperts, x: Tensor) -> Tensor:
    bank, normed, result = block.experts, block.norm(x), x.clone()
    for b, row, column in torch.cartesian_prod(*(torch.arange(n) for n in (len(x), *x.shape[2:]))).tolist():
        token = normed[b, :, row, column]
        gates, chosen = block.router(token).softmax(0).topk(block.top_k)
        for gate, e in zip(gates / gates.sum(), chosen.tolist(), strict=True):
            result[b, :, row, column] += gate * ((token @ bank.up[e]).relu() @ bank.down[e])
    return result


@pytest.mark.parametrize("top_k", [2, 3])
def test_image_routing_equals_running_each_image_through_its_experts_alone(top_k):
    block, x = _block(num_experts=4, top_k=top_k), _maps()
    torch.testing.assert_close(block(x)[0], _image_loop(block, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("top_k", [2, 3])
def test_token_routing_equals_running_each_token_through_its_experts_alone(top_k):
    block, x = _block(num_experts=4, top_k=top_k, routing="token"), _maps(2, side=4)
    torch.testing.assert_close(block(x)[0], _token_loop(block, x), rtol=1e-5, atol=1e-5)


def test_a_given_router_input_decides_instead_of_the_map():
    block = _block(num_experts=3, top_k=1, router_features=3)
    with torch.no_grad():
        block.router.weight.copy_(torch.eye(3))
        block.router.bias.zero_()
    _, routing = block(_maps(3), torch.eye(3).roll(1, dims=0) * 9)
    assert routing.expert_assignments.flatten().tolist() == [2, 0, 1]


def test_gates_of_two_experts_sum_to_one_and_the_gate_of_one_is_its_probability():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    e2, e1 = torch.tensor([2.0, 1.0]).exp()
    assert torch.allclose(route(logits, 2).gates, torch.stack([e2, e1])[None] / (e2 + e1))
    assert torch.allclose(route(logits, 1).gates, e2[None, None] / (e2 + e1 + 1))


@pytest.mark.parametrize("routing", ["image", "token"])
@pytest.mark.parametrize("top_k", [1, 2])
def test_the_task_gradient_reaches_the_router(routing, top_k):
    block = _block(num_experts=4, top_k=top_k, routing=routing)
    block(_maps())[0].square().mean().backward()
    assert block.router.weight.grad.abs().max() > 1e-6


def test_following_the_task_gradient_moves_an_image_to_the_better_expert():
    """Expert 1 removes its input and expert 0 adds nothing: only moving every image to expert 1 lowers the loss."""
    block = _block(num_experts=2, top_k=1, router_features=1)
    with torch.no_grad():
        for parameter in block.experts.parameters():
            parameter.zero_()
        block.experts.mix_bias[1] = -1.0
        block.router.weight.zero_()
        block.router.bias.copy_(torch.tensor([0.0, 0.01]))
    x, ones = torch.ones(4, 8, 6, 6), torch.ones(4, 1)
    before = block(x, ones)[1].routing_probs[:, 1].mean()
    optimizer = torch.optim.SGD(block.router.parameters(), lr=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        block(x, ones)[0].square().mean().backward()
        optimizer.step()
    assert block(x, ones)[1].routing_probs[:, 1].mean() > before + 0.2


def test_an_expert_that_no_image_chose_gets_a_gradient_of_zero():
    block = _block(num_experts=3, top_k=1, router_features=3)
    with torch.no_grad():
        block.router.bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
    block(_maps(), torch.zeros(5, 3))[0].square().mean().backward()
    per_expert = block.experts.spatial.grad.abs().amax(dim=(1, 2))
    assert per_expert[0] > 0
    assert per_expert[1:].tolist() == [0.0, 0.0]


def test_capacity_drops_the_counted_assignments_and_first_choices_are_served_first():
    # Five tokens, k = 2, N = 2, factor 1: an expert serves 5. Expert 0 is first for four tokens and second for one.
    logits = torch.tensor([[1.0, 0.0]] * 4 + [[0.0, 1.0]])
    assert route(logits, 2, capacity_factor=1.0).overflow == 0
    # k = 1: an expert serves ceil(5 / 2) = 3, so the fourth token that wants expert 0 is dropped.
    crowded = route(logits, 1, capacity_factor=1.0)
    assert crowded.overflow == 1
    assert (crowded.gates == 0).flatten().tolist() == [False, False, False, True, False]
    # k = 2, N = 3: an expert serves ceil(3 * 2 / 3) = 2 of three tokens; expert 0 is first for tokens 1 and 2 only.
    ranked = route(torch.tensor([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]), 2, capacity_factor=1.0)
    assert ranked.overflow == 1
    assert (ranked.gates == 0).tolist() == [[False, True], [False, False], [False, False]]


@pytest.mark.parametrize("routing", ["image", "token"])
def test_what_finds_its_expert_full_passes_unchanged_in_training_and_is_served_in_evaluation(routing):
    block = _block(num_experts=4, top_k=1, routing=routing, capacity_factor=1.0)
    with torch.no_grad():
        block.router.weight.zero_()
        block.router.bias.copy_(torch.tensor([9.0, 0.0, 0.0, 0.0]))
    x = _maps(8)
    y, info = block(x)
    rows = (y == x).all(dim=1).flatten() if routing == "token" else (y == x).flatten(1).all(dim=1)
    assert info.capacity_overflow == rows.sum() == len(rows) * 3 // 4
    y, info = block.eval()(x)
    assert info.capacity_overflow is None
    assert not (y == x).flatten(1).all(dim=1).any()


def test_router_noise_changes_training_and_leaves_evaluation_alone():
    block, x = _block(num_experts=4, router_noise=5.0), _maps()
    assert not torch.equal(block(x)[1].routing_probs, block(x)[1].routing_probs)
    assert torch.equal(block(x)[1].router_logits, block(x)[1].router_logits)
    block.eval()
    assert torch.equal(block(x)[0], block(x)[0])
    block.train().router_noise = 0.0
    assert torch.equal(block(x)[0], block(x)[0])


def test_one_expert_is_a_plain_block_without_a_router():
    block, x = _block(num_experts=1, top_k=1), _maps()
    y, routing = block(x)
    bank = block.experts
    hidden = F.conv2d(block.norm(x), bank.spatial.view(8, 8, 3, 3), bank.spatial_bias[0], padding=1).relu()
    assert routing is None
    assert block.router is None
    expected = x + F.conv2d(hidden, bank.mix.view(8, 8, 1, 1), bank.mix_bias[0])
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("routing", ["image", "token"])
def test_routing_is_decided_in_fp32_under_autocast(routing):
    block, x = _block(num_experts=4, routing=routing), _maps()
    exact = block(x)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, info = block(x)
    assert info.routing_probs.dtype == info.router_logits.dtype == torch.float32
    torch.testing.assert_close(info.routing_probs, exact.routing_probs)
    torch.testing.assert_close(y.float(), block(x)[0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("routing", ["image", "token"])
def test_a_reinitialised_expert_shares_the_tokens_of_the_busiest(routing):
    block, x = _block(num_experts=3, top_k=1, routing=routing), _maps(64)
    with torch.no_grad():
        block.router.bias.copy_(torch.tensor([9.0, 0.0, -9.0]))
    assert set(block(x)[1].expert_assignments.flatten().tolist()) == {0}
    block.reinitialise_expert(2, 0, torch.Generator().manual_seed(0), noise=0.05)
    counts = torch.bincount(block(x)[1].expert_assignments.flatten(), minlength=3)
    assert counts[1] == 0
    assert counts[2] > 0


def test_reinitialising_names_exactly_the_rows_it_rewrote_and_repeats_with_its_generator():
    first, second = (_block(num_experts=4) for _ in range(2))
    before = {name: value.clone() for name, value in first.state_dict().items()}
    rewritten = first.reinitialise_expert(1, 3, torch.Generator().manual_seed(7))
    second.reinitialise_expert(1, 3, torch.Generator().manual_seed(7))
    named = {id(parameter): index for parameter, index in rewritten}
    for (name, parameter), twin in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(parameter, twin)
        touched = {row for row in range(len(parameter)) if not torch.equal(parameter[row], before[name][row])}
        assert touched <= ({named[id(parameter)]} if id(parameter) in named else set())
    difference = first.experts.spatial[1] - first.experts.spatial[3]
    relative = difference.square().mean().sqrt() / first.experts.spatial[3].square().mean().sqrt()
    assert 0.015 < relative < 0.025


@pytest.mark.parametrize(("dead", "busiest"), [(0, 0), (4, 0), (0, -1)])
def test_reinitialising_from_a_wrong_expert_is_refused(dead, busiest):
    with pytest.raises(ValueError, match="two different indices"):
        _block(num_experts=4).reinitialise_expert(dead, busiest, torch.Generator())


def test_token_experts_refuse_channels_that_grouped_products_cannot_align():
    with pytest.raises(ValueError, match="multiple of 8"):
        MixtureOfExperts(12, routing="token")


def test_converting_a_module_to_channels_last_accepts_the_experts():
    block = nn.Sequential(_block(num_experts=2)).to(memory_format=torch.channels_last)
    x = _maps()
    torch.testing.assert_close(block(x.contiguous(memory_format=torch.channels_last))[0], _block(num_experts=2)(x)[0])
