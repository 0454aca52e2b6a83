"""The commands that read a large search, timed on records of a small one."""

from importlib import import_module

import pytest

from benchmarks.harness import Size
from benchmarks.searches import first_decision, report_and_resume
from benchmarks.searches.recorded_search import record_finished, record_interrupted
from tuner.policy.outcomes import Outcome
from tuner.records import read_search

TINY = Size(rounds=1, is_tiny=True)


@pytest.fixture
def in_this_process(monkeypatch):
    """Runs the commands in this process at a fixed 4 s each, and returns their names."""
    run = []

    def seconds(kind, module, *arguments):
        if kind == "-m":
            assert import_module(module).main(arguments) == 0
            run.append(module)
        return 4.0

    monkeypatch.setattr(report_and_resume, "cpu_seconds", seconds)
    return run


def test_each_command_runs_on_the_records_and_is_reported_apart_from_a_slow_machine(in_this_process, capsys):
    claims = report_and_resume.measure(TINY)
    assert sorted(in_this_process) == [
        "benchmarks.searches.first_decision",
        "tuner.explain",
        "tuner.report",
        "tuner.report",
    ]
    assert [(claim.target, claim.reached) for claim in claims] == [
        ("at most 3 s of CPU", False),
        ("at most 15 s of CPU", True),
        ("at most 2 s of CPU", False),
        ("at most 10 s of CPU", True),
    ]
    assert claims[0].finding == "4.0 s of CPU, 1.00 of an import of torch and Ray: 4.0 s"
    assert claims[3].work == "resume of 8 ended and 3 waiting trials, until the first decision"


def test_a_finished_search_has_ended_trials_alone(tmp_path):
    record_finished(tmp_path / "search", 12)
    search = read_search(tmp_path / "search")
    assert len(search.trials) == 12
    assert {Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG} == {trial.outcome for trial in search.trials}


def test_after_an_interrupted_search_the_first_decision_is_about_no_trial_that_was_running(tmp_path, capsys):
    record_interrupted(tmp_path / "search", num_ended=8, num_waiting=3)
    before = read_search(tmp_path / "search")
    running = [trial for trial in before.unfinished if trial.last_epoch not in before.settings.rung_epochs]
    assert sum(trial.outcome is not None for trial in before.trials) == 8
    assert len(before.unfinished) - len(running) >= 3
    assert (before.settings.scheduler, before.settings.sampler) == ("asha", "forecast")
    assert first_decision.main([str(tmp_path / "search")]) == 0
    decided = capsys.readouterr().out.strip()
    assert decided not in [trial.name for trial in running]
    assert decided in [trial.name for trial in read_search(tmp_path / "search").trials]


def test_a_command_that_fails_is_reported_with_what_it_wrote():
    assert report_and_resume.cpu_seconds("-c", "sum(range(10**6))") > 0
    with pytest.raises(RuntimeError, match=r"ended \(1\): no such folder"):
        report_and_resume.cpu_seconds("-c", "raise SystemExit('no such folder')")
