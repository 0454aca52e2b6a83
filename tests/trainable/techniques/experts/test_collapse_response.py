import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from trainable.models.moe import MixtureOfExperts
from trainable.models.output import RoutingInfo
from trainable.techniques.experts.collapse_evidence import CollapseLimits, CollapseVerdict, judge_layer
from trainable.techniques.experts.collapse_response import CollapseEvent, CollapseResponse, ResponseConfig, zero_moments
from trainable.techniques.experts.expert_collapse import CollapseConfig, ExpertCollapseDetector
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer

NUM_EXPERTS = 4
EAGER = ResponseConfig(patience_checks=1, cooldown_checks=0)


def verdict_of(*layers: list[int]) -> CollapseVerdict:
    """The verdict on assignment counts of each layer."""
    limits = CollapseLimits(share=0.3 / NUM_EXPERTS, cv=None, confidence=None, level=1e-3)
    return CollapseVerdict(
        layers=tuple(
            judge_layer(np.array(counts, dtype=float), tokens=sum(counts), confidence=1.0, entropy=0.5, limits=limits)
            for counts in layers
        )
    )


HEALTHY = [100, 100, 100, 100]
DEAD_2 = [150, 130, 0, 120]


class FakeLayer:
    """Experts of three weights each, without a router."""

    def __init__(self, router_noise: float = 0.1) -> None:
        self.router_noise = router_noise
        self.weight = nn.Parameter(torch.arange(12.0).reshape(NUM_EXPERTS, 3))

    @torch.no_grad()
    def reinitialise_expert(self, dead, busiest, generator):
        self.weight[dead] = self.weight[busiest] + torch.randn(3, generator=generator)
        return [(self.weight, dead)]


class FakeDetector:
    """A detector that finds what the test sets."""

    def __init__(self, verdict: CollapseVerdict) -> None:
        self.verdict = verdict
        self.resets = 0

    def check(self) -> CollapseVerdict:
        return self.verdict

    def reset(self) -> None:
        self.resets += 1


class Scene:
    """A response and everything it may act on."""

    def __init__(self, response="reinitialise", config=EAGER, num_layers=1, seed=0) -> None:
        self.layers = [FakeLayer() for _ in range(num_layers)]
        self.optimizer = torch.optim.Adam([layer.weight for layer in self.layers], lr=0.1)
        for layer in self.layers:
            layer.weight.square().sum().backward()
        self.optimizer.step()
        self.balancer = GlobalBatchLoadBalancer(NUM_EXPERTS)
        self.response = CollapseResponse(
            response,
            balancer=self.balancer,
            layers=self.layers,
            optimizer=self.optimizer,
            generator=torch.Generator().manual_seed(seed),
            config=config,
        )

    def check(self, *layers: list[int]) -> list[str]:
        """Responds to one check and names what was done."""
        return [event.action for event in self.response.step(FakeDetector(verdict_of(*layers)), epoch=3, step=70)]

    def snapshot(self) -> dict:
        return {
            "factor": self.balancer.coefficient_factor,
            "noise": [layer.router_noise for layer in self.layers],
            "weights": [layer.weight.detach().tolist() for layer in self.layers],
            "moments": [self.optimizer.state[layer.weight]["exp_avg_sq"].tolist() for layer in self.layers],
        }

    def changed_by(self, *layers: list[int]) -> set[str]:
        before = self.snapshot()
        self.check(*layers)
        return {name for name, value in self.snapshot().items() if value != before[name]}


# The state machine.


@pytest.mark.parametrize("response", ["none", "rebalance", "noise", "reinitialise"])
def test_a_healthy_run_is_left_alone(response):
    scene = Scene(response)
    assert [scene.changed_by(HEALTHY) for _ in range(10)] == [set()] * 10
    assert scene.response.events == []


def test_the_response_none_watches_a_collapse_and_does_nothing():
    scene = Scene("none")
    assert [scene.changed_by(DEAD_2) for _ in range(10)] == [set()] * 10


def test_an_act_needs_alarms_in_a_row_and_is_followed_by_a_cooldown():
    scene = Scene("rebalance", ResponseConfig(patience_checks=2, cooldown_checks=2))
    checks = (DEAD_2, HEALTHY, DEAD_2, DEAD_2, DEAD_2, DEAD_2, DEAD_2, DEAD_2)
    assert [len(scene.check(counts)) for counts in checks] == [0, 0, 0, 1, 0, 0, 0, 1]


def test_each_act_of_an_episode_climbs_one_step_and_stays_on_the_last():
    scene = Scene()
    assert [scene.check(DEAD_2) for _ in range(4)] == [["rebalance"], ["noise"], ["reinitialise"], ["reinitialise"]]


@pytest.mark.parametrize(
    ("response", "climbed"), [("rebalance", ["rebalance"] * 3), ("noise", ["rebalance", "noise", "noise"])]
)
def test_the_ladder_ends_at_the_allowed_step(response, climbed):
    scene = Scene(response)
    assert [scene.check(DEAD_2)[0] for _ in range(3)] == climbed


def test_a_check_that_cannot_tell_does_not_end_the_episode():
    """The window restarts after an action: a few images can't prove anything about the router."""
    scene = Scene()
    assert [scene.check(counts) for counts in (DEAD_2, [2, 0, 0, 0], DEAD_2)] == [["rebalance"], [], ["noise"]]


def test_a_healthy_check_ends_the_episode():
    scene = Scene()
    scene.check(DEAD_2)
    scene.check(DEAD_2)
    scene.check(HEALTHY)
    assert scene.check(DEAD_2) == ["rebalance"]


def test_a_step_that_can_do_no_more_gives_way_to_the_next():
    scene = Scene("noise", ResponseConfig(patience_checks=1, cooldown_checks=0, max_balance_factor=1.0))
    assert scene.check(DEAD_2) == ["noise"]


def test_imbalance_without_a_dead_expert_starts_the_ladder_over():
    scene = Scene()
    imbalanced = [3000, 400, 350, 360]
    assert [layer.dead_experts for layer in verdict_of(imbalanced).layers] == [()]
    assert [scene.check(imbalanced)[0] for _ in range(3)] == ["rebalance", "noise", "rebalance"]


def test_evidence_from_before_an_act_is_dropped_and_only_then():
    scene, detector = Scene(config=ResponseConfig(patience_checks=2)), FakeDetector(verdict_of(DEAD_2))
    resets = []
    for _ in range(3):
        scene.response.step(detector, epoch=0, step=0)
        resets.append(detector.resets)
    assert resets == [0, 1, 1]


# Each step changes what it says and nothing else.


def test_rebalancing_doubles_the_coefficients_up_to_the_cap():
    scene = Scene("rebalance", ResponseConfig(patience_checks=1, cooldown_checks=0, max_balance_factor=5.0))
    assert scene.changed_by(DEAD_2) == {"factor"}
    factors = [scene.balancer.coefficient_factor]
    for _ in range(3):
        scene.check(DEAD_2)
        factors.append(scene.balancer.coefficient_factor)
    assert factors == [2.0, 4.0, 5.0, 5.0]
    assert [event.numbers for event in scene.response.events] == [{"factor": 2.0}, {"factor": 4.0}, {"factor": 5.0}]


def test_noise_comes_to_the_collapsed_layer_and_fades_back_to_what_was_configured():
    scene = Scene("noise", ResponseConfig(patience_checks=1, cooldown_checks=0, response_noise=0.4), num_layers=2)
    scene.check(HEALTHY, DEAD_2)
    assert scene.changed_by(HEALTHY, DEAD_2) == {"noise"}
    seen = [[layer.router_noise for layer in scene.layers]]
    for _ in range(8):
        scene.check(HEALTHY, HEALTHY)
        seen.append([layer.router_noise for layer in scene.layers])
    assert seen[0] == [0.1, 0.5]
    assert seen[1] == [0.1, pytest.approx(0.3)]
    assert seen[-1] == [0.1, 0.1]


def test_reinitialising_rewrites_the_dead_expert_and_its_moments_only():
    scene = Scene(num_layers=2)
    scene.check(HEALTHY, DEAD_2)
    scene.check(HEALTHY, DEAD_2)
    before = copy.deepcopy(scene.snapshot())
    scene.check(HEALTHY, DEAD_2)
    after = scene.snapshot()
    assert after["weights"][0] == before["weights"][0]
    for kind in ("weights", "moments"):
        changed = [after[kind][1][expert] != before[kind][1][expert] for expert in range(NUM_EXPERTS)]
        assert changed == [False, False, True, False]
    assert after["moments"][1][2] == [0.0] * 3
    noise = torch.randn(3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scene.layers[1].weight[2], scene.layers[1].weight[0] + noise)
    assert scene.response.events[-1] == CollapseEvent(
        epoch=3, step=70, action="reinitialise", layer=1, expert=2, numbers={"usage": 0.0, "twin_of": 0}
    )


def test_no_more_experts_are_reinitialised_than_the_run_allows():
    config = ResponseConfig(patience_checks=1, cooldown_checks=0, max_balance_factor=1.0, max_reinitialisations=3)
    scene = Scene("reinitialise", config)
    actions = [scene.check([400, 0, 0, 0]) for _ in range(5)]
    assert actions[0] == ["noise"]
    assert sum(action == "reinitialise" for acts in actions for action in acts) == 3


@pytest.mark.parametrize(
    ("build", "moments"),
    [
        (lambda p: torch.optim.AdamW(p, amsgrad=True), ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")),
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), ("momentum_buffer",)),
    ],
)
def test_moments_of_the_given_rows_are_zeroed_and_the_rest_is_kept(build, moments):
    weight, bias, other = (nn.Parameter(torch.randn(*shape)) for shape in ((4, 3), (4,), (4, 3)))
    optimizer = build([weight, bias, other])
    (weight.sum() + bias.sum() + other.sum()).backward()
    optimizer.step()
    zero_moments(optimizer, [(weight, 2), (bias, 2)])
    for name in moments:
        assert (optimizer.state[weight][name] == 0).all(dim=1).tolist() == [False, False, True, False]
        assert (optimizer.state[bias][name] == 0).tolist() == [False, False, True, False]
        assert (optimizer.state[other][name] != 0).all()


def test_every_row_that_the_real_layer_rewrites_starts_with_empty_moments():
    layer = MixtureOfExperts(8, num_experts=NUM_EXPERTS, top_k=NUM_EXPERTS)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.randn(4, 8, 5, 5))[0].square().sum().backward()
    optimizer.step()
    before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    zero_moments(optimizer, layer.reinitialise_expert(1, 3, torch.Generator().manual_seed(0)))
    rewritten = {name for name, parameter in layer.named_parameters() if not torch.equal(parameter, before[name])}
    assert "router.weight" in rewritten
    for name, parameter in layer.named_parameters():
        moments = optimizer.state[parameter]["exp_avg_sq"]
        assert (moments[1] == 0).all().item() == (name in rewritten)
        assert (moments[0] != 0).any()


def test_an_optimizer_that_never_stepped_has_no_moments_to_zero():
    weight = nn.Parameter(torch.ones(4, 3))
    optimizer = torch.optim.Adam([weight])
    zero_moments(optimizer, [(weight, 1)])
    assert not optimizer.state


# State.


@pytest.mark.parametrize("checks_before", [1, 3, 4, 6])
def test_a_restored_response_continues_to_the_bit(checks_before, tmp_path):
    config = ResponseConfig(patience_checks=1, cooldown_checks=1)
    verdicts = [DEAD_2] * 6 + [HEALTHY] + [DEAD_2] * 5
    original = Scene(config=config)
    for counts in verdicts[:checks_before]:
        original.check(counts)
    torch.save(
        {
            "response": original.response.state_dict(),
            "balancer": original.balancer.state_dict(),
            "weight": original.layers[0].weight.detach(),
            "optimizer": original.optimizer.state_dict(),
        },
        tmp_path / "state.pt",
    )
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    restored = Scene(config=config, seed=99)
    restored.layers[0].weight.data.copy_(state["weight"])
    restored.optimizer.load_state_dict(state["optimizer"])
    restored.balancer.load_state_dict(state["balancer"])
    restored.response.load_state_dict(state["response"])
    assert restored.snapshot() == original.snapshot()
    for counts in verdicts[checks_before:]:
        assert restored.check(counts) == original.check(counts)
        assert restored.snapshot() == original.snapshot()
    assert restored.response.events == original.response.events


def test_equal_generators_make_equal_experts():
    first, second, other = Scene(seed=1), Scene(seed=1), Scene(seed=2)
    for scene in (first, second, other):
        for _ in range(3):
            scene.check(DEAD_2)
    assert first.snapshot() == second.snapshot()
    assert first.snapshot() != other.snapshot()


# Wrong input.


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"patience_checks": 0}, "patience_checks is 0; it must be 1 or more"),
        ({"cooldown_checks": -1}, "cooldown_checks is -1"),
        ({"max_balance_factor": 0.5}, "max_balance_factor is 0.5"),
        ({"max_reinitialisations": -1}, "max_reinitialisations is -1"),
        ({"response_noise": 0.0}, "noise is 0.0; it must be positive"),
        ({"response_noise": math.nan}, "noise is nan"),
        ({"response_noise_decay": 1.0}, "noise_decay is 1.0"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        ResponseConfig(**wrong)


def response_with(response="reinitialise", **changed) -> CollapseResponse:
    scene = Scene()
    parts = {"balancer": scene.balancer, "layers": scene.layers, "optimizer": scene.optimizer}
    parts |= {"generator": torch.Generator()}
    return CollapseResponse(response, **parts | changed)


def test_a_response_without_what_it_acts_on_is_refused():
    with pytest.raises(ValueError, match="'restart'; allowed: none, rebalance, noise, reinitialise"):
        response_with("restart")
    with pytest.raises(ValueError, match="'rebalance' raises the balance coefficients; switch load balancing on"):
        response_with("rebalance", balancer=None)
    with pytest.raises(ValueError, match="switch load balancing on"):
        response_with(balancer=GlobalBatchLoadBalancer(4, alpha_l2=0.0, alpha_cv=0.0))
    with pytest.raises(ValueError, match="'noise' changes expert layers, but the model has none"):
        response_with("noise", layers=[])
    scene = Scene()
    scene.check(DEAD_2, HEALTHY)
    with pytest.raises(ValueError, match="routed through 2 layers, the response was given 1"):
        scene.check(DEAD_2, HEALTHY)
    with pytest.raises(ValueError, match="has 2 expert layers, the model 1"):
        Scene().response.load_state_dict(Scene(num_layers=2).response.state_dict())


# The effect, on the real layer.


def train_moe(response: str | None, router_bias: list[float], updates: int = 160):
    """Trains a mixture of four experts and checks every tenth update; returns usage at the end, events, weights."""
    torch.manual_seed(0)
    layer = MixtureOfExperts(8, num_experts=NUM_EXPERTS, top_k=1, router_features=4)
    with torch.no_grad():
        layer.router.bias.copy_(torch.tensor(router_bias))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05, momentum=0.9)
    balancer = GlobalBatchLoadBalancer(NUM_EXPERTS, alpha_l2=0.05, alpha_cv=0.05)
    detector = ExpertCollapseDetector.from_config(NUM_EXPERTS, CollapseConfig(collapse_threshold=0.3, window_size=10))
    parts = {"balancer": balancer, "layers": [layer], "optimizer": optimizer}
    generator = torch.Generator().manual_seed(0)
    acting = response and CollapseResponse(response, **parts, generator=generator, config=EAGER)
    for update in range(1, updates + 1):
        features = torch.randn(16, 4)
        images = torch.randn(16, 8, 4, 4)
        target = images * features.argmax(dim=1)[:, None, None, None]
        output, routing = layer(images, features)
        balancer.observe([routing])
        detector.observe([routing])
        loss = (output - target).square().mean() + balancer.loss([routing])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        balancer.reset_batch_statistics()
        if acting and update % 10 == 0:
            acting.step(detector, epoch=0, step=update)
    usage = usage_of(layer)
    return usage, acting.events if acting else [], [p.detach().clone() for p in layer.parameters()]


@torch.no_grad()
def usage_of(layer: MixtureOfExperts) -> list[float]:
    routing: RoutingInfo = layer(torch.randn(500, 8, 4, 4), torch.randn(500, 4))[1]
    return (torch.bincount(routing.expert_assignments.flatten(), minlength=NUM_EXPERTS) / 500).tolist()


def test_the_response_frees_a_dead_expert_that_training_leaves_dead():
    bias = [0.0, 0.0, -12.0, 0.0]
    left_alone, _, _ = train_moe(None, bias)
    freed, events, _ = train_moe("reinitialise", bias)
    assert left_alone[2] == 0.0
    assert freed[2] > 0.3 / NUM_EXPERTS
    assert [(event.action, event.expert) for event in events] == [
        ("rebalance", None),
        ("noise", None),
        ("reinitialise", 2),
    ]


def test_the_response_leaves_a_healthy_training_as_it_is_to_the_bit():
    _, _, alone = train_moe(None, [0.0] * NUM_EXPERTS, updates=60)
    _, events, watched = train_moe("reinitialise", [0.0] * NUM_EXPERTS, updates=60)
    assert events == []
    assert all(torch.equal(one, other) for one, other in zip(alone, watched, strict=True))
