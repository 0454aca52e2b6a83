import pytest
import torch
from torchvision.models import swin_t

from trainable.models.hierarchical_vit import ENCODERS, EncoderConfig, HierarchicalEncoder, load_encoder
from trainable.models.leaf_nets import LeafClassifier, LeafClassifierConfig, Projector, ProjectorConfig
from trainable.models.spectral_attention import spectral_planes

CLASSES = ("healthy", "rust", "blight")


def images_of(count: int, side: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def built(kind, config):
    torch.manual_seed(0)
    return kind(config)


@pytest.fixture
def exported(tmp_path):
    projector = built(Projector, ProjectorConfig())
    torch.save(projector.state_dict(), tmp_path / "weights.pt")
    return projector, str(tmp_path / "weights.pt")


def test_the_documented_sizes_are_there():
    shape = ENCODERS["documented"]
    assert (shape.patch_px, shape.channels) == (16, 96)
    assert (shape.depths, shape.heads) == ((2, 2, 6, 2), (3, 6, 12, 24))
    with torch.device("meta"):
        model = LeafClassifier(LeafClassifierConfig(encoder="documented", class_names=CLASSES))
        assert model(torch.empty(2, 3, 256, 256)).predictions.shape == (2, 3)
        assert model.backbone(torch.empty(2, 3, 256, 256)).shape == (2, 2, 2, 768)


def test_swin_t_has_the_tensors_of_the_published_network():
    with torch.device("meta"):
        ours = HierarchicalEncoder(EncoderConfig(encoder="swin_t")).state_dict()
        published = swin_t().state_dict()
    shapes = {name: tensor.shape for name, tensor in published.items() if not name.startswith("head.")}
    assert {name: tensor.shape for name, tensor in ours.items()} == shapes


@pytest.mark.parametrize("side", [24, 33, 48])
def test_any_size_of_image_gives_features_of_one_length(side):
    output = built(Projector, ProjectorConfig())(images_of(2, side))
    assert output.predictions.shape == (2, 128)
    assert output.embeddings.shape == (2, 64)


def test_drop_path_changes_training_and_not_evaluation():
    model = built(LeafClassifier, LeafClassifierConfig(class_names=CLASSES, drop_path=0.5))
    images = images_of(4)
    assert not torch.equal(model(images).predictions, model(images).predictions)
    model.eval()
    torch.testing.assert_close(model(images).predictions, model(images).predictions)


def test_checkpointed_gradients_are_the_plain_ones():
    gradients = []
    for checkpointed in (False, True):
        model = built(LeafClassifier, LeafClassifierConfig(class_names=CLASSES, drop_path=0.3))
        if checkpointed:
            model.enable_gradient_checkpointing()
        torch.manual_seed(1)
        model(images_of(4)).predictions.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_checkpointing_keeps_fewer_tensors_for_the_backward_pass():
    kept = []
    for checkpointed in (False, True):
        model = built(LeafClassifier, LeafClassifierConfig(class_names=CLASSES))
        if checkpointed:
            model.enable_gradient_checkpointing()
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, saved=saved: saved.append(t.numel()) or t, lambda t: t):
            model(images_of(2))
        kept.append(sum(saved))
    assert kept[1] < 0.2 * kept[0]


def test_a_pre_trained_encoder_starts_the_classifier_with_its_very_weights(exported):
    projector, path = exported
    torch.manual_seed(5)
    classifier = LeafClassifier(LeafClassifierConfig(class_names=CLASSES, weights=path))
    projector.eval(), classifier.eval()
    images = images_of(2)
    torch.testing.assert_close(classifier(images).embeddings, projector(images).embeddings)


def test_weights_of_another_encoder_are_refused(exported, tmp_path):
    _, path = exported
    with pytest.raises(ValueError, match=r"holds another encoder than this one: missing features\.4"):
        LeafClassifier(LeafClassifierConfig(class_names=CLASSES, encoder="documented", weights=path))
    encoder = built(HierarchicalEncoder, EncoderConfig())
    weights = {f"backbone.{name}": tensor for name, tensor in encoder.state_dict().items()}
    torch.save(weights | {"backbone.norm.weight": torch.ones(7)}, tmp_path / "reshaped.pt")
    with pytest.raises(ValueError, match=r"of another shape norm\.weight"):
        load_encoder(encoder, str(tmp_path / "reshaped.pt"))
    torch.save({"head.weight": torch.ones(2)}, tmp_path / "head.pt")
    with pytest.raises(ValueError, match="holds no encoder"):
        load_encoder(encoder, str(tmp_path / "head.pt"))
    with pytest.raises(ValueError, match=r"gone.pt does not exist"):
        load_encoder(encoder, str(tmp_path / "gone.pt"))


def test_spectral_attention_asks_the_colours_and_every_part_of_it_learns():
    model = built(LeafClassifier, LeafClassifierConfig(class_names=CLASSES, spectral_attention=True))
    images = images_of(2)
    tokens = model.backbone(images)
    brown = images * torch.tensor([1.0, 0.5, 0.3])[:, None, None]
    asked, asked_of_brown = (model.spectral_attention(tokens, seen) for seen in (images, brown))
    assert (asked - tokens).abs().max() > 1e-3
    assert (asked - asked_of_brown).abs().max() > 1e-3
    model(images).predictions.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.spectral_attention.parameters())


def test_spectral_planes_tell_green_from_brown_and_hardly_change_with_the_light():
    green, brown = (torch.tensor(colour).view(1, 3, 1, 1) for colour in ((0.2, 0.6, 0.2), (0.5, 0.35, 0.2)))
    planes_of_green, planes_of_brown = (spectral_planes(colour).flatten() for colour in (green, brown))
    assert planes_of_green[0] > 0.5 > 0.1 > planes_of_brown[0]
    assert planes_of_green[2] > 0 > planes_of_brown[2]
    assert (spectral_planes(0.8 * green).flatten() - planes_of_green).abs().max() < 0.05


@pytest.mark.parametrize(
    ("config", "changes", "sentence"),
    [
        (EncoderConfig, {"encoder": "smal"}, "did you mean small"),
        (EncoderConfig, {"weights": "imagenet"}, "has no ImageNet weights"),
        (EncoderConfig, {"drop_path": 1.0}, "drop_path is 1.0"),
        (ProjectorConfig, {"projection_channels": 1}, "projection_channels is 1"),
        (LeafClassifierConfig, {"class_names": ("rust",)}, "two or more"),
    ],
)
def test_a_wrong_setting_is_a_sentence(config, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        config(**changes)
