"""A search that is not above a prediction that looks at no image says so first."""

from dataclasses import replace

import pytest

from tuner.records import read_search
from tuner.records.trivial import TRIVIAL, ProbeScore, TrivialScore
from tuner.results.above_trivial import warning_at_first_rung, warning_of_nothing_learned
from tuner.selection.comparison import Confirmation
from tuner.selection.in_search import exported_result


@pytest.fixture
def search(finished_folder):
    return read_search(finished_folder)


def score(objective):
    return TrivialScore(name="an empty mask", objective=objective, metrics={"mae": 0.1})


def confirmed(trial, values):
    seeds = dict(enumerate(values))
    return [Confirmation(trial=trial.name, values=seeds, default_values=seeds, higher_is_better=True)]


def warned(search, values, *, test, validation=0.0):
    scores = {"test": score(test), "validation": score(validation)}
    return warning_of_nothing_learned(search, search.leader, confirmed(search.leader, values), scores)


def test_on_several_seeds_the_interval_must_lie_above_it(search):
    assert warned(search, [0.60, 0.61, 0.62], test=0.5) is None
    warning = warned(search, [0.40, 0.61, 0.62], test=0.5)
    assert "It is not certain that anything was learned" in warning
    assert "predicting an empty mask for every image scores 0.500 (on the test split, 3 seeds)" in warning


@pytest.mark.parametrize("name", ["the most common grades", "features that are all the same", "no crowns"])
def test_both_sentences_read_well_with_what_is_many(search, name):
    floor = replace(score(2.0), name=name)
    warning = warning_of_nothing_learned(search, search.leader, [], {"validation": floor})
    assert f"predicting {name} for every image scores 2.000 (on the validation split)." in warning
    assert f"predicting {name} for every image scores 2.000. " in warning_at_first_rung(search, floor)


def test_above_a_random_answer_is_what_luck_does_not_reach(search):
    reached = exported_result(search, search.leader).objective

    def warning(split, values, spread):
        scores = {split: replace(score(reached - 0.1), spread=spread)}
        confirmations = confirmed(search.leader, values) if values else []
        return warning_of_nothing_learned(search, search.leader, confirmations, scores)

    assert warning("validation", [], 0.03) is None
    assert "predicting an empty mask for every image scores " in warning("validation", [], 0.04)
    assert " ± 0.040 (on the validation split)" in warning("validation", [], 0.04)
    seeds = [reached + 0.001, reached, reached - 0.001]
    assert warning("test", seeds, 0.04) is None
    assert warning("test", seeds, 0.06) is not None


def test_below_the_linear_probe_that_is_the_headline(search):
    def warning(values, probed):
        probe = {"test": ProbeScore(name="a linear probe", objective=probed, metrics={}, seconds=1.0)}
        trial, scores = search.leader, {"test": score(0.5)}
        return warning_of_nothing_learned(search, trial, confirmed(trial, values), scores, probe)

    assert warning([0.60, 0.61, 0.62], 0.6) is None
    warned_of = warning([0.60, 0.61, 0.62], 0.7)
    assert warned_of.startswith("The training is worse than a linear layer on frozen features: ")
    assert (
        "; a linear probe scores 0.700 (on the test split, 3 seeds). The network started from scratch, on " in warned_of
    )
    assert "for every image scores 0.500; a linear probe scores 0.700 (on" in warning([0.4, 0.41, 0.42], 0.7)


def test_where_less_is_better_the_sign_is_turned(search):
    search.settings = replace(search.settings, mode="min")
    assert warned(search, [0.20, 0.21, 0.22], test=0.5) is None
    assert warned(search, [0.60, 0.61, 0.62], test=0.5) is not None


def test_without_a_confirmation_the_validation_split_decides(search):
    reached = exported_result(search, search.leader).objective
    for floor, is_warned in ((reached - 0.01, False), (reached, True)):
        warning = warning_of_nothing_learned(search, search.leader, [], {"validation": score(floor)})
        assert (warning is not None) == is_warned


def test_an_older_folder_without_a_score_is_warned_of_nothing(search):
    assert warning_of_nothing_learned(search, search.leader, [], {}) is None
    assert warning_of_nothing_learned(search, None, [], {"validation": score(2.0)}) is None


def test_the_first_rung_warns_when_enough_trials_are_there_and_none_is_above(search):
    rung = search.settings.rung_epochs[0]
    values = [trial.objective_at(rung) for trial in search.trials if trial.objective_at(rung) is not None]
    assert len(values) >= 3
    assert warning_at_first_rung(search, score(min(values))) is None
    warning = warning_at_first_rung(search, score(max(values)))
    assert warning.startswith(f"After epoch {rung} none of {len(values)} trials has learned anything")


def test_both_splits_are_kept_in_one_file(tmp_path):
    assert TRIVIAL.read(tmp_path) == {}
    TRIVIAL.write(tmp_path, "validation", score(0.4))
    TRIVIAL.write(tmp_path, "test", score(0.5))
    assert TRIVIAL.read(tmp_path) == {"validation": score(0.4), "test": score(0.5)}


def test_a_damaged_file_is_a_sentence(tmp_path):
    (tmp_path / TRIVIAL.name).write_text('{"validation": {"name": 1}}')
    with pytest.raises(ValueError, match=r"trivial.json is damaged, restore it or delete it"):
        TRIVIAL.read(tmp_path)
