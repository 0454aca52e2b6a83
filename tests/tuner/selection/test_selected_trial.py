"""One answer: what several seeds chose is handed over, and every reader of the folder names that trial."""

import json
import re
import shutil
from contextlib import closing
from importlib.util import find_spec

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tuner import explain, load
from tuner.confirmation.wanted import FIRST_SEED, what_is_left
from tuner.ending.steps import finish
from tuner.listeners.study_copy import FILE as STUDY
from tuner.listeners.study_copy import StudyCopy
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmedRun, Recorder, append_run, read_search
from tuner.selection.selected_trial import select_trial
from tuner.views.figures.curves import draw_learning_curves
from tuner.views.figures.drawing import EXPORTED

MEANS = (0.70, 0.82, 0.80)
"""On the validation split on the first seed, by trial: trial 2 leads the search, trial 1 is the best on several."""


def told_apart(folder):
    """Ends trial 2, and records two seeds of each trial."""
    search = read_search(folder)
    with closing(Recorder.resume(folder)) as recorder:
        recorder.end(search.trials[2].name, Outcome.PLATEAUED, numbers={"epoch": 2, "objective": 0.5}, epoch=2)
        with closing(StudyCopy(folder, recorder.record, lambda trial: {})):
            pass
    for trial, mean in zip(search.trials, MEANS, strict=True):
        for seed in (0, 1):
            value = mean + 0.01 * seed
            run = ConfirmedRun(trial=trial.name, seed=FIRST_SEED + seed, objective=value, validation=value, test={})
            append_run(folder, run)


@pytest.fixture(scope="module")
def folder(trained_folder, tmp_path_factory):
    """A finished search whose leader is not the trial that several seeds chose, with all that its end writes."""
    copied = shutil.copytree(trained_folder, tmp_path_factory.mktemp("one") / "moe" / "discs")
    told_apart(copied)
    finish(copied, read_search(copied))
    return copied


@pytest.fixture
def search(folder):
    return read_search(folder)


@pytest.fixture
def chosen(search):
    return search.trials[1].name


@pytest.fixture
def leader(search):
    return search.trials[2].name


def test_the_answer_has_its_trial_its_epoch_its_evidence_and_names_the_leader_in_a_remark(
    folder, search, chosen, leader
):
    answer = select_trial(folder, search)
    assert (answer.trial.name, answer.epoch, answer.is_confirmed) == (chosen, 3, True)
    assert (answer.leader.name, answer.on_test.trial) == (leader, chosen)
    assert answer.in_search.trial is answer.trial
    assert answer.remark == (
        f"On the search's one seed, trial {leader} was the best; its mean of 2 seeds is 0.805, that of trial {chosen} "
        "0.825."
    )


def test_while_nothing_is_confirmed_the_leader_is_handed_over_without_a_remark(trained_folder):
    search = read_search(trained_folder)
    answer = select_trial(trained_folder, search)
    assert (answer.trial, answer.is_confirmed, answer.on_test, answer.remark) == (search.leader, False, None, None)


def test_without_a_value_nothing_is_selected(synthetic_search):
    recorder = synthetic_search().recorder
    assert select_trial(recorder.folder, recorder.record) is None


def test_a_leader_that_was_not_trained_on_other_seeds_is_named_as_such(trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    told_apart(folder)
    lines = (folder / "confirm.jsonl").read_text().splitlines(keepends=True)
    search = read_search(folder)
    leader = search.trials[2].name
    (folder / "confirm.jsonl").write_text("".join(line for line in lines if leader not in line))
    remark = select_trial(folder, search).remark
    assert remark == f"On the search's one seed, trial {leader} was the best; it was not trained on other seeds."


def fail_on_further_seeds(folder, trials):
    """The confirmed trainings of these trials diverged."""
    runs = [json.loads(line) for line in (folder / "confirm.jsonl").read_text().splitlines()]
    failed = {"objective": None, "validation": None}
    lines = (json.dumps(run | (failed if run["trial"] in trials else {})) + "\n" for run in runs)
    (folder / "confirm.jsonl").write_text("".join(lines))


def test_a_leader_that_failed_on_every_other_seed_has_no_mean_in_the_remark(trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    told_apart(folder)
    search = read_search(folder)
    leader = search.trials[2].name
    fail_on_further_seeds(folder, [leader])
    assert select_trial(folder, search).remark == (
        f"On the search's one seed, trial {leader} was the best; it diverged or ran out of memory on each of 2 seeds."
    )


def test_where_every_training_of_the_confirmation_failed_the_report_says_so_of_the_leader(trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    told_apart(folder)
    search = read_search(folder)
    fail_on_further_seeds(folder, [trial.name for trial in search.trials])
    leader = search.trials[2].name
    remark = f"Trial {leader} diverged or ran out of memory on 2 further seeds, each that it was trained on."
    assert select_trial(folder, search).remark == remark
    finish(folder, search)
    assert remark in (folder / "report.md").read_text().split("\n## ")[0]


def test_the_report_names_it_in_its_headline_its_own_section_and_its_table(folder, chosen, leader):
    text = (folder / "report.md").read_text()
    head, *_ = text.split("\n## ")
    assert f"**Trial {chosen} is exported: " in head
    assert f"On the test split, trial {chosen} is " in head
    assert f"On the search's one seed, trial {leader} was the best" in head
    (section,) = re.findall(r"## The exported trial\n(.*?)\n## ", text, flags=re.DOTALL)
    assert f"| parameter | default | trial {chosen} |" in section
    assert leader not in section
    assert f"| **{chosen}** |" in text
    assert f"**{leader}**" not in text


def test_the_learning_curves_mark_it(folder, search, chosen, leader):
    drawing = draw_learning_curves(search, select_trial(folder, search).trial)
    assert EXPORTED in {curve.line.color for curve in drawing.figure.data}
    last = {name: f"{search.by_name[name].last.objective:.3f}" for name in (chosen, leader)}
    assert f"the exported trial ends at {last[chosen]} " in drawing.description
    assert last[leader] not in drawing.description


def test_the_command_that_explains_begins_with_it(folder, chosen, leader, capsys):
    assert explain.main([str(folder)]) == 0
    _, why, test, undecided, remark, *own = capsys.readouterr().out.splitlines()
    assert why.startswith(f"Trial {chosen} is exported: ")
    assert test.startswith(f"On the test split, trial {chosen} is ")
    assert undecided.startswith("Undecided: about 1 more seed (")
    assert leader in remark
    assert own[0].startswith(f"Trial {chosen} ")
    assert explain.main([str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trial"]["name"] == chosen


def test_export_and_the_result_in_python_hold_it(folder, chosen, leader):
    best = load(folder).best
    assert (best.trial, best.is_confirmed) == (chosen, True)
    assert leader in best.remark
    assert load(folder).summary()["best"]["trial"] == chosen
    assert json.loads((folder / "best" / "metrics.json").read_text())["trial"] == chosen
    assert json.loads((folder / "best" / "config.json").read_text())["found_by"]["trial"] == chosen
    assert chosen in (folder / "best" / "README.md").read_text()


def test_the_study_names_it_and_keeps_the_remark(folder, search, chosen):
    study = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(folder / STUDY))))
    remark = select_trial(folder, search).remark
    named = {"exported_number": 1, "exported_trial": chosen, "remark": remark}
    assert study.user_attrs == named | {"interrupted": what_is_left(folder, search)}


@pytest.mark.skipif(find_spec("streamlit") is None, reason="streamlit is an extra: pip install 'vision-tuner[page]'")
@pytest.mark.filterwarnings("ignore")
def test_the_page_begins_with_it(folder, chosen, leader):
    from streamlit.testing.v1 import AppTest

    from tests.tuner.test_page import draw

    drawn = AppTest.from_function(draw, args=(str(folder),)).run(timeout=60)
    assert not drawn.exception
    assert f"Trial {chosen} is exported: " in drawn.markdown[0].value
    assert leader in drawn.caption[0].value
    assert drawn.selectbox[1].value.name == chosen
    (metrics,) = [table.value for table in drawn.dataframe if "val/s_measure" in table.value]
    assert metrics.index[0] == chosen
