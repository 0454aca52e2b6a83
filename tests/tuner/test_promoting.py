"""The searcher and the scheduler together, driven as Ray's controller drives them, in virtual time."""

from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from ray.tune.execution.tune_controller import _get_max_pending_trials
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher, SearchGenerator

from tuner.cluster import ENVIRONMENT
from tuner.extension import PastTrial
from tuner.outcomes import Outcome
from tuner.policy import Terms
from tuner.promoting import PromotingProposer, PromotingScheduler
from tuner.replay_loop import ReplayedSearch
from tuner.replay_synthetic import SyntheticProblem

BUDGET = 10_000
DEFAULT = {"rate": 1e-2, "width": 16, "optimizer": "sgd", "momentum": 0.9}


class Ledger:
    def __init__(self):
        self.decisions = []

    def decision(self, trial, **fields):
        self.decisions.append(SimpleNamespace(trial=trial, **fields))


def make(problem, *, slots, num_trials=12, **options):
    terms = Terms(
        rung_epochs=(3, 9),
        max_epochs=problem.max_epochs,
        reduction_factor=3,
        mode=problem.mode,
        slots=slots,
        seed=0,
        num_trials=num_trials,
    )
    proposer = PromotingProposer(problem.space, terms, metric="objective", **options)
    return proposer, PromotingScheduler(proposer, Ledger())


@pytest.fixture(scope="module", params=[1, 3])
def played(request):
    problem = SyntheticProblem(0)
    proposer, scheduler = make(problem, slots=request.param)
    search = ReplayedSearch(problem, proposer, scheduler, slots=request.param, stops_non_finite=False)
    search.run(BUDGET, on_epoch=lambda: None)
    return SimpleNamespace(search=search, proposer=proposer, decisions=scheduler._ledger.decisions)


def test_the_search_ends_by_itself_with_every_trial_ended(played):
    assert played.search.epochs_spent < BUDGET
    assert len(played.search.trials) == 12
    assert {trial.status for trial in played.search.get_trials()} == {"TERMINATED"}


def test_the_study_holds_every_trial_with_its_values_and_none_is_left_running(played):
    told = {trial.user_attrs["trial"]: trial for trial in played.proposer.study.trials}
    assert told.keys() == played.search.trials.keys()
    states = {
        Outcome.COMPLETED: TrialState.COMPLETE,
        Outcome.STOPPED_AT_RUNG: TrialState.PRUNED,
        Outcome.DIVERGED: TrialState.PRUNED,
    }
    for trial_id, trial in told.items():
        replayed = played.search.trials[trial_id]
        assert trial.state is states[Outcome(trial.user_attrs["outcome"])]
        assert trial.params == replayed.config
        finite = [value for value in replayed.curve.values[: replayed.epoch] if value == value]
        assert list(trial.intermediate_values.values()) == pytest.approx(finite)


def test_each_trial_that_waited_to_the_end_has_a_last_word(played):
    stopped = {d.trial: d for d in played.decisions if d.action == "stop" and d.rank is not None}
    told = {trial.user_attrs["trial"]: trial.user_attrs["outcome"] for trial in played.proposer.study.trials}
    waiting = {trial for trial, outcome in told.items() if outcome == Outcome.STOPPED_AT_RUNG}
    assert stopped.keys() == waiting
    for decision in stopped.values():
        assert decision.epoch == played.search.trials[decision.trial].epoch
        assert 1 <= decision.rank <= decision.of
        assert decision.expected is not None


def test_a_promotion_follows_a_pause_at_the_same_rung(played):
    seen = set()
    for decision in played.decisions:
        if decision.action == "promote":
            assert (decision.trial, decision.epoch) in seen
        elif decision.action == "pause":
            seen.add((decision.trial, decision.epoch))


def test_the_favourite_was_trained_to_its_full_length(played):
    assert played.search.trials[played.proposer.policy.favourite()].epoch == 27


def test_the_given_configurations_come_first_and_are_checked():
    problem = SyntheticProblem(0)
    proposer, _ = make(problem, slots=1, enqueue=[DEFAULT])
    assert proposer.suggest("a") == DEFAULT
    assert proposer.number_of("a") == 0
    with pytest.raises(ValueError, match="does not ask for 'depth'"):
        make(problem, slots=1, enqueue=[DEFAULT | {"depth": 3}])


def test_a_busy_search_asks_for_nothing():
    proposer, scheduler = make(SyntheticProblem(0), slots=1)
    assert isinstance(proposer.suggest("a"), dict)
    assert proposer.suggest("b") is None
    assert scheduler.choose_trial_to_run(None) is None


def test_ray_asks_for_every_free_slot_at_once_and_not_for_the_next_when_the_last_one_runs(monkeypatch):
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", ENVIRONMENT["TUNE_MAX_PENDING_TRIALS_PG"])
    assert _get_max_pending_trials(SearchGenerator(make(SyntheticProblem(0), slots=64)[0])) >= 64


def test_a_slot_is_free_again_when_its_trial_has_saved_what_it_waits_with():
    """Ray would begin a process beside the one that is just becoming free, wherever there is room for one."""
    proposer, scheduler = make(SyntheticProblem(0), slots=1)
    proposer.suggest("a")
    trial = SimpleNamespace(trial_id="a", status=Trial.RUNNING)
    assert scheduler.on_trial_result(None, trial, {"epoch": 3, "objective": 0.5}) == TrialScheduler.PAUSE
    assert proposer.suggest("b") is None
    trial.status = Trial.PAUSED
    assert isinstance(proposer.suggest("b"), dict)


def test_ranks_are_those_among_the_trials_of_this_search():
    proposer, scheduler = make(SyntheticProblem(0), slots=1)
    other, _ = make(SyntheticProblem(0), slots=1)
    other.suggest("a")
    earlier = {"number": None, "frozen": other.study.trials[0], "outcome": Outcome.STOPPED_AT_RUNG}
    proposer.learn([PastTrial(trial_id="earlier/a", values={1: 0.8, 2: 0.8, 3: 0.8}, **earlier)])
    proposer.suggest("own")
    scheduler.on_trial_result(None, SimpleNamespace(trial_id="own"), {"epoch": 3, "objective": 0.5})
    assert len(proposer.policy.promotions.values_at(3)) == 2
    (decision,) = scheduler._ledger.decisions
    assert (decision.rung, decision.rank, decision.of) == (1, 1, 1)


def test_without_room_the_worst_of_those_that_wait_ends_once_it_has_saved_and_the_default_last():
    proposer, scheduler = make(SyntheticProblem(0), slots=1, enqueue=[DEFAULT])
    trials = {name: SimpleNamespace(trial_id=name, status=Trial.PAUSED) for name in ("default", "good", "fair", "last")}
    for value, (name, trial) in zip((0.1, 0.9, 0.5, 0.4), trials.items(), strict=True):
        proposer.suggest(name)
        scheduler.on_trial_result(None, trial, {"epoch": 3, "objective": value})
    controller = SimpleNamespace(
        get_trial=trials.get, stop_trial=lambda trial: proposer.on_trial_complete(trial.trial_id)
    )
    ended = []
    while proposer.give_up_one(kept={"good"}):
        trial = trials[proposer.given_up]
        trial.status = Trial.RUNNING
        scheduler.choose_trial_to_run(controller)
        assert trial.trial_id in proposer.policy.promotions.paused
        trial.status = Trial.PAUSED
        scheduler._stop_given_up(controller)
        ended.append(trial.trial_id)
    assert sorted(ended[:2]) == ["fair", "last"]
    assert ended[2:] == ["default"]
    assert list(proposer.policy.promotions.paused) == ["good"]
    assert [d.trial for d in scheduler._ledger.decisions if d.action == "stop"] == ended


def test_a_value_that_is_not_finite_stops_at_once():
    proposer, scheduler = make(SyntheticProblem(0), slots=1)
    proposer.suggest("a")
    result = {"epoch": 1, "objective": float("nan")}
    assert scheduler.on_trial_result(None, SimpleNamespace(trial_id="a"), result) == TrialScheduler.STOP
    proposer.on_trial_complete("a", result)
    assert proposer.policy.promotions.values_at(3) == {"a": -float("inf")}
    assert proposer.study.trials[0].user_attrs["outcome"] == "diverged"


def test_restored_trials_that_waited_wait_again_and_those_that_had_ended_have_ended(tmp_path):
    """Ray makes every restored trial pending before it asks the scheduler."""
    problem = SyntheticProblem(0)
    proposer, scheduler = make(problem, slots=3)
    for name in ("waits", "runs", "stopped"):
        proposer.suggest(name)
    for name in ("waits", "stopped"):
        scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), {"epoch": 3, "objective": 0.5})
    proposer.on_trial_complete("stopped")
    proposer.save(str(tmp_path / "state"))
    restored, scheduler = make(problem, slots=3)
    restored.restore(str(tmp_path / "state"))
    statuses = {}
    for name in ("waits", "runs", "stopped"):
        scheduler.on_trial_add(
            None, SimpleNamespace(trial_id=name, set_status=lambda to, n=name: statuses.update({n: to}))
        )
    assert statuses == {"waits": Trial.PAUSED, "stopped": Trial.TERMINATED}


ENDINGS = [
    (Outcome.DIVERGED, [0.5, 0.6, 0.7], float("nan")),
    (Outcome.DIVERGED, [], float("nan")),
    (Outcome.OUT_OF_MEMORY, [0.5, 0.6, 0.7, 0.8], float("nan")),
    (Outcome.EXPERTS_COLLAPSED, [0.5, 0.6], 0.7),
    (Outcome.PLATEAUED, [0.5, 0.6, 0.7, 0.7], 0.7),
    (Outcome.PLATEAUED, [0.5, 0.6], 0.6),
]
"""With what was measured before, and the objective of the result that came with the ending."""


@pytest.mark.parametrize(("outcome", "values", "last"), ENDINGS)
def test_what_is_learned_of_an_ended_trial_is_what_was_seen_of_it_live(outcome, values, last):
    live, scheduler = make(SyntheticProblem(0), slots=1)
    live.suggest("a")
    trial = SimpleNamespace(trial_id="a", status=Trial.PAUSED)
    for epoch, value in enumerate(values, start=1):
        scheduler.on_trial_result(None, trial, {"epoch": epoch, "objective": value})
        live._go_on("a")
    measured = [value for value in (*values, last) if value == value]
    frozen = live.study.trials[0]
    live.on_trial_complete("a", {"epoch": len(values) + 1, "objective": last, "outcome": str(outcome)})
    learned, _ = make(SyntheticProblem(0), slots=1)
    learned.learn(
        [PastTrial(trial_id="a", number=0, frozen=frozen, values=dict(enumerate(measured, start=1)), outcome=outcome)]
    )
    for epoch in live.policy.promotions.rungs:
        assert learned.policy.promotions.values_at(epoch) == live.policy.promotions.values_at(epoch)
    assert learned.policy.promotions.num_records == live.policy.promotions.num_records > 0
    assert learned.policy.expected().keys() == live.policy.expected().keys()


@pytest.mark.parametrize("interrupted_after", [5, 40, 90])
def test_a_restored_proposer_goes_on_as_if_nothing_had_happened(tmp_path, interrupted_after):
    problem = SyntheticProblem(1)

    def play(interrupted_after):
        proposer, scheduler = make(problem, slots=1)
        search = ReplayedSearch(problem, proposer, scheduler, slots=1, stops_non_finite=False)

        def restore():
            if search.epochs_spent == interrupted_after:
                proposer.save(str(tmp_path / "state"))
                proposer.restore(str(tmp_path / "state"))

        search.run(BUDGET, on_epoch=restore)
        return [(trial.config, trial.epoch) for trial in search.get_trials()]

    assert play(interrupted_after) == play(None)


def test_when_all_is_done_ray_is_told_so():
    problem = SyntheticProblem(0)
    proposer, scheduler = make(problem, slots=1, num_trials=2)
    ReplayedSearch(problem, proposer, scheduler, slots=1, stops_non_finite=False).run(BUDGET, on_epoch=lambda: None)
    assert proposer.suggest("more") == Searcher.FINISHED
