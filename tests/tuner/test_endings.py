"""Each way in which a trial can end, made to happen: trial, searcher, scheduler and records are real, Ray is played.

Covered: the ending is on record with its numbers, is told with them, is explained, and is right in the study.
Not covered: Ray itself; whole searches are in test_search_end_to_end.py.
"""

import re
from types import SimpleNamespace

import pytest
import torch
from optuna.trial import TrialState
from tuner.outcomes import Outcome
from tuner.proposer import Proposer
from tuner.recorder import Recorder
from tuner.scheduler import StoppingScheduler
from tuner.search_callback import SearchCallback, Watch

from trainable.trainer import OptimizedTrainer
from tuner.explain import explain_search, explain_trial
from tuner.records import read_search

PLAIN = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "max_lr": 3e-3}
PARAMS = {
    "completed": PLAIN,
    "stopped_at_rung": PLAIN | {"max_lr": 1e-9},
    "diverged": PLAIN | {"max_lr": 1e30, "warmup_fraction": 0.0},
    "out_of_memory": PLAIN | {"batch_size": 1},
    "experts_collapsed": {
        "num_experts": 4,
        "top_k": 1,
        "collapse_threshold": 0.9,
        "false_alarm_rate": 0.5,
        "collapse_patience_fraction": 0.6,
    },
    "plateaued": PLAIN | {"early_stopping": True, "patience_epochs": 1, "min_delta": 0.9},
    "failed": PLAIN | {"max_lr": -1.0},
    "interrupted": PLAIN,
}
NUMBERS = {
    "completed": {"epoch", "objective"},
    "stopped_at_rung": {"epoch", "rung", "value", "cutoff", "rank", "of"},
    "diverged": {"epoch", "step", "term", "value"},
    "out_of_memory": {"epoch", "asked_bytes", "available_bytes"},
    "experts_collapsed": {"epoch", "layer", "expert", "usage", "lost_epochs", "objective"},
    "plateaued": {"epoch", "patience_epochs", "best", "best_epoch", "objective"},
    "failed": {"epoch", "error"},
    "interrupted": {"epoch"},
}
SENTENCES = {
    "completed": r"^completed 3 epochs with 0\.\d+$",
    "stopped_at_rung": r"^stopped at rung 1 \(epoch 2\): 0\.\d+ misses the cutoff 0\.\d+, rank 2 of 2$",
    "diverged": r"^diverged in epoch \d at step \d+: \S+ was (nan|inf)$",
    "out_of_memory": r"^out of memory in epoch 1: asked for 3\.725e\+06 GiB, [\d.]+ [GM]iB available$",
    "experts_collapsed": r"^experts collapsed in epoch 2: layer 0 sent nearly all to the same experts for 2 epochs in "
    r"a row, [01]\.?\d* of it to expert \d$",
    "plateaued": r"^plateaued at epoch 2: nothing better than 0\.\d+ of epoch 1, with a patience of 1$",
    "failed": r"^failed after epoch 0: ValueError: max_lr is -1\.0",
    "interrupted": r"^interrupted after epoch 1$",
}
STATES = dict.fromkeys(("completed", "plateaued"), TrialState.COMPLETE)
STATES |= dict.fromkeys(("stopped_at_rung", "diverged", "out_of_memory", "experts_collapsed"), TrialState.PRUNED)
STATES |= dict.fromkeys(("failed", "interrupted"), TrialState.FAIL)
EXPLAINED = {
    "stopped_at_rung": "a slow starter may be stopped so",
    "diverged": "keeps away from it",
    "out_of_memory": "A micro-batch of one image did not fit",
    "experts_collapsed": "had become a single network",
    "plateaued": "Early stopping saved the rest of its budget",
    "failed": "says nothing about the configuration",
    "interrupted": "--resume goes on with it",
}


class Search:
    """Plays Ray's part: hands each result on in Ray's order, to scheduler, searcher and callback."""

    def __init__(self, folder, begin) -> None:
        settings = {"space": "moe", "objective": "val/s_measure", "mode": "max", "num_trials": len(PARAMS)}
        self.recorder = Recorder.create(folder, settings)
        kinds = [{"kind": kind} for kind in PARAMS]
        self.proposer = Proposer(proposed, metric="objective", mode="max", max_epochs=3, seed=0, enqueue=kinds)
        self.scheduler = StoppingScheduler(self.recorder, rung_epochs=[2], reduction_factor=2)
        self.scheduler.set_search_properties("objective", "max")
        self.callback = SearchCallback(self.recorder, self.proposer, objective="objective", max_epochs=3)
        self.callback.setup()
        self.begin = begin

    def train(self, kind, *, max_steps=3) -> None:
        """One trial to its end, or for so many epochs."""
        params = self.proposer.suggest(kind)
        trial = SimpleNamespace(trial_id=kind, config=params, last_result=None, error_file=None)
        self.callback.on_trial_start(0, [], trial)
        training = self.begin(params)
        for _ in range(max_steps):
            try:
                result = training.train()
            except ValueError as error:
                return self._failed(trial, error)
            decision = "STOP" if result["done"] else self.scheduler.on_trial_result(None, trial, result)
            if decision != "STOP":
                self.proposer.on_trial_result(kind, result)
            self.callback.on_trial_result(0, [], trial, result)
            trial.last_result = result
            if decision == "STOP":
                self.proposer.on_trial_complete(kind, result)
                return self.callback.on_trial_complete(0, [], trial)
        return None

    def _failed(self, trial, error) -> None:
        trial.error_file = self.recorder.folder / "error.txt"
        trial.error_file.write_text(f"Traceback\n{type(error).__name__}: {error}\n")
        self.proposer.on_trial_complete(trial.trial_id, error=True)
        self.callback.on_trial_error(0, [], trial)


def proposed(trial):
    return PARAMS[trial.suggest_categorical("kind", list(PARAMS))]


def no_room(*_, **__):
    torch.empty(10**15)


@pytest.fixture
def searched(begin, tmp_path, monkeypatch):
    """A search whose trials end in every way there is; its folder and its study."""
    view = SimpleNamespace(start=lambda: None, update=lambda record: None, stop=lambda: None)
    monkeypatch.setattr(SearchCallback, "watch", Watch(make_view=lambda record: view))
    search = Search(tmp_path / "moe" / "ends", begin)
    for kind in PARAMS:
        with monkeypatch.context() as patch:
            if kind == "out_of_memory":
                patch.setattr(OptimizedTrainer, "train_epoch", no_room)
            search.train(kind, max_steps=1 if kind == "interrupted" else 3)
    search.callback.on_experiment_end([])
    return search.recorder.folder, search.proposer.study


def test_every_ending_has_its_numbers_its_sentence_its_reason_and_its_place_in_the_study(searched):
    folder, study = searched
    search = read_search(folder)
    assert [str(trial.outcome) for trial in search.trials] == list(PARAMS) == [str(outcome) for outcome in Outcome]
    told = {trial.user_attrs["outcome"]: trial for trial in study.trials}
    for trial in search.trials:
        kind = str(trial.outcome)
        assert trial.numbers.keys() == NUMBERS[kind], kind
        assert re.search(SENTENCES[kind], trial.sentence), trial.sentence
        assert EXPLAINED.get(kind, "") in "\n".join(explain_trial(search, trial))
        assert told[kind].state is STATES[kind], kind
        assert told[kind].constraints == ({"outcome": 1.0} if trial.outcome.counts_as_bad else {}), kind
        values = {epoch: result.objective for epoch, result in trial.results.items()}
        if not trial.outcome.counts_as_bad:
            assert told[kind].intermediate_values == values, kind
    endings = "1 completed, 1 stopped at rung 1 (epoch 2), 1 diverged, 1 out of memory, 1 experts collapsed"
    assert explain_search(search, folder)[0].endswith(f": {endings}, 1 plateaued, 1 failed, 1 interrupted.")
