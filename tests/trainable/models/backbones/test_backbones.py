"""Backbones: strides, weights from files, frozen statistics, checkpointing that changes nothing but memory."""

from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from trainable.models.backbones.backbone import Backbone
from trainable.models.backbones.registry import BACKBONES, WITHOUT_BATCH_NORM, build_backbone
from trainable.models.backbones.small_encoder import channel_moments

TORCHVISION = [name for name in BACKBONES if name != "small"]


def _images(side: int = 64, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_four_maps_at_strides_4_to_32(name):
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        maps = backbone(_images())
    assert [m.shape for m in maps] == [
        (2, c, 64 // s, 64 // s) for c, s in zip(backbone.channels, (4, 8, 16, 32), strict=True)
    ]
    assert (name in WITHOUT_BATCH_NORM) == (not any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules()))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet50"])
def test_the_stages_compute_what_the_classifier_of_torchvision_computes(name, tmp_path):
    torch.manual_seed(0)
    classifier = torchvision.models.get_model(name).eval()
    torch.save(classifier.state_dict(), tmp_path / "weights.pt")
    backbone = build_backbone(name, str(tmp_path / "weights.pt")).eval()
    images, seen = _images(), []
    last = classifier.layer4 if name == "resnet50" else classifier.features[11]
    last.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        standard = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(images)
        classifier(standard)
        torch.testing.assert_close(backbone(images)[-1], seen[0])


def _save(payload: object, tmp_path) -> str:
    torch.save(payload, tmp_path / "weights.pt")
    return str(tmp_path / "weights.pt")


def test_weights_of_the_small_backbone_survive_a_file_and_its_wrappers(tmp_path):
    source = build_backbone("small")
    wrapped = {f"module._orig_mod.model.{name}": value for name, value in source.state_dict().items()}
    loaded = build_backbone("small", _save({"state_dict": wrapped, "epoch": 3}, tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), loaded.parameters(), strict=True))


def test_a_file_that_lacks_more_than_a_tenth_is_refused_with_names(tmp_path):
    state = build_backbone("small").state_dict()
    kept = dict(list(state.items())[: int(0.89 * len(state))])
    with pytest.raises(ValueError, match=r"at least 90%.*Missing: stages\.3.*Not expected: fc\.weight"):
        build_backbone("small", _save({**kept, "fc.weight": torch.zeros(1)}, tmp_path))


def test_a_file_that_lacks_less_than_a_tenth_is_loaded_and_what_it_lacks_is_logged(tmp_path, caplog):
    state = build_backbone("small").state_dict()
    last = list(state)[-1]
    loaded = build_backbone("small", _save({k: v for k, v in state.items() if k != last}, tmp_path)).state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state if name != last)
    assert f"lacks 1 tensor, which starts fresh: {last}" in caplog.text


def test_a_tensor_of_another_shape_is_refused_by_name(tmp_path):
    state = build_backbone("small").state_dict()
    state["stages.0.0.weight"] = torch.zeros(16, 1, 3, 3)
    with pytest.raises(ValueError, match=r"another shape: stages\.0\.0\.weight"):
        build_backbone("small", _save(state, tmp_path))


def test_a_file_that_is_no_state_dict_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no weights in here")
    with pytest.raises(ValueError, match=r"written by torch\.save"):
        build_backbone("small", str(tmp_path / "notes.txt"))
    with pytest.raises(ValueError, match="holds a list"):
        build_backbone("small", _save([1, 2], tmp_path))
    with pytest.raises(ValueError, match="does not exist"):
        build_backbone("small", str(tmp_path / "absent.pt"))


def test_an_unknown_backbone_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean resnet50"):
        build_backbone("resnet5")


def test_without_a_network_the_imagenet_error_says_which_file_to_fetch(monkeypatch):
    def no_network(*_args, **_options):
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    with pytest.raises(ValueError, match=r"Fetch https://\S+\.pth .* give the file's path"):
        build_backbone("mobilenet_v3_small", "imagenet")


def test_frozen_batch_norm_keeps_its_statistics_in_training_and_the_rest_trains():
    frozen, free = (build_backbone("mobilenet_v3_small", freeze_batch_norm=freeze) for freeze in (True, False))
    for backbone in (frozen, free):
        backbone.train()(_images())
    assert frozen.training
    assert all((m.running_mean == 0).all() for m in frozen.modules() if isinstance(m, nn.BatchNorm2d))
    assert not all((m.running_mean == 0).all() for m in free.modules() if isinstance(m, nn.BatchNorm2d))


def test_checkpointing_gives_the_same_gradients_and_the_same_running_statistics():
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        backbone = build_backbone("mobilenet_v3_small")
        backbone.checkpointing = checkpointing
        sum(m.square().mean() for m in backbone(_images())).backward()
        results.append(({n: p.grad for n, p in backbone.named_parameters()}, backbone.state_dict()))
    (plain, plain_state), (recomputed, recomputed_state) = results
    assert all(torch.equal(plain[name], recomputed[name]) for name in plain)
    assert all(torch.equal(plain_state[name], recomputed_state[name]) for name in plain_state)


@pytest.mark.slow
def test_a_compiled_backbone_that_saves_activations_has_the_same_gradients_and_running_statistics():
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        layers = [nn.Sequential(nn.Conv2d(before, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()) for before in (3, 4)]
        backbone = Backbone(layers, (4, 4), lambda images, moments: images)
        backbone.checkpointing = checkpointing
        if checkpointing:
            backbone.compile(backend="aot_eager")
        sum(m.square().mean() for m in backbone(_images())).backward()
        results.append(({n: p.grad for n, p in backbone.named_parameters()}, backbone.state_dict()))
    torch.testing.assert_close(results[1], results[0])


def test_the_small_encoder_does_not_see_brightness_contrast_or_colour_cast():
    backbone, images = build_backbone("small").eval(), _images() * 0.5
    recoloured = images * torch.tensor([0.6, 1.0, 1.4]).view(3, 1, 1) + torch.tensor([0.3, 0.0, 0.1]).view(3, 1, 1)
    for a, b in zip(backbone(images), backbone(recoloured), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-2)


def test_a_flat_image_stays_finite_and_an_image_does_not_depend_on_its_neighbours():
    backbone = build_backbone("small").eval()
    images = torch.cat([_images(), torch.full((1, 3, 64, 64), 0.5)])
    for together, alone in zip(backbone(images), backbone(images[2:]), strict=True):
        assert together.isfinite().all()
        torch.testing.assert_close(together[2:], alone)


def test_standardisation_equals_subtracting_the_mean_and_dividing_by_the_spread():
    images = _images()
    mean, spread = images.mean((2, 3), keepdim=True), images.std((2, 3), correction=0, keepdim=True)
    first = build_backbone("small").stages[0][0]
    expected = F.conv2d((images - mean) / spread, first.weight, first.bias, stride=2, padding=1)
    torch.testing.assert_close(first(build_backbone("small").normalise(images)), expected, rtol=1e-3, atol=1e-3)


def test_moments_that_the_caller_knows_are_the_ones_that_images_are_standardised_by():
    images = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    backbone, (mean, variance) = build_backbone("small"), channel_moments(images)
    for alone, with_moments in zip(backbone(images), backbone(images, (mean, variance)), strict=True):
        assert torch.equal(alone, with_moments)
    assert not torch.equal(backbone(images)[0], backbone(images, (mean, 4 * variance))[0])
