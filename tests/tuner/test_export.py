"""The exported winner: a whole configuration, the very weights that were judged, and the proof."""

import json
import math
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainable.leg import checkpoint_name
from trainable.run_setup import open_run
from trainable.workloads.exported_config import read_exported_config, write_exported_config
from tuner.confirmation.verification import Verification
from tuner.export import export, main, trained_weights, trial_config
from tuner.records import ConfirmedRun, append_run, lock_folder, read_search
from tuner.records.events import TRIALS


@pytest.fixture
def folder(trained_folder, tmp_path):
    """A copy of three recorded trainings, to be changed at will."""
    return shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")


def events(folder):
    return [json.loads(line) for line in (folder / TRIALS).read_text().splitlines()]


def rewrite(folder, changed):
    (folder / TRIALS).write_text("".join(json.dumps(event) + "\n" for event in changed))


def name_of(folder, number):
    return read_search(folder).trials[number].name


def win(folder, number):
    """Makes this trial the winner: the others have no results on record."""
    winner = name_of(folder, number)
    rewrite(folder, [e for e in events(folder) if e["event"] not in ("result", "end") or e["trial"] == winner])


def without_results(folder):
    rewrite(folder, [event for event in events(folder) if event["event"] not in ("result", "end")])


def content(best):
    return {path.name: path.read_bytes() for path in best.iterdir()}


def test_the_configuration_is_the_one_that_the_trial_was_trained_with_and_says_where_it_comes_from(folder):
    exported = read_exported_config(export(folder) / "config.json")
    record = read_search(folder)
    assert exported.config == trial_config(record, record.leader)
    assert (exported.config.averaging is None, exported.config.augmentation) == (False, None)
    assert exported.found_by == {
        "search": "moe/discs",
        "trial": record.trials[1].name,
        "objective": "val/s_measure",
        "precision": "fp32",
    }
    assert exported.data_fingerprint == record.settings.data_fingerprint
    assert exported.versions == record.settings.versions
    assert exported.num_threads == 1


def test_the_working_folder_is_exported_with_its_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert read_exported_config(export(Path()) / "config.json").found_by["search"] == f"moe/{folder.name}"


@pytest.mark.parametrize("number", [0, 1], ids=["plain weights", "averaged weights"])
def test_the_weights_give_the_recorded_metrics_again_to_the_bit(folder, number):
    win(folder, number)
    best = export(folder)
    exported = read_exported_config(best / "config.json")
    config = replace(exported.config, averaging=None)
    run = open_run(replace(exported, config=config), "cpu")
    weights = torch.load(best / "weights.pt", weights_only=True)
    validation = run.task.evaluation_batches(config, run.task.open_data(config).validation, run.device)
    values = run.trainer.evaluate(validation, metrics=run.task.build_metrics(config, final=False), weights=weights)
    measured = {f"val/{name}": value for name, value in values.flat.items()}
    recorded = json.loads((best / "metrics.json").read_text())
    assert (recorded["trial"], recorded["epoch"]) == (name_of(folder, number), 3)
    assert recorded["objective"] == measured["val/s_measure"]
    assert {name: recorded["metrics"][name] for name in measured} == measured


def test_verified_the_winner_trains_to_the_same_curve_to_the_bit(folder, capsys):
    assert main([str(folder), "--verify"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "3 epochs compared, largest difference 0: the same to the bit"
    assert len([line for line in said if line.startswith("epoch")]) == 3


def test_a_record_that_was_altered_in_the_ninth_digit_is_not_verified(folder, capsys):
    changed, winner = events(folder), name_of(folder, 1)
    for event in changed:
        if event["event"] == "result" and (event["trial"], event["epoch"]) == (winner, 2):
            event["objective"] += 1e-9
    rewrite(folder, changed)
    assert main([str(folder), "--verify"]) == 1
    assert "largest difference 1e-09: DIFFERENT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("retrained", "difference"), [([0.5, 0.6], 0.0), ([0.5, 0.625], 0.025), ([0.5], math.inf), ([], math.inf)]
)
def test_a_curve_that_ended_earlier_is_another_one(retrained, difference):
    assert Verification(searched=[0.5, 0.6], retrained=retrained).largest_difference == pytest.approx(difference)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_a_tolerance_is_a_share_of_the_objective_whatever_its_size(scale):
    searched = [0.4 * scale, 0.5 * scale, 0.6 * scale]
    for off, is_same in ((0.009, True), (0.011, False)):
        retrained = [searched[0], searched[1], searched[2] + off * scale]
        assert Verification(searched=searched, retrained=retrained).is_within(0.02) is is_same
    assert Verification(searched=searched, retrained=searched).is_within(0.0)


def test_a_winner_that_was_cut_off_is_compared_as_far_as_it_came(folder, capsys):
    win(folder, 2)
    assert main([str(folder), "--verify"]) == 0
    assert "2 epochs compared" in capsys.readouterr().out


def test_an_epoch_whose_record_a_kill_prevented_is_not_exported(folder):
    """Its checkpoint is next to that of the last epoch on record."""
    win(folder, 2)
    place = folder / "checkpoints" / name_of(folder, 2)
    (place / checkpoint_name(3)).write_bytes(b"half a checkpoint")
    recorded = json.loads((export(folder) / "metrics.json").read_text())
    last = read_search(folder).trials[2].last
    assert (recorded["epoch"], recorded["objective"], recorded["metrics"]) == (2, last.objective, last.metrics)


def test_exported_twice_the_files_are_the_same(folder):
    first = content(export(folder))
    assert content(export(folder)) == first
    assert first.keys() == {"config.json", "weights.pt", "metrics.json", "README.md"}


def test_a_winner_without_weights_leaves_the_files_of_an_earlier_one_as_they_were(folder):
    before = content(export(folder))
    win(folder, 0)
    shutil.rmtree(folder / "checkpoints" / name_of(folder, 0))
    with pytest.raises(ValueError, match=f"Trial {name_of(folder, 0)} has no checkpoint of its last epoch, 3, in"):
        export(folder)
    assert content(folder / "best") == before


def to_a_store(folder, store):
    """The machine that searched is lost: its checkpoints are in the store alone."""
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(settings | {"store": f"file://{store}"}))
    shutil.move(folder / "checkpoints", store / "checkpoints")


def test_a_checkpoint_that_only_the_store_has_is_fetched(folder, tmp_path):
    weights = content(export(folder))["weights.pt"]
    to_a_store(folder, tmp_path / "store")
    assert content(export(folder))["weights.pt"] == weights
    shutil.rmtree(folder / "checkpoints")
    record = read_search(folder)
    assert trained_weights(folder, record.leader).keys() == torch.load(folder / "best/weights.pt").keys()


def test_a_checkpoint_that_the_store_has_not_or_that_cannot_be_fetched_is_reported_with_the_store(
    folder, tmp_path, caplog
):
    to_a_store(folder, tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(ValueError, match=f", nor was one fetched from file://{tmp_path}/store: restore it"):
        trained_weights(folder, read_search(folder).leader)
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(settings | {"store": "reference://bucket/a"}))
    with pytest.raises(ValueError, match="nor was one fetched from reference://bucket/a"):
        trained_weights(folder, read_search(folder).leader)
    assert "can't be fetched from reference://bucket/a: TypeError: " in caplog.text


def test_what_was_chosen_on_several_seeds_is_exported(folder):
    for number, value in ((0, 0.9), (1, 0.8)):
        for seed in (1000, 1001):
            append_run(
                folder,
                ConfirmedRun(trial=name_of(folder, number), seed=seed, objective=0.1, test={}, validation=value),
            )
    assert read_exported_config(export(folder) / "config.json").found_by["trial"] == name_of(folder, 0)


class Killed(BaseException):
    """An exception that nothing catches."""


def kill_at(monkeypatch, target, name, when):
    """The process is killed at the call of `target.name` for which `when` is true."""
    call = getattr(target, name)

    def guarded(*arguments, **options):
        if when(*arguments):
            raise Killed
        return call(*arguments, **options)

    monkeypatch.setattr(target, name, guarded)


STEPS = {
    "writing the weights": (torch, "save", lambda *_: True),
    "writing the metrics": (Path, "write_text", lambda path, *_: path.name == "metrics.json"),
    "moving the former away": (Path, "rename", lambda path, *_: path.name == "best"),
    "putting the new in its place": (Path, "rename", lambda path, *_: path.name == ".best"),
    "removing the former": (shutil, "rmtree", lambda path, *_: path.name == ".best.old" and path.exists()),
}


def visible(folder):
    """The complete export: in `best`, or between two renames in the folder of the previous one."""
    return content(folder / "best" if (folder / "best").exists() else folder / ".best.old")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_an_export_leaves_one_winner_whole_and_the_next_one_completes(folder, monkeypatch, step):
    chosen = name_of(folder, 0)
    former = content(export(folder))
    runs = [(0, 0.9), (0, 0.9), (1, 0.8), (1, 0.8)]
    for seed, (number, value) in enumerate(runs):
        run = {"trial": name_of(folder, number), "seed": seed % 2, "objective": 0.1, "test": {}, "validation": value}
        append_run(folder, ConfirmedRun(**run))
    fresh = shutil.copytree(folder, folder.parents[1] / "fresh" / folder.name)
    new = content(export(fresh))
    with monkeypatch.context() as patch:
        kill_at(patch, *STEPS[step])
        with pytest.raises(Killed):
            export(folder)
    assert visible(folder) in (former, new)
    assert former != new
    assert content(export(folder)) == new
    assert json.loads((folder / "best" / "metrics.json").read_text())["trial"] == chosen
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".best")]


def test_what_a_killed_export_had_finished_is_put_in_place_although_nothing_can_be_exported_now(folder):
    new = content(export(folder))
    (folder / "best").rename(folder / ".best")
    shutil.copytree(folder / ".best", folder / ".best.old")
    (folder / ".best.old" / "metrics.json").write_text("{}")
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(ValueError, match="has no checkpoint"):
        export(folder)
    assert content(folder / "best") == new


def test_a_search_that_was_moved_exports_as_before(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert (export(tmp_path / "elsewhere") / "weights.pt").exists()


def test_other_data_is_refused_before_anything_is_trained(folder, capsys):
    settings = json.loads((folder / "settings.json").read_text())
    settings["data_fingerprint"] |= {"test": "00" * 32}
    (folder / "settings.json").write_text(json.dumps(settings))
    assert main([str(folder), "--verify"]) == 2
    said = capsys.readouterr()
    assert "is not what this configuration was found on (test differ)" in said.err
    assert "epoch" not in said.out


def test_a_verification_that_runs_out_of_memory_is_a_sentence(folder, capsys, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("tuner.confirmation.verification.open_run", full)
    assert main([str(folder), "--verify"]) == 2
    assert capsys.readouterr().err.endswith("error: CUDA out of memory. Tried to allocate 2.00 GiB.\n")


def test_a_verification_that_cannot_be_done_leaves_a_script_nothing_to_read(folder, capsys):
    settings = json.loads((folder / "settings.json").read_text())
    settings["data_fingerprint"] |= {"test": "00" * 32}
    (folder / "settings.json").write_text(json.dumps(settings))
    assert main([str(folder), "--verify", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "is not what this configuration was found on" in said.err


def test_at_a_full_disk_a_sentence_names_the_folder_and_the_former_export_stays(folder, monkeypatch, capsys):
    former = content(export(folder))

    def write(path, exported):
        write_exported_config(path, exported)
        for name in ("weights.pt", f".weights.pt.{os.getpid()}"):
            path.with_name(name).symlink_to("/dev/full")

    monkeypatch.setattr("tuner.export.write_exported_config", write)
    assert main([str(folder)]) == 2
    said = f"error: {folder / 'best'}: No space left on device; make room there, and run the command again.\n"
    assert capsys.readouterr().err == said
    assert content(folder / "best") == former
    assert not list(folder.glob(".best*"))


WRONG = {
    "no search": (lambda folder: (folder / "settings.json").unlink(), "holds no search"),
    "nothing measured": (without_results, "has no trial with a finite objective"),
    "checkpoint gone": (lambda folder: shutil.rmtree(folder / "checkpoints"), "Trial 001-.* has no checkpoint of its"),
}


@pytest.mark.parametrize(("spoil", "sentence"), WRONG.values(), ids=WRONG)
def test_a_folder_without_a_winner_to_export_is_a_sentence(folder, spoil, sentence, capsys):
    spoil(folder)
    with pytest.raises(ValueError, match=sentence):
        export(folder)
    assert main([str(folder)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_folder_in_use_is_refused_and_left_as_it_was(folder, capsys):
    with lock_folder(folder):
        assert main([str(folder)]) == 2
    assert "is in use by process" in capsys.readouterr().err
    assert not (folder / "best").exists()


def test_a_missing_folder_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "gone")]) == 2
    assert "holds no search" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()


def test_a_program_of_torch_export_is_written_beside_the_weights_with_its_difference(folder, capsys):
    settings = json.loads((folder / "settings.json").read_text())
    settings["base_config"]["trained_size_px"] = [48, 48]
    (folder / "settings.json").write_text(json.dumps(settings))
    assert main([str(folder), "--torch-export"]) == 0
    assert re.search(r"best/model\.pt2: differs from the network by at most \S+ in a logit", capsys.readouterr().out)
    assert (folder / "best" / "model.pt2").is_file()
    export(folder)
    assert not (folder / "best" / "model.pt2").exists(), "of an export before this one"
