"""A search that begins with the best of an earlier one, as far as its space still asks for it."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_spaces.pinning import PinnedSpace
from search_spaces.ranges import SearchedRange
from search_spaces.registry import SPACES, get_space
from search_spaces.space import Situation
from search_spaces.stub_trials import ends_or_inside
from tests.tuner.conftest import recorded_settings
from trainable.config import from_params, to_dict
from trainable.tasks.registry import get_task
from tuner.planning.warm_start import NUM_BEST, warm_start, with_earlier_search
from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Start
from tuner.policy.samplers.tpe import TpeSampler
from tuner.policy.schedulers.promoting import PromotingPolicy
from tuner.policy.schedulers.stopping import StoppingPolicy
from tuner.records import Recorder, trial_name
from tuner.settings import AUTO, SearchSettings

BASE = get_task("moe").default_config(None)
FACTS = {
    "space": "moe",
    "objective": "val/s_measure",
    "mode": "max",
    "max_epochs": 1,
    "data_fingerprint": {"all": "ab"},
}
OTHER_DATA = FACTS | {"data_fingerprint": {"all": "cd"}}


def space_of(low, high, name="max_lr"):
    return lambda trial: {name: trial.suggest_float(name, low, high), "top_k": 1}


def started(folder, asking, *, first=None, base=BASE, **facts):
    first = first or [{"max_lr": 0.45}]
    base = from_params({"max_epochs": (FACTS | facts)["max_epochs"]}, base)
    return warm_start(folder, asking, base=base, points_to_evaluate=first, settings=FACTS | facts)


def points_of(folder, asking):
    return started(folder, asking, **OTHER_DATA).points


def recorded(folder, asking, points, values, *, base=BASE, facts=FACTS):
    """A finished search of one epoch a trial."""
    config = to_dict(base) | {"max_epochs": facts["max_epochs"]}
    settings = recorded_settings(num_trials=9, name="old", rung_epochs=(), base_config=config, **facts)
    recorder = Recorder.create(folder, settings)
    for number, (answers, value) in enumerate(zip(points, values, strict=True)):
        candidate = SpaceSource(asking).of(answers)
        trial = trial_name(number, candidate.params)
        recorder.start(trial, params=candidate.params, answers=answers)
        recorder.result(trial, epoch=1, objective=value, metrics={}, seconds=1.0)
        recorder.end(trial, Outcome.COMPLETED, numbers={}, epoch=1)
    recorder.close()
    return folder


@pytest.fixture
def folder(tmp_path):
    """Nine trials at max_lr .1 to .9; the objective is best near .5 and falls with the distance from it."""
    rates = [(number + 1) / 10 for number in range(9)]
    values = [-abs(rate - 0.52) for rate in rates]
    return recorded(tmp_path / "moe" / "old", space_of(0.0, 1.0), [{"max_lr": rate} for rate in rates], values)


def test_the_best_come_first_by_the_names_that_the_space_asks_for(folder):
    points = points_of(folder, space_of(0.0, 1.0))
    assert points == [{"max_lr": rate} for rate in (0.5, 0.6, 0.4, 0.7, 0.3)]
    assert len(points) == NUM_BEST


@pytest.mark.parametrize(
    ("objective", "best"),
    [("val/s_measure", [{"max_lr": 0.1}, {"max_lr": 0.2}]), ("val/mae", [{"max_lr": 0.2}, {"max_lr": 0.1}])],
)
def test_a_direction_that_was_put_right_since_decides_which_were_the_best_and_that_of_another_objective_does_not(
    tmp_path, objective, best
):
    points = [{"max_lr": 0.1}, {"max_lr": 0.2}]
    recorded(tmp_path / "old", space_of(0.0, 0.5), points, [0.3, 0.6])
    changed = OTHER_DATA | {"mode": "min", "objective": objective}
    assert started(tmp_path / "old", space_of(0.0, 0.5), **changed).points == best


def test_where_a_range_has_changed_what_lies_outside_is_left_out_and_said(folder, caplog):
    caplog.set_level(logging.INFO)
    points = points_of(folder, space_of(0.45, 0.65))
    assert points == [{"max_lr": 0.5}, {"max_lr": 0.6}]
    assert "trial 003-" in caplog.text
    assert "is not tried again" in caplog.text


def test_what_the_space_no_longer_asks_for_is_left_out(folder):
    assert points_of(folder, space_of(0.0, 1.0, name="weight_decay")) == []


def test_a_search_of_another_space_is_refused(folder):
    with pytest.raises(ValueError, match="is a search of the space 'moe', not of 'leaf'"):
        started(folder, space_of(0.0, 1.0), space="leaf")


def test_a_search_without_a_measured_trial_is_refused(tmp_path):
    Recorder.create(tmp_path / "moe" / "empty", recorded_settings(**FACTS, rung_epochs=())).close()
    with pytest.raises(ValueError, match="has no measured trial to start from"):
        started(tmp_path / "moe" / "empty", space_of(0.0, 1.0))


def test_of_the_same_data_and_budget_the_values_are_known_and_nothing_is_tried_again(folder, caplog):
    caplog.set_level(logging.INFO)
    warm = started(folder, space_of(0.0, 1.0))
    assert warm.points == ()
    values = {one.answers["max_lr"]: one.values for one in warm.past_trials}
    assert values == {(n + 1) / 10: {1: pytest.approx(-abs((n + 1) / 10 - 0.52))} for n in range(9)}
    assert {one.outcome for one in warm.past_trials} == {Outcome.COMPLETED}
    assert all(one.trial.startswith("old/00") for one in warm.past_trials)
    assert "9 trials of" in caplog.text


def test_the_working_folder_can_be_started_from(folder, monkeypatch):
    monkeypatch.chdir(folder)
    known = started(Path(), space_of(0.0, 1.0)).past_trials
    assert all(one.trial.startswith("old/00") for one in known)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data_fingerprint": {"all": "cd"}}, "differs in data:"),
        ({"max_epochs": 3}, "differs in budget:"),
        ({"max_epochs": 3, "data_fingerprint": {}}, "differs in budget and data:"),
    ],
)
def test_the_reason_that_its_values_cannot_be_used_is_logged(folder, caplog, changed, words):
    caplog.set_level(logging.INFO)
    warm = started(folder, space_of(0.0, 1.0), **changed)
    assert (len(warm.points), warm.past_trials) == (NUM_BEST, ())
    assert words in caplog.text


def test_values_outside_a_changed_range_are_left_out_and_counted(folder, caplog):
    caplog.set_level(logging.INFO)
    warm = started(folder, space_of(0.45, 0.85))
    assert [one.answers["max_lr"] for one in warm.past_trials] == [0.5, 0.6, 0.7, 0.8]
    assert "4 trials of" in caplog.text
    assert "; 5 outside this space are skipped." in caplog.text


def test_choices_that_are_tuples_are_known_again(tmp_path):
    def asking(trial):
        pair = trial.suggest_categorical("pair", [(0.45, 1), (0.5, 2)])
        return {"max_lr": pair[0], "top_k": pair[1]}

    points = [{"pair": (0.45, 1)}, {"pair": (0.5, 2)}]
    folder = recorded(tmp_path / "moe" / "old", asking, points, [0.1, 0.2])
    (known,) = started(folder, asking, first=points[:1]).past_trials
    assert (known.answers, known.values) == (points[1], {1: 0.2})
    assert started(folder, asking, first=points[:1], **OTHER_DATA).points == points[1:]


def test_a_parameter_that_is_new_has_the_value_that_the_default_gives_it(folder):
    def wider(trial):
        return space_of(0.0, 1.0)(trial) | {"momentum": trial.suggest_float("momentum", 0.0, 1.0)}

    first = [{"max_lr": 0.45, "momentum": 0.9}]
    warm = started(folder, wider, first=first)
    assert {one.answers["momentum"] for one in warm.past_trials} == {0.9}
    assert len(warm.past_trials) == 9


def test_a_parameter_whose_new_default_is_not_what_was_trained_with_leaves_all_out(folder):
    def wider(trial):
        return space_of(0.0, 1.0)(trial) | {"momentum": trial.suggest_float("momentum", 0.0, 1.0)}

    assert started(folder, wider, first=[{"max_lr": 0.45, "momentum": 0.5}]).past_trials == ()


@pytest.mark.parametrize("changed", [{}, {"max_epochs": 3}])
def test_what_was_fixed_then_and_is_searched_now_keeps_the_value_that_was_trained(folder, changed):
    def wider(trial):
        return {"max_lr": trial.suggest_float("max_lr", 0.0, 1.0), "top_k": trial.suggest_int("top_k", 1, 4)}

    warm = started(folder, wider, first=[{"max_lr": 0.45, "top_k": 3}], **changed)
    found = warm.points if changed else [one.answers for one in warm.past_trials]
    assert {point["top_k"] for point in found} == {1}
    assert len(found) == (NUM_BEST if changed else 9)


def test_what_was_fixed_outside_of_the_range_that_is_searched_now_is_left_out_and_said(folder, caplog):
    caplog.set_level(logging.INFO)

    def elsewhere(trial):
        return {"max_lr": trial.suggest_float("max_lr", 0.0, 1.0), "top_k": trial.suggest_int("top_k", 2, 4)}

    warm = started(folder, elsewhere, first=[{"max_lr": 0.45, "top_k": 3}])
    assert (warm.points, warm.past_trials) == ([], ())
    assert "is not tried again: " in caplog.text
    assert "with the values of 0 trials" not in caplog.text


def test_where_no_value_can_be_used_the_best_are_tried_first_with_what_is_fixed_now(folder):
    """Also under another budget: what was searched then and is fixed now is not asked for."""
    asking = lambda trial: {"max_lr": trial.suggest_float("max_lr", 0.0, 1.0), "top_k": 2}  # noqa: E731
    for facts in ({}, {"max_epochs": 3}):
        warm = started(folder, asking, **facts)
        assert [point["max_lr"] for point in warm.points] == [0.5, 0.6, 0.4, 0.7, 0.3]
        assert warm.past_trials == ()


@pytest.mark.parametrize(("top_k", "known"), [(1, 9), (2, 0)])
def test_what_is_fixed_now_is_known_only_from_trials_that_had_that_value(folder, top_k, known):
    warm = started(folder, lambda trial: space_of(0.0, 1.0)(trial) | {"top_k": top_k})
    assert len(warm.past_trials) == known


def test_under_another_fixed_configuration_nothing_is_known(folder):
    assert started(folder, space_of(0.0, 1.0), base=from_params({"backbone": "resnet50"}, BASE)).past_trials == ()


def test_another_seed_and_another_place_of_the_same_data_do_not_matter(folder):
    moved = from_params({"seed": 7, "source": str(folder)}, BASE)
    assert len(started(folder, space_of(0.0, 1.0), base=moved).past_trials) == 9


def test_the_default_is_measured_again(folder):
    warm = started(folder, space_of(0.0, 1.0), first=[{"max_lr": 0.5}])
    assert 0.5 not in {one.answers["max_lr"] for one in warm.past_trials}


def distances(policy, known, *, num_trials=5):
    """Distances of the first proposals from the best value; each gets its value reported."""
    for one in known:
        policy.add_past_trial(one.trial, SpaceSource(space_of(0.0, 1.0)).of(one.answers), one.values, one.outcome)
    found = []
    for number in range(num_trials):
        work = policy.next_work()
        assert isinstance(work, Start)
        policy.start(f"n{number}", work.candidate)
        found.append(abs(work.candidate.params["max_lr"] - 0.52))
        policy.report(f"n{number}", epoch=1, value=-found[-1])
        policy.end(f"n{number}", Outcome.COMPLETED)
    return found


def config_of(seed, num_trials=10):
    return HalvingConfig(
        rung_epochs=(), max_epochs=1, reduction_factor=3, mode="max", slots=1, seed=seed, num_trials=num_trials
    )


def stopping(seed, num_trials=10):
    return StoppingPolicy(TpeSampler(space_of(0.0, 1.0), mode="max"), config_of(seed, num_trials))


def promoting(seed, num_trials=10):
    return PromotingPolicy(SpaceSource(space_of(0.0, 1.0)), config_of(seed, num_trials))


@pytest.mark.parametrize("make", [stopping, promoting])
def test_a_policy_that_knows_them_proposes_better_at_once(folder, make):
    known = started(folder, space_of(0.0, 1.0)).past_trials
    found = [distances(make(seed), known) for seed in range(6)]
    cold = [distances(make(seed), []) for seed in range(6)]
    assert np.median(found) < 0.5 * np.median(cold)


@pytest.mark.parametrize("make", [stopping, promoting])
def test_advice_that_is_wrong_is_outlived(folder, make):
    """The earlier search has its best where the truth has its worst."""
    known = [
        replace(one, values={1: abs(one.answers["max_lr"] - 0.52)})
        for one in started(folder, space_of(0.0, 1.0)).past_trials
    ]
    found = [min(distances(make(seed, 20), known, num_trials=20)) for seed in range(5)]
    assert sorted(found)[3] < 0.05


@pytest.mark.parametrize("make", [stopping, promoting])
def test_a_policy_ends_after_as_many_trials_of_its_own_as_were_asked_for(folder, make):
    policy = make(0)
    found = distances(policy, started(folder, space_of(0.0, 1.0)).past_trials, num_trials=10)
    assert policy.next_work() is NoWork.FINISHED
    if isinstance(policy, PromotingPolicy):
        assert found[int(policy.finalists()[0].removeprefix("n"))] < min(found) + 0.01


def test_auto_takes_the_latest_measured_search_of_the_same_data_and_prefers_the_same_length(tmp_path):
    def chosen(**changes):
        settings = SearchSettings(storage=tmp_path, name="new", warm_start=AUTO, **changes)
        found = with_earlier_search(settings).warm_start
        return None if found is None else found.name

    assert chosen() is None
    points, values = [{"max_lr": 0.1}], [0.5]
    for age, (name, changes) in enumerate(
        {"longer": {"max_epochs": 3}, "same": {}, "other data": {"data": "elsewhere"}, "damaged": {}}.items()
    ):
        place = tmp_path / "moe" / name
        recorded(place, space_of(0.0, 1.0), points, values, facts=FACTS | {"data": None} | changes)
        os.utime(place / "trials.jsonl", (age, age))
    (tmp_path / "moe" / "damaged" / "settings.json").write_text("{")
    Recorder.create(tmp_path / "moe" / "empty", recorded_settings(**FACTS | {"data": None}, rung_epochs=())).close()
    assert chosen() == "same"
    assert [chosen(max_epochs=epochs) for epochs in (1, 3, 7)] == ["same", "longer", "same"]
    settings = SearchSettings(storage=tmp_path)
    assert with_earlier_search(settings) is settings


@pytest.mark.parametrize(("data", "name"), [(None, "whole"), ("photos", "later and shorter")])
def test_auto_prefers_the_length_that_the_new_search_will_have(tmp_path, data, name):
    """On embedded data this is the space's length; on a user's images that of the earlier search."""
    lengths = {"whole": get_space("moe").max_epochs, "later and shorter": 2}
    for age, (run, epochs) in enumerate(lengths.items()):
        place, facts = tmp_path / "moe" / run, FACTS | {"data": data, "max_epochs": epochs}
        recorded(place, space_of(0.0, 1.0), [{"max_lr": 0.1}], [0.5], facts=facts)
        os.utime(place / "trials.jsonl", (age, age))
    settings = SearchSettings(storage=tmp_path, name="new", warm_start=AUTO, data=data)
    assert with_earlier_search(settings).warm_start.name == name


@pytest.mark.parametrize("written", ["photos", "photos/", "./photos", "{here}/photos"])
def test_auto_knows_a_folder_of_data_however_it_is_written(tmp_path, monkeypatch, written):
    monkeypatch.chdir(tmp_path)
    facts = FACTS | {"data": "photos"}
    recorded(Path("results/moe/old"), space_of(0.0, 1.0), [{"max_lr": 0.1}], [0.5], facts=facts)
    settings = SearchSettings(name="new", warm_start=AUTO, data=written.format(here=tmp_path))
    assert with_earlier_search(settings).warm_start == Path("results/moe/old")


@pytest.mark.parametrize("name", sorted(SPACES))
def test_every_space_knows_what_it_proposed_itself(tmp_path, name):
    space = get_space(name)
    base = get_task(space.workload).default_config(None)
    pinned = PinnedSpace(space, Situation(num_train_images=240, pretrained=False))
    facts = FACTS | {"space": name, "objective": space.objective}
    points = []
    for seed in range(4):
        trial = ends_or_inside(seed)
        pinned(trial)
        points.append(trial.params)
    folder = recorded(tmp_path / name / "old", pinned, points, [0.1, 0.2, 0.3, 0.4], base=base, facts=facts)
    warm = started(folder, pinned, first=pinned.points_to_evaluate(), base=base, **facts)
    first = pinned.points_to_evaluate()
    assert [one.answers for one in warm.past_trials] == [answers for answers in points if answers not in first]


def test_what_lies_inside_the_users_ranges_is_known_and_the_rest_is_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    situation = Situation(num_train_images=70, pretrained=False)
    ranges = {
        "max_lr": SearchedRange(low=1e-3, high=5e-3, log=True),
        "max_grad_norm": SearchedRange(low=0.5, high=5.0, own_value=1.0),
    }
    plain, narrow = (PinnedSpace(get_space("moe"), situation, ranges=given) for given in ({}, ranges))
    points = [plain.points_to_evaluate()[0] | {"max_lr": rate} for rate in (2e-3, 4e-3, 2e-2)]
    folder = recorded(tmp_path / "moe" / "old", plain, points, [0.1, 0.2, 0.3])
    warm = started(folder, narrow, first=narrow.points_to_evaluate())
    assert [(one.answers["max_lr"], one.answers["max_grad_norm"]) for one in warm.past_trials] == [(2e-3, 1), (4e-3, 1)]
    assert "1 outside this space are skipped" in caplog.text
