"""The crown network: what each head gives, and that weights come from where they are said to."""

import pytest
import torch

from trainable.models.crown_net import CrownNet, CrownNetConfig


def target(*boxes, label=1, side=48):
    """Crowns that fill their boxes, (left, top, right, bottom)."""
    masks = torch.zeros(len(boxes), side, side, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = 1
    return {"boxes": torch.tensor(boxes).float(), "labels": torch.full((len(boxes),), label), "masks": masks}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return CrownNet(CrownNetConfig(pyramid_channels=8, max_detections=5))


@pytest.fixture
def images():
    return torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def test_maps_have_the_shapes_that_are_documented(net, images):
    output = net(images)
    assert output.predictions.shape == (3, 6, 48, 48)
    assert output.crown_logits.shape == (3, 48, 48)
    assert output.density.shape == (3, 12, 12)
    assert (output.density >= 0).all()


def test_in_evaluation_every_image_gets_its_surest_crowns_in_its_own_frame(net, images):
    with torch.no_grad():
        detections = net.eval()(images).detections
    assert len(detections) == 3
    for found in detections:
        assert len(found["boxes"]) == len(found["labels"]) == len(found["scores"]) == len(found["masks"]) <= 5
        assert found["masks"].shape[1:] == (48, 48)
        assert set(found["labels"].tolist()) <= {1, 2, 3}


def test_targets_belong_to_the_first_images_and_the_others_have_no_instances_to_learn(net, images):
    targets = [target((4, 4, 20, 20)), target((8, 8, 30, 24), (2, 30, 14, 44))]
    torch.manual_seed(1)
    losses = net(images, targets).instance_losses
    torch.manual_seed(1)
    other = images.clone()
    other[2] = 0.5
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {name: value.item() for name, value in net(other, targets).instance_losses.items()}, rel=1e-5
    )
    assert net(images).instance_losses == {}


def test_small_images_are_refused_with_what_is_needed(net):
    with pytest.raises(ValueError, match=r"\(16, 16\) px; the network needs 32 px"):
        net(torch.rand(1, 3, 16, 16))


def test_a_file_of_a_trained_network_gives_a_new_one_its_backbone(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(9)
    config = CrownNetConfig(weights=str(tmp_path / "weights.pt"), pyramid_channels=8, num_instance_classes=7)
    fresh = CrownNet(config)
    assert all(torch.equal(a, b) for a, b in zip(net.backbone.parameters(), fresh.backbone.parameters(), strict=True))
    assert not torch.equal(net.semantic_head[0].weight, fresh.semantic_head[0].weight)


@pytest.mark.parametrize("backbone", ["mobilenet_v3_small", "resnet50"])
def test_torchvisions_backbones_stand_under_the_same_pyramid(backbone):
    torch.manual_seed(0)
    net = CrownNet(CrownNetConfig(backbone=backbone, pyramid_channels=8)).eval()
    with torch.no_grad():
        assert net(torch.rand(1, 3, 64, 64)).predictions.shape == (1, 6, 64, 64)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"backbone": "resnet51"}, "did you mean resnet50"),
        ({"weights": "imagenet"}, "no ImageNet weights"),
        ({"pyramid_channels": 12}, "multiple of 8"),
        ({"num_instance_classes": 0}, "num_instance_classes is 0"),
        ({"num_semantic_classes": 1}, "num_semantic_classes is 1; give 2"),
        ({"anchor_px": 2}, "anchor_px is 2; give 4"),
        ({"freeze_batch_norm": True}, "needs pre-trained BatchNorm"),
    ],
)
def test_what_is_no_network_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        CrownNetConfig(**fields)
