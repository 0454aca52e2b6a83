"""The class that Ray runs, stepped by hand: what a reused process must forget, and what a trial says when it ends."""

import math
import platform

import pytest
import torch
from ray import tune
from ray.train._internal.session import _TrainingResult as TrainingResult

from trainable import ray_trainable
from trainable.config import from_params
from trainable.ray_trainable import CHECKPOINT, OBJECTIVE
from trainable.tasks.registry import get_task
from trainable.trainer import OptimizedTrainer
from trainable.training_run import TrainingRun

QUIET = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "averaging": True}
NOISY = {"num_experts": 4, "top_k": 2, "router_noise": 0.3, "max_lr": 1e-3, "contrastive": True}


def curve(trial):
    results = []
    while not (results and results[-1]["done"]):
        results.append(trial.train())
    return [{name: value for name, value in result.items() if "/" in name} for result in results]


def test_a_trial_gives_one_result_an_epoch_and_says_in_the_last_one_that_it_is_complete(begin):
    results = [(trial := begin(QUIET)).train(), trial.train(), trial.train()]
    assert [(result["epoch"], result["done"], result.get("outcome")) for result in results] == [
        (1, False, None),
        (2, False, None),
        (3, True, "completed"),
    ]
    assert all(result[OBJECTIVE] == result["val/s_measure"] for result in results)


def test_inside_ray_and_standalone_the_curve_is_the_same_to_the_bit(begin, disc_config):
    inside = curve(begin(NOISY))
    config = from_params(NOISY, disc_config)
    run = TrainingRun(config, get_task("moe").open_data(config))
    assert inside == [run.run_epoch().metrics for _ in range(config.max_epochs)]


def test_a_reused_process_forgets_the_trial_before_to_the_bit(begin):
    alone = curve(begin(NOISY))
    reused = begin(QUIET)
    reused.train()
    torch.set_num_threads(2)
    torch.rand(5)
    assert reused.reset(NOISY)
    assert torch.get_num_threads() == 2
    assert curve(reused) == alone
    assert torch.get_num_threads() == 1


def test_a_machine_with_other_data_than_the_search_began_with_is_named_and_trains_nothing(begin, disc_config):
    known = get_task("moe").open_data(disc_config).fingerprint
    assert begin(QUIET, known).train()["epoch"] == 1
    sentence = rf"on {platform.node()} is not what the search began with \(train, all differ\); give every machine"
    with pytest.raises(ValueError, match=sentence):
        begin(QUIET, known | {"train": "00" * 32, "all": "11" * 32})


def test_a_reused_process_opens_its_data_once(begin, monkeypatch):
    trial = begin(QUIET)
    monkeypatch.setattr(type(trial._task), "open_data", None)
    assert trial.reset(NOISY)
    assert trial.train()["epoch"] == 1


def test_restored_from_its_checkpoint_a_trial_goes_on_at_the_right_epoch_to_the_bit(begin, tmp_path):
    uninterrupted = begin(NOISY)
    uninterrupted.train()
    uninterrupted.save_checkpoint(str(tmp_path))
    rest = curve(uninterrupted)
    restored = begin(NOISY)
    restored.load_checkpoint(str(tmp_path))
    assert curve(restored) == rest
    assert len(rest) == 2


def test_where_ray_asks_for_a_checkpoint_that_made_room_the_next_one_takes_its_place(begin, tmp_path):
    uninterrupted = begin(NOISY)
    uninterrupted.train()
    uninterrupted.save_checkpoint(str(tmp_path / "checkpoint_000004"))
    (tmp_path / "checkpoint_000005").mkdir()  # A kill left it half written.
    rest = curve(uninterrupted)
    for _ in range(2):
        trial = begin(NOISY)
        trial.restore(TrainingResult(tune.Checkpoint(str(tmp_path / "checkpoint_000003")), {}))
        assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["3", "5"]
        assert curve(trial) == rest


def test_an_epoch_that_ray_may_not_have_heard_of_is_told_once_more(begin, tmp_path):
    """Killed after the second checkpoint: Ray asks for the first, and would count the third epoch as the second."""
    uninterrupted = begin(NOISY)
    results = [uninterrupted.train(), uninterrupted.train()]
    uninterrupted.save_checkpoint(str(tmp_path / "checkpoint_000001"))
    results.append(uninterrupted.train())
    trial = begin(NOISY)
    trial.restore(TrainingResult(tune.Checkpoint(str(tmp_path / "checkpoint_000000")), results[0]))
    told = [trial.train(), trial.train()]
    assert [(result["epoch"], result[OBJECTIVE]) for result in told] == [
        (result["epoch"], result[OBJECTIVE]) for result in results[1:]
    ]


def test_a_trial_without_a_checkpoint_left_begins_anew(begin, tmp_path, caplog):
    alone, trial = curve(begin(NOISY)), begin(NOISY)
    trial.restore(TrainingResult(tune.Checkpoint(str(tmp_path / "checkpoint_000002")), {}))
    assert curve(trial) == alone
    assert "begins anew: none of its checkpoints is left" in caplog.text


def test_a_trial_that_diverges_ends_with_the_worst_objective_and_the_term_that_did_it(begin):
    results = [(trial := begin(QUIET | {"max_lr": 1e30, "warmup_fraction": 0.0})).train()]
    while not results[-1]["done"]:
        results.append(trial.train())
    last = results[-1]
    assert (last["outcome"], last[OBJECTIVE]) == ("diverged", 0.0)
    assert last["outcome_term"] in ("loss", "gradient", "aux_loss") or last["outcome_term"].startswith("val/")
    assert last["outcome_value"] in ("nan", "inf")
    assert last["outcome_step"] >= 1
    assert all(math.isfinite(value) for result in results for value in result.values() if isinstance(value, float))


def test_after_a_trial_that_diverged_the_process_trains_the_next_as_ever(begin, tmp_path):
    alone = curve(begin(NOISY))
    trial = begin(QUIET | {"max_lr": 1e30, "warmup_fraction": 0.0})
    while not trial.train()["done"]:
        pass
    trial.save_checkpoint(str(tmp_path))
    trial.reset(NOISY)
    assert curve(trial) == alone


def out_of_memory(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 of which 1.50 GiB is free.")


def test_a_trial_that_runs_out_of_memory_ends_with_its_numbers_and_lets_go_of_the_run(begin, monkeypatch, tmp_path):
    trial = begin(QUIET | {"batch_size": 1})
    trial.train()
    with monkeypatch.context() as patch:
        patch.setattr(OptimizedTrainer, "train_epoch", out_of_memory)
        last = trial.train()
    assert (last["outcome"], last["done"], last[OBJECTIVE]) == ("out_of_memory", True, 0.0)
    assert (last["outcome_asked_bytes"], last["outcome_available_bytes"]) == (2 * 2**30, 3 * 2**29)
    assert last["epoch"] == 2
    trial.save_checkpoint(str(tmp_path))
    assert not (tmp_path / CHECKPOINT).exists()


def test_out_of_memory_while_the_network_is_built_ends_the_trial_too(begin, monkeypatch):
    monkeypatch.setattr(ray_trainable, "TrainingRun", out_of_memory)
    last = begin(QUIET).train()
    assert (last["outcome"], last["epoch"]) == ("out_of_memory", 1)


def test_a_shortage_without_numbers_is_told_in_its_own_words(begin, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(ray_trainable, "TrainingRun", refuse)
    last = begin(QUIET).train()
    assert last["outcome_error"] == "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"


def test_a_configuration_that_cannot_be_is_an_error_of_its_own_and_not_an_outcome(begin):
    with pytest.raises(ValueError, match="max_lr is -1"):
        begin(QUIET | {"max_lr": -1.0}).train()


def test_the_state_of_a_trial_is_shown_on_rays_metrics_port_under_its_name(begin):
    shown = {}
    trial = begin(NOISY)
    for name, gauge in trial._gauges.items():
        gauge.set = lambda value, tags, name=name: shown.setdefault(name, (value, tags))
    result = trial.train()
    assert {name: value for name, (value, _) in shown.items()} == {
        "objective": result[OBJECTIVE],
        "epoch": 1.0,
        "lowest_expert_usage": min(result[f"moe/usage_{expert}"] for expert in range(4)),
    }
    assert all(tags == {"search": "spring", "trial": trial.trial_id} for _, tags in shown.values())


def test_the_name_on_the_dashboard_says_what_is_searched(begin):
    assert repr(begin(QUIET)) == "BoundTrial(spring)"
