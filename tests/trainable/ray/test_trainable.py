"""The class that Ray runs, stepped by hand: what a leg reports, what it leaves on disk, and what a process forgets."""

import errno
import math
import os
import pickle
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import leg
from trainable.config import from_params
from trainable.leg import LegReport, checkpoint_name
from trainable.loop.loop_error import LoopError
from trainable.ray.trainable import REPORT, LegTrainable
from trainable.run import Ending, EpochResult
from trainable.supervision.evaluation import Evaluation
from trainable.tasks.moe import MoeTask
from trainable.tasks.registry import get_task
from trainable.techniques.checkpoint import CheckpointError, read_checkpoint
from trainable.trainer import Trainer
from trainable.training_run import TrainingRun
from trainable.workloads import task_workload

QUIET = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "averaging": True}
NOISY = {"num_experts": 4, "top_k": 2, "router_noise": 0.3, "max_lr": 1e-3, "contrastive": True}
DIVERGING = QUIET | {"max_lr": 1e30, "warmup_fraction": 0.0}
PROCESS = f"{platform.node()}:{os.getpid()}"


def next_report(trial) -> LegReport:
    return trial.train()[REPORT]


def reports_of(trial) -> list[LegReport]:
    """All until the trial is over."""
    reports = [next_report(trial)]
    while reports[-1].ending is None:
        reports.append(next_report(trial))
    return reports


def curve(trial) -> list[dict[str, float]]:
    return [report.result.metrics for report in reports_of(trial) if report.result is not None]


@pytest.fixture
def next_leg(begin, tmp_path):
    """As `begin`, and a function that gives the process its next leg."""

    def reset(process, params, **changes):
        assert process.reset({"leg": leg(params, tmp_path, **changes)})
        return process

    return reset


@pytest.fixture
def folder(tmp_path):
    """Folder of the first trial's checkpoints."""
    return tmp_path / "000-0123abcd"


def test_the_log_of_a_process_says_which_trial_it_trains_from_where(begin, next_leg, capsys):
    process = begin(QUIET)
    next_report(process)
    next_report(process)
    next_report(next_leg(process, QUIET, trial="001-0123abcd"))
    next_report(next_leg(process, QUIET, from_epoch=2))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("trial ")]
    assert said == [
        "trial 000-0123abcd starts",
        "trial 001-0123abcd starts",
        "trial 000-0123abcd goes on after epoch 2",
    ]


def test_a_leg_reports_each_epoch_with_its_process_and_with_the_last_one_that_the_trial_is_complete(begin):
    reports = reports_of(begin(QUIET))
    assert all(isinstance(report, LegReport) and isinstance(report.result, EpochResult) for report in reports)
    assert [report.result.epoch for report in reports] == [1, 2, 3]
    assert [report.ending for report in reports] == [None, None, Ending(outcome="completed")]
    assert all(report.result.objective == report.result.metrics["val/s_measure"] for report in reports)
    assert {(report.process, report.disk_full) for report in reports} == {(PROCESS, None)}


def test_the_checkpoint_of_an_epoch_is_on_disk_when_the_epoch_is_reported(begin, folder):
    trial = begin(QUIET)
    for epoch in (1, 2, 3):
        assert next_report(trial).result.epoch == epoch
        assert read_checkpoint(folder / checkpoint_name(epoch))["epoch"] == epoch


def test_inside_ray_and_standalone_the_curve_is_the_same_to_the_bit(begin, disc_config):
    inside = curve(begin(NOISY))
    config = from_params(NOISY, disc_config)
    run = TrainingRun(config, get_task("moe").open_data(config))
    assert inside == [run.run_epoch().metrics for _ in range(config.max_epochs)]


@pytest.mark.parametrize("num_before", [1, 2])
def test_from_its_checkpoint_a_trial_goes_on_at_the_right_epoch_to_the_bit(begin, num_before):
    whole = begin(NOISY)
    for _ in range(num_before):
        next_report(whole)
    rest = curve(whole)
    assert len(rest) == 3 - num_before
    assert curve(begin(NOISY, from_epoch=num_before)) == rest


def test_one_process_may_train_the_legs_of_two_trials_by_turns(begin, next_leg):
    alone = {"000-aaaaaaaa": curve(begin(NOISY)), "001-bbbbbbbb": curve(begin(QUIET))}
    params, curves = {"000-aaaaaaaa": NOISY, "001-bbbbbbbb": QUIET}, {name: [] for name in alone}
    process = begin(QUIET)
    for epoch in range(3):
        for name in alone:
            next_leg(process, params[name], trial=name, from_epoch=epoch)
            curves[name].append(next_report(process).result.metrics)
    assert curves == alone


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def put_pickled_code(path):
    path.write_bytes(pickle.dumps(print))


def put_torchs_pickled_code(path):
    torch.save({"format": 1, "epoch": subprocess.Popen}, path)


def put_another_format(path):
    torch.save({"format": 9}, path)


DAMAGES = [Path.unlink, cut, empty, put_pickled_code]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_trial_whose_checkpoint_is_lost_or_damaged_starts_over_and_has_the_same_curve(begin, folder, damage, caplog):
    whole = curve(begin(NOISY))
    next_report(begin(NOISY))
    damage(folder / checkpoint_name(1))
    assert curve(begin(NOISY, from_epoch=1)) == whole
    assert "trial 000-0123abcd starts over" in caplog.text
    assert caplog.text.count(checkpoint_name(1)) == 1


@pytest.mark.parametrize("strange", [put_torchs_pickled_code, put_another_format])
def test_a_checkpoint_of_something_else_is_an_error_and_stays_where_it_is(begin, folder, strange):
    next_report(begin(NOISY))
    strange(folder / checkpoint_name(1))
    before = (folder / checkpoint_name(1)).read_bytes()
    with pytest.raises(CheckpointError):
        begin(NOISY, from_epoch=1).step()
    assert (folder / checkpoint_name(1)).read_bytes() == before


def test_a_fault_of_the_disk_while_a_checkpoint_is_read_is_tried_again_and_costs_no_epoch(begin, folder, monkeypatch):
    next_report(begin(NOISY))

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    process = begin(NOISY, from_epoch=1)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", fail)
        with pytest.raises(OSError, match="Input/output"):
            process.step()
    assert next_report(begin(NOISY, from_epoch=1)).result.epoch == 2


def test_a_leg_of_a_trial_that_is_over_reports_how_it_ended_and_no_epoch(begin, folder):
    ended = reports_of(begin(QUIET))[-1]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    report = next_report(begin(QUIET, from_epoch=3))
    assert report == LegReport(ending=ended.ending, process=PROCESS)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_leg_of_a_trial_that_had_plateaued_says_so_with_its_numbers(begin):
    plateau = QUIET | {"early_stopping": True, "patience_epochs": 1, "min_delta": 9.0}
    ended = reports_of(begin(plateau))[-1]
    assert (ended.ending.outcome, ended.result.epoch) == ("plateaued", 2)
    assert next_report(begin(plateau, from_epoch=2)).ending == ended.ending


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported_and_leaves_the_checkpoint_before(begin, folder, monkeypatch, number):
    trial = begin(QUIET)
    next_report(trial)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), "epoch_0002.pt")

    monkeypatch.setattr(torch, "save", refuse)
    report = next_report(trial)
    assert (report.result, report.ending) == (None, None)
    assert os.strerror(number) in report.disk_full
    assert [path.name for path in folder.iterdir()] == [checkpoint_name(1)]


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_file_that_finds_no_room_is_reported_as_a_full_disk(begin, folder):
    """With torch's own writer, onto a device that is always full."""
    trial = begin(QUIET)
    (folder / f".{checkpoint_name(1)}.{os.getpid()}").symlink_to(FULL)
    assert "No space left on device" in next_report(trial).disk_full
    assert list(folder.iterdir()) == []


def test_another_error_of_the_disk_is_an_error(begin, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "epoch_0001.pt")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(PermissionError):
        next_report(begin(QUIET))


def test_a_reused_process_forgets_the_leg_before_to_the_bit(begin, next_leg):
    alone = curve(begin(NOISY))
    reused = begin(QUIET)
    next_report(reused)
    torch.set_num_threads(2)
    torch.rand(5)
    next_leg(reused, NOISY, trial="001-4567cdef")
    assert torch.get_num_threads() == 2
    assert curve(reused) == alone
    assert torch.get_num_threads() == 1


def test_a_machine_with_other_data_than_the_search_began_with_is_named_and_trains_nothing(begin, disc_config):
    known = get_task("moe").open_data(disc_config).fingerprint
    assert next_report(begin(QUIET, fingerprint=known)).result.epoch == 1
    sentence = rf"on {platform.node()} is not what the search started with \(train, all differ\); give every machine"
    with pytest.raises(ValueError, match=sentence):
        begin(QUIET, fingerprint=known | {"train": "00" * 32, "all": "11" * 32})


def test_a_reused_process_opens_its_data_once(begin, next_leg, monkeypatch):
    trial = begin(QUIET)
    monkeypatch.setattr(MoeTask, "open_data", None)
    assert next_report(next_leg(trial, NOISY)).result.epoch == 1


def test_a_trial_that_diverges_ends_with_the_term_that_did_it_and_without_a_result(begin):
    last = reports_of(begin(DIVERGING))[-1]
    assert (last.result, last.ending.outcome) == (None, "diverged")
    term = last.ending.numbers["term"]
    assert term in ("loss", "gradient", "aux_loss") or term.startswith("val/")
    assert last.ending.numbers["value"] in ("nan", "inf")
    assert last.ending.numbers["step"] >= 1


def test_a_validation_metric_that_is_not_finite_ends_the_trial_and_nothing_of_it_is_saved(begin, folder, monkeypatch):
    monkeypatch.setattr(Trainer, "evaluate", lambda *_, **__: Evaluation({"loss": 0.1}, {"s_measure": math.nan}))
    report = next_report(begin(QUIET))
    assert report.ending.outcome == "diverged"
    assert (report.ending.numbers["term"], report.ending.numbers["value"]) == ("val/s_measure", "nan")
    assert list(folder.iterdir()) == []


def test_a_process_goes_on_with_other_trials_after_one_that_diverged(begin, next_leg):
    alone = curve(begin(NOISY))
    trial = begin(DIVERGING)
    reports_of(trial)
    assert curve(next_leg(trial, NOISY, trial="001-4567cdef")) == alone


def out_of_memory(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 of which 1.50 GiB is free.")


def test_a_trial_that_runs_out_of_memory_ends_with_its_numbers_and_keeps_the_epoch_before(begin, monkeypatch, folder):
    trial = begin(QUIET | {"batch_size": 1})
    next_report(trial)
    monkeypatch.setattr(Trainer, "train_epoch", out_of_memory)
    report = next_report(trial)
    numbers = {"asked_bytes": 2 * 2**30, "available_bytes": 3 * 2**29}
    assert report == LegReport(ending=Ending(outcome="out_of_memory", numbers=numbers), process=PROCESS)
    assert [path.name for path in folder.iterdir()] == [checkpoint_name(1)]


def test_out_of_memory_while_the_network_is_built_ends_the_trial_too(begin, monkeypatch):
    monkeypatch.setattr(task_workload, "TrainingRun", out_of_memory)
    report = next_report(begin(QUIET))
    assert (report.ending.outcome, report.result) == ("out_of_memory", None)


def test_a_shortage_without_numbers_is_reported_in_its_own_words(begin, monkeypatch):
    error = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"

    def refuse(*_, **__):
        raise RuntimeError(error)

    monkeypatch.setattr(task_workload, "TrainingRun", refuse)
    assert next_report(begin(QUIET)).ending.numbers["error"] == error


def memory_for(monkeypatch, num_images):
    """Larger micro-batches do not fit while training."""
    real = Trainer._losses

    def losses(self, images, targets):
        if self.model.training and len(images) > num_images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(self, images, targets)

    monkeypatch.setattr(Trainer, "_losses", losses)


def test_a_process_remembers_what_fits_and_another_does_not_know(begin, next_leg, monkeypatch, caplog):
    trial = begin(QUIET | {"batch_size": 8})
    with monkeypatch.context() as patch:
        memory_for(patch, 4)
        assert next_report(trial).result.metrics["train/micro_batch"] == 4
    assert "out of memory with micro-batches of 8" in caplog.text
    next_leg(trial, QUIET | {"batch_size": 8}, trial="001-4567cdef")
    assert next_report(trial).result.metrics["train/micro_batch"] == 4
    assert next_report(begin(QUIET | {"batch_size": 8})).result.metrics["train/micro_batch"] == 8


def test_a_configuration_that_cannot_be_is_an_error_of_its_own_and_not_an_outcome(begin):
    with pytest.raises(ValueError, match="max_lr is -1"):
        next_report(begin(QUIET | {"max_lr": -1.0}))


NETS_OF_A_TRIAL = """
import torch

class Own(torch.nn.Conv2d):
    def __init__(self, fails_on="nothing"):
        super().__init__(3, 1, 1)
        self.fails_on = fails_on
    def forward(self, images):
        if self.fails_on == "all" or (self.fails_on == "light" and images.any()):
            raise KeyError("masks")
        if self.fails_on == "device" and images.any():
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        return super().forward(images)
"""


@pytest.fixture
def own_network(begin, tmp_path, monkeypatch):
    """A function that begins a trial of a network of the user's own, which raises an error at such images."""
    (tmp_path / "nets_of_a_trial.py").write_text(NETS_OF_A_TRIAL)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda fails_on: begin({"network": "nets_of_a_trial:Own", "network.fails_on": fails_on})
    sys.modules.pop("nets_of_a_trial", None)


@pytest.mark.parametrize("fails_on", ["light", "all"])
def test_an_error_in_a_users_network_is_reported_with_its_line_and_not_retried(own_network, fails_on):
    with pytest.raises(LoopError) as error:
        next_report(own_network(fails_on))
    assert "KeyError: 'masks'" in str(error.value).splitlines()[-1]
    assert str(error.value).endswith("(nets_of_a_trial.py, line 10)")


def test_an_error_of_the_device_in_a_network_of_ones_own_may_pass(own_network):
    with pytest.raises(torch.AcceleratorError, match="unspecified launch failure"):
        next_report(own_network("device"))


def requested(**shared):
    return type("Asked", (LegTrainable,), shared).default_resource_request({})


@pytest.mark.parametrize(("gpus", "bundle"), [(0.0, {"CPU": 2.0}), (0.5, {"CPU": 2.0, "GPU": 0.5})])
def test_a_trial_of_one_process_asks_for_its_share_of_the_machine(gpus, bundle):
    request = requested(cpus_per_rank=2.0, gpus_per_rank=gpus, ranks=1)
    assert request.bundles == [bundle]
    assert request.required_resources == bundle


def test_a_trial_of_several_processes_asks_for_each_on_one_machine_and_for_nothing_beside(begin):
    request = requested(cpus_per_rank=3.0, gpus_per_rank=1.0, ranks=2)
    assert request.required_resources == {"CPU": 6.0, "GPU": 2.0}
    assert [bundle for bundle in request.bundles if bundle] == [{"CPU": 3.0, "GPU": 1.0}] * 2
    assert request.strategy == "STRICT_PACK"
    assert request.head_bundle_is_empty


def test_the_state_of_a_trial_is_shown_on_rays_metrics_port_under_its_name(begin):
    shown = {}
    trial = begin(NOISY, trial="029-7682ec2b")
    for name, gauge in trial._gauges.items():
        gauge.set = lambda value, tags, name=name: shown.setdefault(name, (value, tags))
    result = next_report(trial).result
    assert {name: value for name, (value, _) in shown.items()} == {
        "objective": result.objective,
        "epoch": 1.0,
        "lowest_expert_usage": min(result.metrics[f"moe/usage_{expert}"] for expert in range(4)),
    }
    assert all(tags == {"search": "moe/spring", "trial": "029-7682ec2b"} for _, tags in shown.values())


def test_the_name_on_the_dashboard_says_what_is_searched(begin):
    assert repr(begin(QUIET)) == "MoeTrial(moe/spring)"


def test_a_report_can_be_sent_to_a_process_that_has_no_torch_yet(begin, tmp_path):
    """The driver of a search reads reports of trials on other machines."""
    report = next_report(begin(QUIET))
    (tmp_path / "report").write_bytes(pickle.dumps(report))
    code = (
        "import pickle, sys, pathlib; from trainable.leg import LegReport; assert 'torch' not in sys.modules; "
        "print(pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()).result.epoch)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "report")], capture_output=True, check=True)
    assert done.stdout.strip() == b"1"
