"""The whole network: sizes, gradients, determinism, what its configuration refuses."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainable.models.camouflage_net import CamouflageNet, CamouflageNetConfig


def _net(**options) -> CamouflageNet:
    torch.manual_seed(0)
    return CamouflageNet(CamouflageNetConfig(**options))


def _images(batch: int = 4, height: int = 64, width: int = 64) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def _loss(net: CamouflageNet, images: Tensor) -> Tensor:
    output = net(images)
    return sum(logits.square().mean() for logits in (output.predictions, *output.aux_outputs))


@pytest.mark.parametrize("name", ["small", "mobilenet_v3_small"])
def test_predictions_come_at_input_size_and_while_training_auxiliary_outputs_at_strides_8_and_16(name):
    net = _net(backbone=name)
    with torch.no_grad():
        trained, judged = net(_images(2)), net.eval()(_images(2))
    for output in (trained, judged):
        assert output.predictions.shape == (2, 1, 64, 64)
        assert output.embeddings.shape == (2, 32, 16, 16)
    assert [aux.shape[-1] for aux in trained.aux_outputs] == [8, 4]
    assert judged.aux_outputs == ()


def test_a_head_is_a_convolution_to_one_channel():
    net, seen = _net(), {}
    net.moe.register_forward_hook(lambda module, given, output: seen.update(features=output[0]))
    with torch.no_grad():
        predictions = net(_images(2, 64, 64)).predictions
    logits = F.interpolate(net.head(seen["features"]), size=(64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(predictions, logits)


@pytest.mark.parametrize("routing", ["image", "token"])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (101, 64)])
def test_any_size_from_32_pixels_trains(size, routing):
    net = _net(routing=routing)
    assert net(_images(2, *size)).predictions.shape == (2, 1, *size)
    _loss(net, _images(2, *size)).backward()


def test_an_image_below_32_pixels_is_refused():
    with pytest.raises(ValueError, match="32 px or more"):
        _net()(_images(1, 31, 64))


@pytest.mark.parametrize(
    "options",
    [{}, {"routing": "token"}, {"num_experts": 1, "top_k": 1}, {"top_k": 1}, {"backbone": "mobilenet_v3_small"}],
)
def test_every_parameter_receives_a_gradient(options):
    net = _net(**options)
    _loss(net, _images(16)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_routing_reports_each_image_once_and_is_absent_with_one_expert():
    (routing,) = _net()(_images(5)).routing
    assert routing.routing_probs.shape == routing.router_logits.shape == (5, 4)
    assert routing.expert_assignments.shape == (5, 2)
    (by_token,) = _net(routing="token")(_images(5)).routing
    assert by_token.expert_assignments.shape == (5 * 16 * 16, 2)
    assert _net(num_experts=1, top_k=1)(_images()).routing == ()


def test_the_image_router_sees_the_colour_that_the_trunk_does_not():
    net, grey = _net(top_k=1).eval(), _images() * 0.4 + 0.3
    tinted = grey + torch.tensor([0.3, 0.0, -0.3]).view(3, 1, 1)
    logits = [net(images).routing[0].router_logits for images in (grey, tinted)]
    assert (logits[0] - logits[1]).abs().min() > 0.01
    for a, b in zip(net.backbone(grey), net.backbone(tinted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_predictions_start_at_rare_foreground():
    net = _net().eval()
    assert all(head.bias.item() == -2 for head in (net.head, *net.aux_heads))
    assert net(_images()).predictions.sigmoid().mean() < 0.35


@pytest.mark.parametrize("routing", ["image", "token"])
def test_checkpointing_gives_the_same_gradients_and_counts_routing_once(routing):
    plain, recomputed = _net(routing=routing), _net(routing=routing)
    recomputed.enable_gradient_checkpointing()
    images, calls = _images(), []
    recomputed.moe.register_forward_hook(lambda *_: calls.append(1))
    for net in (plain, recomputed):
        _loss(net, images).backward()
    assert len(calls) == 1
    for (name, a), b in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


def test_checkpointing_stores_less_than_half_for_the_backward_pass():
    stored = {}
    for checkpointing in (False, True):
        net, sizes = _net(), []
        if checkpointing:
            net.enable_gradient_checkpointing()

        def pack(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            net.backbone(_images())
        stored[checkpointing] = sum(sizes)
    assert stored[True] < stored[False] / 2


@pytest.mark.parametrize("routing", ["image", "token"])
def test_training_twice_from_one_seed_gives_the_same_bits(routing):
    def trained() -> list[Tensor]:
        net = _net(routing=routing, router_noise=0.1, capacity_factor=1.0)
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            _loss(net, _images()).backward()
            optimizer.step()
        return list(net.parameters())

    assert all(torch.equal(a, b) for a, b in zip(trained(), trained(), strict=True))


def test_a_few_steps_learn_where_a_textured_square_is():
    torch.manual_seed(0)
    masks = torch.zeros(8, 1, 64, 64)
    for index, mask in enumerate(masks):
        mask[:, 8 + 3 * index : 32 + 3 * index, 30 - 3 * index : 54 - 3 * index] = 1
    coarse = F.interpolate(torch.rand(8, 3, 8, 8), size=64, mode="nearest")
    images = torch.where(masks.bool(), torch.rand(8, 3, 64, 64), coarse)
    net = _net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(25):
        optimizer.zero_grad()
        output = net(images)
        F.binary_cross_entropy_with_logits(output.predictions, masks).backward()
        optimizer.step()
    found = net.eval()(images).predictions > 0
    iou = (found & masks.bool()).sum() / (found | masks.bool()).sum()
    assert iou > 0.7


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backbone": "resnet5"}, "did you mean resnet50"),
        ({"weights": "imagenet"}, "no ImageNet weights"),
        ({"top_k": 5}, "give 1 to 4"),
        ({"top_k": 0}, "give 1 to 4"),
        ({"num_experts": 0}, "at least 1"),
        ({"num_experts": 1}, "give 1 to 1"),
        ({"routing": "pixel"}, "allowed: image, token"),
        ({"capacity_factor": 0.5}, "at least 1"),
        ({"capacity_factor": float("nan")}, "at least 1"),
        ({"router_noise": -0.1}, "0 .off. or more"),
        ({"pyramid_channels": 20}, "multiple of 8"),
        ({"freeze_batch_norm": True}, "needs pre-trained BatchNorm"),
        ({"freeze_batch_norm": True, "backbone": "resnet50"}, "needs pre-trained BatchNorm"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_at_construction(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        CamouflageNetConfig(**options)
