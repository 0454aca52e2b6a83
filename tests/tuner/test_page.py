"""The page on a search: its tables hold what is on record, and it is drawn without an error."""

import json
import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tuner import formatting, page
from tuner.records import ConfirmedRun, append_run, lock_folder, read_search
from tuner.views import page_data
from tuner.views.figures.curves import draw_searches


def test_the_winner_comes_first_and_every_metric_is_there(finished_folder):
    search = read_search(finished_folder)
    table = page_data.last_metrics(search, search.leader)
    assert table.index[0] == search.leader.name
    assert {"epoch", *page_data.metric_names(search)} == set(table.columns)
    assert page_data.metric_names(search)[0] == "val/s_measure"


def test_the_time_left_is_that_of_what_runs(finished_folder, tmp_path):
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    settings = json.loads((folder / "settings.json").read_text())
    so_far = formatting.duration(read_search(folder).elapsed)

    def said(**changes):
        (folder / "settings.json").write_text(json.dumps(settings | changes))
        return page_data.clock(read_search(folder), folder)

    assert said(confirm=1) == said(num_trials=50) == so_far
    with lock_folder(folder):
        assert re.fullmatch(rf"{so_far}, confirming, .* left", said(confirm=1))
        assert re.fullmatch(rf"{so_far}, (?!confirming).* left", said(num_trials=50))
        assert said(confirm=0) == so_far


def test_a_configuration_is_shown_with_the_default(trained_folder):
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


def test_the_load_of_the_machine_is_shown():
    assert page_data.machine()["CPUs busy"].endswith(f"of {os.cpu_count()}")


def test_the_gpus_are_shown_as_the_driver_reports_them(tmp_path, monkeypatch):
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


def test_what_the_page_needs_is_read_before_the_server_starts(finished_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("the server is started"))
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    (folder / "confirm.jsonl").write_text("x\n")
    assert page.main([str(folder)]) == 2
    assert "confirm.jsonl, line 1 is damaged, restore the file from a copy" in capsys.readouterr().err


@pytest.fixture
def two_searches(finished_folder, tmp_path):
    """A finished search, and an interrupted copy of it with another seed in the folder of another space."""
    first = Path(shutil.copytree(finished_folder, tmp_path / "results" / "moe" / "first"))
    second = Path(shutil.copytree(finished_folder, tmp_path / "results" / "other" / "second"))
    settings = json.loads((second / "settings.json").read_text())
    (second / "settings.json").write_text(json.dumps(settings | {"seed": 7, "num_trials": 50}))
    return first, second


def test_other_searches_of_the_objective_are_offered_and_those_of_another_or_damaged_ones_are_not(two_searches):
    first, second = two_searches
    for name, changes in (("loss", {"mode": "min"}), ("damaged", {"mode": 3})):
        folder = shutil.copytree(first, first.parent / name)
        settings = json.loads((folder / "settings.json").read_text())
        (folder / "settings.json").write_text(json.dumps(settings | changes))
    assert page_data.others(first, read_search(first)) == [second.resolve()]


def test_searches_stand_side_by_side_with_what_each_exports_and_where_their_settings_differ(two_searches):
    first, second = two_searches
    searches = [read_search(folder) for folder in two_searches]
    winner, default = searches[0].leader, searches[0].default_trial
    for trial, value in ((winner, 0.9), (default, 0.8)):
        for seed in range(3):
            append_run(first, ConfirmedRun(trial=trial.name, seed=seed, objective=value, validation=value, test={}))
    table = page_data.side_by_side(two_searches, searches)
    row = table.loc[str(first)]
    assert row[["exported", "gain on test", "seeds", "trials"]].tolist() == [
        winner.name,
        pytest.approx(0.1),
        3,
        "40 of 40",
    ]
    assert table.loc[str(second), "left"].startswith("Interrupted: 40 of 50 trials ended")
    differing = page_data.differing_settings(two_searches, searches)
    assert {"seed", "trials asked for"} <= set(differing.index)
    assert "space" not in differing.index


def test_the_figure_of_several_searches_has_a_line_for_each_that_ends_at_its_best_value(two_searches):
    search = read_search(two_searches[0])
    figure = draw_searches({"<b>first</b>": search, "second": search}).figure
    assert [line.name for line in figure.data] == ["&lt;b&gt;first&lt;/b&gt;", "second"]
    best = max(trial.measured(search.comparison_epoch).objective for trial in search.measured_at(12))
    assert {line.y[-1] for line in figure.data} == {best}


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
def test_an_interrupted_search_says_so_first_and_others_are_chosen_to_compare_with(two_searches):
    from streamlit.testing.v1 import AppTest

    first, second = two_searches
    drawn = AppTest.from_function(draw, args=(str(second),)).run(timeout=60)
    assert not drawn.exception
    first_words = next(one.value for one in drawn.main if hasattr(one, "value"))
    assert first_words.startswith("Interrupted: 40 of 50 trials ended")
    drawn.multiselect[0].select(first.resolve()).run()
    assert not drawn.exception
    assert {"Best so far of each search", "Every seed on the test split"} <= {one.value for one in drawn.subheader}
    assert [str(first.resolve())] == [name for name in drawn.dataframe[-1].value.columns if name.endswith("first")]


@needs_streamlit
def test_a_configuration_of_another_version_leaves_the_rest_of_the_page(finished_folder):
    from streamlit.testing.v1 import AppTest

    drawn = AppTest.from_function(draw, args=(str(finished_folder),)).run(timeout=60)
    assert not drawn.exception
    assert "This version can't read the configuration" in drawn.error[0].value
    assert len(drawn.dataframe) >= 3


@needs_streamlit
@pytest.mark.parametrize("name", ["settings.json", "trials.jsonl", "confirm.jsonl", "trivial.json"])
def test_a_file_that_is_damaged_while_the_page_is_open_is_reported_on_it(finished_folder, tmp_path, name):
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
