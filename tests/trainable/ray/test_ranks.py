"""A rank that runs out of memory: all ranks begin the epoch again, in the same smaller micro-batches."""

import pickle
import re
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import ray
import torch
from ray import cloudpickle
from ray.util import placement_group
from torch import distributed

from trainable.config import from_params
from trainable.data.io.image_cache import default_cache_dir
from trainable.loop.loop_error import LoopError
from trainable.ray import ranks as ray_ranks
from trainable.ray.ranks import RankActors, RankedRun
from trainable.run import Ending
from trainable.techniques.checkpoint import CheckpointError
from trainable.techniques.memory import MemoryShortage, MicroBatchCaps
from trainable.trainer import Trainer
from trainable.workloads.registry import CarriedConfig

PLAIN = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "augmentation": False}


@pytest.fixture
def config(disc_config):
    return replace(from_params(PLAIN, disc_config), batch_size=8, accumulation_steps=1)


@pytest.fixture
def shared(disc_config):
    return {
        "base": CarriedConfig(disc_config, ()),
        "fingerprint": {},
        "cache_dir": default_cache_dir(),
        "device": torch.device("cpu"),
    }


class AloneHere:
    """A single rank in this process, and how many there were."""

    made = 0

    def __init__(self, **shared) -> None:
        AloneHere.made += 1
        self.are_alive = True
        self._rank = ray_ranks._Rank(0, 1, num_threads=1, **shared)
        self._rank.join(self._rank.open_port())

    def call(self, method, *arguments):
        try:
            return getattr(self._rank, method)(*arguments)
        except MemoryShortage:
            self.are_alive = False
            distributed.destroy_process_group()
            raise


@pytest.fixture
def living(shared, monkeypatch):
    monkeypatch.setattr(AloneHere, "made", 0)
    ranks = []

    def living_ranks():
        if not (ranks and ranks[-1].are_alive):
            ranks.append(AloneHere(**shared))
        return ranks[-1]

    yield living_ranks
    if distributed.is_initialized():
        distributed.destroy_process_group()


def test_ranks_listen_on_the_loopback_address_alone(living):
    before = set(psutil.Process().net_connections("inet"))
    living()
    opened = set(psutil.Process().net_connections("inet")) - before
    assert {one.laddr.ip for one in opened if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def short_of_memory(monkeypatch, *, most_images, first_epoch=0):
    real = Trainer._losses

    def losses(self, images, targets):
        if len(images) > most_images and self.current_epoch >= first_epoch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. 1.00 GiB is free.")
        return real(self, images, targets)

    monkeypatch.setattr(Trainer, "_losses", losses)


def test_the_epoch_begins_again_from_where_the_last_one_ended_in_half_the_micro_batch(
    config, living, monkeypatch, tmp_path
):
    expected = RankedRun(config, living, caps=MicroBatchCaps(), scratch=tmp_path)
    first = expected.run_epoch()
    expected.save(tmp_path / "state.pt")
    smaller_batches = replace(config, batch_size=2, accumulation_steps=4)
    smaller = RankedRun(smaller_batches, living, caps=MicroBatchCaps(), scratch=tmp_path)
    smaller.restore(tmp_path / "state.pt")
    second = smaller.run_epoch()
    short_of_memory(monkeypatch, most_images=2, first_epoch=1)
    caps = MicroBatchCaps()
    run = RankedRun(config, living, caps=caps, scratch=tmp_path)
    assert run.run_epoch().metrics == first.metrics
    assert run.run_epoch().metrics == second.metrics
    assert (run.epoch, run.micro_batches.size, run.micro_batches.accumulation_steps) == (2, 2, 4)
    assert AloneHere.made == 3
    assert RankedRun(config, living, caps=caps, scratch=tmp_path).micro_batches.size == 2
    assert RankedRun(config, living, caps=MicroBatchCaps(), scratch=tmp_path).micro_batches.size == 8


def test_an_image_that_does_not_fit_on_its_own_ends_the_training_with_its_numbers(
    config, living, monkeypatch, tmp_path
):
    short_of_memory(monkeypatch, most_images=0)
    run = RankedRun(replace(config, batch_size=2), living, caps=MicroBatchCaps(), scratch=tmp_path)
    with pytest.raises(MemoryShortage) as caught:
        run.run_epoch()
    assert caught.value.numbers == {"asked_bytes": 2 * 2**30, "available_bytes": 2**30}
    run.save(tmp_path / "state.pt")
    assert not (tmp_path / "state.pt").exists()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"cut")], ids=["lost", "damaged"])
def test_a_checkpoint_that_is_lost_or_damaged_is_an_error_that_the_trial_knows(config, living, tmp_path, damage):
    run = RankedRun(config, living, caps=MicroBatchCaps(), scratch=tmp_path)
    run.run_epoch()
    run.save(tmp_path / "state.pt")
    damage(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        RankedRun(config, living, caps=MicroBatchCaps(), scratch=tmp_path).restore(tmp_path / "state.pt")


def test_a_run_that_is_over_says_so_when_it_is_restored(config, living, tmp_path):
    run = RankedRun(replace(config, max_epochs=1), living, caps=MicroBatchCaps(), scratch=tmp_path)
    assert run.ending is None
    run.run_epoch()
    assert list(tmp_path.glob("ranks-*/state.pt"))
    run.save(tmp_path / "state.pt")
    again = RankedRun(replace(config, max_epochs=1), living, caps=MicroBatchCaps(), scratch=tmp_path)
    again.restore(tmp_path / "state.pt")
    assert (again.epoch, again.ending) == (1, Ending(outcome="completed"))


def test_an_error_in_the_users_own_code_keeps_its_line_on_the_way_to_the_trial(config, living, tmp_path, monkeypatch):
    """Ray carries an error without its lines."""

    def losses(self, images, targets):
        raise KeyError("masks")

    run = RankedRun(config, living, caps=MicroBatchCaps(), scratch=tmp_path)
    monkeypatch.setattr(Trainer, "_losses", losses)
    with pytest.raises(LoopError) as carried:
        run.run_epoch()
    without_lines = pickle.loads(pickle.dumps(carried.value))
    assert re.search(r"KeyError: 'masks' \(test_ranks.py, line \d+\)$", str(without_lines))


class ShortSecond(ray_ranks._Rank):
    """The second of two ranks has no room for more than two images."""

    def begin(self, config):
        if self._rank == 1:
            short_of_memory(pytest.MonkeyPatch(), most_images=2)
        return super().begin(config)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_of_two_ranks_short_of_memory_does_not_leave_the_other_waiting(config, shared, tmp_path, monkeypatch):
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(ray_ranks, "_Rank", ShortSecond)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        group = placement_group([{"CPU": 1}, {"CPU": 1}])
        monkeypatch.setattr(ray_ranks, "get_current_placement_group", lambda: group)
        ranks = []

        def living_ranks():
            if not (ranks and ranks[-1].are_alive):
                ranks.append(RankActors([{"CPU": 1}, {"CPU": 1}], **shared))
            return ranks[-1]

        run = RankedRun(config, living_ranks, caps=MicroBatchCaps(), scratch=tmp_path)
        result = run.run_epoch()
        assert (run.micro_batches.size, run.micro_batches.accumulation_steps, result.epoch, len(ranks)) == (4, 2, 1, 2)
        assert run.run_epoch().epoch == 2
    finally:
        ray.shutdown()
