"""A search that is cut off, moved, copied and hit, beside what it would have done had nobody disturbed it."""

import shutil
import signal
from hashlib import sha256
from pathlib import Path

import pytest

from tests.tuner.end_to_end.killed_at import MOMENTS
from tests.tuner.end_to_end.search_process import QUICK_TO_MISS_A_NODE, Search, assert_no_epoch_is_repeated, new_search
from tests.tuner.end_to_end.undisturbed import assert_decided_as_undisturbed
from trainable.run import run_epochs
from trainable.run_setup import open_run
from tuner.export import exported_config_of
from tuner.policy.outcomes import Outcome
from tuner.records import read_search

pytestmark = pytest.mark.timeout(400)


def terminated_and_moved(search: Search) -> None:
    """The folder is copied, then renamed, and goes on under its new name from another working folder."""
    search.commands[-1].until(lambda: len(search.events("result")) >= 2)
    search.commands[-1].send(signal.SIGTERM)
    search.finish()
    shutil.copytree(search.folder, search.folder.with_name("copy"))
    search.copied = content_of(search.folder.with_name("copy"))
    search.folder = search.folder.rename(search.folder.parents[1] / "elsewhere")
    search.begin("--resume", search.folder.name, cwd=search.folder.parent)


def killed_twice(search: Search) -> None:
    """The driver at its hardest moment, when a trial has just paused; and the process of a trial."""
    search.commands[-1].until(lambda: len(search.events("decision")) >= 2)
    search.commands[-1].send(signal.SIGKILL)
    go_on(search)
    await_results(search)
    (process,) = search.commands[-1].running_trials()
    process.kill()


def killed_three_times(search: Search) -> None:
    """Ray's node as well. On quick cores a search may come to its end before it notices that its node is gone."""
    killed_twice(search)
    await_results(search)
    (node,) = search.commands[-1].ray_nodes()
    node.kill()
    search.finish()
    if not read_search(search.folder).is_finished:
        assert (search.exit_codes[-1], "Ray has died on this machine" in search.commands[-1].complained) == (130, True)
        search.begin("--resume", str(search.folder))


def await_results(search: Search) -> None:
    known = len(search.events("result"))
    search.commands[-1].until(lambda: len(search.events("result")) >= known + 2)


def go_on(search: Search) -> None:
    search.finish()
    search.begin("--resume", str(search.folder))


def content_of(folder: Path) -> dict[str, str]:
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


DISTURBED = {
    "asha-stopping": (terminated_and_moved, {"trials": 3, "epochs": 12}),
    "asha": (killed_twice, {"trials": 3, "epochs": 9}),
    "asha, its node too": (killed_three_times, {"trials": 4, "epochs": 12}),
}


STOPPING, KILLED, NODE_TOO = (pytest.param(name, marks=pytest.mark.slow) for name in DISTURBED)
"""A minute each, which `make test-slow` has."""


@pytest.fixture(scope="module", params=[STOPPING, KILLED, NODE_TOO])
def disturbed(request, tmp_path_factory, disc_folder):
    disturb, size = DISTURBED[request.param]
    place = tmp_path_factory.mktemp("disturbed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK_TO_MISS_A_NODE.items():
            patch.setenv(name, value)
        search = new_search(place, disc_folder, **size, lanes=1, scheduler=request.param.split(",")[0])
        try:
            disturb(search)
            search.finish()
            yield search
        finally:
            search.end()


def test_resumed_it_ends_with_the_trials_it_would_have_had(disturbed):
    assert disturbed.exit_codes[-1] == 0, disturbed.commands[-1].complained
    search = read_search(disturbed.folder)
    assert [trial.number for trial in search.trials] == list(range(search.settings.num_trials))
    assert {trial.outcome for trial in search.trials} == {Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG}


def test_no_epoch_is_counted_twice(disturbed):
    assert_no_epoch_is_repeated(disturbed)


def test_through_all_of_it_every_curve_is_the_one_of_an_undisturbed_training_to_the_bit(disturbed):
    search = read_search(disturbed.folder)
    for trial in search.trials:
        run = open_run(exported_config_of(search, trial, disturbed.folder), "cpu")
        expected = [result.objective for result in run_epochs(run, on_epoch=lambda result: None)]
        assert [trial.results[epoch].objective for epoch in sorted(trial.results)] == expected[: trial.last.epoch]


def test_it_proposes_and_decides_what_an_undisturbed_search_does_with_these_curves(disturbed, tmp_path):
    assert_decided_as_undisturbed(disturbed, tmp_path)
    assert {event["decision"]["rung"] for event in disturbed.events("decision")} >= {1, 2}


@pytest.mark.parametrize("disturbed", [KILLED, NODE_TOO], indirect=True)
def test_a_killed_process_costs_one_new_process(disturbed):
    assert len(disturbed.commands[1].trial_processes) == 2


@pytest.mark.parametrize("disturbed", [STOPPING], indirect=True)
def test_sigterm_saves_and_says_how_to_continue(disturbed):
    assert disturbed.exit_codes[0] == 130
    said = disturbed.commands[0].said
    assert "\nContinue the search" in said
    assert " python -m tuner.search --resume " in said
    assert "Traceback" not in disturbed.commands[0].complained


@pytest.mark.parametrize("disturbed", [STOPPING], indirect=True)
def test_a_moved_search_continues_where_it_is_and_writes_nowhere_else(disturbed):
    left = {path.name for path in disturbed.folder.parent.iterdir() if path.is_dir()}
    assert left == {"moe", "elsewhere", *(f"command_{n}" for n in range(len(disturbed.commands)))}
    assert [path.name for path in (disturbed.folder.parent / "moe").iterdir()] == ["copy"]
    assert content_of(disturbed.folder.parent / "moe" / "copy") == disturbed.copied
    assert (disturbed.folder / "best" / "config.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_set_moment_a_search_continues_and_decides_as_an_undisturbed_one(tmp_path, disc_folder, moment):
    is_confirmed = moment == "in_the_confirmation"
    # Under random proposals every trial comes as far as the default, so that there is something to confirm.
    scheduler = "none" if is_confirmed else "asha"
    size = {"trials": 3, "epochs": 4, "confirm": int(is_confirmed)}
    search = new_search(tmp_path, disc_folder, **size, lanes=1, scheduler=scheduler, kill_at=moment)
    try:
        assert search.finish() == -signal.SIGKILL, search.commands[-1].complained
        search.begin("--resume", str(search.folder))
        assert search.finish() == 0, search.commands[-1].complained
    finally:
        search.end()
    assert read_search(search.folder).is_finished
    assert_no_epoch_is_repeated(search)
    assert_decided_as_undisturbed(search, tmp_path)
    left = {path.name for path in search.folder.iterdir()}
    assert {"report.md", "report.html", "results.csv", "best"} <= left
    exported = {path.name for path in (search.folder / "best").iterdir()}
    assert exported == {"config.json", "weights.pt", "metrics.json", "README.md"}
    assert not [name for name in left if name.startswith(".") and name != ".lock"]
    for trial in read_search(search.folder).trials:
        kept = [path.name for path in (search.folder / "checkpoints" / trial.name).iterdir()]
        assert kept == [f"epoch_{trial.last.epoch:04d}.pt"]
