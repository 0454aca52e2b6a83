import pytest
import torch

from trainable.models.backbones.registry import BACKBONES, WITH_DROP_PATH
from trainable.models.classifier import Classifier, ClassifierConfig

NAMES = ("clean", "dirty", "broken")


def classifier(**options):
    torch.manual_seed(0)
    return Classifier(ClassifierConfig(class_names=NAMES, **options))


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name not in ("convnext_tiny", "efficientnet_v2_s")])
def test_every_backbone_gives_a_logit_per_class_and_trains_all_its_parameters(backbone):
    model = classifier(backbone=backbone)
    output = model(torch.rand(2, 3, 64, 64))
    assert output.predictions.shape == (2, 3)
    assert output.embeddings.shape == (2, model.backbone.channels[-1])
    output.predictions.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_dropout_acts_in_training_alone():
    model, images = classifier(dropout=0.5), torch.rand(2, 3, 32, 32)
    assert not torch.equal(model(images).predictions, model(images).predictions)
    model.eval()
    assert torch.equal(model(images).predictions, model(images).predictions)


def test_drop_path_skips_branches_in_training_alone():
    model, images = classifier(backbone="efficientnet_b0", drop_path=0.9), torch.rand(4, 3, 32, 32)
    rates = [layer.p for layer in model.modules() if type(layer).__name__ == "StochasticDepth"]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.9, abs=0.07)
    model.eval()
    assert torch.equal(model(images).predictions, model(images).predictions)


def test_what_was_exported_starts_another_training_of_its_backbone(tmp_path):
    parts = {"class_names": NAMES, "backbone": "mobilenet_v3_small"}
    first = Classifier(ClassifierConfig(**parts))
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    second = Classifier(ClassifierConfig(**parts, weights=str(tmp_path / "weights.pt")))
    for name, tensor in first.backbone.state_dict().items():
        assert torch.equal(second.backbone.state_dict()[name], tensor), name


def test_gradient_checkpointing_does_not_change_the_gradient():
    gradients = []
    for checkpointing in (False, True):
        model = classifier()
        if checkpointing:
            model.enable_gradient_checkpointing()
        model(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))).predictions.sum().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"backbone": "resnet5"}, "did you mean resnet50"),
        ({"weights": "imagenet"}, "no ImageNet weights"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"drop_path": 0.1}, f"take one of {', '.join(WITH_DROP_PATH)}"),
        ({"freeze_batch_norm": True}, "turn it off"),
        ({"class_names": ("a", "a")}, "two or more, all different"),
    ],
)
def test_impossible_networks_are_refused(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassifierConfig(**{"class_names": NAMES} | bad)


def test_images_below_the_smallest_size_are_refused():
    with pytest.raises(ValueError, match="needs 32 px or more"):
        classifier()(torch.rand(1, 3, 31, 40))
