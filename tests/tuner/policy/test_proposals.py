import functools
import math

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tuner.outcomes import Outcome
from tuner.proposer import Proposer, check_params
from tuner.study_mirror import StudyMirror, load_mirror

DEFAULT = {"max_lr": 1e-3, "num_experts": 1}
OPTIONS = {"metric": "objective", "mode": "max", "max_epochs": 5, "seed": 0}


def space(trial):
    params = {"max_lr": trial.suggest_float("max_lr", 1e-4, 1e-1, log=True)}
    num_experts = trial.suggest_categorical("num_experts", [1, 2, 4])
    top_k = 1 if num_experts == 1 else trial.suggest_int("top_k", 1, 2)
    return params | {"num_experts": num_experts, "top_k": top_k}


def small_space(trial):
    return {"num_experts": trial.suggest_int("num_experts", 1, 3)}


def train(proposer, trial_id, values, *, outcome=None):
    """As Ray does it: a result that ends a trial comes with the end only."""
    params = proposer.suggest(trial_id)
    for epoch, value in enumerate(values[:-1], start=1):
        proposer.on_trial_result(trial_id, {"epoch": epoch, "objective": value})
    last = {"epoch": len(values), "objective": values[-1]} | ({"outcome": outcome} if outcome else {})
    proposer.on_trial_complete(trial_id, last)
    return params


@pytest.fixture
def proposer():
    return Proposer(space, enqueue=[DEFAULT], **OPTIONS)


def only_trial(proposer):
    (trial,) = proposer.study.get_trials(deepcopy=False)
    return trial


def test_it_is_a_ray_searcher(proposer):
    assert isinstance(proposer, Searcher)
    assert proposer.set_search_properties("objective", "max", {})
    assert not proposer.set_search_properties("objective", "min", {})


def test_the_default_is_trial_0_then_come_the_recommended_then_optunas_own():
    recommended = {"max_lr": 1e-2, "num_experts": 4, "top_k": 2}
    proposer = Proposer(space, enqueue=[DEFAULT, recommended, DEFAULT], **OPTIONS)
    assert proposer.suggest("a") == DEFAULT | {"top_k": 1}
    assert proposer.suggest("b") == recommended
    assert proposer.suggest("c")["max_lr"] not in (1e-3, 1e-2)
    assert [proposer.number_of(trial) for trial in "abc"] == [0, 1, 2]


def test_a_finished_trial_is_complete_with_its_last_value_and_the_whole_curve(proposer):
    train(proposer, "a", [0.1, 0.2, 0.3, 0.4, 0.35], outcome="completed")
    trial = only_trial(proposer)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.35)
    assert trial.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.35}
    assert trial.user_attrs == {"number": 0, "trial": "a", "outcome": "completed", "epoch": 5}


def test_a_trial_stopped_at_a_rung_is_pruned_with_the_value_of_that_epoch(proposer):
    train(proposer, "a", [0.1, 0.2])
    trial = only_trial(proposer)
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.1, 2: 0.2}
    assert trial.user_attrs["outcome"] == "stopped_at_rung"


@pytest.mark.parametrize("outcome", [o for o in Outcome if o.counts_as_bad])
def test_a_bad_configuration_is_pruned_infeasible_and_keeps_only_values_that_were_measured(proposer, outcome):
    train(proposer, "a", [0.1, 0.2, 0.0], outcome=str(outcome))
    trial = only_trial(proposer)
    assert trial.state is TrialState.PRUNED
    assert trial.constraints == {"outcome": 1.0}
    assert trial.intermediate_values == {1: 0.1, 2: 0.2}
    assert (trial.user_attrs["outcome"], trial.user_attrs["epoch"]) == (outcome, 3)


@pytest.mark.parametrize("values", [[math.nan], [0.1, math.nan], [0.1, math.inf, -math.inf], [0.1] * 4 + [math.nan]])
def test_nothing_that_is_not_finite_reaches_optuna(proposer, values):
    train(proposer, "a", values)
    trial = only_trial(proposer)
    assert trial.user_attrs["outcome"] == "diverged"
    assert all(math.isfinite(value) for value in trial.intermediate_values.values())


def test_an_error_and_a_stop_before_the_first_result_have_failed(proposer):
    proposer.suggest("a")
    proposer.on_trial_result("a", {"epoch": 1, "objective": 0.5})
    proposer.on_trial_complete("a", error=True)
    proposer.suggest("b")
    proposer.on_trial_complete("b")
    trials = proposer.study.get_trials(deepcopy=False)
    assert {trial.state for trial in trials} == {TrialState.FAIL}
    assert [trial.user_attrs["outcome"] for trial in trials] == ["failed", "interrupted"]


def test_no_trial_is_left_running_when_the_search_is_over(proposer):
    train(proposer, "a", [0.1] * 5)
    proposer.suggest("b")
    proposer.close()
    proposer.close()
    states = [trial.state for trial in proposer.study.get_trials(deepcopy=False)]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def test_an_end_that_is_told_twice_counts_once(proposer):
    train(proposer, "a", [0.1] * 5)
    proposer.on_trial_complete("a", error=True)
    assert only_trial(proposer).state is TrialState.COMPLETE


def test_an_epoch_repeated_after_a_restore_is_reported_once(proposer):
    proposer.suggest("a")
    for epoch in (1, 2, 2, 1, 3):
        proposer.on_trial_result("a", {"epoch": epoch, "objective": 0.1 * epoch})
    assert list(proposer.study.get_trials()[0].intermediate_values) == [1, 2, 3]


def share_proposed_above_half(ending, *, seed):
    """Of the last 30 of 60: above 0.5, trials look splendid for two epochs, then end so; below, they are mediocre."""

    def suggest(trial):
        return {"max_lr": trial.suggest_float("max_lr", 0.0, 1.0)}

    proposer, proposed = Proposer(suggest, **OPTIONS | {"seed": seed}), []
    for number in range(60):
        trial_id = str(number)
        lr = proposer.suggest(trial_id)["max_lr"]
        proposed.append(lr)
        value, how = (0.9, ending) if lr > 0.5 else (0.1 - abs(lr - 0.25), {})
        for epoch in (1, 2):
            proposer.on_trial_result(trial_id, {"epoch": epoch, "objective": value})
        proposer.on_trial_complete(trial_id, {"epoch": 3, "objective": value} | how)
    return sum(lr > 0.5 for lr in proposed[-30:]) / 30


@pytest.mark.parametrize("seed", range(3))
def test_tpe_avoids_where_trials_diverge_however_good_they_looked_before(seed):
    assert share_proposed_above_half({"outcome": "diverged"}, seed=seed) <= 0.2
    assert share_proposed_above_half({}, seed=seed) >= 0.6


def test_the_same_seed_proposes_the_same_and_another_seed_does_not():
    def proposals(seed, sampler):
        proposer = Proposer(space, sampler=sampler, **OPTIONS | {"seed": seed})
        return [train(proposer, str(number), [0.1 * number]) for number in range(15)]

    for sampler in ("tpe", "random"):
        assert proposals(0, sampler) == proposals(0, sampler)
        assert proposals(0, sampler) != proposals(1, sampler)


def test_a_configuration_that_was_proposed_is_refused_until_nothing_new_is_left(caplog):
    proposer = Proposer(small_space, sampler="random", **OPTIONS)
    first = {proposer.suggest(str(number))["num_experts"] for number in range(3)}
    assert first == {1, 2, 3}
    assert "nothing new" not in caplog.text
    assert proposer.suggest("again")["num_experts"] in first
    assert "nothing new in 20 tries" in caplog.text
    proposer.close()
    assert not any(trial.state is TrialState.RUNNING for trial in proposer.study.get_trials(deepcopy=False))


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"max_lr": 5.0, "num_experts": 1}, "max_lr.* is out of the range"),
        ({"max_lr": 1e-3, "num_experts": 3}, "3.*not in"),
        ({"max_lr": 1e-3, "num_experts": 1, "lr": 0.1}, "does not ask for 'lr', but for max_lr, num_experts"),
        ({"max_lr": 1e-3, "num_experts": 1, "top_k": 1}, "does not ask for 'top_k'"),
        ({"max_lr": 1e-3}, "'num_experts' is not found"),
    ],
)
def test_a_point_outside_the_space_is_refused_before_the_search(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        Proposer(space, enqueue=[params], **OPTIONS)


def test_a_point_of_the_space_passes():
    check_params(space, {"max_lr": 1e-3, "num_experts": 2, "top_k": 2})


def test_an_unknown_sampler_is_a_sentence():
    with pytest.raises(ValueError, match="sampler is 'grid', but must be one of tpe, random"):
        Proposer(space, sampler="grid", **OPTIONS)


def test_a_restored_proposer_goes_on_as_the_old_one_would(proposer, tmp_path):
    for number in range(14):
        train(proposer, str(number), [0.01 * number] * (5 if number % 2 else 2))
    proposer.suggest("running")
    proposer.on_trial_result("running", {"epoch": 1, "objective": 0.5})
    proposer.save(str(tmp_path / "state"))
    restored = Proposer(space, enqueue=[DEFAULT], **OPTIONS | {"seed": 99})
    restored.restore(str(tmp_path / "state"))
    for one in (proposer, restored):
        one.on_trial_complete("running", {"epoch": 2, "objective": 0.6})
    assert [restored.suggest(str(n)) for n in range(20, 24)] == [proposer.suggest(str(n)) for n in range(20, 24)]
    assert restored.number_of("23") == proposer.number_of("23") == 18


def test_a_trial_that_the_snapshot_does_not_know_does_not_end_the_search(proposer, caplog):
    proposer.on_trial_result("younger", {"epoch": 1, "objective": 0.5})
    proposer.on_trial_complete("younger", {"epoch": 5, "objective": 0.5})
    assert "younger is missing in the restored study" in caplog.text
    assert proposer.study.get_trials(states=[TrialState.COMPLETE]) == []


def finished(study):
    trials = study.get_trials(deepcopy=False)
    return [(t.params, t.state, t.value, t.intermediate_values, t.user_attrs) for t in trials if t.state.is_finished()]


def test_the_mirror_holds_what_has_finished_and_is_written_anew_after_a_restore(tmp_path):
    path = tmp_path / "study.journal"
    make = functools.partial(Proposer, space, enqueue=[DEFAULT], **OPTIONS)
    proposer = make(mirror=StudyMirror(path, study_name="run"))
    train(proposer, "a", [0.1] * 5)
    proposer.save(str(tmp_path / "state"))
    train(proposer, "forgotten", [0.1])
    proposer.suggest("running")
    assert finished(load_mirror(path)) == finished(proposer.study)
    (tmp_path / "study.journal.lock").symlink_to(path)
    restored = make(mirror=StudyMirror(path, study_name="run"))
    restored.restore(str(tmp_path / "state"))
    train(restored, "b", [0.2, 0.3])
    mirror = load_mirror(path)
    assert mirror.direction is optuna.study.StudyDirection.MAXIMIZE
    assert [trial.user_attrs["trial"] for trial in mirror.trials] == ["a", "b"]
    assert finished(mirror) == finished(restored.study)
