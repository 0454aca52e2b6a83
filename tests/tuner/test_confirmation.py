import json

import pytest
from scipy.stats import ttest_rel

from tuner.confirmation import Confirmation, choose, read_confirmations
from tuner.records import SearchRecord

SETTINGS = {"space": "moe", "objective": "val/s_measure", "mode": "max"}
SEARCH = SearchRecord(settings=SETTINGS)
for number in (0, 3, 5):
    SEARCH.apply({"event": "start", "trial": f"t{number}", "number": number, "params": {}, "time": 0.0})


def confirmed(default, values, *, higher_is_better=True):
    seeds = {"default_values": dict(enumerate(default)), "values": dict(enumerate(values))}
    return Confirmation(trial=7, higher_is_better=higher_is_better, **seeds)


def test_the_interval_is_that_of_the_paired_t_test():
    default, values = [0.71, 0.74, 0.70, 0.77], [0.75, 0.76, 0.77, 0.78]
    expected = ttest_rel(values, default).confidence_interval(0.95)
    assert confirmed(default, values).interval == pytest.approx((expected.low, expected.high))


def test_a_gain_that_all_seeds_share_is_claimed():
    sentence = confirmed([0.70, 0.72, 0.71], [0.80, 0.83, 0.81]).sentence
    assert sentence.startswith("On the test split, trial 7 is 0.103 better than the default (mean of 3 seeds, 95 %")


def test_a_gain_that_the_seeds_do_not_agree_on_is_not_claimed():
    confirmation = confirmed([0.70, 0.75, 0.71], [0.80, 0.74, 0.70])
    assert not confirmation.is_distinguishable
    assert "cannot be told from chance" in confirmation.sentence


def test_a_loss_against_the_default_is_said_as_plainly_as_a_gain():
    assert "0.103 worse than the default (" in confirmed([0.80, 0.83, 0.81], [0.70, 0.72, 0.71]).sentence
    assert "better" in confirmed([0.9, 0.9], [0.5, 0.5], higher_is_better=False).sentence


def test_one_seed_says_nothing_of_chance_and_no_common_seed_says_nothing_at_all():
    assert confirmed([0.7], [0.8]).sentence.endswith("on one seed, which says nothing of chance.")
    assert "no seed in common" in confirmed([], [0.8]).sentence


def test_only_seeds_of_both_are_paired():
    confirmation = Confirmation(
        trial=7, default_values={1: 0.5, 2: 0.6}, values={2: 0.7, 3: 0.9}, higher_is_better=True
    )
    assert confirmation.gains == pytest.approx([0.1])


def test_runs_are_read_by_trial_and_seed_and_one_without_a_finite_value_is_left_out(tmp_path):
    runs = [(0, 1000, 0.7), (5, 1000, 0.8), (0, 1001, 0.6), (5, 1001, float("nan")), (3, 1000, 0.75)]
    told = [{"trial": t, "seed": s, "objective": v, "test": {"s_measure": v, "mae": 0.1}} for t, s, v in runs]
    content = {"runs": told}
    (tmp_path / "confirm.json").write_text(json.dumps(content))
    third, fifth = read_confirmations(tmp_path, SEARCH)
    assert (third.trial, fifth.trial) == (3, 5)
    assert (fifth.values, fifth.default_values) == ({1000: 0.8}, {1000: 0.7, 1001: 0.6})


def test_without_a_confirmation_there_is_none(tmp_path):
    assert read_confirmations(tmp_path, SEARCH) == []


@pytest.mark.parametrize("content", ["{", "{}", '{"runs": [{"trial": 0, "seed": 1, "test": {"mae": 0.1}}]}', "[]"])
def test_a_damaged_confirmation_is_named(tmp_path, content):
    (tmp_path / "confirm.json").write_text(content)
    with pytest.raises(ValueError, match=r"confirm\.json is damaged.*run tuner\.confirm again"):
        read_confirmations(tmp_path, SEARCH)


@pytest.fixture
def told(tmp_path):
    """A folder whose confirmation holds these (trial, seed, value on validation), and the search it is of."""

    def write(runs, mode="max"):
        content = {
            "runs": [
                {"trial": trial, "seed": seed, "objective": 0.1 * trial, "test": {}, "validation": value}
                for trial, seed, value in runs
            ]
        }
        (tmp_path / "confirm.json").write_text(json.dumps(content))
        search = SearchRecord(settings=SETTINGS | {"mode": mode})
        for number in {trial for trial, _, _ in runs}:
            search.apply({"event": "start", "trial": f"t{number}", "number": number, "params": {}, "time": 0.0})
        return tmp_path, search

    return write


def test_the_best_mean_on_the_validation_split_is_handed_over_whatever_the_test_split_says(told):
    runs = [(0, 1000, 0.80), (0, 1001, 0.84), (5, 1000, 0.90), (5, 1001, 0.70)]
    choice = choose(*told(runs))
    assert (choice.trial.number, choice.mean, choice.others) == (0, pytest.approx(0.82), {5: pytest.approx(0.80)})
    assert "Trial 0 is handed over: trained again on 2 seeds" in choice.sentence
    assert "0.820 in the mean against 0.800 of trial 5 (better on 1 of them)." in choice.sentence
    assert choose(*told(runs, mode="min")).trial.number == 5


def test_only_seeds_that_all_were_trained_on_choose(told):
    runs = [(0, 1000, 0.8), (0, 1001, 0.8), (5, 1000, 0.7), (5, 1001, 0.7), (5, 1002, 0.99)]
    choice = choose(*told(runs))
    assert (choice.trial.number, choice.num_seeds) == (0, 2)


def test_of_two_trials_of_one_number_the_one_that_was_trained_again_is_handed_over(told):
    """A search that was killed may have begun a number twice, with another configuration."""
    folder, search = told([(0, 1000, 0.80), (0, 1001, 0.84), (5, 1000, 0.90), (5, 1001, 0.95)])
    content = json.loads((folder / "confirm.json").read_text())
    for run in content["runs"]:
        run["trial_id"] = f"t{run['trial']}"
    (folder / "confirm.json").write_text(json.dumps(content))
    search.apply({"event": "start", "trial": "younger", "number": 5, "params": {}, "time": 1.0})
    assert choose(folder, search).trial.trial == "t5"
    assert [one.trial for one in read_confirmations(folder, search)] == [5]


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [(0, 1000, 0.8), (5, 1000, 0.9)],
        [(0, 1000, 0.8), (0, 1001, 0.8)],
        [(0, 1000, 0.8), (0, 1001, 0.8), (5, 1000, None), (5, 1001, 0.9)],
    ],
)
def test_without_two_seeds_of_two_configurations_nothing_is_chosen(told, runs):
    assert choose(*told(runs)) is None
