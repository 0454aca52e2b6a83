import pytest
from scipy.stats import ttest_rel

from tests.tuner.conftest import recorded_settings
from tuner.records import ConfirmedRun, SearchRecord, append_run, trial_name
from tuner.records.events import EpochDone, TrialStarted
from tuner.results.headline import State, Verdict, headline_of
from tuner.results.report_text import result_section
from tuner.selection.comparison import Confirmation, choose, read_confirmations
from tuner.selection.selected_trial import select_trial
from tuner.selection.sequential import level

NAMES = [trial_name(number, {}) for number in range(8)]


def search_of(mode="max", *, num_trials=6):
    search = SearchRecord(recorded_settings(mode=mode))
    for name in NAMES[:num_trials]:
        search.apply(TrialStarted(trial=name, params={}, answers={}, time=0.0))
    return search


def confirmed(default, values, *, higher_is_better=True):
    seeds = {"default_values": dict(enumerate(default)), "values": dict(enumerate(values))}
    return Confirmation(trial=NAMES[7], higher_is_better=higher_is_better, **seeds)


@pytest.mark.parametrize("num_seeds", [3, 4, 10, 20])
def test_the_interval_is_that_of_the_paired_t_test_at_the_level_of_its_look(num_seeds):
    default = [0.71, 0.74, 0.70, 0.77, 0.73] * 4
    values = [0.75, 0.76, 0.77, 0.78, 0.74] * 4
    default, values = default[:num_seeds], values[:num_seeds]
    expected = ttest_rel(values, default).confidence_interval(1 - level(num_seeds))
    assert confirmed(default, values).interval == pytest.approx((expected.low, expected.high))


def test_a_gain_that_all_seeds_share_is_claimed():
    sentence = confirmed([0.70, 0.72, 0.71], [0.80, 0.83, 0.81]).sentence
    assert sentence.startswith(
        f"On the test split, trial {NAMES[7]} is 0.103 better than the default (mean of 3 seeds, better on 3, 95 %"
    )


def test_a_gain_that_the_seeds_do_not_agree_on_is_not_claimed():
    confirmation = confirmed([0.70, 0.75, 0.71], [0.80, 0.74, 0.70])
    assert not confirmation.is_distinguishable
    assert "but this may be chance" in confirmation.sentence


def test_a_loss_against_the_default_is_stated_as_plainly_as_a_gain():
    assert "0.103 worse than the default (" in confirmed([0.80, 0.83, 0.81], [0.70, 0.72, 0.71]).sentence
    assert "better" in confirmed([0.9, 0.9], [0.5, 0.5], higher_is_better=False).sentence


def test_one_seed_has_no_interval_and_without_a_common_seed_nothing_is_claimed():
    assert confirmed([0.7], [0.8]).sentence.endswith("on 1 seed, too few for a confidence interval.")
    assert "no seed in common" in confirmed([], [0.8]).sentence


def test_only_seeds_of_both_are_paired():
    confirmation = Confirmation(
        trial=NAMES[7], default_values={1: 0.5, 2: 0.6}, values={2: 0.7, 3: 0.9}, higher_is_better=True
    )
    assert confirmation.gains == pytest.approx([0.1])


def test_runs_are_read_by_trial_and_seed_and_one_without_a_finite_value_has_failed(tmp_path):
    runs = [(0, 1000, 0.7), (5, 1000, 0.8), (0, 1001, 0.6), (5, 1001, None), (3, 1000, 0.75), (2, 1000, None)]
    for number, seed, value in runs:
        append_run(tmp_path, ConfirmedRun(trial=NAMES[number], seed=seed, objective=value, test={"mae": 0.1}))
    second, third, fifth = read_confirmations(tmp_path, search_of())
    assert (second.trial, third.trial, fifth.trial) == (NAMES[2], NAMES[3], NAMES[5])
    assert (second.values, second.failed) == ({}, {1000})
    assert (fifth.values, fifth.default_values) == ({1000: 0.8}, {1000: 0.7, 1001: 0.6})
    assert (fifth.failed, third.failed, fifth.default_failed) == ({1001}, set(), set())


def test_what_a_loop_does_not_score_on_the_test_split_has_not_failed_there_and_its_validation_values_choose(tmp_path):
    for number, value in ((0, 0.6), (5, 0.8)):
        for seed in (1000, 1001, 1002):
            run = ConfirmedRun(trial=NAMES[number], seed=seed, objective=None, validation=value, test={"f1": 0.1})
            append_run(tmp_path, run)
    search = search_of()
    assert read_confirmations(tmp_path, search) == []
    choice = choose(tmp_path, search)
    assert (choice.trial.name, choice.failed) == (NAMES[5], {NAMES[0]: 0, NAMES[5]: 0})
    found = headline_of(search, choice.trial, [], State.OVER, choice)
    assert (found.verdict, found.where) == (Verdict.CHOSEN, "on the validation split")
    assert found.evidence == "mean of 3 seeds, better than the default on 3; no value on the test split"


def test_a_default_that_fails_on_every_seed_is_reported_without_a_number_of_seeds_to_decide(tmp_path):
    search = search_of()
    search.apply(EpochDone(trial=NAMES[5], epoch=12, objective=0.8, metrics={}, seconds=1.0, time=1.0))
    for seed in (1000, 1001, 1002):
        for number, value in ((0, None), (5, 0.8)):
            append_run(
                tmp_path, ConfirmedRun(trial=NAMES[number], seed=seed, objective=value, validation=value, test={})
            )
    selected, confirmations = select_trial(tmp_path, search), read_confirmations(tmp_path, search)
    failed = "the default failed on 3 of 3 seeds"
    assert selected.evidence(is_over=True, is_running=False) == [
        f"On the test split, trial {NAMES[5]} and the default have no seed in common with a finite value; {failed}.",
        "Not decided: a difference needs two seeds with a value of both.",
    ]
    found = headline_of(search, selected.trial, confirmations, State.OVER, selected.choice)
    assert found.evidence == f"mean of 3 seeds, better than the default on 3; {failed}"


def test_a_default_whose_rivals_fail_on_every_seed_keeps_its_values_on_the_test_split(tmp_path):
    search = search_of()
    for number, value in ((0, 0.7), (5, 0.8)):
        search.apply(
            EpochDone(trial=NAMES[number], epoch=12, objective=value, metrics={}, seconds=1.0, time=1.0 + number)
        )
    for seed in (1000, 1001, 1002):
        for number, value in ((0, 0.6), (5, None)):
            append_run(
                tmp_path, ConfirmedRun(trial=NAMES[number], seed=seed, objective=value, validation=value, test={})
            )
    selected, confirmations = select_trial(tmp_path, search), read_confirmations(tmp_path, search)
    found = headline_of(search, selected.trial, confirmations, State.OVER, selected.choice)
    assert (found.verdict, found.default_value, found.where) == (Verdict.DEFAULT, 0.6, "on the test split")
    assert f"trial {NAMES[5]} failed on 3 of 3 seeds" in found.evidence
    assert f"trial {NAMES[5]} failed on 3 of 3 seeds" in result_section(search, confirmations, selected)


def test_neither_of_two_equal_trials_is_called_ahead_or_behind():
    equal = confirmed([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    search = search_of(num_trials=8)
    found = headline_of(search, search.by_name[NAMES[7]], [equal], State.OVER)
    assert found.title == f"Trial {NAMES[7]} is no better than the default, but this may be chance"
    assert found.evidence.startswith("no better; 0 of 3 seeds better")


def test_the_same_share_of_all_images_is_no_gain_whatever_the_seeds_have():
    """40 of 60 test images each."""
    equal = confirmed([12 / 20, 14 / 20, 14 / 20], [12 / 20, 12 / 20, 16 / 20])
    search = search_of(num_trials=8)
    found = headline_of(search, search.by_name[NAMES[7]], [equal], State.OVER)
    assert found.verdict is Verdict.EQUAL
    assert found.evidence.startswith("no better; 1 of 3 seeds better; 95 % interval -")
    assert equal.sentence.startswith(f"On the test split, trial {NAMES[7]} is no better than the default, but this may")


def test_of_equal_means_the_earlier_is_chosen(tmp_path):
    """42 of 60 images each on the validation split."""
    for number, right in ((0, (14, 14, 14)), (5, (12, 12, 18))):
        for seed, count in enumerate(right, start=1000):
            run = ConfirmedRun(trial=NAMES[number], seed=seed, objective=0.5, validation=count / 20, test={})
            append_run(tmp_path, run)
    assert choose(tmp_path, search_of()).trial.name == NAMES[0]


def test_without_a_confirmation_there_is_none(tmp_path):
    assert read_confirmations(tmp_path, search_of()) == []


@pytest.mark.parametrize("line", ["{", "{}", '{"trial": "000-00000000", "seed": 1, "test": {"mae": 0.1}}', "[]"])
def test_a_damaged_confirmation_is_named(tmp_path, line):
    (tmp_path / "confirm.jsonl").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"confirm\.jsonl, line 1 is damaged"):
        read_confirmations(tmp_path, search_of())


def test_a_line_that_a_kill_tore_is_no_training(tmp_path):
    append_run(tmp_path, ConfirmedRun(trial=NAMES[3], seed=1, objective=0.5, test={}))
    whole = (tmp_path / "confirm.jsonl").read_text()
    (tmp_path / "confirm.jsonl").write_text(whole + whole[:30].replace(NAMES[3], NAMES[4]))
    assert [one.trial for one in read_confirmations(tmp_path, search_of())] == [NAMES[3]]


@pytest.mark.parametrize("read", [choose, read_confirmations])
def test_a_training_of_a_trial_that_the_search_does_not_know_is_named(tmp_path, read):
    append_run(tmp_path, ConfirmedRun(trial=NAMES[7], seed=1, objective=0.5, test={}))
    with pytest.raises(ValueError, match=rf"confirm\.jsonl has trial {NAMES[7]}, which trials\.jsonl lacks: "):
        read(tmp_path, search_of())


@pytest.fixture
def confirmed_search(tmp_path):
    """A folder whose confirmation holds these (trial, seed, value on validation), and the search it is of."""

    def write(runs, mode="max"):
        for number, seed, value in runs:
            measured = {"objective": None if value is None else 0.1 * number, "test": {}, "validation": value}
            append_run(tmp_path, ConfirmedRun(trial=NAMES[number], seed=seed, **measured))
        return tmp_path, search_of(mode)

    return write


def test_the_best_mean_on_the_validation_split_is_exported_whatever_the_test_split_says(confirmed_search):
    runs = [(0, 1000, 0.80), (0, 1001, 0.84), (5, 1000, 0.90), (5, 1001, 0.70)]
    choice = choose(*confirmed_search(runs))
    assert (choice.trial.number, choice.mean, choice.others) == (
        0,
        pytest.approx(0.82),
        {NAMES[5]: pytest.approx(0.80)},
    )
    assert choice.sentence.startswith(f"Trial {NAMES[0]} (the default) is exported: ")
    assert choice.sentence.endswith(f"2 seeds, mean 0.820. It beats trial {NAMES[5]} (0.800) on 1 of 2 seeds.")


def test_of_losses_the_lowest_mean_is_exported(confirmed_search):
    runs = [(0, 1000, 0.80), (0, 1001, 0.84), (5, 1000, 0.90), (5, 1001, 0.70)]
    choice = choose(*confirmed_search(runs, mode="min"))
    assert (choice.trial.number, choice.wins) == (5, {NAMES[0]: 1})


def test_a_gain_on_every_seed_is_stated_with_means_and_wins(confirmed_search):
    sentence = choose(*confirmed_search([(0, 1000, 0.84), (0, 1001, 0.842), (5, 1000, 0.91), (5, 1001, 0.91)])).sentence
    assert sentence.endswith("mean 0.910. It beats the default (0.841) on 2 of 2 seeds.")


def test_only_seeds_that_all_were_trained_on_choose(confirmed_search):
    runs = [(0, 1000, 0.8), (0, 1001, 0.8), (5, 1000, 0.7), (5, 1001, 0.7), (5, 1002, 0.99)]
    choice = choose(*confirmed_search(runs))
    assert (choice.trial.number, choice.num_seeds) == (0, 2)


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [(0, 1000, 0.8), (5, 1000, 0.9)],
        [(0, 1000, 0.8), (0, 1001, 0.8)],
        [(number, seed, None) for number in (0, 5) for seed in (1000, 1001)],
    ],
)
def test_without_two_seeds_of_two_configurations_and_any_value_nothing_is_chosen(confirmed_search, runs):
    assert choose(*confirmed_search(runs)) is None


def test_values_of_before_the_validation_split_was_recorded_choose_nothing(tmp_path):
    for number, seed in ((0, 1000), (0, 1001), (5, 1000), (5, 1001)):
        append_run(tmp_path, ConfirmedRun(trial=NAMES[number], seed=seed, objective=0.1 * number, test={}))
    assert choose(tmp_path, search_of()) is None


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("failing", [[1000], [1000, 1001], [1000, 1001, 1002]])
def test_a_configuration_that_failed_on_a_seed_is_behind_one_that_never_did(confirmed_search, mode, failing):
    best, worse = (0.9, 0.6) if mode == "max" else (0.6, 0.9)
    seeds = (1000, 1001, 1002)
    runs = [(0, seed, worse) for seed in seeds]
    runs += [(5, seed, None if seed in failing else best) for seed in seeds]
    choice = choose(*confirmed_search(runs, mode))
    assert (choice.trial.number, choice.wins) == (0, {NAMES[5]: len(failing)})
    assert f"failed on {len(failing)}) on {len(failing)} of 3 seeds" in choice.sentence


def test_where_all_failed_the_one_that_failed_least_is_chosen_and_the_sentence_says_so(confirmed_search):
    runs = [(0, 1000, None), (0, 1001, None), (0, 1002, 0.9), (5, 1000, 0.6), (5, 1001, 0.6), (5, 1002, None)]
    choice = choose(*confirmed_search(runs))
    assert (choice.trial.number, choice.mean) == (5, pytest.approx(0.6))
    assert choice.sentence.endswith(
        "after training on 3 seeds, mean 0.600, failed on 1. It beats the default (0.900, failed on 2) on 2 of 3 seeds."
    )


GAINS = ((0.70, 0.71, 0.70, 0.71), (0.80, 0.81, 0.80, 0.81))


@pytest.mark.parametrize(
    ("failed", "default_failed", "is_claimed"),
    [((), (), True), ((9,), (), False), ((), (9,), True), ((9,), (9,), True), ((8, 9), (9,), False)],
)
@pytest.mark.parametrize("is_gain", [True, False])
def test_no_difference_is_claimed_for_a_side_that_failed_on_a_seed_that_the_other_survived(
    failed, default_failed, is_claimed, is_gain
):
    default, values = GAINS if is_gain else GAINS[::-1]
    sides = (frozenset(failed), frozenset(default_failed))
    own, other = sides if is_gain else sides[::-1]
    survived = {9: 0.7} if default_failed == () and failed else {}
    more = {8: 0.7} if 8 in failed else {}
    confirmation = Confirmation(
        trial=NAMES[7],
        values=dict(enumerate(values)) | ({} if is_gain else survived | more),
        default_values=dict(enumerate(default)) | (survived | more if is_gain else {}),
        higher_is_better=True,
        failed=own,
        default_failed=other,
    )
    assert confirmation.interval is not None
    assert confirmation.is_distinguishable is is_claimed


def test_a_training_that_failed_is_in_the_sentence():
    confirmation = Confirmation(
        trial=NAMES[7],
        values={0: 0.8, 1: 0.8},
        default_values={0: 0.7, 1: 0.7, 2: 0.7, 3: 0.7},
        higher_is_better=True,
        failed=frozenset({2, 3, 4}),
    )
    assert confirmation.sentence.endswith(
        f"on 2 seeds, too few for a confidence interval; trial {NAMES[7]} failed on 2 of 4 seeds."
    )
