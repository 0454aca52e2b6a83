"""The loop: documented use, equivalences, effects of each technique, resume to the bit, divergence."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from trainable import OptimizedTrainer
from trainable.models.output import ModelOutput, RoutingInfo
from trainable.techniques.augment.pixel_range import PixelRange
from trainable.techniques.experts.collapse_response import CollapseResponse, ResponseConfig
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.gradient_update import DivergedError
from trainable.techniques.optim.precision import Precision


class Net(nn.Module):
    """Two convolutions without batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 1))

    def forward(self, images):
        return self.layers(images)


class RoutedNet(Net):
    """The same with an image-level router in front of a bank of scales, in the documented dict form."""

    def __init__(self, num_experts: int = 4, bias: float = 0.0) -> None:
        super().__init__()
        self.router = nn.Linear(3, num_experts)
        self.scales = nn.Parameter(torch.linspace(0.5, 1.5, num_experts))
        with torch.no_grad():
            self.router.bias[0] += bias

    def forward(self, images):
        probs = self.router(images.mean(dim=(2, 3))).softmax(dim=1)
        gate, chosen = probs.max(dim=1, keepdim=True)
        predictions = self.layers(images) * (gate * self.scales[chosen])[..., None, None]
        return {"predictions": predictions, "routing_info": {"routing_probs": probs, "expert_assignments": chosen}}


def batches(sizes=(4, 4, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.rand(n, 3, 8, 8, generator=generator), (torch.rand(n, 1, 8, 8, generator=generator) > 0.7).float())
        for n in sizes
    ]


def trainer_of(model=None, *, seed=0, optimizer=None, **options):
    """Around a model, or around one that is built after seeding."""
    torch.manual_seed(seed)
    if not isinstance(model, nn.Module):
        model = (model or Net)()
    optimizer = optimizer or torch.optim.AdamW(model.parameters(), lr=1e-2)
    options = {"enable_progressive_aug": False, "total_epochs": 10, "warmup_epochs": 0, "max_lr": 1e-2} | options
    return OptimizedTrainer(model, optimizer, nn.BCEWithLogitsLoss(), "cpu", **options)


def weights(trainer):
    return torch.cat([p.detach().flatten().clone() for p in trainer.model.parameters()])


def test_training_as_documented_lowers_the_loss():
    trainer = trainer_of(use_amp=True, accumulation_steps=2)
    losses = [trainer.train_epoch(batches(), epoch, log_interval=10)["loss"] for epoch in range(10)]
    assert losses[-1] < losses[0]
    assert trainer.validate(batches(seed=1))["val_loss"] > 0


@pytest.mark.parametrize(("sizes", "steps"), [((4, 4, 2), 3), ((2, 2, 2, 2, 2), 5), ((10,), 1), ((5, 5), 4)])
def test_accumulated_micro_batches_equal_one_batch(sizes, steps):
    whole = [tuple(torch.cat(parts) for parts in zip(*batches(), strict=True))]
    one = trainer_of(optimizer=None)
    one.train_epoch(whole, 0)
    cut = [(whole[0][0][a:b], whole[0][1][a:b]) for a, b in spans(sizes)]
    many = trainer_of(accumulation_steps=steps)
    many.train_epoch(cut, 0)
    assert one.global_step == many.global_step == 1
    torch.testing.assert_close(weights(one), weights(many), rtol=0, atol=1e-6)


def spans(sizes):
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return list(zip([0, *ends], ends, strict=False))


def test_the_last_short_window_is_an_update_of_its_own():
    trainer = trainer_of(accumulation_steps=2)
    trainer.train_epoch(batches(sizes=(2, 2, 2, 2, 2)), 0)
    assert trainer.global_step == 3


def test_the_rate_moves_with_every_update_and_meets_the_documented_value_at_the_epochs_end():
    trainer = trainer_of(warmup_epochs=2, min_lr=0.0, max_lr=0.1)
    seen = []
    trainer.optimizer.register_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    metrics = trainer.train_epoch(batches(sizes=(2, 2, 2, 2)), 0)
    assert seen == pytest.approx([0.0125, 0.025, 0.0375, 0.05])
    assert metrics["lr"] == pytest.approx(0.05)


def optimizer_of(model, *rates):
    """AdamW with one group of parameters for each rate."""
    parameters = list(model.parameters())
    groups = [{"params": parameters[index :: len(rates)], "lr": rate} for index, rate in enumerate(rates)]
    return torch.optim.AdamW(groups)


@pytest.mark.parametrize("rates", [(5e-5,), (5e-6, 5e-5)])
def test_without_a_max_lr_the_optimizers_own_rate_is_the_peak(rates):
    model = Net()
    optimizer = optimizer_of(model, *rates)
    trainer = trainer_of(model, optimizer=optimizer, max_lr=None, warmup_epochs=2)
    peaks = [0.0] * len(rates)
    for epoch in range(10):
        trainer.train_epoch(batches(), epoch)
        peaks = [max(peak, group["lr"]) for peak, group in zip(peaks, optimizer.param_groups, strict=True)]
    assert peaks == pytest.approx(rates)


def test_a_max_lr_is_the_peak_of_the_fastest_group_and_the_others_keep_their_proportion():
    model = Net()
    trainer = trainer_of(model, optimizer=optimizer_of(model, 5e-6, 5e-5), max_lr=1e-3, warmup_epochs=1)
    trainer.train_epoch(batches(), 0)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == pytest.approx([1e-4, 1e-3])


@pytest.mark.parametrize("form", ["tensor", "dict", "triple", "pair", "typed"])
def test_every_documented_output_form_trains_alike(form):
    class Formed(RoutedNet):
        def forward(self, images):
            parts = super().forward(images)
            prediction, routing = parts["predictions"], parts["routing_info"]
            return {
                "tensor": prediction,
                "dict": parts,
                "triple": (prediction, None, routing),
                "pair": (prediction, routing),
                "typed": ModelOutput(predictions=prediction, routing=(RoutingInfo(**routing),)),
            }[form]

    trainer, reference = trainer_of(Formed), trainer_of(RoutedNet)
    for one in (trainer, reference):
        one.train_epoch(batches(), 0)
    assert torch.equal(weights(trainer), weights(reference))


def test_balancing_without_routing_information_is_an_error_in_the_first_step():
    trainer = trainer_of(num_experts=4, enable_load_balancing=True)
    with pytest.raises(ValueError, match="returned no routing information"):
        trainer.train_epoch(batches(), 0)


def test_balancing_frees_a_collapsed_router():
    usage = {}
    for balanced in (False, True):
        trainer = trainer_of(
            lambda: RoutedNet(bias=4.0),
            num_experts=4,
            enable_load_balancing=balanced,
            enable_collapse_detection=True,
            max_lr=0.05,
        )
        if balanced:
            trainer.load_balancer = GlobalBatchLoadBalancer(4, alpha_l2=1.0, alpha_cv=1.0)
        for epoch in range(10):
            metrics = trainer.train_epoch(batches(sizes=(8,) * 6, seed=epoch), epoch)
        usage[balanced] = max(metrics["collapse_expert_usage"])
    assert usage[False] == 1.0
    assert usage[True] < 0.9


@pytest.mark.parametrize("mode", ["running", "previous", "exact"])
def test_balancing_changes_the_routers_weights_in_every_mode(mode):
    plain = trainer_of(RoutedNet, accumulation_steps=2)
    balanced = trainer_of(RoutedNet, num_experts=4, enable_load_balancing=True, accumulation_steps=2)
    balanced.load_balancer = GlobalBatchLoadBalancer(4, alpha_l2=1.0, alpha_cv=1.0, mode=mode)
    for epoch in range(2):
        plain.train_epoch(batches(), epoch)
        balanced.train_epoch(batches(), epoch)
    assert not torch.equal(plain.model.router.weight, balanced.model.router.weight)


def test_techniques_that_are_off_or_without_weight_leave_the_plain_trajectory_to_the_bit():
    plain = trainer_of(RoutedNet, max_grad_norm=None)
    idle = trainer_of(
        RoutedNet,
        num_experts=4,
        enable_load_balancing=True,
        enable_collapse_detection=True,
        enable_progressive_aug=True,
        aug_initial_strength=0.0,
        max_grad_norm=None,
        aux_weight=0.0,
    )
    idle.load_balancer = GlobalBatchLoadBalancer(4, alpha_l2=0.0, alpha_cv=0.0)
    idle.averaging = WeightAverage(idle.model, decay=0.9)
    for epoch in range(3):
        plain.train_epoch(batches(), epoch)
        idle.train_epoch(batches(), epoch)
    assert torch.equal(weights(plain), weights(idle))


def test_augmentation_changes_the_trajectory_and_never_validation():
    plain, augmented = trainer_of(), trainer_of(enable_progressive_aug=True, aug_transition_epoch=0)
    assert plain.validate(batches()) == augmented.validate(batches())
    for trainer in (plain, augmented):
        trainer.train_epoch(batches(), 0)
    assert not torch.equal(weights(plain), weights(augmented))


def test_clipping_bounds_the_update_of_the_whole_window():
    torch.manual_seed(0)
    model = Net()
    start = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    trainer = trainer_of(
        model, optimizer=torch.optim.SGD(model.parameters(), lr=1.0), max_lr=1.0, min_lr=1.0, max_grad_norm=0.01
    )
    trainer.train_epoch(batches(sizes=(10,)), 0)
    assert (weights(trainer) - start).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_validation_uses_the_averaged_weights():
    trainer = trainer_of(max_lr=0.5)
    trainer.averaging = WeightAverage(trainer.model, decay=0.99)
    for epoch in range(3):
        trainer.train_epoch(batches(), epoch)
    averaged, judged = trainer.evaluated_weights(), trainer.validate(batches())["val_loss"]
    trainer.averaging = None
    assert trainer.validate(batches())["val_loss"] != judged
    trainer.model.load_state_dict(averaged)
    assert trainer.validate(batches())["val_loss"] == judged


def test_other_weights_can_be_judged_and_the_model_keeps_its_own():
    trainer, other = trainer_of(seed=0), trainer_of(seed=1)
    trainer.averaging = WeightAverage(trainer.model, decay=0.99)
    before = weights(trainer)
    assert trainer.evaluate(batches(), weights=other.model.state_dict()) == other.evaluate(batches())
    assert torch.equal(weights(trainer), before)


def test_raw_weights_can_be_judged_beside_the_averaged_ones_and_judging_leaves_no_trace():
    trainer = trainer_of(max_lr=0.5)
    trainer.train_epoch(batches(), 0)
    plain = trainer.evaluate(batches())
    trainer.averaging = WeightAverage(trainer.model, decay=0.99)
    trainer.train_epoch(batches(), 1)
    raw, losses = trainer.evaluate(batches(), averaged=False), (trainer.best_loss, trainer.latest_loss)
    assert trainer.evaluate(batches()) not in (raw, plain)
    assert (losses[0], math.isnan(losses[1])) == (math.inf, True)
    trainer.averaging = None
    assert trainer.evaluate(batches()) == raw


def test_validation_gives_every_module_its_own_mode_back_even_when_a_metric_fails():
    trainer = trainer_of()
    trainer.model.train()
    trainer.model.layers[1].eval()
    modes = [module.training for module in trainer.model.modules()]
    seen = []
    trainer.validate(batches(), lambda logits, masks: seen.append(trainer.model.training) or {})
    with pytest.raises(ZeroDivisionError):
        trainer.validate(batches(), lambda logits, masks: {"val_bad": 1 / 0})
    assert [module.training for module in trainer.model.modules()] == modes
    assert not any(seen)
    trainer.model.eval()
    trainer.validate(batches())
    assert not trainer.model.training


def test_auxiliary_outputs_are_supervised_with_their_weight():
    class Aux(Net):
        def forward(self, images):
            prediction = super().forward(images)
            return prediction, [prediction.mean(dim=(2, 3), keepdim=True)], None

    trainer = trainer_of(Aux, aux_weight=5.0)
    images, masks = batches(sizes=(10,))[0]
    prediction, (auxiliary,), _ = trainer.model(images)
    coarse = masks.mean(dim=(2, 3), keepdim=True)
    criterion = nn.BCEWithLogitsLoss()
    main, aux = criterion(prediction, masks).item(), criterion(auxiliary, coarse).item()
    metrics = trainer.train_epoch([(images, masks)], 0)
    assert metrics["loss"] == pytest.approx(main + 5.0 * aux)
    assert metrics["aux_loss"] == pytest.approx(aux)


def test_custom_metrics_are_averaged_over_samples():
    metrics = trainer_of().validate(batches(), lambda logits, masks: {"val_size": torch.tensor(float(len(masks)))})
    assert metrics["val_size"] == pytest.approx((4 * 4 + 4 * 4 + 2 * 2) / 10)


def test_predictions_are_judged_at_the_masks_own_resolution():
    images, _ = batches(sizes=(2,))[0]
    masks = (torch.rand(2, 1, 24, 20) > 0.5).float()
    sizes = []
    trainer_of().validate([(images, masks)], lambda logits, masks: sizes.append(logits.shape) or {})
    assert sizes == [(2, 1, 24, 20)]


class NumpyLike(nn.Module):
    """A criterion that turns NaN after a number of calls."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def forward(self, logits, masks):
        self.left -= 1
        return logits.mean() * (math.nan if self.left < 0 else 1.0)


def test_a_non_finite_loss_ends_the_epoch_before_it_reaches_the_weights():
    model = Net()
    trainer = OptimizedTrainer(
        model, torch.optim.AdamW(model.parameters()), NumpyLike(2), "cpu", enable_progressive_aug=False
    )
    with pytest.raises(DivergedError, match=r"loss became nan in epoch 4, optimizer step 2") as caught:
        trainer.train_epoch(batches(), 3)
    assert caught.value.step == 2
    assert weights(trainer).isfinite().all()


def full_trainer(seed):
    """Every stateful technique at once."""
    trainer = trainer_of(
        RoutedNet,
        seed=seed,
        accumulation_steps=2,
        num_experts=4,
        enable_load_balancing=True,
        enable_collapse_detection=True,
        enable_progressive_aug=True,
        aug_transition_epoch=1,
        warmup_epochs=2,
    )
    trainer.averaging = WeightAverage(trainer.model, decay=0.9)
    return trainer


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(tmp_path):
    whole = full_trainer(seed=0)
    for epoch in range(6):
        whole.train_epoch(batches(seed=epoch), epoch)
    first = full_trainer(seed=0)
    for epoch in range(3):
        first.train_epoch(batches(seed=epoch), epoch)
    first.save_checkpoint(tmp_path / "c.pt", 2, {"val_loss": 0.5})
    second = full_trainer(seed=99)
    start = second.load_checkpoint(tmp_path / "c.pt")
    for epoch in range(start + 1, 6):
        second.train_epoch(batches(seed=epoch), epoch)
    assert torch.equal(weights(whole), weights(second))
    assert whole.validate(batches()) == second.validate(batches())
    assert whole.get_training_summary() == second.get_training_summary()


def test_a_checkpoint_that_could_not_be_read_again_is_not_written(tmp_path):
    trainer = trainer_of()
    trainer.save_checkpoint(tmp_path / "c.pt", 0, {"iou": np.float64(0.5)})
    with pytest.raises(ValueError, match=r"c\.pt would hold numpy.*; a checkpoint holds tensors, numbers, text"):
        trainer.save_checkpoint(tmp_path / "c.pt", 1, {"iou": {"disc": np.float64(0.5)}})
    assert trainer.load_checkpoint(tmp_path / "c.pt") == 0


def test_the_overflows_in_a_row_are_counted_through_a_resume(tmp_path):
    first, second = trainer_of(), trainer_of()
    first.gradient_step.skipped_in_a_row = 3
    first.save_checkpoint(tmp_path / "c.pt", 0)
    second.load_checkpoint(tmp_path / "c.pt")
    assert second.gradient_step.skipped_in_a_row == 3


@pytest.mark.parametrize("mode", ["running", "exact"])
def test_a_model_without_routing_cannot_be_balanced_in_any_mode(mode):
    trainer = trainer_of()
    trainer.load_balancer = GlobalBatchLoadBalancer(4, mode=mode)
    with pytest.raises(ValueError, match="the model returned no routing information; return routing_info"):
        trainer.train_epoch(batches(), 0)


def test_a_loaded_checkpoint_keeps_the_present_learning_rate(tmp_path):
    old = trainer_of(max_lr=1e-4)
    old.train_epoch(batches(), 0)
    old.save_checkpoint(tmp_path / "c.pt", 0, {})
    new = trainer_of(max_lr=5e-4, total_epochs=30)
    new.load_checkpoint(tmp_path / "c.pt")
    new.train_epoch(batches(), 1)
    expected = 1e-6 + (5e-4 - 1e-6) * 0.5 * (1 + math.cos(math.pi * 2 / 30))
    assert new.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_the_summary_has_the_documented_keys():
    trainer = full_trainer(seed=0)
    trainer.train_epoch(batches(), 0)
    trainer.validate(batches())
    assert set(trainer.get_training_summary()) >= {
        "current_epoch",
        "global_step",
        "current_lr",
        "best_loss",
        "latest_loss",
        "augmentation_strength",
        "expert_collapse_detected",
        "collapse_stats",
        "global_load_stats",
    }


def test_training_metrics_have_the_documented_names():
    metrics = full_trainer(seed=0).train_epoch(batches(), 0)
    assert set(metrics) >= {
        "loss",
        "lr",
        "aux_loss",
        "load_balance_loss",
        "collapse_collapsed",
        "collapse_collapse_reasons",
    }
    assert set(metrics) >= {"global_expert_usage", "global_min_global_usage", "global_total_tokens_processed"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"accumulation_steps": 0}, "accumulation_steps is 0"),
        ({"enable_load_balancing": True}, "need num_experts"),
        ({"precision": "fp8"}, "allowed: auto, fp32"),
        ({"warmup_epochs": 200}, "warmup_epochs=200"),
    ],
)
def test_wrong_arguments_fail_at_construction(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        trainer_of(**options)


def test_a_loader_that_has_no_length_or_no_batch_is_refused():
    with pytest.raises(ValueError, match="no length"):
        trainer_of().train_epoch(iter(batches()), 0)
    with pytest.raises(ValueError, match="empty"):
        trainer_of().train_epoch([], 0)


def test_an_fp16_update_that_ran_out_of_memory_is_tried_again_from_the_state_before():
    class FullAtFirst(torch.optim.SGD):
        """Runs out of memory in a step, as Adam may when it allocates its moments."""

        is_full = True

        def step(self, closure=None):
            if self.is_full:
                raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB")
            return super().step(closure)

    trainers = []
    for is_full in (False, True):
        torch.manual_seed(0)
        model = Net()
        optimizer = FullAtFirst(model.parameters(), lr=1e-2)
        trainer = trainer_of(model, optimizer=optimizer)
        trainer.precision = Precision(name="fp16", device_type="cpu", reason="of this test")
        trainer.scaler = trainer.precision.scaler()
        before = trainer.state_dict()
        if is_full:
            with pytest.raises(torch.OutOfMemoryError):
                trainer.train_epoch(batches(), 0)
            trainer.load_state_dict(before)
        optimizer.is_full = False
        trainer.train_epoch(batches(), 0)
        trainers.append(trainer)
    assert torch.equal(weights(trainers[0]), weights(trainers[1]))


def test_an_average_that_is_switched_on_at_a_resume_begins_at_the_weights_of_the_checkpoint():
    trained = trainer_of()
    for epoch in range(3):
        trained.train_epoch(batches(), epoch)
    resumed = trainer_of(seed=7)
    resumed.averaging = WeightAverage(resumed.model, decay=0.99)
    resumed.load_state_dict(trained.state_dict())
    assert resumed.validate(batches(seed=1)) == trained.validate(batches(seed=1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_mixed_precision_trains_on_a_gpu(precision):
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    trainer = OptimizedTrainer(model, optimizer, nn.BCEWithLogitsLoss(), "cuda", precision=precision, max_lr=1e-2)
    losses = [trainer.train_epoch(batches(), epoch)["loss"] for epoch in range(10)]
    assert trainer.precision_effective == precision
    assert losses[-1] < losses[0]


def rebalancing(trainer):
    return CollapseResponse(
        "rebalance",
        balancer=trainer.load_balancer,
        layers=[],
        optimizer=trainer.optimizer,
        generator=torch.Generator(),
        config=ResponseConfig(patience_checks=1),
    )


def test_a_response_to_collapse_is_logged_and_counted(caplog):
    trainer = trainer_of(
        lambda: RoutedNet(bias=9.0), num_experts=4, enable_load_balancing=True, enable_collapse_detection=True
    )
    trainer.collapse_response = rebalancing(trainer)
    with caplog.at_level("INFO", logger="trainable.trainer"):
        metrics = trainer.train_epoch(batches(sizes=(32,) * 10), 0)
    assert metrics["collapse_acts"] == 1
    assert "experts collapsed, epoch 1: rebalance (factor 2)" in caplog.text


class RoutedScales:
    """The scales of a RoutedNet as an expert layer."""

    router_noise = 0.0

    def __init__(self, net):
        self.scales = net.scales

    @torch.no_grad()
    def reinitialise_expert(self, dead, busiest, generator):
        self.scales[dead] = self.scales[busiest] + torch.rand((), generator=generator)
        return [(self.scales, dead)]


def test_the_average_of_a_reinitialised_expert_begins_anew_and_that_of_the_others_goes_on():
    trainer = trainer_of(
        lambda: RoutedNet(bias=9.0), num_experts=4, enable_load_balancing=True, enable_collapse_detection=True
    )
    trainer.averaging = WeightAverage(trainer.model, decay=0.99)
    trainer.collapse_response = CollapseResponse(
        "reinitialise",
        balancer=trainer.load_balancer,
        layers=[RoutedScales(trainer.model)],
        optimizer=trainer.optimizer,
        generator=torch.Generator(),
        config=ResponseConfig(patience_checks=1, cooldown_checks=0, max_balance_factor=1.0, max_reinitialisations=1),
    )
    for epoch in range(3):
        trainer.train_epoch(batches(sizes=(32,) * 10), epoch)
    last = trainer.collapse_response.events[-1]
    assert last.action == "reinitialise"
    own = trainer.model.scales.detach().clone()
    with trainer.averaging.applied():
        equal = (trainer.model.scales == own).tolist()
    assert equal[last.expert]
    assert not equal[0]


def test_an_epoch_judges_the_experts_once_for_metrics_verdict_and_response(monkeypatch):
    trainer = trainer_of(
        lambda: RoutedNet(bias=9.0), num_experts=4, enable_load_balancing=True, enable_collapse_detection=True
    )
    trainer.collapse_response = rebalancing(trainer)
    judge, verdicts = trainer.collapse_detector.check, []
    monkeypatch.setattr(trainer.collapse_detector, "check", lambda: verdicts.append(judge()) or verdicts[-1])
    metrics = trainer.train_epoch(batches(sizes=(32,) * 10), 0)
    assert verdicts == [trainer.collapse_verdict]
    assert (metrics["collapse_collapsed"], metrics["collapse_acts"]) == (True, 1)


def test_images_that_a_loader_normalised_are_refused_until_their_range_is_given():
    normalised = [(images * 4 - 2, masks) for images, masks in batches()]
    with pytest.raises(ValueError, match=r"reach from -2.* to .*, but augmentation works in \[0, 1\]"):
        trainer_of(enable_progressive_aug=True).train_epoch(normalised, 0)
    trainer = trainer_of(enable_progressive_aug=True, pixel_range=PixelRange.between(-2.0, 2.0), aug_transition_epoch=0)
    assert trainer.train_epoch(normalised, 0)["loss"] > 0
