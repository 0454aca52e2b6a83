"""Gradual unfreezing of every workload: nothing of the backbone moves before its epoch, all of it does afterwards."""

from dataclasses import fields, is_dataclass, replace

import pytest
import torch

from trainable.config import from_params
from trainable.tasks.registry import get_task
from trainable.training_run import TrainingRun

SMALL_PARTS = {"pyramid_channels": 8, "max_detections": 5}
SMALL_PICTURES = {"image_size_px": 48, "plate_size_px": 48, "picture_px": 48, "tile_px": 48}
FEW_PICTURES = dict.fromkeys(("num_train", "num_validation", "num_test", "num_unlabelled"), 24)
WORKLOADS = ("moe", "dishes", "leaf", "retina", pytest.param("agroforestry", marks=pytest.mark.slow))
STEPS = {"unfreezing": True, "milestones": [[0, 0], [0.25, 0.5], [0.5, 1]]}
"""In four epochs: the heads alone, the upper half of the backbone, all of it, all of it."""


def with_known(value, numbers):
    names = {field.name for field in fields(value)}
    return replace(value, **{name: number for name, number in numbers.items() if name in names})


@pytest.fixture(scope="module", params=WORKLOADS)
def opened(request, tmp_path_factory):
    """A workload's configuration of four epochs with a small network on few drawn pictures, and the data."""
    task = get_task(request.param)
    default = task.default_config()
    (drawn,) = (field.name for field in fields(default.data) if is_dataclass(getattr(default.data, field.name)))
    pictures = with_known(getattr(default.data, drawn), SMALL_PICTURES | FEW_PICTURES)
    data = replace(default.data, **{drawn: pictures})
    model = with_known(default.model, SMALL_PARTS)
    config = replace(default, max_epochs=4, batch_size=8, accumulation_steps=1, data=data, model=model)
    splits = task.open_data(config, cache_dir=tmp_path_factory.mktemp("cache"))
    return from_params({**STEPS, "averaging": True}, task.adapt_to_data(config, splits)), splits


def backbone_of(run):
    return {name: value.clone() for name, value in run.trainer.model.backbone.state_dict().items()}


def moved(before, after):
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


def test_the_backbone_stays_until_its_epoch_and_the_rest_trains_from_the_first(opened):
    run = TrainingRun(*opened)
    start, states, shares = backbone_of(run), [], []
    head = {name: value.clone() for name, value in run.trainer.model.state_dict().items() if "backbone" not in name}
    for _ in range(3):
        shares.append(run.run_epoch().metrics["train/unfrozen_share"])
        states.append(backbone_of(run))
        if len(states) == 1:
            assert moved(head, {name: run.trainer.model.state_dict()[name] for name in head})
    assert shares == [0.0, 0.5, 1.0]
    trained = {name for name, _ in run.trainer.model.backbone.named_parameters()}
    assert not moved(start, states[0])
    upper = moved(start, states[1])
    assert upper
    assert upper < trained
    assert moved(states[1], states[2]) >= upper
    assert moved(start, states[2]) - upper, "the lower half joined"


def test_a_block_that_joins_starts_with_fresh_moments_at_the_rate_of_the_moment(opened):
    run = TrainingRun(*opened)
    optimizer, blocks = run.trainer.optimizer, list(run.trainer.model.backbone.parameters())
    for epoch in range(3):
        run.run_epoch()
        steps = {int(optimizer.state[one]["step"]) for one in blocks if one in optimizer.state}
        updates = run.trainer.global_step // (epoch + 1)
        assert steps <= {updates, 2 * updates}
        assert bool(steps) == (epoch > 0)
    rates = {group["lr"] for group in optimizer.param_groups}
    assert rates == {run.trainer.scheduler.lr_at(3)}


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_a_resumed_training_continues_to_the_bit(opened, stopped_after, tmp_path):
    whole = TrainingRun(*opened)
    curve = [whole.run_epoch().metrics for _ in range(3)]
    first = TrainingRun(*opened)
    for _ in range(stopped_after):
        first.run_epoch()
    first.save(tmp_path / "state.pt")
    second = TrainingRun(*opened)
    second.restore(tmp_path / "state.pt")
    assert [second.run_epoch().metrics for _ in range(3 - stopped_after)] == curve[stopped_after:]
    assert not moved(backbone_of(whole), backbone_of(second))
