"""The linear probe reads trained weights that are on this machine, also where the search starts from scratch."""

from dataclasses import replace
from pathlib import Path

import pytest
from torchvision.models import get_model_weights

from tests.tuner.baselines.test_baselines import opened
from trainable.config import flat_params, from_params
from trainable.workloads.registry import get_workload
from tuner.baselines.measuring import PROBE_NAME, measure
from tuner.baselines.probe_config import Probed, probed_config
from tuner.records import read_search

LITE = "timm:tf_efficientnet_lite0"


def default_of(workload, **params):
    return from_params(params, get_workload(workload).default_config("data"))


@pytest.mark.parametrize("workload", ["moe", "dishes", "leaf", "retina"])
def test_the_small_network_is_compared_with_weights_that_are_at_hand(workload):
    default = default_of(workload)
    probed = probed_config(default, is_own_data=True)
    assert not default.has_trained_weights
    assert probed.config.has_trained_weights
    assert flat_params(probed.config)["backbone"] == LITE
    assert probed.config.data == replace(default.data, **image_side(probed.config))
    assert probed.name == f"{PROBE_NAME} of {LITE}"
    assert get_workload(workload).no_linear_probe(probed.config) is None


def image_side(config):
    side = flat_params(config).get("image_size_px")
    return {} if side is None else {"image_size_px": side}


def test_small_images_are_probed_as_large_as_trained_weights_would_see_them():
    assert probed_config(default_of("leaf", image_size_px=64), is_own_data=True).config.data.image_size_px == 128
    assert probed_config(default_of("leaf", image_size_px=256), is_own_data=True).config.data.image_size_px == 256


def test_embedded_data_has_no_probe_of_its_own():
    default = default_of("moe")
    assert probed_config(default, is_own_data=False) == Probed(default)


def test_trained_weights_that_the_search_starts_from_are_those_of_the_probe(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = tmp_path / "hub/checkpoints" / Path(get_model_weights("resnet50").DEFAULT.url).name
    weights.parent.mkdir(parents=True)
    weights.touch()
    default = default_of("dishes", backbone="resnet50", weights=str(weights))
    assert probed_config(default, is_own_data=True) == Probed(default)


def test_crowns_have_no_probe():
    default = default_of("agroforestry")
    assert probed_config(default, is_own_data=True) == Probed(default)


def test_a_network_of_the_users_own_stays():
    default = default_of("dishes", network="torch.nn:Identity")
    assert probed_config(default, is_own_data=True) == Probed(default)


def test_the_probe_is_measured_on_the_splits_of_the_search(trained_folder):
    """Here with the embedded data of a small search, as if it were the user's own."""
    search = read_search(trained_folder)
    _, default, _ = opened(trained_folder)
    config, name = probed_config(default, is_own_data=True)
    measured = measure(config, search.settings.data_fingerprint, "validation", trivial=False, probe=name)
    assert measured.probe.name == f"{PROBE_NAME} of {LITE}"
    assert 0.5 < measured.probe.objective <= 1
