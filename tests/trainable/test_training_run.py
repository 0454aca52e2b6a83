"""One run from its configuration: the same curve always, through a save and a new process, whatever ran before it."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from trainable.config import from_params
from trainable.models.backbone_config import BackboneNetwork
from trainable.reporting.epoch_text import why_ended
from trainable.supervision.evaluation import Evaluation
from trainable.tasks.registry import get_task
from trainable.techniques.checkpoint import read_checkpoint, weights_to_export, write_checkpoint
from trainable.techniques.optim.gradient_update import DivergedError
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import ExportedConfig, write_exported_config

ROOT = Path(__file__).resolve().parents[2]
PLAIN = {
    "num_experts": 1,
    "top_k": 1,
    "load_balance": False,
    "collapse": False,
    "augmentation": False,
    "accumulation_steps": 1,
    "aux_weight": 0.0,
}
ROUTED = PLAIN | {"num_experts": 4, "top_k": 1}
EVERYTHING = {
    "num_experts": 4,
    "top_k": 2,
    "router_noise": 0.2,
    "collapse_response": "reinitialise",
    "max_strength": 0.9,
    "averaging": True,
    "contrastive": True,
    "crop": True,
    "crop_px": 32,
}


@pytest.fixture(scope="module")
def splits(disc_config):
    return get_task("moe").open_data(disc_config)


@pytest.fixture
def begin(disc_config, splits):
    """A run of the discs with some parameters changed."""

    def begin_run(params=PLAIN, **changes) -> TrainingRun:
        return TrainingRun(replace(from_params(params, disc_config), **changes), splits)

    return begin_run


def curve(run):
    """The metrics of every epoch that is left, and the weights in the end."""
    metrics = []
    while run.ending is None:
        metrics.append(run.run_epoch().metrics)
    return metrics, run.trainer.model.state_dict()


def same_to_the_bit(one, other):
    (metrics, weights), (other_metrics, other_weights) = one, other
    return metrics == other_metrics and all(torch.equal(weights[name], other_weights[name]) for name in weights)


def same_trajectory(one, other):
    """Compares the metrics that both runs have: a technique that only adds metrics changes nothing."""
    (metrics, _), (other_metrics, _) = one, other
    names = metrics[0].keys() & other_metrics[0].keys()
    return [[epoch[name] for name in names] for epoch in metrics] == [
        [epoch[name] for name in names] for epoch in other_metrics
    ]


def test_the_same_configuration_and_seed_give_the_same_curve_to_the_bit(begin):
    assert same_to_the_bit(curve(begin(EVERYTHING)), curve(begin(EVERYTHING)))


def test_another_seed_gives_another_curve(begin):
    assert not same_to_the_bit(curve(begin(EVERYTHING)), curve(begin(EVERYTHING, seed=1)))


def test_the_raw_metrics_of_an_averaged_run_are_those_of_the_same_run_without_averaging(begin):
    plain, averaged = (curve(begin(PLAIN | {"averaging": on}))[0] for on in (False, True))
    for name in ("loss", "s_measure"):
        assert [epoch[f"val/raw_{name}"] for epoch in averaged] == [epoch[f"val/{name}"] for epoch in plain]
        assert all(epoch[f"val/raw_{name}"] != epoch[f"val/{name}"] for epoch in averaged)
        assert not any(f"val/raw_{name}" in epoch for epoch in plain)


def test_gradient_checkpointing_is_configured_and_changes_nothing_but_memory(begin):
    plain, recomputed = (begin(ROUTED, gradient_checkpointing=on, max_epochs=1) for on in (False, True))
    assert recomputed.trainer.model.backbone.checkpointing
    assert same_to_the_bit(curve(plain), curve(recomputed))


def test_a_network_that_cannot_checkpoint_its_gradients_says_so(begin, monkeypatch):
    monkeypatch.delattr(BackboneNetwork, "enable_gradient_checkpointing")
    with pytest.raises(ValueError, match="gradient_checkpointing is on, but the network of moe has none; turn it off"):
        begin(gradient_checkpointing=True)


def test_the_patience_of_the_collapse_response_is_configured(begin):
    """No router keeps a threshold just below the fair share for long, so that only patience matters."""
    acts = {}
    for patience in (1, 50):
        watched = {"collapse_response": "rebalance", "collapse_threshold": 0.99, "patience_checks": patience}
        acts[patience] = curve(begin(ROUTED | {"load_balance": True, "collapse": True} | watched))[0][-1]
    assert acts[1]["train/collapse_acts"] >= 1
    assert acts[50]["train/collapse_acts"] == 0
    assert 1 <= acts[1]["train/collapse_effective_experts"] <= 4
    assert acts[1]["train/collapse_router_undecided"] in (0.0, 1.0)


def test_the_test_split_leaves_no_trace_in_the_training(begin, tmp_path):
    run = begin(max_epochs=1)
    run.run_epoch()
    run.save(tmp_path / "before.pt")
    run.test()
    run.save(tmp_path / "after.pt")
    assert (tmp_path / "after.pt").read_bytes() == (tmp_path / "before.pt").read_bytes()


def test_saved_and_restored_in_a_new_process_a_run_continues_as_if_never_interrupted(begin, tmp_path):
    whole = begin(EVERYTHING)
    first = whole.run_epoch()
    whole.save(tmp_path / "checkpoint.pt")
    rest = curve(whole)
    write_exported_config(tmp_path / "config.json", ExportedConfig(config=whole.config, data_fingerprint={}))

    resumed, weights = resume_in_new_process(tmp_path)
    assert same_to_the_bit((resumed, weights), rest)
    assert first.metrics != resumed[0]


def resume_in_new_process(folder):
    code = """
import json, sys, torch
from pathlib import Path
from trainable.workloads.exported_config import read_exported_config
from trainable.run_setup import open_run

torch.set_num_threads(1)
folder = Path(sys.argv[1])
run = open_run(read_exported_config(folder / "config.json"), "cpu")
run.restore(folder / "checkpoint.pt")
curve = []
while run.ending is None:
    curve.append(run.run_epoch().metrics)
torch.save(run.trainer.model.state_dict(), folder / "weights.pt")
print(json.dumps(curve))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), torch.load(folder / "weights.pt")


def test_an_epoch_gives_flat_finite_floats_under_every_name_that_the_task_promises(begin):
    result = begin(EVERYTHING).run_epoch()
    assert set(get_task("moe").metric_names) <= result.metrics.keys()
    assert result.objective == result.metrics["val/s_measure"]
    assert all(type(value) is float and math.isfinite(value) for value in result.metrics.values())
    assert {name for name in result.metrics if name.startswith("moe/usage_")} == {f"moe/usage_{i}" for i in range(4)}


class WithoutTestSplit:
    """Whoever asks for the test split is caught."""

    def __init__(self, splits):
        self.train, self.validation = splits.train, splits.validation

    @property
    def test(self):
        raise AssertionError("the test split was opened")


def test_training_and_validation_never_open_the_test_split(disc_config, splits):
    run = TrainingRun(disc_config, WithoutTestSplit(splits))
    run.run_epoch()
    with pytest.raises(AssertionError, match="the test split was opened"):
        run.test()


def test_the_last_judgement_is_of_the_test_split(begin, splits):
    run = begin()
    run.run_epoch()
    swapped = replace(splits, validation=splits.test, test=splits.validation)
    assert run.test()["s_measure"] == TrainingRun(run.config, swapped).run_epoch().objective


def test_judging_the_test_split_does_not_change_what_follows(begin):
    untouched = begin(EVERYTHING)
    untouched.run_epoch()
    rest = curve(untouched)
    judged = begin(EVERYTHING)
    judged.run_epoch()
    judged.test()
    assert same_to_the_bit(curve(judged), rest)


def test_a_run_after_another_in_one_process_is_the_run_alone(begin):
    alone = curve(begin(EVERYTHING))
    curve(begin(PLAIN, seed=7))
    torch.rand(3)
    assert same_to_the_bit(curve(begin(EVERYTHING)), alone)


def test_a_validation_metric_that_is_not_finite_ends_the_run_with_its_name(begin, monkeypatch):
    run = begin()
    monkeypatch.setattr(run.trainer, "evaluate", lambda *_, **__: Evaluation({"loss": 0.1}, {"s_measure": math.nan}))
    with pytest.raises(DivergedError, match="val/s_measure became nan in epoch 1"):
        run.run_epoch()


def test_a_learning_rate_that_blows_the_weights_up_ends_the_run_with_the_term(begin):
    run = begin(PLAIN | {"max_lr": 1e30, "warmup_fraction": 0.0})
    with pytest.raises(DivergedError, match=r"became (nan|inf) in epoch \d, optimizer step \d+"):
        curve(run)


def test_with_every_technique_off_a_run_is_the_plain_loop_that_a_person_would_write(begin, splits):
    run = begin(max_grad_norm=None)
    metrics, weights = curve(run)
    losses, by_hand = plain_loop(run.config, splits)
    assert [epoch["train/loss"] for epoch in metrics] == pytest.approx(losses, rel=1e-6)
    assert {name for name in by_hand if not torch.equal(weights[name], by_hand[name])} == set()


def plain_loop(config, splits):
    """AdamW, warm-up and cosine; only model, batches and criterion are the task's."""
    task = get_task("moe")
    torch.manual_seed(config.seed)
    batches = task.training_batches(config, splits.train, torch.device("cpu"))
    model, criterion = task.build_model(config), config.loss.build()
    decay = config.optimizer.weight_decay
    groups = [{"params": [one], "weight_decay": decay if one.ndim > 1 else 0.0} for one in model.parameters()]
    optimizer = torch.optim.AdamW(groups, lr=config.optimizer.max_lr, fused=True)
    losses = []
    for epoch in range(config.max_epochs):
        batches.set_epoch(epoch)
        sums, num_images = 0.0, 0
        for index, (images, masks) in enumerate(batches):
            rate = rate_by_hand(epoch + (index + 1) / len(batches), config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = criterion(model.train()(images).predictions, masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums, num_images = sums + loss.detach().double() * len(images), num_images + len(images)
        losses.append(float(sums / num_images))
    return losses, model.state_dict()


def rate_by_hand(progress, config):
    top = config.optimizer.max_lr
    low, warmup = top * config.schedule.min_lr_ratio, config.schedule.warmup_fraction * config.max_epochs
    if progress < warmup:
        return low + (top - low) * progress / warmup
    return low + (top - low) * (1 + math.cos(math.pi * (progress - warmup) / (config.max_epochs - warmup))) / 2


def test_a_plateau_of_the_objective_lowers_the_rate_once_a_validation(begin, monkeypatch):
    plateau = {"schedule_kind": "plateau", "warmup_fraction": 0.0, "plateau_patience_fraction": 0.1}
    run = begin(PLAIN | plateau, max_epochs=4)
    monkeypatch.setattr(run.trainer, "evaluate", lambda *_, **__: Evaluation({"loss": 0.1}, {"s_measure": 0.5}))
    rates = [run.run_epoch().metrics["train/lr"] for _ in range(4)]
    assert rates == [run.config.optimizer.max_lr * factor for factor in (1, 1, 0.5, 0.25)]


TECHNIQUES = {
    "averaging": (PLAIN, {"averaging": True}),
    "augmentation": (PLAIN, {"augmentation": True, "initial_strength": 0.5, "max_strength": 0.9}),
    "contrastive": (PLAIN, {"contrastive": True}),
    "crop": (PLAIN, {"crop": True, "crop_px": 32}),
    "load_balance": (ROUTED, {"load_balance": True}),
    "collapse": (ROUTED | {"load_balance": True}, {"collapse": True, "collapse_response": "reinitialise"}),
}


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_technique_changes_the_run_when_on_and_leaves_no_bit_of_itself_when_off(
    begin, disc_config, splits, technique
):
    without, switched_on = TECHNIQUES[technique]
    plain = curve(begin(without))
    on = from_params(without | switched_on, disc_config)
    assert not same_trajectory(curve(TrainingRun(on, splits)), plain)
    off = from_params({technique: False}, on)
    assert same_to_the_bit(curve(TrainingRun(off, splits)), plain)


@pytest.mark.slow
def test_compiled_a_network_gives_the_same_curve_and_its_weights_keep_their_names(begin):
    plain = curve(begin(max_epochs=1))
    counters.clear()
    metrics, weights = curve(begin(max_epochs=1, compile_backend="eager"))
    assert counters["stats"]["calls_captured"] > 0
    assert metrics[0]["train/loss"] == pytest.approx(plain[0][0]["train/loss"], rel=1e-4)
    assert weights.keys() == plain[1].keys()


@pytest.mark.slow
def test_many_trainings_in_one_process_are_all_compiled(begin):
    captured = []
    for num_experts in range(2, 8):
        counters.clear()
        begin({**ROUTED, "num_experts": num_experts}, max_epochs=1, compile_backend="eager").run_epoch()
        captured.append(counters["stats"]["calls_captured"])
    assert min(captured) > max(captured) / 2


def test_averaging_changes_what_is_judged_and_not_what_is_trained(begin):
    plain, averaged = curve(begin()), curve(begin(PLAIN | {"averaging": True}))
    assert all(torch.equal(plain[1][name], averaged[1][name]) for name in plain[1])
    assert plain[0] != averaged[0]


def test_two_half_batches_accumulated_are_the_whole_batch(begin):
    whole = curve(begin(PLAIN | {"batch_size": 8}))
    halves = curve(begin(PLAIN | {"batch_size": 4, "accumulation_steps": 2}))
    for epoch, other in zip(whole[0], halves[0], strict=True):
        assert epoch["train/loss"] == pytest.approx(other["train/loss"], rel=1e-3)
    four = curve(begin(PLAIN | {"batch_size": 4}))
    assert abs(four[0][0]["train/loss"] - whole[0][0]["train/loss"]) > 1e-2


@pytest.mark.parametrize("averaging", [False, True])
def test_the_weights_of_the_best_epoch_are_tested_and_handed_over(begin, averaging):
    """The highest loss is that of the first epoch, so that one is the best of this monitor."""
    monitor = {"monitor": "val/loss", "monitor_mode": "max", "averaging": averaging}
    whole, first = begin(PLAIN | monitor), begin(PLAIN | monitor)
    losses = [metrics["val/loss"] for metrics in curve(whole)[0]]
    first.run_epoch()
    assert losses[0] == max(losses)
    assert whole.handed_over.epoch == 1
    assert whole.test() == first.test()
    assert all(torch.equal(whole.handed_over.weights[name], value) for name, value in first.handed_over.weights.items())


def test_a_resume_with_another_monitor_compares_no_value_of_the_former_one(begin, tmp_path):
    """An S-measure above 0 would be better than every loss, whose sign is changed."""
    watched = {"early_stopping": True, "patience_epochs": 1, "schedule_kind": "plateau"}
    first, resumed = begin(PLAIN | watched), begin(PLAIN | watched | {"monitor": "val/loss"})
    first.run_epoch()
    first.save(tmp_path / "checkpoint.pt")
    resumed.restore(tmp_path / "checkpoint.pt")
    result = resumed.run_epoch()
    assert resumed.handed_over[::2] == (2, result.metrics["val/loss"])
    assert (resumed.ending, resumed.trainer.scheduler.epochs_without_improvement) == (None, 0)


def test_without_a_best_epoch_the_last_weights_are_handed_over(begin):
    run = begin(PLAIN | {"best_epoch": False})
    curve(run)
    assert run.handed_over.epoch == run.epoch
    assert all(
        torch.equal(run.handed_over.weights[name], value) for name, value in run.trainer.model.state_dict().items()
    )


def test_a_finished_run_that_keeps_the_best_epoch_only_now_hands_over_its_last(begin, tmp_path):
    finished = begin(PLAIN | {"best_epoch": False})
    curve(finished)
    finished.save(tmp_path / "checkpoint.pt")
    resumed = begin(PLAIN)
    resumed.restore(tmp_path / "checkpoint.pt")
    assert why_ended(resumed) == "Ended after epoch 3: all planned epochs are trained; the weights are its own."
    assert (resumed.handed_over.epoch, resumed.handed_over.value) == (3, None)
    resumed.save(tmp_path / "again.pt")
    for checkpoint in ("checkpoint.pt", "again.pt"):
        handed_over = weights_to_export(read_checkpoint(tmp_path / checkpoint))
        assert all(torch.equal(handed_over[name], value) for name, value in resumed.handed_over.weights.items())


@pytest.mark.parametrize("written_by", ["this version", "an older version"])
def test_early_stopping_and_the_best_epoch_continue_after_a_resume(begin, tmp_path, written_by):
    """The loss falls, so that its maximum stands from the first epoch on and patience ends after the second."""
    patient = {"early_stopping": True, "patience_epochs": 1, "monitor": "val/loss", "monitor_mode": "max"}
    first, resumed = begin(PLAIN | patient), begin(PLAIN | patient)
    first.run_epoch()
    first.save(tmp_path / "checkpoint.pt")
    if written_by == "an older version":
        state = read_checkpoint(tmp_path / "checkpoint.pt")
        state["trainer"]["parts"] |= state.pop("run")
        write_checkpoint(tmp_path / "checkpoint.pt", state)
    resumed.restore(tmp_path / "checkpoint.pt")
    resumed.run_epoch()
    assert (resumed.ending.outcome, resumed.ending.numbers["best_epoch"]) == ("plateaued", 1)
    assert resumed.handed_over.epoch == 1
    assert all(
        torch.equal(resumed.handed_over.weights[name], value) for name, value in first.handed_over.weights.items()
    )


def test_keeping_the_best_epoch_does_not_change_the_curve(begin):
    assert same_to_the_bit(curve(begin(EVERYTHING)), curve(begin(EVERYTHING | {"best_epoch": False})))


def test_masks_that_are_all_0_are_reported_in_the_log_and_in_the_last_line(begin, caplog):
    run = begin(max_epochs=3)
    run.trainer.model.register_forward_hook(
        lambda model, inputs, output: replace(output, predictions=output.predictions - 50)
    )
    shares = [run.run_epoch().metrics["val/constant_share"] for _ in range(3)]
    assert shares == [1.0, 1.0, 1.0]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1
    assert warned[0].startswith("epoch 2: val/constant_share is 1.00, predictions are constant since epoch 1")
    assert "Predictions have been constant since epoch 1." in why_ended(run)


def test_early_stopping_looks_at_the_monitored_metric(begin):
    """The loss falls in every epoch, so that its maximum stands from the first on."""
    stopping = {"early_stopping": True, "patience_epochs": 1, "monitor": "val/loss", "monitor_mode": "max"}
    run = begin(PLAIN | stopping)
    assert len(curve(run)[0]) == 2
    assert run.ending.numbers["best_epoch"] == 1
