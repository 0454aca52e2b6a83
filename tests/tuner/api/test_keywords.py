"""The keywords of `tuner.search`: every setting has one, and errors are those of the command."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from search_spaces.ranges import OneOf, Range
from tests.tuner.conftest import recorded_settings
from tuner import load, resume, search
from tuner.api.keywords import SETTING_OF, SearchOptions, settings_from
from tuner.records import Recorder
from tuner.search import _settings
from tuner.search_options import search_parser
from tuner.settings import SearchSettings


def test_every_setting_of_a_search_has_a_keyword():
    names = {SETTING_OF.get(keyword, keyword) for keyword in SearchOptions.__annotations__}
    of_planning = {"left_seconds"}
    assert names | {"space"} == {field.name for field in fields(SearchSettings)} - of_planning


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ("--trials 7 --seed 3", {"trials": 7, "seed": 3}),
        ("--space dishes", {"space": "dishes"}),
        ("--data there --init w.pt --storage s", {"data": Path("there"), "init": "w.pt", "storage": "s"}),
        ("--set max_lr=1e-3 --set averaging=false", {"pinned": {"max_lr": 1e-3, "averaging": False}}),
        ("--set max_lr=1e-3..1e-2 --set top_k=1,2", {"ranges": {"max_lr": "1e-3..1e-2", "top_k": "1,2"}}),
        (
            "--set max_lr=1e-3..1e-2 --set top_k=1,2 --set averaging=true,false --set batch_size=8",
            {
                "ranges": {
                    "max_lr": {"low": 1e-3, "high": 1e-2},
                    "top_k": [1, 2],
                    "averaging": [True, False],
                    "batch_size": 8,
                }
            },
        ),
        ("--limit params_m=5", {"limits": {"params_m": 5}}),
        ("--disk-budget 20G --time-budget 60", {"disk_budget": "20G", "time_budget_seconds": 60}),
        ("--track mlflow --confirm 0", {"track": ["mlflow"], "confirm": 0}),
        ("--scheduler none --sampler tpe", {"scheduler": "none", "sampler": "tpe"}),
    ],
)
def test_a_keyword_means_what_the_option_means(options, keywords):
    of_command = _settings(search_parser().parse_args([*options.split(), "--name", "one"]))
    of_python = settings_from(keywords.pop("space", "moe"), keywords | {"name": "one"})
    assert of_python == replace(of_command)


@pytest.mark.parametrize("kind", [str, Path])
def test_ranges_may_be_the_path_of_a_file_as_for_the_command(tmp_path, kind):
    file = tmp_path / "ranges.yaml"
    file.write_text("max_lr: {low: 1e-4, high: 1e-2, log: true}\nnum_experts: [4, 6]\naveraging: true\n")
    settings = settings_from("moe", {"ranges": kind(file), "pinned": {"top_k": 2}})
    assert settings.ranges == {"max_lr": Range(low=1e-4, high=1e-2, log=True), "num_experts": OneOf(values=(4, 6))}
    assert settings.pinned == {"top_k": 2, "averaging": True}


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"trails": 3}, "trails is not a keyword of search; did you mean trials?"),
        ({"trials": 0}, "--trials is 0; it must be from 1 to 100000."),
        ({"trials": "many"}, "--trials is 'many'; it must be a whole number."),
        ({"trials": 2.5}, "--trials is 2.5; it must be a whole number."),
        ({"scheduler": "ahsa"}, "--scheduler is 'ahsa'; allowed: asha, asha-stopping, none."),
        ({"disk_budget": "20"}, "--disk-budget is '20'; give a number above 0 with K, M, G or T, such as 20G."),
        ({"pinned": {"seed": 3}}, "--set seed=3 would be overruled; give it as --seed."),
        ({"ranges": {"max_lr": "2..1"}}, "ranges: max_lr: 2..1 is not a range; give two finite numbers, the smaller"),
        ({"ranges": {"max_lr": {"low": 1}}}, "ranges: max_lr"),
        ({"ranges": {"top_k": []}}, "ranges: top_k: there are no choices; give one or more."),
        ({"ranges": {"top_k": 3}, "pinned": {"top_k": 2}}, "top_k is in pinned and in ranges; leave one of them out."),
        ({"pinned": {"max_lr": {"low": 1, "high": 2}}}, "pinned has max_lr={'low': 1, 'high': 2}, which is no single "),
        ({"pinned": {"max_lr": "1e-3..1e-2"}}, "pinned has max_lr=1e-3..1e-2, which is no single value; give it in "),
        ({"space": "meo"}, "meo is not a search space"),
        ({"space": None}, "space is None; give the name of one"),
        ({"space": 5}, "space is 5; give the name of one"),
        ({"pinned": ["max_lr"]}, "pinned is ['max_lr']; give a dict by parameter"),
        ({"pinned": {1: 2}}, "pinned is {1: 2}; give a dict by parameter"),
        ({"ranges": "max_lr=1..2"}, "max_lr=1..2 is not a file; give a file with names of parameters"),
        ({"ranges": 5}, "ranges is 5; give a dict by parameter, such as {'max_lr': ...}, or the path"),
        ({"limits": [5]}, "limits is [5]; give a dict by parameter"),
        ({"storage": 5}, "storage is 5; give a path."),
        ({"storage": None}, "storage is None; give a path."),
        ({"storage": ""}, "storage is ''; give a path."),
        ({"track": None}, "track is None; give names, such as ['mlflow']."),
        ({"track": ["mlflow", 3]}, "track is ['mlflow', 3]; give names, such as ['mlflow']."),
    ],
)
def test_a_wrong_keyword_is_reported_in_the_commands_sentence(keywords, sentence):
    with pytest.raises(ValueError) as error:
        search(**keywords)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("function", [load, resume])
@pytest.mark.parametrize("folder", [None, 3])
def test_what_is_no_folder_is_reported(function, folder):
    with pytest.raises(ValueError, match=f"^folder is {folder}; give a path.$"):
        function(folder)


def test_the_function_keeps_its_name_after_the_command_of_that_name_is_imported():
    import tuner.search  # noqa: F401
    from tuner import search as found

    assert found is search


NO_LIBRARIES = """
import sys
from {module} import main
sys.modules.update(torch=None, ray=None)
main({arguments})
"""
"""The command where torch and Ray can't be imported: it ends there."""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("tuner.search", []),
        ("tuner.search", ["--resume", "FOLDER"]),
        ("tuner.confirm", ["FOLDER", "--seeds", "3"]),
    ],
)
def test_the_first_line_is_printed_before_torch_or_ray_is_imported(module, arguments, tmp_path):
    Recorder.create(tmp_path / "moe" / "run", recorded_settings()).close()
    folder = str(tmp_path / "moe" / "run")
    code = NO_LIBRARIES.format(module=module, arguments=[folder if one == "FOLDER" else one for one in arguments])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[0] == "Loading torch and Ray ..."
    assert "ModuleNotFoundError" in done.stderr
