"""The page on a search: its tables hold what is on record, and it is drawn without an error."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tuner import page
from tuner.records import read_search
from tuner.views import page_data


def test_the_winner_comes_first_and_every_metric_is_there(finished_folder):
    search = read_search(finished_folder)
    table = page_data.last_metrics(search, search.leader)
    assert table.index[0] == search.leader.name
    assert {"epoch", *page_data.metric_names(search)} == set(table.columns)
    assert page_data.metric_names(search)[0] == "val/s_measure"


def test_a_configuration_is_told_beside_the_default(trained_folder):
    search = read_search(trained_folder)
    table = page_data.configuration(search, search.leader)
    different = table[table["differs"]]
    assert different.loc["max_lr"].tolist() == ["0.01", "0.0003", True]
    assert different.loc["alpha_cv", "value"] == page_data.NOT_USED
    assert {"batch_size", "backbone"} <= set(table.index) - set(different.index)


def test_checkpoints_are_those_on_disk_with_their_sizes(trained_folder):
    search = read_search(trained_folder)
    table = page_data.checkpoints(search, trained_folder)
    names = [trial.name for trial in search.trials]
    assert table["epoch"].to_dict() == dict(zip(names, (3, 3, 2), strict=True))
    file = trained_folder / "checkpoints" / names[2] / "epoch_0002.pt"
    assert table.loc[names[2], "MB"] == file.stat().st_size / 1e6
    elsewhere = page_data.checkpoints(search, trained_folder / "moved")
    assert elsewhere.empty


def test_the_load_of_the_machine_is_told():
    assert page_data.machine()["CPUs busy"].endswith(f"of {os.cpu_count()}")


def test_the_gpus_are_told_as_the_driver_knows_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert page_data.gpus().empty
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho NVIDIA A, 37, 1024, 81920\necho NVIDIA B, 0, 3, 81920\n")
    driver.chmod(0o755)
    table = page_data.gpus()
    assert table.to_dict("records")[0] == {"GPU": "NVIDIA A", "busy %": "37", "used MiB": "1024", "of MiB": "81920"}
    assert len(table) == 2
    driver.write_text("#!/bin/sh\necho No devices were found\n")
    assert page_data.gpus().empty


def test_the_server_listens_on_this_machine_alone_and_sends_nothing(finished_folder, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append(command))
    monkeypatch.setattr(page, "find_spec", lambda name: True)
    page.main([str(finished_folder)])
    (command,) = started
    assert {"--server.address=127.0.0.1", "--browser.gatherUsageStats=false"} <= set(command)
    assert command[-2:] == ["--", str(finished_folder)]


def test_without_a_request_streamlit_is_not_imported():
    program = "import sys, tuner.page, tuner.views.page_data; assert 'streamlit' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_the_page_needs_is_read_before_the_server_starts(finished_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("the server is started"))
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    (folder / "confirm.jsonl").write_text("x\n")
    assert page.main([str(folder)]) == 2
    assert "confirm.jsonl, line 1 is damaged, restore the file from a copy" in capsys.readouterr().err


def needs_streamlit(test):
    reason = "streamlit is an extra: pip install 'vision-tuner[page]'"
    return pytest.mark.filterwarnings("ignore")(pytest.mark.skipif(find_spec("streamlit") is None, reason=reason)(test))


@needs_streamlit
def test_the_page_is_drawn_and_another_trial_is_looked_at(trained_folder):
    from streamlit.testing.v1 import AppTest

    drawn = AppTest.from_function(draw, args=(str(trained_folder),)).run(timeout=60)
    assert not drawn.exception
    search = read_search(trained_folder)
    assert f"best trial {search.leader.name} s_measure" in drawn.markdown[0].value
    metric, trial = drawn.selectbox
    assert metric.value == "val/s_measure"
    assert "Learning curves" in [heading.value for heading in drawn.subheader]
    assert trial.value.number == 1
    trial.select_index(2).run()
    assert not drawn.exception
    (checkpoints,) = [table.value for table in drawn.dataframe if "path" in table.value]
    assert Path(checkpoints.loc[search.trials[2].name, "path"]).name == "epoch_0002.pt"


@needs_streamlit
def test_a_configuration_of_another_version_leaves_the_rest_of_the_page(finished_folder):
    from streamlit.testing.v1 import AppTest

    drawn = AppTest.from_function(draw, args=(str(finished_folder),)).run(timeout=60)
    assert not drawn.exception
    assert "This version can't read the configuration" in drawn.error[0].value
    assert len(drawn.dataframe) >= 3


@needs_streamlit
@pytest.mark.parametrize("name", ["settings.json", "trials.jsonl", "confirm.jsonl", "trivial.json"])
def test_a_file_that_is_damaged_while_the_page_is_open_is_told_on_it(finished_folder, tmp_path, name):
    from streamlit.testing.v1 import AppTest

    folder = shutil.copytree(finished_folder, tmp_path / "run")
    (folder / name).write_text("x\n")
    drawn = AppTest.from_function(draw, args=(str(folder),)).run(timeout=60)
    assert not drawn.exception
    assert name in drawn.error[0].value


def draw(folder):
    from pathlib import Path

    from tuner.views.page_view import show

    show(Path(folder))
