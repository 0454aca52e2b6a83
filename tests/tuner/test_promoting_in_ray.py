"""A small real search by Ray whose trials wait at rungs, stopped in the middle and restored; the trials are toys."""

import json
import os
import pickle
import shutil
from functools import partial
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.tuner.toy_search import MAX_EPOCHS, SETTINGS, Bookkeeper, Toy, stopped_and_restored, toy_tuner
from tuner.outcomes import Outcome
from tuner.policy import Terms
from tuner.promoting import PromotingProposer, PromotingScheduler
from tuner.proposer import Proposal
from tuner.recorder import Recorder
from tuner.records import read_search
from tuner.snapshot import Keeper, is_whole, put_back
from tuner.study_mirror import StudyMirror, load_mirror

NUM_TRIALS = 6


def space(trial, place):
    return {"quality": trial.suggest_float("quality", 0.1, 1.0), "place": place}


class Fragile(Toy):
    """A process dies when it is handed its first other trial, and one while it saves what was to wait at rung 2."""

    def reset_config(self, new_config):
        if self.iteration:
            self.die_once(new_config["place"], "handed_over")
        return super().reset_config(new_config)

    def save_checkpoint(self, checkpoint_dir):
        if self.epoch == 2:
            self.die_once(self.config["place"], "saving")
        super().save_checkpoint(checkpoint_dir)

    def die_once(self, place, when):
        mark = Path(place) / f"died_{when}"
        if not mark.exists():
            mark.write_text(self.trial_id)
            os._exit(1)


def must_stop(recorder, trial, result):
    return len({d.trial for d in recorder.decisions if d.action == "promote"}) == 2


def begin(folder):
    recorder = Recorder.create(folder, SETTINGS)
    proposer = PromotingProposer(
        partial(space, place=str(folder)),
        Terms(
            rung_epochs=(1, 2),
            max_epochs=MAX_EPOCHS,
            reduction_factor=2,
            mode="max",
            slots=1,
            seed=0,
            num_trials=NUM_TRIALS,
        ),
        metric="objective",
        mirror=StudyMirror(folder / "study.journal", study_name="toy"),
    )
    return toy_tuner(
        Fragile,
        recorder,
        proposer,
        PromotingScheduler(proposer, recorder),
        listener=Bookkeeper(recorder, proposer, must_stop),
        num_samples=-1,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    stopped_and_restored(begin, folder, Fragile)
    return folder


@pytest.fixture(scope="module")
def search(folder):
    return read_search(folder)


def test_every_trial_goes_on_from_its_own_checkpoint(search):
    assert [trial.number for trial in search.trials] == list(range(NUM_TRIALS))
    for trial in search.trials:
        assert list(trial.results) == list(range(1, len(trial.results) + 1))
        for epoch, result in trial.results.items():
            assert result.objective == pytest.approx(trial.params["quality"] * epoch * (epoch + 1) / 2)


def test_as_many_are_promoted_as_the_quotas_say_and_one_is_complete(search):
    epochs = sorted(len(trial.results) for trial in search.trials)
    assert epochs == [1, 1, 1, 2, 2, 4]


def test_the_study_knows_how_each_ended(folder, search):
    told = {trial.user_attrs["number"]: trial for trial in load_mirror(folder / "study.journal").trials}
    assert told.keys() == set(range(NUM_TRIALS))
    for trial in search.trials:
        is_complete = len(trial.results) == MAX_EPOCHS
        assert told[trial.number].state is (TrialState.COMPLETE if is_complete else TrialState.PRUNED)
        outcome = Outcome.COMPLETED if is_complete else Outcome.STOPPED_AT_RUNG
        assert told[trial.number].user_attrs["outcome"] == outcome
        assert list(told[trial.number].intermediate_values) == list(trial.results)


def test_processes_are_reused(search):
    """One until each death, one before the restore, and one after it."""
    processes = {result.metrics["process"] for trial in search.trials for result in trial.results.values()}
    assert len(processes) == 4


def test_a_trial_whose_process_died_before_it_came_to_it_begins_in_another(folder, search):
    """Ray by itself fails it at once."""
    trial = search.by_id[(folder / "died_handed_over").read_text()]
    assert trial.number == 1
    assert trial.results.keys() >= {1}


def test_a_trial_whose_process_died_while_it_saved_comes_to_its_rung_again_and_waits_there(folder, search):
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    measured = [(line["trial"], line["epoch"]) for line in lines if line["event"] == "result"]
    died = (folder / "died_saving").read_text()
    assert measured.count((died, 2)) == 2
    assert [d.epoch for d in search.decisions if d.trial == died and d.action == "pause"] == [1, 2]


@pytest.mark.parametrize("pattern", ["experiment_state-*", "searcher-state-*", "search_gen_state-*", "tuner.pkl"])
def test_what_ray_wrote_is_whole_until_a_kill_tears_it_and_then_what_was_kept_takes_its_place(
    folder, tmp_path, pattern
):
    copied = shutil.copytree(folder / "ray", tmp_path / "ray")
    assert is_whole(copied)
    Keeper(folder / "ray", copied).catch_up()
    newest = max(copied.glob(pattern))
    whole = newest.read_bytes()
    newest.write_bytes(whole[:-20])
    later = newest.with_stem(newest.stem + "9")
    if "*" in pattern:
        later.write_bytes(whole[:20])
    assert not is_whole(copied)
    assert put_back(copied)
    assert (newest.read_bytes(), later.exists()) == (whole, False)


def test_without_anything_kept_nothing_is_put_back(folder, tmp_path):
    copied = shutil.copytree(folder / "ray", tmp_path / "ray")
    assert not put_back(copied)
    assert is_whole(copied)


@pytest.mark.parametrize("more", [True, False])
def test_files_of_different_ages_are_not_whole(folder, tmp_path, more):
    copied = shutil.copytree(folder / "ray", tmp_path / "ray")
    newest = max(copied.glob("searcher-state-*"))
    state = pickle.loads(newest.read_bytes())
    if more:
        state["proposals"]["younger"] = Proposal(6, "not told yet")
    else:
        state["proposals"].popitem()
    newest.write_bytes(pickle.dumps(state))
    assert not is_whole(copied)
