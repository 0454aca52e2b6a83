"""New configurations: those that were asked for, then drawn ones, each once."""

import random

import pytest

from tests.tuner.policy.playing import make
from tuner.policy.candidates import SpaceSource
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Start
from tuner.policy.proposals import Proposals


def few(trial):
    return {"num_experts": trial.suggest_int("num_experts", 1, 3)}


def many(trial):
    return {"rate": trial.suggest_float("rate", 0.0, 1.0)}


FEW, MANY = SpaceSource(few), SpaceSource(many)


def proposals(source, *first, num_trials=None, seed=0):
    return Proposals([source.of(answers) for answers in first], num_trials=num_trials, seed=seed, draw_any=source.any)


def nothing(generator):
    return ()


def test_what_was_asked_for_comes_first_in_its_order_and_once():
    asked = proposals(MANY, {"rate": 0.5}, {"rate": 0.1}, {"rate": 0.5})
    begun = []
    for number in range(3):
        candidate = asked.next(nothing)
        asked.add(f"t{number}", candidate)
        begun.append(candidate.answers["rate"])
    assert begun[:2] == [0.5, 0.1]
    assert begun[2] not in (0.5, 0.1)
    assert asked.default_trial == "t0"


def test_the_default_is_a_trial_of_this_search():
    asked = proposals(MANY, {"rate": 0.5})
    asked.add("past/0", MANY.of({"rate": 0.5}), is_past=True)
    assert asked.default_trial is None


def test_past_trials_are_not_counted_and_not_tried_again():
    asked = proposals(FEW, num_trials=2)
    asked.add("past/0", FEW.of({"num_experts": 2}), is_past=True)
    for trial in "ab":
        assert not asked.are_all_started
        candidate = asked.next(nothing)
        assert candidate.answers["num_experts"] != 2
        asked.add(trial, candidate)
    assert asked.are_all_started


def test_a_sampler_s_first_new_one_is_taken_and_any_other_where_it_has_none():
    asked = proposals(FEW)
    asked.add("a", FEW.of({"num_experts": 1}))
    preferred = [FEW.of({"num_experts": number}) for number in (1, 3, 2)]
    assert asked.next(lambda generator: preferred).answers == {"num_experts": 3}
    asked.add("b", preferred[1])
    assert asked.next(lambda generator: preferred[:2]).answers == {"num_experts": 2}
    asked.add("c", preferred[2])
    assert asked.are_all_started


def test_the_generator_belongs_to_the_proposal():
    def drawn(asked):
        return [asked.next(lambda generator: [MANY.any(generator)]).answers["rate"] for _ in range(2)]

    one, other, third = proposals(MANY), proposals(MANY), proposals(MANY, seed=1)
    assert drawn(one) == drawn(other)
    assert drawn(one)[0] == drawn(one)[1] != drawn(third)[0]
    one.add("a", MANY.any(random.Random(9)))
    assert drawn(one) != drawn(other)


def test_nothing_is_proposed_when_the_space_holds_nothing_new():
    asked = proposals(FEW, {"num_experts": 1}, {"num_experts": 2}, {"num_experts": 3})
    for number in range(3):
        asked.add(f"t{number}", asked.next(nothing))
    assert asked.are_all_started
    with pytest.raises(LookupError, match="no new configuration"):
        asked.next(nothing)


def begun_by(kind, source_space, **changed):
    """The trials that a policy begins when each ends at once."""
    policy, begun = make(kind, asked=source_space, first=(), rung_epochs=(), max_epochs=1, **changed), []
    while isinstance(work := policy.next_work(), Start):
        trial = str(len(begun))
        begun.append(tuple(work.candidate.params.values()))
        policy.start(trial, work.candidate)
        policy.report(trial, epoch=1, value=random.Random(trial).random())
        policy.end(trial, Outcome.COMPLETED)
    assert work is NoWork.FINISHED
    return begun


@pytest.mark.parametrize("kind", ["asha", "asha random", "asha-stopping", "none"])
def test_a_space_that_is_exhausted_ends_the_search_with_each_of_its_configurations_once(kind):
    assert sorted(begun_by(kind, few, num_trials=8)) == [(1,), (2,), (3,)]


def test_configurations_that_are_drawn_seldom_are_found_when_they_are_the_last():
    """The largest of a logarithmic range are drawn once in a thousand times."""

    def skewed(trial):
        return {"width": trial.suggest_int("width", 1, 200, log=True)}

    assert len(set(begun_by("none random", skewed, num_trials=197, seed=2))) == 197


@pytest.mark.parametrize("kind", ["asha", "asha random", "asha-stopping", "none"])
def test_the_same_seed_proposes_the_same_and_another_seed_does_not(kind):
    assert begun_by(kind, many) == begun_by(kind, many)
    assert begun_by(kind, many) != begun_by(kind, many, seed=1)
    assert len(set(begun_by(kind, many))) == 30
