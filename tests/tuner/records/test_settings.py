"""settings.json: read back as written, replaced whole, and one sentence for whatever people make of it."""

import json
import os
from dataclasses import asdict, replace

import pytest

from tests.tuner.conftest import recorded_settings
from trainable.configuration.reference import Reference
from trainable.data.io.findings import Finding, Severity, kinds_of
from tuner.records import TrialResources
from tuner.records.settings import FORMAT, read_settings, write_settings

RICH = recorded_settings(
    first_answers=({"widths": (3, 4), "max_lr": 1e-3}, {"pooling": None}),
    resources=TrialResources(concurrent=3, cpus_per_trial=2.0, gpus_per_trial=0.5, ranks_per_trial=1),
    disk_budget_bytes=10**12,
    track=("mlflow", "wandb"),
    pinned={"widths": [1, 2], "deep": {"a": None}},
    data=None,
    commit="ab" * 6,
    warm_start="results/moe/größer",
    rung_epochs=(),
    class_counts={"train": {"clean": 6, "dirty": 0}, "test": {"clean": 1}},
    data_findings=kinds_of([Finding(file="a.png", problem="no", action="Left out.", severity=Severity.WARNING)]),
    sampler="mine:Sampler",
    sampler_reference=Reference(text="mine:Sampler", folder="/mine", file="/mine/mine.py", sha256="0" * 64, imports=()),
)


@pytest.mark.parametrize("settings", [recorded_settings(), RICH])
def test_what_is_read_is_what_was_written(tmp_path, settings):
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_an_older_folder_has_no_classes_of_the_data(tmp_path):
    older = {name: value for name, value in asdict(RICH).items() if name not in ("class_counts", "data_findings")}
    (tmp_path / "settings.json").write_text(json.dumps(older))
    assert read_settings(tmp_path) == replace(RICH, class_counts={}, data_findings=())


def test_a_sampler_that_lies_in_the_results_folder_is_refused(tmp_path):
    planted = replace(RICH.sampler_reference, file=str(tmp_path / "mine.py"))
    write_settings(tmp_path, replace(RICH, sampler_reference=planted))
    with pytest.raises(ValueError, match="names code inside the results folder"):
        read_settings(tmp_path)


def test_a_write_that_is_broken_off_leaves_the_former_settings(tmp_path, monkeypatch):
    write_settings(tmp_path, RICH)
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", lambda *_, **__: "{" * 10_000)
        patch.setattr(os, "replace", None)
        patch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_settings(tmp_path, recorded_settings())
    assert read_settings(tmp_path) == RICH


def test_the_sign_turns_objectives_into_numbers_of_which_more_is_better():
    assert [recorded_settings(mode=mode).sign for mode in ("max", "min")] == [1.0, -1.0]


def test_the_resources_of_a_trial_are_divided_among_its_processes():
    two = TrialResources(concurrent=1, cpus_per_trial=6.0, gpus_per_trial=2.0, ranks_per_trial=2)
    assert (two.cpus_per_rank, two.gpus_per_rank, two.device) == (3.0, 1.0, "cuda")
    assert str(two) == "1 trial at a time, 6 CPU and 2 GPU each for 2 processes"
    one = replace(two, gpus_per_trial=0.0, ranks_per_trial=1)
    assert (one.cpus_per_rank, one.device) == (6.0, "cpu")
    assert str(one) == "1 trial at a time, 6 CPU each"


def written(**changes) -> bytes:
    """Sound settings, changed; ... takes a key away."""
    raw = json.loads(json.dumps(asdict(RICH)))
    return json.dumps({name: value for name, value in (raw | changes).items() if value is not ...}).encode()


NO_INTEGER = "input should be a valid integer"
DAMAGED = {
    "nothing": (b"", "it is not JSON"),
    "cut": (written()[:200], "it is not JSON"),
    "text": (b"max_lr: 3e-3", "it is not JSON"),
    "not text": (b'{"name": "\xff\xfe"}', "it is not JSON"),
    "zeros": (bytes(500), "it is not JSON"),
    "deep": (b"[" * 100_000, "it is not JSON"),
    "deep inside": (b'{"format": 2, "pinned": ' + b'{"a":' * 100_000, "it is not JSON"),
    "a list": (b"[]", "input should be an object, not []"),
    "a number": (b"3", "input should be an object, not 3"),
    "an empty object": (b"{}", "pins is missing"),
    "a format of text": (written(format="2"), f"format: {NO_INTEGER}, not '2'"),
    "a fraction of a format": (written(format=2.0), f"format: {NO_INTEGER}"),
    "a list of formats": (written(format=[2]), f"format: {NO_INTEGER}"),
    "trials of text": (written(num_trials="6"), f"num_trials: {NO_INTEGER}, not '6'"),
    "a fraction of trials": (written(num_trials=6.5), f"num_trials: {NO_INTEGER}"),
    "no trials": (written(num_trials=0), "num_trials: input should be greater than or equal to 1, not 0"),
    "an unknown mode": (written(mode="maximum"), "mode: input should be 'max' or 'min', not 'maximum'"),
    "an unknown scheduler": (written(scheduler="hyperband"), "scheduler: input should be "),
    "an unknown sampler": (written(sampler="grid"), "there is no sampler grid"),
    "the policy of format 2": (written(policy="asha"), "policy is not known"),
    "an unknown policy of format 2": (
        written(format=2, policy="hyperband"),
        "policy is 'hyperband', but must be one of promote, asha, random",
    ),
    "no policy in format 2": (written(format=2, scheduler=..., sampler=...), "policy is None, but must be one of"),
    "a number of trackers": (written(track=5), "track: input should be a valid array, not 5"),
    "text for trackers": (written(track="mlflow"), "track: input should be a valid array, not 'mlflow'"),
    "NaN": (written(disk_budget_bytes=float("nan")), f"disk_budget_bytes: {NO_INTEGER}"),
    "NaN of CPUs": (
        written(resources={"concurrent": 1, "cpus_per_trial": float("nan"), "gpus_per_trial": 0.0}),
        "resources.cpus_per_trial: input should be a finite number, not nan",
    ),
    "an infinite fixed value": (written(pinned={"max_lr": float("inf")}), "pinned.max_lr: inf is not a JSON number"),
    "no CPUs": (
        written(resources={"concurrent": 1, "cpus_per_trial": 0.0, "gpus_per_trial": 0.0}),
        "resources.cpus_per_trial: input should be greater than 0, not 0.0",
    ),
    "an unknown resource": (
        written(resources={"concurrent": 1, "cpus_per_trial": 1.0, "gpus_per_trial": 0.0, "tpus": 1}),
        "resources.tpus is not known",
    ),
    "a missing resource": (written(resources={"concurrent": 1}), "resources.cpus_per_trial is missing"),
    "an unknown key": (written(colour="red"), "colour is not known"),
    "a list of what is fixed": (written(pinned=[1]), "pinned: input should be "),
    "an image with one side": (written(image_size_px=[240]), "image_size_px.1 is missing"),
    "a rung of text": (written(rung_epochs=["3"]), f"rung_epochs.0: {NO_INTEGER}, not '3'"),
    "a name that leaves the folder": (written(name="../../.."), "name: string should match pattern"),
    "a rung that is twice there": (written(rung_epochs=[3, 3]), "rung_epochs [3, 3] must ascend"),
    "rungs in another order": (written(rung_epochs=[6, 3]), "rung_epochs [6, 3] must ascend"),
    "a rung at the full length": (written(rung_epochs=[3, 12]), "rung_epochs [3, 12] must ascend and end before"),
    "rungs of random search": (
        written(scheduler="none", sampler="random", rung_epochs=[3]),
        "rung_epochs must be empty for the scheduler none",
    ),
    "another length than its trainings": (written(max_epochs=6), "max_epochs is 6, but 12 in base_config"),
    "one in one": (written(reduction_factor=1), "reduction_factor: input should be greater than or equal to 2"),
    "less than no disk": (written(disk_budget_bytes=-1), "disk_budget_bytes: input should be greater than"),
    "an image without height": (written(image_size_px=[0, 240]), "image_size_px.0: input should be greater than"),
    "a split of less than no images": (written(images={"train": -5}), "images.train: input should be greater than"),
    "an unknown situation": (written(situation={"wetness": 1}), "situation.num_train_images is missing"),
    "a situation of text": (
        written(situation={"num_train_images": "400", "pretrained": False}),
        f"situation.num_train_images: {NO_INTEGER}, not '400'",
    ),
    "a situation that can't be": (
        written(situation={"num_train_images": 0, "pretrained": False}),
        "situation: num_train_images is 0, but must be at least 1",
    ),
    "null for a number": (written(max_epochs=None), f"max_epochs: {NO_INTEGER}, not None"),
}
OPTIONAL = {
    "class_counts",
    "confirm_seeds",
    "limits",
    "data_findings",
    "disk_budget_bytes",
    "duration_seconds",
    "ranges",
    "references",
    "sampler_reference",
    "space_reference",
    "space_ranges",
    "stated_seconds",
    "store",
    "track",
}


def said_of(folder, raw: bytes) -> str:
    (folder / "settings.json").write_bytes(raw)
    with pytest.raises(ValueError, match=r"settings\.json") as caught:
        read_settings(folder)
    assert type(caught.value) is ValueError
    said = str(caught.value)
    assert said.startswith(str(folder / "settings.json"))
    assert "\n" not in said
    assert len(said) < len(str(folder)) + 300
    return said


def test_the_text_that_is_damaged_here_is_sound(tmp_path):
    (tmp_path / "settings.json").write_bytes(written())
    assert read_settings(tmp_path).name == RICH.name


@pytest.mark.parametrize(("raw", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_sentence(tmp_path, raw, sentence):
    assert f"is damaged, restore it from a copy: {sentence}" in said_of(tmp_path, raw)


@pytest.mark.parametrize("name", sorted(set(RICH.__slots__) - OPTIONAL))
def test_a_key_that_is_missing_is_named(tmp_path, name):
    assert f"is damaged, restore it from a copy: {name} is missing" in said_of(tmp_path, written(**{name: ...}))


@pytest.mark.parametrize("name", sorted(RICH.__slots__))
def test_a_value_of_a_type_that_no_key_has_is_named_with_its_key(tmp_path, name):
    wrong = [[["x"]]]
    assert f"restore it from a copy: {name}" in said_of(tmp_path, written(**{name: wrong}))


@pytest.mark.parametrize(
    ("found", "advice"),
    [(1, "version 0.1 reads it"), (4, "version 7.0 reads it"), (0, "no version wrote it"), (-1, "no version wrote it")],
)
def test_another_format_says_which_version_reads_it(tmp_path, found, advice):
    said = said_of(tmp_path, json.dumps({"format": found, "version": "7.0"}).encode())
    assert f"has format {found}, this version reads {FORMAT}: {advice}" in said


@pytest.mark.parametrize(
    ("policy", "scheduler", "sampler"),
    [("promote", "asha", "forecast"), ("asha", "asha-stopping", "tpe"), ("random", "none", "random")],
)
def test_format_2_named_scheduler_and_sampler_in_one_word(tmp_path, policy, scheduler, sampler):
    old = written(format=2, policy=policy, scheduler=..., sampler=...)
    (tmp_path / "settings.json").write_bytes(old)
    assert read_settings(tmp_path) == replace(RICH, scheduler=scheduler, sampler=sampler)
    write_settings(tmp_path, read_settings(tmp_path))
    assert read_settings(tmp_path) == replace(RICH, scheduler=scheduler, sampler=sampler)


def test_a_training_before_its_first_epoch_is_distinguished_from_an_empty_folder(tmp_path):
    (tmp_path / "config.json").touch()
    with pytest.raises(ValueError, match=r"holds one configuration or its training, and no search; give a folder res"):
        read_settings(tmp_path)


def test_a_folder_without_settings_is_no_search(tmp_path):
    with pytest.raises(ValueError, match=r"holds no search: there is no settings\.json; give a folder results/"):
        read_settings(tmp_path)
