"""A space and a workload of the user's own: found by file, module or installed name, planned, recorded, found again."""

import re
import sys
from pathlib import Path

import pytest

from search_spaces.glossary import MEANINGS
from search_spaces.ranges import Range
from search_spaces.registry import SPACES
from search_spaces.space import Space
from trainable.workloads.exported_config import ExportedConfig, read_exported_config, write_exported_config
from tuner.planning.plan import plan_as_given, plan_from_records
from tuner.planning.preflight import check_configurations
from tuner.planning.spaces import find_space
from tuner.records import Recorder, TrialResources, read_search
from tuner.run import recorded_settings
from tuner.search import main
from tuner.settings import SearchSettings

MODULE = "spaces_of_a_test"
SOURCE = """
from dataclasses import dataclass

from torch import nn

from search_spaces.space import Space
from trainable.models.output import ModelOutput
from trainable.tasks.dishes import DishesTask
from dataclasses import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    width: int = 8
    class_names: tuple[str, ...] = ()


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, config.width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(config.width, 2)
        )

    def forward(self, images):
        return ModelOutput(predictions=self.layers(images))


class MyTask(DishesTask):
    def default_config(self, source=None):
        return replace(super().default_config(source), model=NetConfig())

    def build_model(self, config):
        return Net(config.model)


def suggest(trial, situation):
    return {"width": trial.suggest_int("width", 4, 16), "max_lr": trial.suggest_float("max_lr", 1e-3, 1e-1, log=True)}


SPACE = Space(
    name="mine",
    workload="spaces_of_a_test:MyTask",
    objective="val/macro_f1",
    suggest=suggest,
    defaults=lambda situation: {"width": 8, "max_lr": 1e-2},
    recommended=lambda situation: [],
    max_epochs=4,
    grace_epochs=1,
)
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A project of one file, unknown to this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    file = tmp_path / "project" / f"{MODULE}.py"
    file.parent.mkdir()
    file.write_text(SOURCE)
    yield file
    sys.modules.pop(MODULE, None)


@pytest.fixture
def planned(file, tmp_path):
    settings = SearchSettings(space=f"{file}:SPACE", storage=tmp_path / "results", name="run")
    return settings, plan_as_given(settings)


@pytest.fixture
def recorded(planned) -> Path:
    settings, plan = planned
    resources = TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0)
    Recorder.create(settings.folder, recorded_settings(settings, plan, resources)).close()
    return settings.folder


def elsewhere(monkeypatch, tmp_path, file):
    """Simulates a later command in another folder: nothing imported, nothing on the path."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(file.parent)])
    sys.modules.pop(MODULE)
    monkeypatch.chdir(tmp_path)


def test_a_space_is_found_by_its_file_and_by_its_module(file, monkeypatch):
    by_file = find_space(f"{file}:SPACE")
    monkeypatch.chdir(file.parent)
    assert find_space(f"{MODULE}:SPACE") == by_file
    assert isinstance(by_file.space, Space)
    assert by_file.reference == f"{MODULE}:SPACE"
    assert [one.text for one in by_file.references] == [f"{MODULE}:SPACE", f"{MODULE}:MyTask"]


def test_a_workload_that_the_space_names_by_its_file_is_planned_and_found_from_another_folder(
    file, monkeypatch, tmp_path
):
    file.write_text(SOURCE.replace(f"{MODULE}:MyTask", f"{file}:MyTask"))
    settings = SearchSettings(space=f"{file}:SPACE", storage=tmp_path / "results", name="run")
    plan = plan_as_given(settings)
    assert (plan.base.workload, [one.text for one in plan.references]) == (
        f"{MODULE}:MyTask",
        [f"{MODULE}:SPACE", f"{MODULE}:MyTask"],
    )
    resources = TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0)
    Recorder.create(settings.folder, recorded_settings(settings, plan, resources)).close()
    elsewhere(monkeypatch, tmp_path, file)
    assert plan_from_records(read_search(settings.folder).settings).space.workload == f"{MODULE}:MyTask"


def test_a_workload_whose_objective_it_does_not_measure_is_refused_with_the_nearest_metric(file, tmp_path):
    task = "class MyTask(DishesTask):\n"
    named = SOURCE.replace(task, f'{task}    objective = "val/acc"\n\n')
    file.write_text(named.replace('objective="val/macro_f1"', 'objective="val/acc"'))
    wrong = r"must be one of its metric_names: val/acc is not a metric of \S+:MyTask; did you mean val/accuracy\?"
    with pytest.raises(ValueError, match=wrong):
        plan_as_given(SearchSettings(space=f"{file}:SPACE", storage=tmp_path / "results", name="run"))


@pytest.mark.parametrize("other", ['objective="val/loss"', 'objective="val/macro_f1", mode="min"'])
def test_a_space_that_compares_what_its_workload_does_not_measure_is_refused(file, tmp_path, other):
    file.write_text(SOURCE.replace('objective="val/macro_f1"', other))
    with pytest.raises(ValueError, match=r"but spaces_of_a_test:MyTask measures val/macro_f1 \(max\)"):
        plan_as_given(SearchSettings(space=f"{file}:SPACE", storage=tmp_path / "results", name="run"))


def test_the_results_lie_under_the_name_of_the_space(planned, tmp_path):
    assert planned[0].folder == tmp_path / "results" / "mine" / "run"


def test_a_network_without_the_fields_of_the_builtin_ones_is_planned_and_built(planned):
    _, plan = planned
    check_configurations(plan, {})
    assert not plan.situation.pretrained
    assert plan.first_configs[0].model.width == 8


def test_a_parameter_of_the_users_network_can_be_searched(file):
    settings = SearchSettings(space=f"{file}:SPACE", ranges={"width": Range(low=2, high=3)})
    assert plan_as_given(settings).points_to_evaluate[0]["width"] == 3


def test_a_recorded_search_finds_its_space_and_workload_from_another_folder(recorded, file, monkeypatch, tmp_path):
    elsewhere(monkeypatch, tmp_path, file)
    plan = plan_from_records(read_search(recorded).settings)
    assert (plan.space.name, plan.base.workload, plan.base.model.width) == ("mine", f"{MODULE}:MyTask", 8)


def test_an_exported_configuration_finds_its_workload_from_another_folder(planned, file, monkeypatch, tmp_path):
    _, plan = planned
    exported = ExportedConfig(config=plan.first_configs[0], data_fingerprint={}, references=plan.references)
    write_exported_config(tmp_path / "config.json", exported)
    elsewhere(monkeypatch, tmp_path, file)
    assert read_exported_config(tmp_path / "config.json").config.model.width == 8


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_has_gone_or_changed_is_reported_with_both_ways_out(
    recorded, file, gone, monkeypatch, tmp_path, capsys
):
    file.unlink() if gone else file.write_text(SOURCE + "# changed\n")
    elsewhere(monkeypatch, tmp_path, file)
    assert main(["--resume", str(recorded)]) == 2
    why = "is missing on " if gone else "has changed since; "
    assert f"{MODULE}.py, which holds {MODULE}:SPACE, {why}" in (message := capsys.readouterr().err)
    assert "restore it, or start over" in message


@pytest.fixture
def package(file, monkeypatch):
    """The same project as an installed package."""
    info = file.parent / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vision_tuner.spaces]\nmine = {MODULE}:SPACE\nmoe = {MODULE}:SPACE\n")
    monkeypatch.syspath_prepend(file.parent)


def test_an_installed_space_has_a_name_and_no_builtin_one_is_replaced(package):
    assert find_space("mine").space.name == "mine"
    assert find_space("moe").space is SPACES["moe"]


def test_the_list_says_where_an_installed_space_comes_from(package, capsys):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert f"mine ({MODULE}:SPACE): maximises val/macro_f1; up to 4 epochs\n" in listed
    assert "\nmoe: camouflaged objects" in f"\n{listed}"


def test_the_list_has_a_heading_and_the_default_and_the_range_of_each_parameter(capsys):
    assert main(["--list"]) == 0
    moe = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert re.fullmatch(r"moe: .*; maximises val/s_measure; up to 12 epochs", moe[0])
    assert moe[1].split() == ["parameter", "default", "searched", "meaning"]
    line = next(line for line in moe[2:] if line.split()[0] == "num_experts")
    default, searched, meaning = line.split(maxsplit=3)[1:]
    assert default in searched.split(",")
    assert meaning == MEANINGS["num_experts"]


def test_a_reference_to_something_else_is_reported(file):
    with pytest.raises(ValueError, match=rf"{MODULE}:MyTask is the class MyTask; it must be a Space"):
        find_space(f"{file}:MyTask")


LOOP = """
from search_spaces import LoopSpace

def train(params, trial):
    pass

def suggest(trial):
    return {"lr": trial.suggest_float("lr", LOW, 1), "depth": trial.suggest_int("depth", 1, 1 / DEPTH)}

SPACE = LoopSpace(name="mine", train=train, objective="loss", suggest=suggest, defaults={}, max_epochs=2)
"""


@pytest.mark.parametrize(
    ("low", "depth", "pinned", "sentence"),
    [
        (
            "2",
            "1",
            {},
            r"^the space mine failed:\n  File .*from 2 to 1; .* \(wrong_loop\.py, line 8\)$",
        ),
        ("0", "0", {}, r"^the space mine failed:\n  File .*ZeroDivisionError: .* \(wrong_loop\.py, line 8\)$"),
        ("0", "0.5", {}, r"depth is asked for from 1 to 2.0; give finite whole numbers"),
        ("0", "1", {"lr": "high"}, r"^--set lr is 'high'; it must be a number, such as from 0 to 1$"),
    ],
)
def test_what_is_wrong_in_a_space_has_the_users_line_and_what_is_wrong_in_set_has_not(
    tmp_path, monkeypatch, low, depth, pinned, sentence
):
    text = LOOP.replace("LOW", low).replace("1 / DEPTH", f"1 / {depth}" if depth != "1" else "4")
    (tmp_path / "wrong_loop.py").write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "wrong_loop", raising=False)
    settings = SearchSettings(space=f"{tmp_path}/wrong_loop.py:SPACE", pinned=pinned)
    with pytest.raises(ValueError, match=re.compile(sentence, re.DOTALL)):
        plan_as_given(settings)
