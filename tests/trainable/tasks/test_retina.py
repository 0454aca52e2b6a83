"""The two-grade workload as a whole, on few and small drawn photographs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from search_spaces.pinning import PinnedSpace
from search_spaces.registry import get_space
from search_spaces.space import Situation
from search_spaces.stub_trials import given_or_middle
from trainable.build_trainer import build_trainer
from trainable.config import from_params
from trainable.data.generated.fundus_images import FundusConfig
from trainable.metrics.grading import metric_names
from trainable.tasks.registry import get_task
from trainable.tasks.retina import CLASSES
from trainable.training_run import TrainingRun

TASK = get_task("retina")
FEW = FundusConfig(image_size_px=48, num_train=32, num_validation=24, num_test=20)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The configuration that suits the data, and the data."""
    default = TASK.default_config()
    config = replace(default, max_epochs=4, data=replace(default.data, fundus=FEW))
    splits = TASK.open_data(config, cache_dir=tmp_path_factory.mktemp("cache"))
    return TASK.adapt_to_data(config, splits), splits


def run_of(opened, **params):
    config, splits = opened
    return TrainingRun(from_params(params, config), splits)


def weights(run):
    trained = (*run.trainer.model.state_dict().values(), *run.trainer.supervision.state_dict().values())
    return torch.cat([value.flatten().float() for value in trained])


def test_an_epoch_measures_what_the_task_announces_and_the_losses_of_both_grades(opened):
    metrics = run_of(opened).run_epoch().metrics
    assert {name for name in metrics if name.startswith("val/")} - {"val/loss"} == set(TASK.metric_names)
    trained = ("retinopathy_loss", "edema_loss", "lr", "retinopathy_weight", "edema_accuracy", "mean_accuracy")
    assert {f"train/{name}" for name in trained} <= metrics.keys()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_epoch_on_a_gpu_says_how_much_of_its_memory_it_took(opened):
    config, splits = opened
    metrics = TrainingRun(config, splits, device="cuda").run_epoch().metrics
    assert 0 < metrics["train/peak_gib"] < torch.cuda.get_device_properties(0).total_memory / 2**30


def test_the_opened_data_says_how_often_each_grade_occurs_and_how_many_labels_are_missing(opened):
    config, splits = opened
    assert config.loss.class_counts == (*splits.train.class_counts(0), *splits.train.class_counts(1))
    assert config.loss.labelled_shares == tuple((splits.train.labels >= 0).mean(axis=0).tolist())


def test_the_default_trains_learned_weights_with_the_model(opened):
    run = run_of(opened)
    learned = run.trainer.supervision.weighting.raw_log_variances
    held = {id(parameter) for group in run.trainer.optimizer.param_groups for parameter in group["params"]}
    assert id(learned) in held
    run.run_epoch()
    assert learned.detach().abs().min() > 0


def test_unfreezing_trains_the_heads_alone_first(opened):
    run = run_of(opened, unfreezing=True, milestones=[[0, 0], [0.5, 1]])
    before = {name: value.clone() for name, value in run.trainer.model.state_dict().items()}
    assert run.run_epoch().metrics["train/unfrozen_share"] == 0
    changed = {name for name, value in run.trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}


@pytest.mark.parametrize("weighting", ["uncertainty", "gradnorm"])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(weighting, opened, tmp_path):
    params = {
        "weighting": weighting,
        "unfreezing": True,
        "milestones": [[0, 0], [0.25, 0.25], [0.5, 1]],
        "averaging": True,
        "severity": "moderate",
        "dropout": 0.2,
    }
    whole = run_of(opened, **params)
    curve = [whole.run_epoch().metrics for _ in range(4)]
    first = run_of(opened, **params)
    for _ in range(2):
        first.run_epoch()
    first.save(tmp_path / "state.pt")
    second = run_of(opened, **params)
    second.restore(tmp_path / "state.pt")
    assert [second.run_epoch().metrics for _ in range(2)] == curve[2:]
    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)


@pytest.mark.parametrize(
    "params",
    [
        {"weighting": "equal"},
        {"weighting": "fixed", "fixed_weights": [0.5, 1.5]},
        {"weighting": "dynamic"},
        {"weighting": "gradnorm"},
        {"class_weights": "inverse"},
        {"focal_gamma": 2.0},
        {"label_smoothing": 0.1},
        {"severity": "aggressive"},
        {"augmentation": False},
        {"unfreezing": True},
        {"backbone_lr_ratio": 0.1},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_each_choice_of_the_space_changes_the_training(opened, params):
    default, other = run_of(opened), run_of(opened, **params)
    for run in (default, other):
        for _ in range(3 if params == {"weighting": "dynamic"} else 1):
            run.run_epoch()
    assert not torch.equal(weights(default)[: weights(other).numel()], weights(other))


def test_gradnorm_weighs_by_gradients_of_the_last_shared_layer_and_not_while_it_is_frozen(opened):
    run = run_of(opened, weighting="gradnorm", unfreezing=True, milestones=[[0, 0], [0.25, 1]])
    frozen, thawed = run.run_epoch().metrics, run.run_epoch().metrics
    assert "train/retinopathy_gradient_norm" not in frozen
    assert thawed["train/retinopathy_gradient_norm"] > 0
    weights = run.trainer.supervision.weighting.effective()
    assert weights.tolist() != [1.0, 1.0]
    assert weights.sum().item() == pytest.approx(2)


def test_gradnorm_with_accumulated_or_checkpointed_gradients_still_sums_to_the_number_of_tasks(opened):
    run = run_of(opened, weighting="gradnorm", accumulation_steps=2, batch_size=8, gradient_checkpointing=True)
    run.run_epoch()
    assert run.trainer.supervision.weighting.effective().sum().item() == pytest.approx(2)


@pytest.mark.slow
def test_gradnorm_of_a_compiled_network_is_that_of_the_network(opened):
    plain, compiled = (
        run_of(opened, weighting="gradnorm", max_epochs=1, **given).run_epoch().metrics
        for given in ({}, {"compile_backend": "aot_eager"})
    )
    for name in ("train/retinopathy_gradient_norm", "train/edema_gradient_norm", "train/edema_weight"):
        assert compiled[name] == pytest.approx(plain[name], rel=1e-3)


@pytest.mark.parametrize("division", [{"split_seed": 1}, {"group_pattern": "(.+)_"}])
def test_drawn_photographs_are_not_divided(division):
    with pytest.raises(ValueError, match="drawn, not divided; give --data with"):
        from_params(division, TASK.default_config())


def test_the_weighting_cannot_be_off(opened):
    with pytest.raises(ValueError, match="loss_weighting is None; it must be an object"):
        run_of(opened, loss_weighting=False)


def test_the_documents_training_of_a_pre_trained_backbone_is_tried_first(opened):
    """Heads at 1e-4 and backbone at 1e-5, heads alone at first; weights from a file would change none of it."""
    config, _ = opened
    space = get_space("retina")
    situation = Situation(num_train_images=413, pretrained=True)
    trial = given_or_middle(space.defaults(situation) | space.recommended(situation)[-1])
    params = {"backbone": "efficientnet_v2_s", "max_epochs": 50, **space.suggest(trial, situation)}
    trainer = build_trainer(TASK, from_params(params, config), updates_per_epoch=26, device=torch.device("cpu"))
    backbone = list(trainer.model.backbone.parameters())
    rates = {id(p): group["initial_lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert [rates[id(parameter)] for parameter in backbone] == pytest.approx([1e-5] * len(backbone))
    assert rates[id(trainer.model.head.weight)] == pytest.approx(1e-4)
    shares = []
    for epoch in (0, 5, 6, 11, 16, 49):
        trainer.techniques.unfreezing.update_epoch(epoch)
        shares.append(trainer.techniques.unfreezing.current_share)
        assert all(p.requires_grad for p in backbone) == (shares[-1] == 1)
    assert shares == [0, 0, 0.25, 0.5, 1, 1]


def test_data_of_one_grade_trains_that_task_alone(opened):
    config, splits = opened
    parts = {
        part: replace(own, labels=own.labels[:, 1:], class_names=own.class_names[1:])
        for part in ("train", "validation", "test")
        for own in [getattr(splits, part)]
    }
    alone = replace(splits, **parts, class_counts=splits.class_counts[1:], tasks=("edema",))
    config = TASK.adapt_to_data(config, alone)
    run = TrainingRun(from_params({"weighting": "equal"}, config), alone)
    metrics = run.run_epoch().metrics
    assert run.trainer.model.head.out_features == len(CLASSES["edema"])
    names = {f"val/{name}" for name in metric_names({"edema": CLASSES["edema"]})}
    assert {name for name in metrics if name.startswith("val/")} - {"val/loss"} == names
    assert metrics["val/mean_kappa"] == metrics["val/edema_quadratic_weighted_kappa"]
    assert "train/retinopathy_loss" not in metrics
    with torch.no_grad():
        picture = Image.fromarray(np.array(alone.test.images[0]))
        prediction = TASK.predictor(config)(run.trainer.model.eval(), picture)
    assert set(prediction.grades) == {"edema"}
    assert set(prediction.grades["edema"].probabilities) == set(CLASSES["edema"])


def test_a_search_on_one_grade_has_no_losses_to_weigh():
    space = get_space("retina")
    situation = Situation(num_train_images=413, pretrained=False, num_tasks=1)
    points = PinnedSpace(space, situation).points_to_evaluate()
    assert len(points) == 3
    assert space.suggest(given_or_middle(points[0]), situation)["weighting"] == "equal"
    assert not {"weighting", "edema_share"} & space.defaults(situation).keys()


def test_tasks_that_are_not_those_of_the_data_are_refused(opened):
    with pytest.raises(ValueError, match="tasks is edema, but the data has grades of retinopathy, edema"):
        run_of(opened, tasks=["edema"], weighting="equal").run_epoch()
    with pytest.raises(ValueError, match="give one or more of retinopathy, edema, in this order"):
        run_of(opened, tasks=["edema", "retinopathy"])
