import csv
import io
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from rich.markdown import Markdown

from tests.tuner.recorded_curves import recorded
from trainable.data.io.findings import Finding, Severity, kinds_of
from tuner.policy.outcomes import Outcome
from tuner.records import ConfirmedRun, Execution, append_run, read_search, trial_name
from tuner.report import main, results_table, write_report
from tuner.results.report_text import table


@pytest.fixture(scope="module")
def reported(finished_folder, tmp_path_factory):
    """A copy of the folder of a finished search, with its report."""
    folder = Path(shutil.copytree(finished_folder, tmp_path_factory.mktemp("reported") / "finished"))
    write_report(folder)
    return folder


@pytest.fixture
def copied(finished_folder, tmp_path):
    """The same, to be changed."""
    return Path(shutil.copytree(finished_folder, tmp_path / "results" / "moe" / "copied"))


def report_of(recorder) -> str:
    return write_report(recorder.folder).read_text()


def test_the_report_compares_the_winner_with_the_default_at_the_same_epoch(reported):
    search, text = read_search(reported), (reported / "report.md").read_text()
    best, default = (trial.objective_at(12) for trial in (search.leader, search.default_trial))
    assert f"**Trial {search.leader.name} is {best - default:.3f} better than the default configuration: " in text
    assert f"{best:.3f} at epoch 12 on the validation split, default {default:.3f}." in text
    assert f"| `max_lr` | 0.003 | {search.leader.params['max_lr']:.3g} |" in text


def test_the_page_is_written_next_to_the_report_with_a_row_for_every_trial(reported):
    text = (reported / "report.md").read_text()
    assert "their curves in `report.html`" in text
    assert (reported / "report.html").is_file()
    assert sum(trial.sentence in text for trial in read_search(reported).trials) == 40


def test_every_command_of_the_report_names_this_search(copied, monkeypatch):
    monkeypatch.chdir(copied.parents[2])
    text = write_report(copied).read_text()
    commands = [line for line in text.splitlines() if line.startswith(("python -m", "tensorboard"))]
    assert all("results/moe/copied" in command and "/tmp" not in command for command in commands)
    assert "python -m tuner.export results/moe/copied" in commands
    assert not any("--resume" in command for command in commands)


def test_the_command_that_scores_it_promises_no_number_of_seeds(reported):
    """The command takes the seeds of the search, such as 3..6."""
    assert f"# Score it on the test split\npython -m tuner.confirm {reported}\n" in (reported / "report.md").read_text()


def test_the_table_has_each_parameter_in_its_column_and_reads_back(reported):
    frame = pd.read_csv(reported / "results.csv")
    search = read_search(reported)
    assert len(frame) == 40
    assert frame["max_lr"].tolist() == pytest.approx([trial.params["max_lr"] for trial in search.trials])
    with_average = [trial.params["averaging"] == "ema" for trial in search.trials]
    assert frame["ema_decay"].notna().tolist() == with_average
    assert frame["ending"].tolist() == [trial.sentence for trial in search.trials]
    diverged = frame[frame["outcome"] == "diverged"]
    assert len(diverged) > 0
    assert set(diverged["epochs"]) == {1}
    measured = [search.trials[number].results[1].objective for number in diverged["number"]]
    assert diverged["objective"].tolist() == pytest.approx(measured)


def test_a_confirmation_is_reported_with_its_interval_and_its_doubt(copied):
    search = read_search(copied)
    default, winner = search.default_trial.name, search.leader.name
    values = {(default, 1): 0.70, (default, 2): 0.75, (winner, 1): 0.80, (winner, 2): 0.74}
    values |= {(default, 3): 0.72, (winner, 3): 0.77}
    for (trial, seed), value in values.items():
        append_run(copied, ConfirmedRun(trial=trial, seed=seed, objective=value, test={"s_measure": value}))
    text = write_report(copied).read_text()
    assert "## Test split" in text
    assert "| mean ± standard deviation | 0.723 ± 0.025 | 0.770 ± 0.030 |" in text
    assert "but this may be chance" in text
    assert "python -m tuner.confirm" not in text


def test_above_its_sections_a_report_claims_only_what_holds_for_what_is_exported(copied):
    default, chosen, other, *_ = (trial.name for trial in read_search(copied).trials)
    for trial, value in {default: 0.70, chosen: 0.80, other: 0.75}.items():
        for seed in (1, 2):
            append_run(copied, ConfirmedRun(trial=trial, seed=seed, objective=value, validation=value, test={}))
    head, *sections = write_report(copied).read_text().split("\n## ")
    assert f"Trial {chosen} is exported: " in head
    assert head.count("On the test split, trial") == 1
    assert any(f"On the test split, trial {other} is" in section for section in sections)


def test_an_interrupted_search_says_how_to_continue(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=40)
    text = report_of(synthetic.recorder)
    first = text.split("\n\n")[1]
    assert first.startswith("**Interrupted: ")
    assert f"python -m tuner.search --resume {synthetic.recorder.folder} does it." in first
    unfinished = synthetic.recorder.record.unfinished
    assert unfinished
    assert all(f"| {trial.sentence} |" in text for trial in unfinished)
    assert f"{len(unfinished)} unfinished. Their parameters" in text


def test_a_value_that_a_spreadsheet_would_compute_is_text_in_the_table(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run(until=40)
    records = synthetic.recorder.folder / "trials.jsonl"
    records.write_text(records.read_text().replace('"params": {', '"params": {"planted": "=1+1", "=2+2": 3, '))
    write_report(synthetic.recorder.folder)
    with (synthetic.recorder.folder / "results.csv").open(newline="") as file:
        assert {(row["planted"], row["'=2+2"]) for row in csv.DictReader(file)} == {("'=1+1", "3")}


def test_a_search_of_one_trial_says_that_the_default_is_the_best(synthetic_search):
    synthetic = synthetic_search(num_trials=1)
    synthetic.run()
    text = report_of(synthetic.recorder)
    assert "**The default configuration is the best, " in text
    assert "this search has 1." in text


def test_a_search_in_which_all_diverged_says_so(synthetic_search):
    synthetic = synthetic_search(num_trials=5)
    sample = synthetic.sample
    synthetic.sample = lambda number: sample(number) | {"max_lr": 1.0}
    synthetic.run()
    text = report_of(synthetic.recorder)
    assert "**No trial has a value to compare; " in text
    assert text.count("diverged in epoch 2 at step 31: loss was nan") == 5
    assert "python -m tuner.export" not in text


def test_the_only_trial_is_not_called_the_best_of_one(tmp_path):
    recorded(tmp_path, curves=[[0.1, 0.2, 0.3, 0.4]], endings={0: Outcome.COMPLETED}, num_trials=1)
    text = write_report(tmp_path).read_text()
    assert f"Trial {trial_name(0, {})} is the only one measured at epoch 4, the highest epoch reached. Its" in text


def test_a_parameter_whose_name_has_back_ticks_stays_one_code_span(synthetic_search):
    recorder, name = synthetic_search(num_trials=1).recorder, "`a` <b>"
    trial = trial_name(0, {name: 1})
    recorder.start(trial, params={name: 1}, answers={})
    recorder.result(trial, epoch=1, objective=0.5, metrics={}, seconds=1.0)
    assert f"| `` {name} `` | 1 |" in report_of(recorder)


def test_a_search_without_a_single_trial_has_a_report(synthetic_search):
    text = report_of(synthetic_search().recorder)
    assert "No trial has started." in text
    assert "**No trial has a value" in text


def test_a_winner_beside_a_default_that_diverged_is_not_called_better(synthetic_search):
    synthetic = synthetic_search(seed=1)
    sample = synthetic.sample
    synthetic.sample = lambda number: sample(number) | ({"max_lr": 1.0} if number == 0 else {})
    synthetic.run()
    text = report_of(synthetic.recorder)
    assert f"**Trial {synthetic.recorder.record.leader.name} is the best, " in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            Outcome.STOPPED_AT_RUNG,
            "at epoch 4 on the validation split; at epoch 3, where the default ended, it had 0.600, default 0.700",
        ),
        (Outcome.PLATEAUED, "0.200 better than the default configuration: `s_measure` 0.900 at epoch 4 on the"),
    ],
)
def test_a_default_that_ended_early_is_compared_where_it_ended_or_with_what_it_plateaued_at(
    synthetic_search, outcome, words
):
    recorder = synthetic_search(num_trials=2).recorder
    for number, curve in enumerate([[0.5, 0.6, 0.7], [0.4, 0.5, 0.6, 0.9]]):
        trial = trial_name(number, {})
        recorder.start(trial, params={}, answers={})
        for epoch, value in enumerate(curve, start=1):
            recorder.result(trial, epoch=epoch, objective=value, metrics={}, seconds=1.0)
        recorder.end(trial, outcome, numbers={"rung": 1}, epoch=len(curve))
    assert words in report_of(recorder)


def test_metrics_that_were_not_finite_do_not_break_the_report(synthetic_search):
    synthetic = synthetic_search(num_trials=3)
    metrics = synthetic._metrics
    synthetic._metrics = lambda params, epoch, value: dict.fromkeys(metrics(params, epoch, value), math.nan)
    synthetic.run()
    assert "## Trials" in report_of(synthetic.recorder)


def test_an_error_text_with_line_breaks_and_bars_does_not_break_the_table():
    assert table(("a",), [("x|y\nz",)]) == "| a |\n| --- |\n| x\\|y z |"


def test_a_value_that_looks_like_html_is_seen_where_the_report_is_read():
    read = io.StringIO()
    rows = [("`norm`", "<none>", "<script>x</script>"), ("data", "a <b> & c", "`<code>`")]
    Console(file=read, width=100).print(Markdown(table(("parameter", "default", "trial"), rows)))
    for cell in ("<none>", "<script>x</script>", "a <b> & c", "<code>"):
        assert cell in read.getvalue()


@pytest.mark.parametrize("text", ["`<b>", "`` <b>", "`a` <b> `c`"])
def test_html_after_a_back_tick_has_no_effect(text):
    assert "\\<b>" in table(("a",), [(text,)])


def test_the_report_can_be_made_again_and_is_the_same(reported):
    def content():
        return {path: path.read_bytes() for path in reported.rglob("*") if path.suffix in (".md", ".csv")}

    before = content()
    write_report(reported)
    assert content() == before
    assert len(before) == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "holds no search"),
        (lambda folder: (folder / "settings.json").write_text("{"), "is damaged, restore it from a copy"),
        (lambda folder: (folder / "settings.json").write_text('{"format": 0}'), "has format 0"),
    ],
)
def test_a_wrong_folder_is_a_sentence_and_exit_code_two(tmp_path, capsys, make, said):
    make(tmp_path)
    assert main([str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_a_sentence(synthetic_search, capsys):
    folder = synthetic_search().recorder.folder
    (folder / "report.html").mkdir()
    assert main([str(folder)]) == 2
    assert "report.html" in capsys.readouterr().err


def test_the_report_needs_neither_torch_nor_ray_nor_pandas(synthetic_search):
    code = (
        "import sys; from tuner.report import main; code = main(sys.argv[1:]); "
        "sys.exit(code or sum(name in sys.modules for name in ('torch', 'ray', 'pandas')))"
    )
    command = [sys.executable, "-c", code, str(synthetic_search().recorder.folder)]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_a_parameter_that_is_called_like_a_fact_has_a_column_of_its_own(synthetic_search):
    recorder = synthetic_search().recorder
    recorder.start(trial_name(0, {}), params={"objective": "focal", "ending": 0.1}, answers={})
    write_report(recorder.folder)
    with (recorder.folder / "results.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert len(set(header)) == len(header)
    row = dict(zip(header, rows[0], strict=True))
    assert (row["objective"], row["config/objective"], row["config/ending"]) == ("", "focal", "0.1")
    assert row["ending"] == recorder.record.trials[0].sentence


def test_an_unmeasured_trial_has_empty_cells(synthetic_search):
    recorder = synthetic_search().recorder
    recorder.start(trial_name(0, {}), params={"max_lr": 0.1}, answers={})
    row = results_table(recorder.record).iloc[0]
    assert (row["outcome"], row["epochs"], row["max_lr"]) == ("unfinished", 0, 0.1)
    assert pd.isna(row["objective"])
    assert pd.isna(row["best_epoch"])


def test_the_precision_in_effect_and_the_time_between_trials_are_in_the_report(synthetic_search):
    recorder = synthetic_search(num_trials=2).recorder
    for trial in (trial_name(number, {}) for number in range(2)):
        recorder.start(trial, params={"max_lr": 1e-3}, answers={})
        facts = {
            "objective": 0.5,
            "metrics": {},
            "seconds": 0.0,
            "execution": Execution(process="here:1", precision="bf16"),
        }
        recorder.result(trial, epoch=1, **facts)
    text = report_of(recorder)
    assert "| precision in effect | bf16 |" in text
    assert "| pause between two trials | median 0.00 s, at most 0.00 s; 1 change from one trial to the next |" in text


def test_how_many_images_of_what_size_were_searched_on_and_that_few_are_too_few(synthetic_search):
    counts = {"train": 31, "validation": 20, "test": 19}
    text = report_of(synthetic_search(images=counts, image_size_px=(128, 240)).recorder)
    assert "| images | train 31, validation 20, test 19 images at 240 x 128 px |" in text
    assert "\n\nOnly 19 test images: too few to rank configurations.\n\n" in text


def test_classes_and_what_was_left_out_are_in_the_report_and_on_the_page(synthetic_search):
    counts = {"train": {"clean": 20, "dirty": 11}, "validation": {"clean": 20}, "test": {"clean": 19, "dirty": 0}}
    left_out = [
        Finding(file=f"{number}.png", problem="lies beside the classes", action="Left out.", severity=Severity.WARNING)
        for number in range(12)
    ]
    recorder = synthetic_search(
        images={"train": 31, "validation": 20, "test": 19}, class_counts=counts, data_findings=kinds_of(left_out)
    ).recorder
    text = report_of(recorder)
    assert "|  | train | validation | test |\n| --- | --- | --- | --- |\n| images | 31 | 20 | 19 |\n" in text
    assert "| clean | 20 | 20 | 19 |\n| dirty | 11 | - | 0 |\n" in text
    assert "| lies beside the classes | 12 files, such as 0.png, 1.png, 2.png | Left out. |\n" in text
    page = (recorder.folder / "report.html").read_text()
    assert "<td>11</td><td>-</td><td>0</td>" in page
    assert "12 files, such as 0.png" in page


def test_problems_that_are_not_on_record_are_counted(synthetic_search):
    findings = [
        Finding(file=f"{number}.png", problem=f"{number % 2} wrong", action="Left out.", severity=Severity.WARNING)
        for number in range(13)
    ]
    text = report_of(synthetic_search(data_findings=kinds_of(findings)).recorder)
    assert "| 0 wrong | 5 files, such as 0.png, 2.png, 4.png | Left out. |\n| 1 wrong | 5 files, such as" in text
    assert "| of this kind | 3 more | Left out. |" in text


def test_a_folder_without_classes_on_record_has_no_section_of_them(synthetic_search):
    assert "## Data" not in report_of(synthetic_search().recorder)


def test_enough_images_get_no_caution(synthetic_search):
    counts = dict.fromkeys(("train", "validation", "test"), 20)
    text = report_of(synthetic_search(images=counts, image_size_px=(96, 96)).recorder)
    assert "too few to rank configurations" not in text
