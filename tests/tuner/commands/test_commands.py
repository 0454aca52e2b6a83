"""One command for all: `vision-tuner NAME`, its list, its version, its completion, and JSON for scripts."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from search_spaces.registry import SPACES
from tuner.__main__ import COMMANDS, main
from tuner.commands import open_report
from tuner.planning.preflight import check_folder
from tuner.records import lock_folder, read_search
from tuner.results.headline import State
from tuner.results.report_text import next_steps_section
from tuner.views.html.content import commands, read_result

ROOT = Path(__file__).resolve().parents[3]


def test_every_command_of_the_list_shows_its_options_under_its_own_name(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: vision-tuner {name} ")


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed and command.purpose in listed for name, command in COMMANDS.items())


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["vision-tuner", "0.2.0"]


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert main(["serch"]) == 2
    assert capsys.readouterr().err == "error: serch is not a command; did you mean search?\n"


def test_a_file_that_python_m_would_import_in_place_of_a_package_is_named(tmp_path):
    (tmp_path / "optuna.py").touch()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(
        [sys.executable, "-m", "tuner.search", "--list"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"error: {tmp_path / 'optuna.py'} would be imported in place of the package optuna; rename" in done.stderr
    assert done.returncode != 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_names_and_files(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "completion.sh").write_text(capsys.readouterr().out)
    (tmp_path / "results").mkdir()

    def completed(*words: str) -> list[str]:
        line = f"""
            cd {tmp_path}; shopt -s extglob; source completion.sh
            COMP_WORDS=({" ".join(f'"{word}"' for word in words)}); COMP_CWORD={len(words) - 1}
            $(complete -p vision-tuner | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.split()

    assert completed("vision-tuner", "exp") == ["explain", "export"]
    assert "--max-epochs" in completed("vision-tuner", "search", "--m")
    assert completed("vision-tuner", "search", "--space", "leaf") == ["leaf_pretrain", "leaf"]
    assert completed("vision-tuner", "search", "--sampler", "t") == ["tpe"]
    assert completed("vision-tuner", "train", "--config", "comp") == ["completion.sh"]
    assert completed("vision-tuner", "report", "results") == ["results"]


@pytest.fixture
def _no_desktop(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(open_report.sys, "platform", "linux")


@pytest.mark.usefixtures("_no_desktop")
def test_a_report_is_shown_as_text_where_there_is_no_desktop(finished_folder, tmp_path, capsys):
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    assert main(["report", str(folder)]) == 0
    capsys.readouterr()
    assert main(["open", str(folder)]) == 0
    assert "trials" in capsys.readouterr().out


@pytest.mark.usefixtures("_no_desktop")
def test_a_damaged_report_is_shown_as_far_as_it_can_be_read(finished_folder, tmp_path, capsys):
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    (folder / "report.md").write_bytes(b"the result \xff is")
    assert main(["open", str(folder)]) == 0
    assert "the result" in capsys.readouterr().out


@pytest.mark.usefixtures("_no_desktop")
def test_a_report_that_is_missing_is_written_where_it_is_shown(finished_folder, tmp_path, capsys):
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    written = ("report.md", "report.html", "results.csv")
    for name in written:
        (folder / name).unlink(missing_ok=True)
    assert main(["open", str(folder)]) == 0
    assert f"{folder / 'report.md'}\n" in capsys.readouterr().out
    assert all((folder / name).is_file() for name in written)


def test_a_missing_report_of_a_folder_in_use_is_not_written_and_a_sentence_says_why(finished_folder, tmp_path, capsys):
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    with lock_folder(folder):
        assert main(["open", str(folder)]) == 2
    assert "is in use by process" in capsys.readouterr().err


def test_what_is_printed_as_json_names_files_that_are_there(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "run")
    for command in ("report", "export"):
        assert main([command, str(folder), "--json"]) == 0
        paths = json.loads(capsys.readouterr().out)
        assert len(paths) == 3
        assert all(shutil.os.path.exists(path) for path in paths.values())


def test_an_explanation_as_json_has_the_trial_and_the_sentences(finished_folder, capsys):
    assert main(["explain", str(finished_folder), "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["trial"]["name"].startswith("003-")
    assert printed["sentences"][0].startswith(f"Trial {printed['trial']['name']} ")


def test_json_stands_alone_on_standard_output(loggers_of_a_new_process, trained_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(import_module("tuner.search"), "SPACES", {"dishes_grid": SPACES["dishes_grid"]})
    folder = shutil.copytree(trained_folder, tmp_path / "run")

    def printed(*command: str):
        with loggers_of_a_new_process():
            assert main([*command, "--json"]) == 0, command
        return json.loads(capsys.readouterr().out)

    assert printed("ensemble", str(folder), "--top", "1")["objective"] == "s_measure"
    assert printed("export", str(folder))["config"] == str(folder / "best" / "config.json")
    exported = str(folder / "best" / "config.json")
    assert printed("train", "--config", exported, "--epochs", "1")["output"] == str(folder / "train")
    assert printed("diagnose", "--config", exported)[0]["severity"] == "note"
    assert {group["part"] for group in printed("diagnose", "--config", exported, "--groups")} >= {"backbone"}
    assert printed("search", "--list")["dishes_grid"]["objective"] == "val/macro_f1"


@pytest.mark.parametrize(
    "command",
    [
        "search --space meo",
        "search --resume nowhere",
        "resume nowhere",
        "report nowhere",
        "explain nowhere",
        "confirm nowhere",
        "ensemble nowhere",
        "export nowhere",
        "train --config nowhere",
        "predict --config nowhere --image nowhere",
        "preset meo default nowhere.json",
        "diagnose --config nowhere",
    ],
)
def test_an_error_leaves_standard_output_empty_for_who_reads_json(loggers_of_a_new_process, capsys, command):
    with loggers_of_a_new_process():
        assert main([*command.split(), "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")


def test_resume_refuses_the_other_options_of_a_search_with_what_to_do_instead(loggers_of_a_new_process, capsys):
    with loggers_of_a_new_process():
        assert main(["resume", "nowhere", "--max-epochs", "50", "--set", "top_k=1"]) == 2
    refused = capsys.readouterr().err
    assert "--resume uses the recorded settings; leave out --max-epochs, --set." in refused
    assert "start a new search; --warm-start DIR" in refused


def test_resume_takes_the_value_of_another_option_for_no_folder(loggers_of_a_new_process, capsys):
    with loggers_of_a_new_process():
        assert main(["resume", "--space", "leaf", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("error: nowhere holds no search")


@pytest.mark.parametrize("given", [["--seed", "3"], ["nowhere", "--resume", "elsewhere"], ["nowhere", "--list"]])
def test_resume_continues_the_one_folder_that_it_is_given_and_nothing_else(capsys, given):
    with pytest.raises(SystemExit):
        main(["resume", *given])
    assert "vision-tuner resume: error: " in capsys.readouterr().err


def test_an_option_that_no_search_has_is_unknown_to_resume(capsys):
    with pytest.raises(SystemExit):
        main(["resume", "nowhere", "--objectiv", "val/loss"])
    assert "vision-tuner resume: error: unrecognized arguments: --objectiv val/loss" in capsys.readouterr().err


@pytest.fixture
def odd_folder(finished_folder, tmp_path):
    """A search under a name that a shell would take apart."""
    return Path(shutil.copytree(finished_folder, tmp_path / "my results [v2] #1's" / "moe" / "a"))


def test_every_printed_command_names_the_folder_as_one_argument_of_a_shell(odd_folder):
    search = read_search(odd_folder)
    with pytest.raises(ValueError) as refused:
        check_folder(odd_folder)
    offered = [*commands(read_result(odd_folder, search, State.INTERRUPTED)).values()]
    offered += [*commands(read_result(odd_folder, search, State.OVER)).values()]
    report = next_steps_section(search, odd_folder, is_confirmed=False)
    texts = [str(refused.value), report, *offered]
    printed = re.findall(
        r"(?:(?:python -m|vision-tuner|tensorboard) |--resume ).+?(?=, or give|$)", "\n".join(texts), re.MULTILINE
    )
    assert len(printed) >= 12
    for command in printed:
        named = [word for word in shlex.split(command, comments=True) if word.startswith(str(odd_folder))]
        assert len(named) == 1, command
