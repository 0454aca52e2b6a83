"""Each way in which a trial can end, made to happen: process, session, policy and records are real, Ray is played.

Covered: the ending is recorded and reported with its numbers, explained, and right in the study.
Not covered: Ray itself; whole searches are in test_search_end_to_end.py.
"""

import re

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.tuner.conftest import recorded_settings
from tests.tuner.played_session import opened
from trainable.ray.trainable import LEG, REPORT
from trainable.trainer import Trainer
from tuner.explain import explain_search, explain_trial
from tuner.listeners.study_copy import StudyCopy
from tuner.policy.outcomes import Outcome
from tuner.records import Recorder, TrialResources, read_search

PLAIN = {"num_experts": 1, "top_k": 1, "load_balance": False, "collapse": False, "max_lr": 3e-3}
PARAMS = {
    "completed": PLAIN,
    "stopped_at_rung": PLAIN | {"max_lr": 1e-9},
    "diverged": PLAIN | {"max_lr": 1e30, "warmup_fraction": 0.0},
    "out_of_memory": PLAIN | {"batch_size": 1},
    "over_limit": PLAIN | {"pyramid_channels": 512},
    "experts_collapsed": {
        "num_experts": 4,
        "top_k": 1,
        "collapse_threshold": 0.9,
        "false_alarm_rate": 0.5,
        "collapse_patience_fraction": 0.6,
        "collapse_response": "none",
    },
    "plateaued": PLAIN | {"early_stopping": True, "patience_epochs": 1, "min_delta": 0.9},
    "failed": PLAIN | {"max_lr": -1.0},
}
LIMITS = {"params_m": 1.0}
NUMBERS = {
    "completed": {"epoch", "objective"},
    "stopped_at_rung": {"epoch", "rung", "value", "cutoff", "rank", "of"},
    "diverged": {"epoch", "step", "term", "value"},
    "out_of_memory": {"epoch", "asked_bytes", "available_bytes"},
    "over_limit": {"epoch", "quantity", "measured", "limit"},
    "experts_collapsed": {"epoch", "layer", "expert", "usage", "lost_epochs", "objective"},
    "plateaued": {"epoch", "patience_epochs", "best", "best_epoch", "objective"},
    "failed": {"epoch", "error"},
}
SENTENCES = {
    "completed": r"^completed 3 epochs with 0\.\d+$",
    "stopped_at_rung": r"^stopped at epoch 2 \(rung 1\): 0\.\d+ misses the cutoff 0\.\d+, rank 2 of 2$",
    "diverged": r"^diverged in epoch \d at step \d+: \S+ was (nan|inf)$",
    "out_of_memory": r"^out of memory in epoch 1: asked for 3\.725e\+06 GiB, [\d.]+ [GM]iB available$",
    "over_limit": r"^over limit: params_m \d\.\d+, limit 1$",
    "experts_collapsed": r"^experts collapsed in epoch 2: layer 0 sent nearly all tokens to the same experts for 2 "
    r"epochs in a row, [01]\.?\d* of them to expert \d$",
    "plateaued": r"^plateaued at epoch 2: no improvement on 0\.\d+ of epoch 1, patience 1$",
    "failed": r"^failed after epoch 0: ValueError: max_lr is -1\.0",
}
STATES = dict.fromkeys(("completed", "plateaued"), TrialState.COMPLETE)
STATES |= dict.fromkeys(
    ("stopped_at_rung", "diverged", "out_of_memory", "over_limit", "experts_collapsed"), TrialState.PRUNED
)
STATES["failed"] = TrialState.FAIL
EXPLAINED = {
    "stopped_at_rung": "slow starters can be stopped too soon",
    "diverged": "avoids similar ones",
    "out_of_memory": "A micro-batch of one image did not fit",
    "over_limit": "It was measured before its training",
    "experts_collapsed": "the response did not help",
    "plateaued": "Stopped early; its last value is compared with those of full trainings",
    "failed": "says nothing about the configuration",
}


def proposed(trial):
    return PARAMS[trial.suggest_categorical("kind", list(PARAMS))]


def no_room(*_, **__):
    torch.empty(10**15)


def train(session, begin) -> None:
    """Plays Ray's part for one leg."""
    leg = session.next_leg()
    process = begin(leg.params)
    process.limits = LIMITS
    process.reset_config({LEG: leg})
    goes_on = True
    while goes_on:
        try:
            report = process.train()[REPORT]
        except ValueError as error:
            return session.fail(leg.trial, f"{type(error).__name__}: {error}")
        goes_on = session.take(leg.trial, report)
    return None


@pytest.fixture
def folder(begin, tmp_path, monkeypatch):
    """A search whose trials end in every way there is."""
    folder = tmp_path / "ends"
    settings = recorded_settings(
        num_trials=len(PARAMS),
        max_epochs=3,
        rung_epochs=(2,),
        limits=LIMITS,
        resources=TrialResources(concurrent=1, cpus_per_trial=1.0, gpus_per_trial=0.0),
        first_answers=tuple({"kind": kind} for kind in PARAMS),
    )
    Recorder.create(folder, settings).close()
    with opened(folder, asking=proposed) as session:
        session._recorder.listen([StudyCopy(folder, session._search, proposed)])
        while read_search(folder).is_unfinished:
            begun = len(read_search(folder).trials) - len(read_search(folder).unfinished)
            with monkeypatch.context() as patch:
                if list(PARAMS)[begun] == "out_of_memory":
                    patch.setattr(Trainer, "train_epoch", no_room)
                train(session, begin)
    return folder


def test_every_ending_has_its_numbers_its_sentence_its_reason_and_its_place_in_the_study(folder):
    search = read_search(folder)
    assert [str(trial.outcome) for trial in search.trials] == list(PARAMS) == [str(outcome) for outcome in Outcome]
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    study = optuna.load_study(study_name="ends", storage=storage)
    for trial, copied in zip(search.trials, study.trials, strict=True):
        kind = str(trial.outcome)
        assert trial.numbers.keys() == NUMBERS[kind], kind
        assert re.search(SENTENCES[kind], trial.sentence), trial.sentence
        assert EXPLAINED.get(kind, "") in "\n".join(explain_trial(search, trial))
        assert (copied.state, copied.user_attrs["outcome"]) == (STATES[kind], kind)
        assert copied.intermediate_values == {epoch: result.objective for epoch, result in trial.results.items()}
    endings = "1 completed, 1 stopped at rung 1 (epoch 2), 1 diverged, 1 out of memory, 1 over limit"
    assert explain_search(search, folder)[0].endswith(f": {endings}, 1 experts collapsed, 1 plateaued, 1 failed.")
