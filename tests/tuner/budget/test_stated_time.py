"""The time that is stated for a search: what it may be, when trials stop starting, and how many are confirmed."""

import pytest

from tests.tuner.played_session import Player, opened, report_of
from tests.tuner.results.test_progress import recorded
from tests.tuner.test_session import new_search
from tuner.budget.stated_time import affordable_confirmation, confirmation_seconds, is_time_to_close, parse_duration
from tuner.policy.outcomes import Outcome
from tuner.records import read_search


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("90", 90),
        ("45s", 45),
        ("1h30s", 3630),
        ("2min", 120),
        ("1.5h", 5400),
        (" 1H 30M".replace(" ", ""), 5400),
    ],
)
def test_a_time_is_hours_minutes_and_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "soon", "-5m", "30m1h", "1d", "inf", "nan", "m", "1h30", "30m15"])
def test_another_text_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="give a time above 0, such as 30m, 2h, 1h30m, or a number of seconds"):
        parse_duration(text)


FULL = [0.1, 0.2, 0.3, 0.4]


def search_of(folder, *, duration, confirm=2, curves=(FULL, FULL, FULL), **changes):
    """Trials of 4 epochs of 2 seconds; a full training takes 8."""
    endings = {number: Outcome.COMPLETED for number, one in enumerate(curves) if len(one) == 4}
    return recorded(
        folder, curves=curves, endings=endings, num_trials=20, duration_seconds=duration, confirm=confirm, **changes
    )


def test_the_confirmation_takes_three_seeds_of_the_default_and_the_best_over_the_slots(tmp_path):
    assert confirmation_seconds(search_of(tmp_path / "one", duration=None)) == 9 * 8
    assert confirmation_seconds(search_of(tmp_path / "two", duration=None, lanes=2)) == 5 * 8
    assert confirmation_seconds(search_of(tmp_path / "none", duration=None, confirm=0)) == 0


@pytest.mark.parametrize(("elapsed", "closes"), [(0, False), (113, False), (115, True)])
def test_a_search_closes_when_the_rest_is_needed_for_the_confirmation(tmp_path, elapsed, closes):
    # 72 seconds of confirmation, 4 for another trial to its first rung, and a twentieth in reserve.
    assert is_time_to_close(search_of(tmp_path, duration=200, scheduler="asha"), elapsed) is closes


def test_a_default_that_waits_and_what_runs_are_waited_for(tmp_path):
    # The default has 2 epochs left, nobody else is at full length yet (half of one for each of two finalists), and a
    # new trial 2 to its rung.
    search = search_of(tmp_path, duration=200, curves=([0.1, 0.2], [0.1]), scheduler="asha", confirm=0)
    needed = 2 * 2 + 2 * 8 / 2 + 2 * 2
    assert not is_time_to_close(search, 190 - needed - 3)
    assert is_time_to_close(search, 190 - needed + 3)


def test_a_search_whose_default_failed_in_its_first_epoch_closes_in_time_by_the_epochs_of_the_others(tmp_path):
    curves, endings = ([], FULL, FULL), {0: Outcome.DIVERGED, 1: Outcome.COMPLETED, 2: Outcome.COMPLETED}
    options = {"num_trials": 20, "duration_seconds": 200, "scheduler": "asha", "confirm": 0}
    search = recorded(tmp_path / "one", curves=curves, endings=endings, **options)
    # A new trial has 2 epochs of 2 seconds to its rung.
    assert not is_time_to_close(search, 190 - 4 - 1)
    assert is_time_to_close(search, 190 - 4 + 1)
    unmeasured = recorded(tmp_path / "two", curves=([],), endings={0: Outcome.DIVERGED}, **options)
    assert not is_time_to_close(unmeasured, 190)


def test_a_trial_that_waits_with_the_best_last_value_is_waited_for_and_finalists_share_the_slots(tmp_path):
    # A new trial has 2 epochs to its rung; the best waits 2 epochs before its full length.
    best_waits = search_of(tmp_path / "one", duration=200, curves=(FULL, FULL, [0.5, 0.6]), scheduler="asha", confirm=0)
    assert not is_time_to_close(best_waits, 190 - 2 * 2 - 2 * 2 - 1)
    assert is_time_to_close(best_waits, 190 - 2 * 2 - 2 * 2 + 1)
    # Also where one that was stopped was better.
    curves = (FULL, FULL, [0.5, 0.6], [0.7, 0.8])
    endings = {0: Outcome.COMPLETED, 1: Outcome.COMPLETED, 3: Outcome.STOPPED_AT_RUNG}
    options = {"num_trials": 20, "duration_seconds": 200, "scheduler": "asha", "confirm": 0}
    better_stopped = recorded(tmp_path / "three", curves=curves, endings=endings, **options)
    assert is_time_to_close(better_stopped, 190 - 2 * 2 - 2 * 2 + 1)
    # The default and two finalists at the same time.
    curves = ([0.1, 0.2], [0.1, 0.2], [0.1, 0.2])
    parallel = search_of(tmp_path / "two", duration=200, curves=curves, scheduler="asha", confirm=0, lanes=3)
    assert not is_time_to_close(parallel, 190 - 2 * 2 - 8 / 2 - 1)
    assert is_time_to_close(parallel, 190 - 2 * 2 - 8 / 2 + 1)


def test_without_a_stated_time_nothing_closes_and_all_is_confirmed(tmp_path):
    search = search_of(tmp_path, duration=None)
    assert not is_time_to_close(search, 1e9)
    assert affordable_confirmation(search, 1e9) == (2, 3)


@pytest.mark.parametrize(
    ("elapsed", "top", "num_seeds"),
    [(0, 2, 3), (28, 2, 3), (29, 1, 3), (52, 1, 3), (53, 1, 2), (68, 1, 2), (69, 1, 1), (84, 1, 1), (85, 0, 3)],
)
def test_as_many_are_confirmed_as_fit_and_then_one_on_as_many_seeds_as_fit(tmp_path, elapsed, top, num_seeds):
    # 72 seconds for two, 48 for one, 16 for one on one seed.
    assert affordable_confirmation(search_of(tmp_path, duration=100), elapsed) == (top, num_seeds)


def test_the_confirmation_claims_no_more_than_half_of_the_time(tmp_path):
    # 72 seconds of confirmation, of which 50 are kept, and 4 for another trial to its first rung.
    search = search_of(tmp_path, duration=100, scheduler="asha")
    assert not is_time_to_close(search, 95 - 50 - 4 - 1)
    assert is_time_to_close(search, 95 - 50 - 4 + 1)


@pytest.mark.parametrize("scheduler", ["asha", "asha-stopping", "none"])
def test_a_closed_search_starts_nothing_and_ends_with_the_default_and_a_trial_beside_it_at_full_length(
    tmp_path, scheduler
):
    folder = new_search(tmp_path / "search", scheduler=scheduler, num_trials=50, duration_seconds=30.0, confirm=0)
    with opened(folder) as session:
        player = Player(session, 1, report=lambda leg, epoch: report_of(leg, epoch))
        session._recorder._clock = lambda: session._recorder._began + player.num_epochs
        player.run(on_epoch=session.check_time)
        session.close()
    search = read_search(folder)
    assert not search.is_unfinished
    assert 2 <= len(search.trials) < 30
    assert search.settings.num_trials == len(search.trials)
    full = [trial for trial in search.trials if trial.outcome is Outcome.COMPLETED]
    assert search.trials[0] in full
    assert len(full) >= 2
    assert player.num_epochs <= 30
