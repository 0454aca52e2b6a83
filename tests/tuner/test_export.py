"""What the winner is handed over as: a whole configuration, the very weights that were judged, and the proof."""

import json
import shutil

import pytest
import torch

from trainable.handover import read_handover
from trainable.opening import open_run
from trainable.tasks.registry import get_task
from tuner.export import export, main, trial_config
from tuner.records import TRIALS, read_search


@pytest.fixture
def folder(trained_folder, tmp_path):
    """A copy of three recorded trainings, to be changed at will."""
    return shutil.copytree(trained_folder, tmp_path / "results" / "moe" / "discs")


def events(folder):
    return [json.loads(line) for line in (folder / TRIALS).read_text().splitlines()]


def rewrite(folder, changed):
    (folder / TRIALS).write_text("".join(json.dumps(event) + "\n" for event in changed))


def only_trial(folder, number):
    rewrite(folder, [event for event in events(folder) if event["trial"] == f"t{number:04d}"])


def test_the_configuration_is_the_one_that_the_trial_was_trained_with_and_says_where_it_comes_from(folder):
    handover = read_handover(export(folder) / "config.json")
    record = read_search(folder)
    assert handover.config == trial_config(record, record.winner)
    assert (handover.config.averaging is None, handover.config.augmentation) == (False, None)
    assert handover.found_by == {
        "search": "moe/discs",
        "trial": 1,
        "objective": "val/s_measure",
        "precision": "fp32",
    }
    assert handover.data_fingerprint == record.settings["data_fingerprint"]
    assert handover.versions == record.settings["versions"]
    assert handover.num_threads == 1


@pytest.mark.parametrize("number", [0, 1], ids=["plain weights", "averaged weights"])
def test_the_weights_give_the_recorded_metrics_again_to_the_bit(folder, number):
    only_trial(folder, number)
    best = export(folder)
    run = open_run(read_handover(best / "config.json"), "cpu")
    run.trainer.averaging = None
    run.trainer.model.load_state_dict(torch.load(best / "weights.pt", weights_only=True), strict=True)
    measured = run.trainer.validate(run._validation, metrics=get_task("moe").build_metrics(run.config, final=False))
    recorded = json.loads((best / "metrics.json").read_text())
    assert (recorded["trial"], recorded["epoch"]) == (number, 3)
    assert recorded["objective"] == measured["s_measure"]
    assert {name: recorded["metrics"][f"val/{name.removeprefix('val_')}"] for name in measured} == measured


def test_verified_the_winner_trains_to_the_same_curve_to_the_bit(folder, capsys):
    assert main([str(folder), "--verify"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "3 epochs compared, largest difference 0: the same to the bit"
    assert len([line for line in said if line.startswith("epoch")]) == 3


def test_a_record_that_was_altered_in_the_ninth_digit_is_not_verified(folder, capsys):
    changed = events(folder)
    for event in changed:
        if event["event"] == "result" and (event["trial"], event["epoch"]) == ("t0001", 2):
            event["objective"] += 1e-9
    rewrite(folder, changed)
    assert main([str(folder), "--verify"]) == 1
    assert "largest difference 1e-09: DIFFERENT" in capsys.readouterr().out


def test_a_winner_that_was_cut_off_is_compared_as_far_as_it_came(folder, capsys):
    only_trial(folder, 2)
    assert main([str(folder), "--verify"]) == 0
    assert "2 epochs compared" in capsys.readouterr().out


def test_weights_come_with_the_metrics_of_their_own_epoch_when_the_last_was_not_saved(folder):
    rewrite(folder, [e for e in events(folder) if (e["event"], e.get("epoch")) != ("checkpoint", 3)])
    recorded = json.loads((export(folder) / "metrics.json").read_text())
    second = read_search(folder).winner.results[2]
    assert (recorded["trial"], recorded["epoch"], recorded["objective"]) == (1, 2, second.objective)
    assert recorded["metrics"] == second.metrics


def test_exported_twice_the_files_are_the_same(folder):
    first = {path.name: path.read_bytes() for path in export(folder).iterdir()}
    assert {path.name: path.read_bytes() for path in export(folder).iterdir()} == first
    assert first.keys() == {"config.json", "weights.pt", "metrics.json"}


def test_a_winner_without_weights_leaves_the_files_of_an_earlier_one_as_they_were(folder):
    before = {path.name: path.read_bytes() for path in export(folder).iterdir()}
    only_trial(folder, 0)
    shutil.rmtree(folder / "ray" / "t0000")
    with pytest.raises(ValueError, match="of trial 0 is not a file"):
        export(folder)
    assert {path.name: path.read_bytes() for path in (folder / "best").iterdir()} == before


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


WRONG = {
    "no search": (lambda folder: (folder / "settings.json").unlink(), "holds no search"),
    "nothing measured": (lambda folder: (folder / TRIALS).unlink(), "has no trial with a finite objective"),
    "no checkpoint on record": (
        lambda folder: rewrite(folder, [event for event in events(folder) if event["event"] != "checkpoint"]),
        "Trial 1 of .* has no checkpoint on record; there are no weights",
    ),
    "checkpoint gone": (lambda folder: shutil.rmtree(folder / "ray"), "checkpoint.pt of trial 1 is not a file"),
}


@pytest.mark.parametrize(("spoil", "sentence"), WRONG.values(), ids=WRONG)
def test_a_folder_without_a_winner_to_export_is_a_sentence(folder, spoil, sentence, capsys):
    spoil(folder)
    with pytest.raises(ValueError, match=sentence):
        export(folder)
    assert main([str(folder)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
