"""The plan of a search before Ray starts, its end when nothing trains, and its traces in the process."""

import json
import os
import signal
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import torch
from optuna.trial import FixedTrial
from ray.tune.execution import class_cache

from tests.tuner.played_session import Player, space
from tests.tuner.test_session import new_search
from trainable.run import run_epochs
from trainable.run_setup import open_run
from trainable.tasks.registry import get_task
from tuner import run
from tuner.ending import steps
from tuner.ending.steps import NO_RESULT
from tuner.export import exported_config_of
from tuner.planning.plan import plan_as_given
from tuner.policy.outcomes import Outcome
from tuner.ray.cluster import RunningRay
from tuner.ray.signals import TAKEN
from tuner.records import Recorder, TrialResources, read_search
from tuner.run import recorded_settings, run_search
from tuner.search import _settings
from tuner.search_options import search_parser
from tuner.settings import SearchSettings
from tuner.storage.mirror import Mirror


@pytest.fixture
def settings(disc_folder, tmp_path):
    pinned = {"pyramid_channels": 8, "backbone": "small"}
    return SearchSettings(data=str(disc_folder), storage=tmp_path, name="run", max_epochs=6, confirm=0, pinned=pinned)


def continued_by(said):
    return next(line for line in said.splitlines() if line.startswith("Continue the search")).split(maxsplit=3)[3]


def first_config(plan):
    return plan.config_of(FixedTrial(plan.pinned_space.points_to_evaluate()[0]))


def test_a_plan_holds_the_data_the_budget_and_the_rungs(settings):
    plan = plan_as_given(settings)
    splits = get_task("moe").open_data(plan.base)
    assert plan.data_fingerprint == splits.fingerprint
    assert (plan.max_epochs, plan.rungs) == (6, (2, 4))
    assert plan.base.data.source == settings.data


def test_the_micro_batch_follows_the_memory_of_the_gpu_unless_it_is_fixed(settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=42_300_000_000))
    assert first_config(plan_as_given(settings)).batch_size == 16
    assert first_config(plan_as_given(replace(settings, gpus_per_trial=0.5))).batch_size == 8
    assert first_config(plan_as_given(replace(settings, gpus_per_trial=0))).batch_size == 8
    assert first_config(plan_as_given(replace(settings, pinned={"batch_size": 4, "backbone": "small"}))).batch_size == 4


def test_random_search_at_full_length_has_no_rungs(settings):
    assert plan_as_given(replace(settings, scheduler="asha")).rungs == plan_as_given(settings).rungs
    assert plan_as_given(replace(settings, scheduler="none")).rungs == ()


def test_a_sampler_of_ones_own_is_recorded_with_its_file(settings, tmp_path, monkeypatch):
    file = tmp_path / "my_samplers.py"
    file.write_text("from optuna.samplers import RandomSampler\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    asked = replace(settings, sampler=f"{file}:RandomSampler")
    resources = TrialResources(concurrent=1, cpus_per_trial=1.0, gpus_per_trial=0.0)
    recorded = recorded_settings(asked, plan_as_given(asked), resources)
    assert (recorded.sampler, recorded.sampler_reference.file) == ("my_samplers:RandomSampler", str(file))
    # Trials and exports do without it.
    assert recorded.references == ()


def test_the_seed_of_the_search_is_that_of_every_training(settings):
    assert first_config(plan_as_given(replace(settings, seed=11))).seed == 11


def test_what_is_fixed_holds_in_every_configuration_whether_the_space_knows_it_or_not(settings):
    pinned = {"max_lr": 1e-3, "pyramid_channels": 16, "precision": "fp32", "long_side_px": 32, "backbone": "small"}
    plan = plan_as_given(replace(settings, pinned=pinned))
    config = first_config(plan)
    assert (config.optimizer.max_lr, config.model.pyramid_channels) == (1e-3, 16)
    assert (config.precision, config.data.long_side_px) == ("fp32", 32)
    assert not any("max_lr" in point for point in plan.pinned_space.points_to_evaluate())


def test_data_that_is_named_from_here_is_found_from_everywhere(settings, disc_folder, monkeypatch):
    monkeypatch.chdir(disc_folder.parent)
    plan = plan_as_given(replace(settings, data=disc_folder.name))
    assert Path(plan.base.data.source) == disc_folder


def test_weights_that_are_named_from_here_are_found_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.pt").write_bytes(b"weights")
    named = {}
    for weights in ("own.pt", "imagenet", "gone.pt"):
        options = search_parser().parse_args(["--set", f"weights={weights}"])
        named[weights] = _settings(options).pinned["weights"]
    assert named == {"own.pt": str(tmp_path / "own.pt"), "imagenet": "imagenet", "gone.pt": "gone.pt"}


def test_large_objects_are_trained_on_whole_images(settings):
    assert first_config(plan_as_given(settings)).crop is None


def test_a_parameter_that_neither_space_nor_configuration_knows_is_refused_with_the_nearest(settings):
    with pytest.raises(ValueError, match="pyramid_chanels is not a parameter; did you mean pyramid_channels"):
        plan_as_given(replace(settings, pinned={"pyramid_chanels": 8}))


class Unheard:
    """A listener that does nothing, in the place of what would be measured of real data."""

    def on_event(self, search, event):
        pass

    def close(self):
        pass

    def finish(self):
        pass


@pytest.fixture
def played(tmp_path, monkeypatch):
    """A search to be confirmed whose trials are played; `interrupted` says whether Ctrl-C comes after the last."""

    def search(*, interrupted: bool = False, mirror: Mirror | None = None, **changes) -> int:
        def play(session, *_, on_step, **__):
            on_step()
            Player(session).play()
            if interrupted:
                raise KeyboardInterrupt

        monkeypatch.setattr(run, "run_legs", play)
        monkeypatch.setattr(run, "Baselines", lambda *_, **__: Unheard())
        folder = new_search(tmp_path / "run", scheduler="none", num_trials=3, confirm=2, **changes)
        plan = SimpleNamespace(pinned_space=space, base=None)
        with closing(Recorder.resume(folder)) as recorder:
            run._search(recorder, plan, RunningRay(dashboard="", scratch=tmp_path), mirror, seconds=None)
            return run._report(recorder, mirror)

    return search


def test_interrupted_when_the_last_trial_has_ended_a_search_confirms_nothing_and_says_how_to_continue(
    played, monkeypatch, capsys, tmp_path
):
    """Ray is being shut down in this moment, or dead already: whoever asks it would wait for a minute."""
    monkeypatch.setattr(steps, "confirm", lambda *_, **__: pytest.fail("it is confirmed"))
    assert played(interrupted=True) == 130
    assert continued_by(capsys.readouterr().out) == f"python -m tuner.search --resume {tmp_path / 'run'}"
    assert not read_search(tmp_path / "run").is_finished


def test_a_complete_search_is_confirmed_and_ctrl_c_meanwhile_still_writes_the_report(
    played, monkeypatch, capsys, tmp_path
):
    asked = []

    def cut_off(folder, *, top, **_):
        asked.append(top)
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "confirm", cut_off)
    assert played(interrupted=False) == 130
    assert asked == [2]
    assert (tmp_path / "run" / "report.md").is_file()
    assert continued_by(capsys.readouterr().out) == f"python -m tuner.search --resume {tmp_path / 'run'}"


@pytest.mark.parametrize("is_confirming", [False, True])
def test_taken_over_elsewhere_a_search_and_its_confirmation_end_and_name_no_command_that_is_refused(
    played, monkeypatch, capsys, caplog, tmp_path, is_confirming
):
    caplog.set_level("INFO")
    by, mirror = "s3://b is continued by process 7 on elsewhere", Mirror(tmp_path / "run", f"file://{tmp_path}/store")

    def confirm(*_, on_wait, **__):
        mirror.taken_over = by
        on_wait()
        pytest.fail("it goes on")

    monkeypatch.setattr(steps, "confirm", confirm)
    mirror.taken_over = None if is_confirming else by
    assert played(mirror=mirror) == 130
    assert f"{by}, so this search ends; what it has finished is in {tmp_path / 'run'}." in caplog.text
    said = capsys.readouterr().out.splitlines()
    assert next(line for line in said if line.startswith("Interrupted: ")).endswith(f"; {by}.")
    written = [(tmp_path / "run" / name).read_text() for name in ("report.md", "report.html")]
    assert all(by in one for one in written)
    assert not [one for one in (*said, *written) if "--resume" in one]


def test_in_a_stated_time_that_is_used_up_nothing_is_confirmed_and_the_search_is_over(played, monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "confirm", lambda *_, **__: pytest.fail("it is confirmed"))
    assert played(interrupted=False, duration_seconds=1e-3) == 0
    search = read_search(tmp_path / "run")
    assert search.is_finished
    assert search.settings.confirm == 0


SET_BY_OTHERS = {"PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR"}
"""By pytest for each test; by torch once it has imported its compiler."""


def state_of_process():
    """Process state that a search changes and restores."""
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_OTHERS}
    return environment, [signal.getsignal(number) for number in TAKEN], dict(vars(class_cache))


@pytest.fixture(scope="module")
def state_before():
    return state_of_process()


@pytest.fixture(scope="module")
def diverged(disc_folder, tmp_path_factory, state_before):
    """A search in a thread, whose learning rate no weights survive, at full length and with random proposals."""
    settings = SearchSettings(
        data=str(disc_folder),
        storage=tmp_path_factory.mktemp("diverged"),
        name="run",
        num_trials=2,
        max_epochs=3,
        scheduler="none",
        pinned={"max_lr": 1e30, "warmup_fraction": 0.0, "pyramid_channels": 8, "backbone": "small"},
    )
    codes = []
    thread = threading.Thread(target=lambda: codes.append(run_search(settings, plan_as_given(settings))))
    thread.start()
    thread.join()
    assert codes == [NO_RESULT]
    return settings.folder


def test_a_search_in_which_everything_diverges_ends_without_a_winner_and_says_why(diverged):
    search = read_search(diverged)
    assert [trial.outcome for trial in search.trials] == [Outcome.DIVERGED] * 2
    assert all("diverged in epoch 1 at step" in trial.sentence for trial in search.trials)
    assert search.leader is None
    assert search.is_finished


def test_a_diverged_trial_leaves_no_value_that_could_be_compared(diverged):
    assert all(trial.results == {} for trial in read_search(diverged).trials)
    assert "NaN" not in (diverged / "trials.jsonl").read_text()


def test_the_settings_file_says_what_was_asked_for_and_what_was_picked(diverged):
    settings = json.loads((diverged / "settings.json").read_text())
    assert (settings["scheduler"], settings["sampler"]) == ("none", "forecast")
    assert (settings["num_trials"], settings["max_epochs"]) == (2, 3)
    assert (settings["rung_epochs"], settings["objective"], settings["mode"]) == ([], "val/s_measure", "max")
    assert settings["resources"]["concurrent"] >= 1
    assert settings["versions"].keys() >= {"ray", "torch", "python"}
    assert settings["data_fingerprint"].keys() == {"train", "validation", "test", "all"}
    assert settings["version"]


@pytest.mark.slow
def test_a_search_after_one_in_a_thread_trains_as_if_alone_and_neither_leaves_anything_behind(
    settings, diverged, state_before
):
    """In a notebook, for example: no state of one search reaches the next, or the process."""
    again = replace(settings, num_trials=2, max_epochs=2, seed=1)
    assert run_search(again, plan_as_given(again)) == 0
    search = read_search(again.folder)
    assert search.is_finished
    for trial in search.trials:
        alone = open_run(exported_config_of(search, trial, again.folder), "cpu")
        curve = [result.objective for result in run_epochs(alone, on_epoch=lambda result: None)]
        assert [result.objective for result in trial.results.values()] == curve
    assert state_of_process() == state_before
    assert not ray.is_initialized()
