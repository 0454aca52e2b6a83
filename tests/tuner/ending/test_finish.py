"""The last lines and files of a search, and whether anything is left to do."""

import json
import re
import shlex
import shutil
from contextlib import closing
from dataclasses import replace

import pytest
from markupsafe import escape

from tuner import load
from tuner.confirmation.wanted import FIRST_SEED, is_over, what_is_left
from tuner.ending.restoring import restore
from tuner.ending.steps import NO_RESULT, finish
from tuner.explain import explain_search
from tuner.export import main as export
from tuner.records import ConfirmedRun, Recorder, append_run, lock_folder, read_search
from tuner.report import main as report
from tuner.search import main as search_command
from tuner.views.html.content import read_result


def events(folder):
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def after(said, words):
    return said.partition(words)[2]


def rewrite(folder, changed):
    (folder / "trials.jsonl").write_text("".join(json.dumps(event) + "\n" for event in changed))


@pytest.fixture
def ended(trained_folder, tmp_path):
    """Two trials of two have ended; how many are to be confirmed, and how many seeds of both have been."""

    def copy(*, confirm: int, seeds: int):
        folder = shutil.copytree(trained_folder, tmp_path / "my results [v2] #1" / "moe" / "discs")
        kept, unfinished = events(folder), read_search(folder).trials[2].name
        rewrite(folder, [event for event in kept if event.get("trial") != unfinished])
        settings = json.loads((folder / "settings.json").read_text()) | {"num_trials": 2, "confirm": confirm}
        (folder / "settings.json").write_text(json.dumps(settings))
        for trial in read_search(folder).trials:
            for seed in range(seeds):
                append_run(folder, ConfirmedRun(trial=trial.name, seed=FIRST_SEED + seed, objective=0.5, test={}))
        return folder

    return copy


@pytest.mark.parametrize(("confirm", "seeds"), [(0, 0), (1, 3)])
def test_a_search_that_is_over_says_where_its_winner_lies_and_exits_with_0(ended, capsys, confirm, seeds):
    folder = ended(confirm=confirm, seeds=seeds)
    assert finish(folder, read_search(folder)) == 0
    said = capsys.readouterr().out
    assert f"Exported    {folder}/best/config.json" in said
    assert f"python -m trainable.train --config {shlex.quote(f'{folder}/best/config.json')}" in said
    assert "--resume" not in said
    assert (folder / "report.md").exists()


def test_interrupted_between_two_confirmations_it_has_its_report_and_says_how_to_go_on(ended, capsys):
    folder = ended(confirm=1, seeds=3 - 1)
    assert finish(folder, read_search(folder)) == 130
    assert explain_search(read_search(folder), folder)[0] == what_is_left(folder, read_search(folder))
    assert (said := capsys.readouterr().out).startswith("Interrupted: 2 of 2 trials ended in ")
    assert "Left: the rest of the confirmation; python -m tuner.search --resume " in said
    assert f" python -m tuner.search --resume {shlex.quote(str(folder))}" in after(said, "\nContinue the search")
    assert (folder / "report.md").exists()


def test_an_interrupted_search_says_so_first_wherever_its_result_is_read(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    finish(folder, read_search(folder))
    left = what_is_left(folder, read_search(folder))
    assert left.startswith("Interrupted: 2 of 3 trials ended")
    assert capsys.readouterr().out.splitlines()[0] == left
    assert explain_search(read_search(folder), folder)[0] == left
    assert load(folder).summary()["interrupted"] == left
    assert (folder / "report.md").read_text().splitlines()[2] == f"**{left}**"
    page = (folder / "report.html").read_text()
    assert page.index(f'<p class="note" role="note">{escape(left)}</p>') < page.index("<h1")
    # What is handed over is read elsewhere, too.
    done = left.partition("; python")[0]
    assert next(iter(json.loads((folder / "best/metrics.json").read_text()).items())) == ("interrupted", done)
    assert (folder / "best/README.md").read_text().splitlines()[2] == f"**{done}.**"
    assert export([str(folder)]) == 0
    said = capsys.readouterr()
    assert said.err == f"{left}\n"
    assert said.out == f"{folder}/best/config.json\n"
    with lock_folder(folder):
        assert load(folder).summary()["interrupted"] is None


def test_a_search_that_is_over_is_nowhere_called_interrupted(ended, capsys):
    folder = ended(confirm=1, seeds=3)
    finish(folder, read_search(folder))
    assert load(folder).summary()["interrupted"] is None
    assert "interrupted" not in (folder / "best/metrics.json").read_text()
    assert "Interrupted" not in (folder / "best/README.md").read_text() + capsys.readouterr().out


def test_interrupted_between_two_trials_it_says_how_to_go_on(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    assert finish(folder, read_search(folder)) == 130
    assert f"--resume {folder}" in capsys.readouterr().out


@pytest.mark.parametrize(("confirm", "seeds", "over"), [(0, 0, True), (1, 3, True), (1, 3 - 1, False), (1, 0, False)])
def test_a_search_is_over_when_its_trials_have_ended_and_what_was_asked_is_confirmed(ended, confirm, seeds, over):
    folder = ended(confirm=confirm, seeds=seeds)
    search = read_search(folder)
    assert is_over(folder, search) == over
    search.settings = replace(search.settings, num_trials=3)
    assert not is_over(folder, search)


def test_without_a_finite_objective_there_is_no_winner_and_the_report_says_why(ended, capsys):
    folder = ended(confirm=1, seeds=0)
    failed = {"outcome": "failed", "numbers": {"error": "x"}}
    rewrite(folder, [e | failed if e["event"] == "end" else e for e in events(folder) if e["event"] != "result"])
    assert finish(folder, read_search(folder)) == NO_RESULT
    said = capsys.readouterr().out
    assert "Result      No result: no trial has a value to compare." in said
    assert "Exported    none: no trial has a finite objective" in said
    assert not (folder / "best").exists()


def test_the_command_of_a_search_without_a_value_ends_with_1(ended, capsys):
    folder = ended(confirm=1, seeds=0)
    failed = {"outcome": "failed", "numbers": {"error": "x"}}
    rewrite(folder, [e | failed if e["event"] == "end" else e for e in events(folder) if e["event"] != "result"])
    with closing(Recorder.resume(folder)) as recorder:
        recorder.finish()
    assert search_command(["--resume", str(folder)]) == NO_RESULT
    assert "No result: no trial has a value to compare." in capsys.readouterr().out


def test_with_its_checkpoints_lost_it_has_its_report_and_says_how_to_go_on(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    shutil.rmtree(folder / "checkpoints")
    assert finish(folder, read_search(folder)) == 130
    said = capsys.readouterr().out
    assert f"Page        {folder}/report.html" in said
    assert f"Exported    none: {folder}/best is written without weights: Trial 001-" in said
    assert f"python -m trainable.train --config {folder}/best/config.json" in said
    assert f" python -m tuner.search --resume {shlex.quote(str(folder))}" in after(said, "\nContinue the search")


def test_interrupted_before_an_epoch_ended_no_objective_is_called_not_finite(trained_folder, tmp_path, capsys):
    folder = shutil.copytree(trained_folder, tmp_path / "discs")
    rewrite(folder, [event for event in events(folder) if event["event"] == "start"])
    assert finish(folder, read_search(folder)) == 130
    assert "Exported    none: interrupted before any epoch ended." in capsys.readouterr().out


def test_an_undecided_result_says_on_the_terminal_what_would_decide_it(ended, capsys):
    folder = ended(confirm=0, seeds=0)
    default, other = read_search(folder).trials
    for trial, values in ((default, (0.5, 0.5, 0.5)), (other, (0.52, 0.58, 0.55))):
        for seed, value in enumerate(values):
            run = ConfirmedRun(
                trial=trial.name, seed=FIRST_SEED + seed, objective=value, validation=value, test={}, seconds=1.0
            )
            append_run(folder, run)
    assert finish(folder, read_search(folder)) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" {12}Undecided: about \d+ more seeds? \(\d+ seconds?\) would settle it .*", said[1])


def test_the_last_lines_are_the_headline_of_the_page_its_path_and_three_commands_to_copy(ended, capsys):
    folder = ended(confirm=1, seeds=3)
    spaced = folder.rename(folder.with_name("two discs"))
    assert finish(spaced, read_search(spaced)) == 0
    said = capsys.readouterr().out.splitlines()
    sentence = read_result(spaced, read_search(spaced)).headline.sentence
    assert said[0] == f"Result      {sentence}"
    assert f'content="{escape(sentence)}"' in (spaced / "report.html").read_text()
    assert said[-4] == f"Page        {spaced}/report.html"
    commands = [line.partition("  ")[2].strip() for line in said[-3:]]
    assert [command.split()[:3] for command in commands] == [
        ["python", "-m", module] for module in ("trainable.train", "trainable.predict", "tuner.explain")
    ]
    assert str(spaced / "best/config.json") in shlex.split(commands[0])
    assert shlex.split(commands[2])[-1] == str(spaced)


LEFT = ("best", "report.html", "report.md", "results.csv")


@pytest.fixture
def finished(ended):
    """A search that is over, all of whose files are there."""
    folder = ended(confirm=0, seeds=0)
    with closing(Recorder.resume(folder)) as recorder:
        assert finish(folder, recorder.record) == 0
        recorder.finish()
    return folder


def test_what_was_deleted_of_a_finished_search_is_made_again_by_a_resume(finished, capsys):
    weights = (finished / "best/weights.pt").read_bytes()
    assert not restore(finished)
    for name in LEFT:
        shutil.rmtree(finished / name) if name == "best" else (finished / name).unlink()
        assert restore(finished)
        assert {path.name for path in finished.iterdir()} >= set(LEFT)
    assert (finished / "best/weights.pt").read_bytes() == weights
    (finished / "report.md").unlink()
    with lock_folder(finished), pytest.raises(ValueError, match="is in use by process"):
        restore(finished)


def test_of_a_search_that_is_not_finished_nothing_is_made_again(ended):
    assert not restore(ended(confirm=0, seeds=0))


def test_a_report_makes_a_deleted_export_again_or_says_what_is_missing(finished, capsys):
    best = finished / "best"
    shutil.rmtree(best)
    assert report([str(finished)]) == 0
    assert capsys.readouterr().err == f"{best} was missing, and is written again.\n"
    shutil.rmtree(best)
    shutil.rmtree(finished / "checkpoints")
    assert report([str(finished)]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"{best} is written without weights: Trial 001-")
    assert said.endswith(f"train it again with python -m trainable.train --config '{best}/config.json'.\n")
    assert report([str(finished)]) == 0
    assert not capsys.readouterr().err
