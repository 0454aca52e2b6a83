"""A search that is killed again and again, at random moments, and loses nothing that had ended."""

import os
import random
import sys
import time
from collections import Counter

import psutil
import pytest
from optuna.trial import TrialState

from tests.tuner.search_process import Search, new_search
from tuner.outcomes import Outcome
from tuner.records import read_search
from tuner.study_mirror import load_mirror

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

NUM_KILLS = int(os.environ.get("SOAK_KILLS", "30"))
SEED = int(os.environ.get("SOAK_SEED", "0"))
NUM_TRIALS, MAX_EPOCHS = 40, 12
VICTIMS = ("driver", "trial process", "Ray's node")
EXIT_SECONDS = 120


def test_killed_at_random_moments_a_search_keeps_every_finished_result_and_comes_to_its_end(tmp_path, disc_folder):
    rng = random.Random(SEED)
    search = new_search(tmp_path, disc_folder, trials=NUM_TRIALS, epochs=MAX_EPOCHS, lanes=2)
    kills: Counter = Counter()
    try:
        while kills.total() < NUM_KILLS and not is_done(search):
            kept = search.events()
            victim = kill_something(search, rng)
            kills.update([victim] if victim else [])
            assert search.events()[: len(kept)] == kept
            sys.stdout.write(f"kill {kills.total()}: {victim}, {len(search.events('end'))} trials ended\n")
        while not is_done(search):
            resume(search)
            search.finish()
    finally:
        search.end()
    sys.stdout.write(f"{dict(kills)}; {len(search.commands)} sessions\n")
    assert kills.total() >= min(NUM_KILLS, 5)
    assert_nothing_is_lost(search)


def test_a_search_in_one_lane_decides_after_a_kill_as_it_would_have_without(tmp_path, disc_folder):
    told = []
    for name, num_kills in (("quiet", 0), ("killed", 3)):
        search = new_search(tmp_path / name, disc_folder, trials=10, epochs=4, lanes=1)
        try:
            for kill in range(num_kills):
                search.commands[-1].until(lambda s=search, k=kill: len(s.events("end")) >= 2 * k + 2)
                search.commands[-1].send(9)
                search.finish()
                resume(search)
            search.finish()
        finally:
            search.end()
        record = read_search(search.folder)
        done = [trial for trial in record.trials if trial.outcome is not Outcome.INTERRUPTED]
        told.append({trial.number: (trial.params, trial.outcome, trial.last.objective) for trial in done})
    assert told[0] == told[1]


def kill_something(search: Search, rng: random.Random) -> str | None:
    """After a random while, one of the victims; the search is resumed first where it does not run.

    Mostly while it trains; now and then as it begins, or goes on after the last kill.
    """
    if not search.commands[-1].is_running:
        resume(search)
    known = len(search.events())
    if rng.random() < 0.8:
        search.commands[-1].until(lambda: len(search.events()) > known + 2)
    time.sleep(rng.uniform(0.0, 5.0))
    victim = rng.choice(VICTIMS)
    processes = {
        "driver": search.commands[-1].itself,
        "trial process": search.commands[-1].running_trials,
        "Ray's node": search.commands[-1].ray_nodes,
    }[victim]()
    if not processes:
        return None
    rng.choice(processes).kill()
    if victim != "trial process":
        search.commands[-1].wait(EXIT_SECONDS)
    return victim


def resume(search: Search) -> None:
    search.begin("--resume", str(search.folder))


def is_done(search: Search) -> bool:
    return not search.commands[-1].is_running and not read_search(search.folder).is_unfinished


def assert_nothing_is_lost(search: Search) -> None:
    record = read_search(search.folder)
    assert Counter(trial.outcome for trial in record.trials if trial.outcome is Outcome.FAILED).total() == 0
    ended = [t for t in record.trials if t.outcome in (Outcome.COMPLETED, Outcome.STOPPED_AT_RUNG)]
    assert sorted({trial.number for trial in ended}) == list(range(NUM_TRIALS))
    for trial in record.trials:
        assert sorted(trial.results) == list(range(1, len(trial.results) + 1)), "an epoch was skipped"
    copied = load_mirror(search.folder / "study.journal").trials
    assert not [trial for trial in copied if trial.state is TrialState.RUNNING]
    assert {trial.user_attrs["trial"] for trial in copied} >= {trial.trial for trial in ended}
    assert psutil.wait_procs(search.commands[-1].all_processes, timeout=60)[1] == []
