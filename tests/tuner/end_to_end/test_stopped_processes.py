"""A search whose processes are stopped for a while, as by a machine that sleeps, and go on: nothing is lost."""

import signal
import time

import psutil
import pytest

from tests.tuner.end_to_end.search_process import QUICK_TO_MISS_A_NODE, assert_no_epoch_is_repeated, new_search
from tuner.policy.outcomes import Outcome
from tuner.records import read_search

STOPPED_SECONDS = 8
"""Longer than Ray, made quick, waits for a node that does not answer."""


def stop_for_a_while(search, process, *, meanwhile) -> None:
    """Stops the process; what should happen `meanwhile` has happened when it goes on."""
    command = search.commands[-1]
    process.send_signal(signal.SIGSTOP)
    command.until(lambda: process.status() == psutil.STATUS_STOPPED)
    stopped = time.monotonic()
    command.until(lambda: time.monotonic() > stopped + STOPPED_SECONDS and meanwhile())
    process.send_signal(signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_trial_and_then_the_driver_are_stopped_for_a_while_and_no_trial_is_ended_for_it(
    tmp_path, disc_folder, monkeypatch
):
    for name, value in QUICK_TO_MISS_A_NODE.items():
        monkeypatch.setenv(name, value)
    search = new_search(tmp_path, disc_folder, trials=2, epochs=16, lanes=1, scheduler="none")
    command = search.commands[-1]

    def count() -> int:
        return len(search.events("result"))

    def checkpoints() -> list[int]:
        return [int(path.stem.removeprefix("epoch_")) for path in search.folder.rglob("checkpoints/*/epoch_*.pt")]

    try:
        command.until(lambda: count() >= 2)
        (trial,) = command.running_trials()
        stop_for_a_while(search, trial, meanwhile=lambda: True)
        reached = count()
        command.until(lambda: count() >= reached + 2)
        (driver,) = command.itself()
        stop_for_a_while(search, driver, meanwhile=lambda: max(checkpoints()) > search.events("result")[-1]["epoch"])
        assert search.finish() == 0, command.complained
    finally:
        for process in (*command.itself(), *command.running_trials()):
            process.send_signal(signal.SIGCONT)
        search.end()
    record = read_search(search.folder)
    assert [(trial.outcome, sorted(trial.results)) for trial in record.trials] == [
        (Outcome.COMPLETED, list(range(1, 17)))
    ] * 2
    assert not search.events("leg_failed")
    assert_no_epoch_is_repeated(search)
    assert len(command.trial_processes) == 1
