"""Two processes with gloo train what one process trains; run as a program this file is one of the two."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from trainable.config import from_params
from trainable.supervision.base import DeepSupervision
from trainable.tasks.registry import get_task
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.gradient_update import DivergedError
from trainable.techniques.optim.precision import resolve_precision
from trainable.techniques.optim.schedule import CosineAnnealingWithWarmup
from trainable.techniques.parallel.data_parallel import Ranks, joined, ranks_of_torchrun, taken_of
from trainable.techniques.techniques import Techniques
from trainable.trainer import Trainer
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import ExportedConfig, read_exported_config, write_exported_config

ROOT = Path(__file__).resolve().parents[4]
SIZES = (6, 5, 4, 1, 3)
"""Samples of the micro-batches: odd ones, and one with fewer samples than ranks."""
NOISY = {"router_noise": 0.2, "averaging": True, "contrastive": True, "accumulation_steps": 3}


class Sometimes(nn.Module):
    """Normalises over the batch, and sends only samples of a positive first value through a second path."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 1, 1)
        self.path = nn.Conv2d(3, 1, 1)
        self.never = nn.Linear(2, 2)

    def forward(self, images):
        logits = self.last(self.norm(self.first(images)).relu())
        chosen = images[:, 0, 0, 0] > 0.5
        if not chosen.any():
            return logits
        return logits + chosen[:, None, None, None] * self.path(images)


def batches(*, rank_one_is_broken=False):
    draw = torch.Generator().manual_seed(3)
    made = [(torch.rand(n, 3, 8, 8, generator=draw), torch.rand(n, 1, 8, 8, generator=draw).round()) for n in SIZES]
    # The second path is taken by the first sample of a micro-batch alone, which is always the first rank's.
    for images, _ in made:
        images[:, 0, 0, 0] = 0.0
        images[0, 0, 0, 0] = 1.0
    if rank_one_is_broken:
        made[1][0][-1] = torch.nan
    return made


def small_trainer(ranks=None):
    torch.manual_seed(0)
    model = Sometimes().double()
    if ranks is not None:
        ranks.prepare(model, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    return Trainer(
        model,
        optimizer,
        DeepSupervision(nn.functional.binary_cross_entropy_with_logits),
        "cpu",
        scheduler=CosineAnnealingWithWarmup(optimizer, 0, 100, max_lr=0.01),
        precision=resolve_precision("fp32", torch.device("cpu")),
        techniques=Techniques(averaging=WeightAverage(model, decay=0.9), max_grad_norm=0.5),
        ranks=ranks,
    )


def trained_small(ranks=None):
    """Weights, averaged weights and metrics after two epochs, six updates."""
    trainer = small_trainer(ranks)
    loader = [(images.double(), masks.double()) for images, masks in batches()]
    metrics = [trainer.train_epoch(loader, epoch, accumulation_steps=2) for epoch in range(2)]
    judged = trainer.evaluate(loader, lambda logits, masks: {"mean": logits.mean()}).flat
    return {
        "weights": dict(trainer.model.state_dict()),
        "average": trainer.evaluated_weights(),
        "train": metrics,
        "validation": judged,
    }


def how_it_diverged(ranks):
    trainer = small_trainer(ranks)
    loader = [(images.double(), masks.double()) for images, masks in batches(rank_one_is_broken=True)]
    try:
        trainer.train_epoch(loader, 0, accumulation_steps=2)
    except DivergedError as error:
        return [error.term, error.step]
    return []


def run_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "meet"), 2)
    with joined(torch.device("cpu"), store=store, rank=rank, world_size=2) as ranks:
        found = {"small": trained_small(ranks), "diverged": how_it_diverged(ranks)}
        plain = read_exported_config(folder / "plain.json").config
        splits = get_task(plain.workload).open_data(plain)
        run = TrainingRun(plain, splits, ranks=ranks)
        found["plain"] = [run.run_epoch().metrics for _ in range(2)], run.handed_over.weights, run.test()
        found |= resumed(read_exported_config(folder / "noisy.json").config, splits, ranks, folder)
        found["refused"] = refusal(run, ranks)
    torch.save(found, folder / f"rank{rank}.pt")


def resumed(config, splits, ranks, folder):
    """Curves of a run after its first epoch, and of another run that continues from its checkpoint."""
    whole = TrainingRun(config, splits, ranks=ranks)
    seed = torch.initial_seed()
    whole.run_epoch()
    whole.save(folder / f"checkpoint{ranks.rank}.pt")
    rest = curve(whole)
    torch.distributed.barrier()
    again = TrainingRun(config, splits, ranks=ranks)
    again.restore(folder / "checkpoint0.pt")
    return {"seed": seed, "rest": rest, "again": curve(again)}


def curve(run):
    metrics = []
    while run.ending is None:
        metrics.append(run.run_epoch().metrics)
    return metrics, dict(run.trainer.model.state_dict())


class Unmergeable:
    def update(self, scores, targets): ...

    def compute(self):
        return {}


def refusal(run, ranks):
    try:
        ranks.merge(Unmergeable())
    except ValueError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, disc_config):
    place = tmp_path_factory.mktemp("ranks")
    write_exported_config(place / "plain.json", ExportedConfig(config=plain_config(disc_config), data_fingerprint={}))
    write_exported_config(place / "noisy.json", ExportedConfig(config=noisy_config(disc_config), data_fingerprint={}))
    return place


def plain_config(disc_config):
    """The default: balanced experts, collapse detection, augmentation; the last micro-batch holds two samples."""
    return replace(from_params({"averaging": True}, disc_config), batch_size=4)


def noisy_config(disc_config):
    return replace(from_params(NOISY, disc_config), max_epochs=2)


@pytest.fixture(scope="module")
def both(folder):
    """Results of two processes that train together."""
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": loopback}
    ranks = [subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment) for rank in range(2)]
    try:
        assert [process.wait(timeout=100) for process in ranks] == [0, 0]
    finally:
        for process in ranks:
            process.kill()
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def close(found, expected, tolerance):
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


def test_two_ranks_train_the_weights_of_one_process_with_uneven_batches_batch_norm_and_an_idle_path(both):
    alone = trained_small()
    # A sample that both ranks compute counts twice in the number of values behind a running variance, not in its mean.
    for name in ("weights", "average"):
        variance = alone[name].pop("norm.running_var")
        for found in both:
            close(found["small"][name].pop("norm.running_var"), variance, 1e-3)
            close(found["small"][name], alone[name], 1e-6)
    assert not torch.equal(alone["weights"]["path.weight"], small_trainer().model.path.weight)


def test_what_no_rank_uses_is_left_alone_and_not_decayed(both):
    begun = small_trainer().model.never.weight
    assert all(torch.equal(found["small"]["weights"]["never.weight"], begun) for found in both)


def test_both_ranks_report_the_metrics_of_one_process(both):
    alone = trained_small()
    for found in both:
        close(found["small"]["validation"], alone["validation"], 1e-6)
        for epoch, expected in zip(found["small"]["train"], alone["train"], strict=True):
            close(epoch, expected, 1e-6)


def test_balanced_experts_are_trained_and_judged_as_in_one_process(both, disc_config):
    config = plain_config(disc_config)
    run = TrainingRun(config, get_task("moe").open_data(config))
    metrics, weights, test = [run.run_epoch().metrics for _ in range(2)], run.handed_over.weights, run.test()
    for found_metrics, found_weights, found_test in (found["plain"] for found in both):
        close(found_weights, weights, 1e-4)
        close(found_test, test, 1e-4)
        assert all(found.keys() == expected.keys() for found, expected in zip(found_metrics, metrics, strict=True))
        close(found_metrics, metrics, 1e-4)


def test_both_ranks_hold_the_same_weights_and_metrics_to_the_bit(both):
    (metrics, weights, test), (other_metrics, other_weights, other_test) = (found["plain"] for found in both)
    assert (metrics, test) == (other_metrics, other_test)
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


def test_a_value_that_only_one_rank_sees_ends_the_training_of_both_in_the_same_step(both):
    assert both[0]["diverged"] == both[1]["diverged"] == ["loss", 0]


def test_a_divergence_can_be_sent_to_another_process():
    unpickled = pickle.loads(pickle.dumps(DivergedError(term="loss", value=float("inf"), epoch=2, step=7)))
    assert (str(unpickled), unpickled.term, unpickled.step) == (
        "loss became inf in epoch 3, optimizer step 7",
        "loss",
        7,
    )


def test_dropout_and_noise_draw_independently_on_each_rank(both):
    assert both[0]["seed"] != both[1]["seed"]


def test_resumed_from_the_first_ranks_checkpoint_every_rank_continues_to_the_bit(both, folder):
    for found in both:
        (metrics, weights), (again, weights_again) = found["rest"], found["again"]
        assert metrics == again
        assert all(torch.equal(weights[name], weights_again[name]) for name in weights)
    assert not (folder / "checkpoint1.pt").exists()


def test_another_number_of_ranks_cannot_continue_with_a_checkpoint(both, folder):
    config = read_exported_config(folder / "noisy.json").config
    run = TrainingRun(config, get_task("moe").open_data(config))
    with pytest.raises(ValueError, match="saved by 2 ranks, but this run has 1; resume with 2"):
        run.restore(folder / "checkpoint0.pt")


def test_metrics_that_cannot_be_merged_are_named_with_what_to_do(both):
    assert "Unmergeable can't be merged over ranks; give it state_dict() and merge(states)" in both[0]["refused"]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("num_samples", [7, 8, 20])
def test_the_parts_of_a_micro_batch_hold_each_sample_once_and_as_evenly_as_can_be(num_samples, size):
    batch = torch.arange(num_samples), None
    shares = [Ranks(rank, size).shares([batch], [0.5]) for rank in range(size)]
    taken = [images.tolist() for ((images, _),), _ in shares]
    lengths = [len(own) for own in taken]
    assert [sample for own in taken for sample in own] == list(range(num_samples))
    assert max(lengths) - min(lengths) <= 1
    assert [weight for _, (weight,) in shares] == [0.5 * (length / num_samples) for length in lengths]


def test_with_fewer_samples_than_ranks_each_rank_computes_all_and_counts_for_its_part():
    for rank in range(4):
        ((images, _),), weights = Ranks(rank, 4).shares([(torch.arange(2), None)], [1.0])
        assert (images.tolist(), weights) == ([0, 1], [0.25])


def test_targets_are_parted_along_lists_and_first_axes_inside_tuples_and_dicts():
    boxes = [{"boxes": torch.ones(n, 4)} for n in range(3)]
    batch = (torch.arange(3), {"grade": torch.tensor([5, 6, 7]), "boxes": boxes, "mixing": torch.tensor(0.5)})
    images, targets = taken_of(batch, slice(1, 3))
    assert images.tolist() == [1, 2]
    assert targets["grade"].tolist() == [6, 7]
    assert targets["boxes"] == boxes[1:]
    assert targets["mixing"] == 0.5


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))


def test_several_processes_on_an_apple_gpu_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="start one process, or --device cpu"), ranks_of_torchrun(torch.device("mps")):
        pass
