"""A search over a loop of the user's own, killed and continued, beside what it would have done undisturbed."""

import signal
import sys
from pathlib import Path

import pytest
import torch

from tests.tuner.end_to_end.search_process import Search, assert_no_epoch_is_repeated
from trainable.run import run_epochs
from trainable.run_setup import open_run
from tuner.export import exported_config_of
from tuner.records import read_search

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "own_loop.py"


@pytest.fixture
def search(tmp_path, monkeypatch):
    """A search in a user's folder on one slot, killed after three epochs and again after six."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "killed_loop.py").write_text(EXAMPLE.read_text())
    search = Search(tmp_path, tmp_path / "results" / "own_loop" / "run")
    options = "--space killed_loop.py:SPACE --name run --trials 4 --max-epochs 6 --confirm 0 --concurrent 1"
    search.begin(*options.split(), cwd=tmp_path)
    for num_results in (3, 6):
        search.commands[-1].until(lambda reached=num_results: len(search.events("result")) >= reached)
        search.commands[-1].send(signal.SIGKILL)
        search.finish()
        search.begin("--resume", str(search.folder), cwd=tmp_path)
    yield search
    search.end()
    sys.modules.pop("killed_loop", None)


def test_a_loop_that_is_killed_continues_to_the_same_curves(search):
    assert search.finish() == 0, search.commands[-1].complained
    assert_no_epoch_is_repeated(search)
    record = read_search(search.folder)
    assert [trial.number for trial in record.trials] == [0, 1, 2, 3]
    torch.set_num_threads(1)
    for trial in record.trials:
        run = open_run(exported_config_of(record, trial, search.folder), "cpu")
        alone = {result.epoch: result.metrics for result in run_epochs(run, on_epoch=lambda result: None)}
        assert {epoch: result.metrics for epoch, result in trial.results.items()} == {
            epoch: alone[epoch] for epoch in trial.results
        }
