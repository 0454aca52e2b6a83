"""A search that is killed again and again, at random moments: it loses nothing that had ended, and decides the same."""

import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter

import psutil
import pytest

from tests.tuner.end_to_end.search_process import QUICK_TO_MISS_A_NODE, Search, assert_no_epoch_is_repeated, new_search
from tests.tuner.end_to_end.undisturbed import assert_decided_as_undisturbed
from tuner.policy.outcomes import Outcome
from tuner.ray.temporary_folder import OWNER
from tuner.records import read_search

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

NUM_KILLS = int(os.environ.get("SOAK_KILLS", "30"))
"""For each scheduler."""
SEED = int(os.environ.get("SOAK_SEED", "0"))
NUM_KILLS_ALONE = NUM_KILLS // 4
"""With one slot, for each scheduler, beside those."""
SCHEDULERS = ("asha", "asha-stopping", "none")
NUM_TRIALS, MORE_TRIALS, MAX_EPOCHS = 30, "+10", 12
EXIT_SECONDS = 120


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_killed_at_random_moments_a_search_keeps_every_finished_result_and_comes_to_its_end(
    tmp_path, disc_folder, monkeypatch, scheduler
):
    for name, value in QUICK_TO_MISS_A_NODE.items():
        monkeypatch.setenv(name, value)
    rng = random.Random(f"{SEED} {scheduler}")
    search = new_search(tmp_path, disc_folder, trials=NUM_TRIALS, epochs=MAX_EPOCHS, lanes=2, scheduler=scheduler)
    kills: Counter = Counter()
    ended = {}
    try:
        while kills.total() < NUM_KILLS:
            kept = search.events()
            victim = kill_something(search, rng, kills)
            assert search.events()[: len(kept)] == kept
            ended |= endings(search)
            say(f"{scheduler}: kill {kills.total()}, {victim or 'nobody'}; {len(ended)} trials ended")
        search.finish()
        # Once more even where it is done: what a driver leaves that is killed in its last moment goes with the next.
        go_on(search)
        search.finish()
        while not is_done(search):
            go_on(search)
            search.finish()
    finally:
        search.end()
    assert_nothing_is_lost(search, ended)
    say(f"{scheduler}: {dict(kills)}, {len(search.commands)} sessions; {text_of(search)}")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_killed_at_random_moments_a_search_in_one_slot_decides_as_an_undisturbed_one(
    tmp_path, disc_folder, monkeypatch, scheduler
):
    for name, value in QUICK_TO_MISS_A_NODE.items():
        monkeypatch.setenv(name, value)
    rng, kills = random.Random(f"{SEED} {scheduler} alone"), Counter()
    search = new_search(tmp_path, disc_folder, trials=12, epochs=MAX_EPOCHS, lanes=1, scheduler=scheduler)
    try:
        while kills.total() < NUM_KILLS_ALONE and not is_done(search):
            victim = kill_something(search, rng, kills)
            say(f"{scheduler}, one slot: kill {kills.total()}, {victim or 'nobody'}")
        while not is_done(search):
            go_on(search)
            search.finish()
    finally:
        search.end()
    assert_decided_as_undisturbed(search, tmp_path)
    say(f"{scheduler}, one slot: {dict(kills)}, {len(search.commands)} sessions; {text_of(search)}")


def kill_something(search: Search, rng: random.Random, kills: Counter) -> str | None:
    """Kills, after a random time, the kind of process that was killed least; continues the search first if it ended.

    Mostly during training; sometimes at the start, or right after the last kill.
    """
    if not search.commands[-1].is_running:
        go_on(search)
    known = len(search.events())
    if rng.random() < 0.8:
        search.commands[-1].watch(lambda: len(search.events()) > known + 2)
    time.sleep(rng.uniform(0.0, 3.0))
    command = search.commands[-1]
    found = {"driver": command.itself(), "trial process": command.running_trials(), "Ray's node": command.ray_nodes()}
    there = sorted((kills[victim], rng.random(), victim) for victim, processes in found.items() if processes)
    if not there:
        return None
    victim = there[0][2]
    with contextlib.suppress(psutil.NoSuchProcess):
        rng.choice(found[victim]).kill()
        kills[victim] += 1
    if victim != "trial process":
        command.wait(EXIT_SECONDS)
    return victim


def go_on(search: Search) -> None:
    """A search that is over before it was killed often enough is extended."""
    if (search.folder / "settings.json").exists():
        search.begin("--resume", str(search.folder), *(("--trials", MORE_TRIALS) if is_done(search) else ()))
    else:
        search.begin(*search.commands[0].options)


def is_done(search: Search) -> bool:
    has_begun = (search.folder / "settings.json").exists()
    return has_begun and not search.commands[-1].is_running and read_search(search.folder).is_finished


def endings(search: Search) -> dict:
    """How each ended trial ended."""
    trials = read_search(search.folder).trials if (search.folder / "settings.json").exists() else []
    over = [trial for trial in trials if trial.outcome is not None]
    return {trial.name: (trial.params, trial.outcome, trial.last.epoch, trial.last.objective) for trial in over}


def assert_nothing_is_lost(search: Search, ended: dict) -> None:
    record = read_search(search.folder)
    assert ended.items() <= endings(search).items()
    assert [trial.number for trial in record.trials] == list(range(record.settings.num_trials))
    # A configuration may collapse or diverge by itself; a kill makes no outcome.
    assert not {trial.outcome for trial in record.trials} & {None, Outcome.FAILED, Outcome.OUT_OF_MEMORY}
    for trial in record.trials:
        assert list(trial.results) == list(range(1, len(trial.results) + 1)), "an epoch was skipped"
    assert_no_epoch_is_repeated(search)
    assert_nothing_is_left_behind(search)


def assert_nothing_is_left_behind(search: Search) -> None:
    for command in search.commands:
        assert psutil.wait_procs(command.all_processes, timeout=60)[1] == []
    # Another search may be writing its mark just now.
    owners = {process for path in search.ray_marks(OWNER) for process in path.read_text().splitlines()[1:2]}
    assert not owners & {str(command.pid) for command in search.commands}, tempfile.gettempdir()


def text_of(search: Search) -> str:
    failed = len(search.events("leg_failed"))
    return f"{len(endings(search))} trials, {len(search.events('result'))} epochs, {failed} legs failed"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
