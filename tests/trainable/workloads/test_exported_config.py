"""The file that hands a configuration over: complete, typed, and never half understood."""

import json
from dataclasses import fields, replace

import pytest

from trainable.config import from_params
from trainable.configuration import older_versions
from trainable.tasks.registry import get_task
from trainable.workloads.exported_config import (
    ExportedConfig,
    current_versions,
    read_exported_config,
    write_exported_config,
)

AS_BEFORE: dict[str, dict[str, object]] = {
    "moe": {"best_epoch": None},
    "dishes": {"best_epoch": None, "head_start": "random"},
    "leaf_pretrain": {"best_epoch": None},
    "leaf": {"best_epoch": None, "head_start": "random"},
    "retina": {"best_epoch": None, "head_start": "random", "tasks": ("retinopathy", "edema")},
    "agroforestry": {"best_epoch": None, "kinds": ()},
}
"""Behaviour of each workload before the field existed."""
OFF_BY_NULL = ("init_weights", "engine", "unfreezing")
SWITCHED_ON = {"averaging": True, "contrastive": True, "crop": True, "crop_px": 32, "num_experts": 6}


@pytest.fixture
def exported(disc_config):
    return ExportedConfig(
        config=from_params(SWITCHED_ON, replace(disc_config, seed=3)),
        data_fingerprint={"train": "ab" * 32, "all": "cd" * 32},
        num_threads=2,
        found_by={"search": "moe/spring", "trial": 7, "objective": "val/s_measure"},
    )


@pytest.fixture
def path(exported, tmp_path):
    write_exported_config(tmp_path / "best" / "config.json", exported)
    return tmp_path / "best" / "config.json"


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("former", "now"), [(True, True), (False, False)])
def test_gradient_checkpointing_that_an_older_version_wrote_into_the_network_is_read(tmp_path, former, now):
    config = replace(get_task("leaf").default_config(), gradient_checkpointing=False)
    config = replace(config, model=replace(config.model, class_names=("healthy", "rust")))
    write_exported_config(tmp_path / "config.json", ExportedConfig(config=config, data_fingerprint={}))
    rewrite(tmp_path / "config.json", lambda content: content["config"]["model"].update(checkpoint_gradients=former))
    assert read_exported_config(tmp_path / "config.json").config == replace(config, gradient_checkpointing=now)


@pytest.mark.parametrize(("workload", "then"), AS_BEFORE.items())
def test_fields_later_than_a_file_keep_the_old_behaviour_and_are_reported(workload, then, tmp_path, caplog):
    """An equal configuration is an equal training: nothing else determines one."""
    config = get_task(workload).default_config()
    write_exported_config(tmp_path / "config.json", ExportedConfig(config=config, data_fingerprint={}))
    rewrite(tmp_path / "config.json", lambda content: [content["config"].pop(name) for name in (*then, *OFF_BY_NULL)])
    caplog.set_level("INFO")
    older_versions._log_once.cache_clear()
    for _ in range(2):
        assert read_exported_config(tmp_path / "config.json").config == replace(config, engine=None, **then)
    values = ", ".join(f"{name}={json.dumps(value)}" for name, value in then.items())
    assert caplog.messages == [
        f"the configuration of {workload} is of an older version, and goes on as there: {values}"
    ]


def test_a_file_of_now_and_one_that_lacks_what_was_always_there_get_nothing(path, exported, caplog):
    caplog.set_level("INFO")
    assert read_exported_config(path) == exported
    assert caplog.messages == []
    rewrite(path, lambda content: content["config"].pop("accumulation_steps"))
    with pytest.raises(ValueError, match="the configuration lacks accumulation_steps; give every field"):
        read_exported_config(path)


def test_the_former_name_of_gradient_checkpointing_suggests_the_present_one():
    with pytest.raises(ValueError, match=r"is not a parameter; did you mean gradient_checkpointing\?"):
        from_params({"checkpoint_gradients": True}, get_task("leaf").default_config())


def test_what_was_written_is_read_with_every_type_and_value(exported, path):
    assert read_exported_config(path) == exported
    assert isinstance(read_exported_config(path).config.data, type(exported.config.data))


def test_the_file_holds_every_default_so_that_a_later_version_cannot_change_it(exported, path):
    config = json.loads(path.read_text())["config"]
    assert config.keys() == {field.name for field in fields(exported.config)}
    assert config["optimizer"].keys() == {field.name for field in fields(exported.config.optimizer)}
    assert config["model"].keys() == {field.name for field in fields(exported.config.model)}


def test_the_file_says_with_which_versions_the_curve_was_made(path):
    versions = json.loads(path.read_text())["versions"]
    assert versions == current_versions()
    assert versions.keys() == {"python", "torch", "torchvision", "numpy"}


def test_a_missing_file_and_one_that_is_no_json_are_sentences(tmp_path):
    with pytest.raises(ValueError, match=r"gone.json is not a file; give the config.json that python -m tuner.export"):
        read_exported_config(tmp_path / "gone.json")
    (tmp_path / "text.json").write_text("max_lr: 3e-3")
    with pytest.raises(ValueError, match=r"text.json is not JSON"):
        read_exported_config(tmp_path / "text.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"list.json holds a list; it must hold names and values"):
        read_exported_config(tmp_path / "list.json")


@pytest.mark.parametrize(("ending", "kind"), [("json", "JSON"), ("yaml", "YAML")])
def test_brackets_too_deep_to_read_are_a_sentence(tmp_path, ending, kind):
    file = tmp_path / f"deep.{ending}"
    file.write_text("[" * 20_000)
    with pytest.raises(ValueError, match=f"deep.{ending} is not {kind} .*recursion"):
        read_exported_config(file)


WRONG = {
    "format": (lambda content: content.update(format=9), "has configuration format 9; this version reads format 1"),
    "no config": (lambda content: content.pop("config"), "lacks config; export it again"),
    "no workload": (lambda content: content["config"].pop("workload"), "workload first"),
    "other workload": (lambda content: content["config"].update(workload="mow"), "did you mean moe"),
    "missing field": (lambda content: content["config"].pop("seed"), "lacks seed"),
    "unknown field": (
        lambda content: content["config"]["optimizer"].update(max_lrr=1.0),
        "max_lrr is not a field of optimizer; did you mean max_lr",
    ),
    "wrong type": (lambda content: content["config"].update(batch_size="many"), "batch_size is 'many'"),
    "out of range": (lambda content: content["config"]["model"].update(top_k=9), "top_k is 9"),
    "threads": (lambda content: content.update(num_threads="two"), "num_threads is 'two'"),
    "no threads": (lambda content: content.update(num_threads=0), "num_threads is 0"),
    "fingerprint": (lambda content: content.update(data_fingerprint=["ab"]), r"data_fingerprint is \['ab'\]"),
}


@pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
def test_a_file_that_says_something_else_is_refused_by_name_and_value(path, change, sentence):
    rewrite(path, change)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_exported_config(path)
    assert str(path) in str(caught.value)
