"""The arithmetic behind every number of the benchmarks."""

import json

import pytest

from benchmarks.claims import Claim, Side, sides_of
from benchmarks.harness import Size, Spread, differences, interleaved, ratios, seconds_of
from benchmarks.report import picture
from benchmarks.searches.search import Span, overall_share, spans_of, training_shares
from benchmarks.searches.sleep import LOG, Sleep
from benchmarks.searches.sleeping_run import SleepingRun


def test_a_spread_is_the_median_between_its_quartiles():
    assert Spread.of([4.0, 1.0, 2.0, 5.0, 3.0]) == Spread(median=3.0, low=2.0, high=4.0)
    assert Spread.of([7.0]) == Spread(median=7.0, low=7.0, high=7.0)


def test_every_side_has_its_turn_in_every_round_in_an_order_that_varies():
    turns = []
    numbers = interleaved(
        {name: lambda name=name: turns.append(name) or float(len(turns)) for name in "abc"}, rounds=20, warmups=1
    )
    rounds = [tuple(turns[begin : begin + 3]) for begin in range(0, len(turns), 3)]
    assert len(rounds) == 21
    assert {frozenset(one) for one in rounds} == {frozenset("abc")}
    assert len(set(rounds)) == 6
    assert numbers == {
        name: tuple(3.0 * i + one.index(name) + 1 for i, one in enumerate(rounds) if i) for name in "abc"
    }


def test_ratios_and_differences_pair_the_rounds():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == (2.0, 3.0)
    assert differences([2.0, 9.0], [1.0, 3.0]) == (1.0, 6.0)


def test_the_ratio_of_a_side_is_the_median_of_its_rounds_not_the_ratio_of_medians():
    sides = (Side(name="ours", values=(1.0, 1.0, 10.0)), Side(name="peer", values=(2.0, 3.0, 40.0)))
    assert _claim(sides, reference="ours").side_ratios["peer"].median == 3.0


def test_without_its_reference_a_claim_has_no_ratios():
    sides = (Side(name="ours", values=(1.0,)), Side(name="peer", note="not installed"))
    assert _claim(sides, reference="peer").side_ratios == {}


def test_beside_nothing_a_claim_has_no_ratios():
    sides = (Side(name="ours", values=(0.0, 1.0)), Side(name="peer", values=(2.0, 3.0)))
    assert _claim(sides, reference="ours").side_ratios == {}


def test_what_takes_nothing_can_be_drawn():
    figure = picture([_claim((Side(name="ours", values=(0.0,)),), reference="ours")])
    assert figure.axes[0].get_xlim() == (0.0, 1.0)


def test_sides_are_scaled_to_their_unit_and_missing_ones_say_why():
    assert sides_of({"ours": (0.5,)}, scale=1e3, missing={"peer": "not installed"}) == (
        Side(name="ours", values=(500.0,)),
        Side(name="peer", note="not installed"),
    )


def test_seconds_of_calls_the_work_as_often_as_said():
    calls = []
    assert seconds_of(lambda: calls.append(1), calls=3)() > 0
    assert len(calls) == 3


def test_a_tiny_size_picks_the_tiny_value():
    assert Size(is_tiny=True).pick(300, 3) == 3
    assert Size().pick(300, 3) == 300


def test_the_share_of_training_counts_what_lies_between_two_trials():
    epochs = [
        {"trial": "a", "began": 0.0, "ended": 1.0},
        {"trial": "a", "began": 1.0, "ended": 2.0},
        {"trial": "b", "began": 0.0, "ended": 3.0},
        {"trial": "c", "began": 3.0, "ended": 6.0},
        {"trial": "d", "began": 4.0, "ended": 5.0},
    ]
    spans = spans_of(epochs)
    assert spans[0] == Span(began=0.0, ended=2.0, trained=2.0)
    # c takes the slot that a left at 2, d the one that b left at 3.
    assert training_shares(spans, num_slots=2) == (3 / 4, 1 / 2)
    assert overall_share(spans, num_slots=2) == pytest.approx(9 / 12)


def test_a_run_that_sleeps_continues_from_its_checkpoint_to_its_end(tmp_path):
    sleep = Sleep(folder=tmp_path, num_trials=1, num_epochs=2, seconds=0.0)
    begun, resumed = SleepingRun(sleep, "a"), SleepingRun(sleep, "a")
    assert begun.run_epoch().epoch == 1
    begun.save(tmp_path / "checkpoint")
    resumed.restore(tmp_path / "checkpoint")
    assert (resumed.run_epoch().epoch, begun.ending, resumed.ending.outcome) == (2, None, "completed")
    (trial,) = spans_of([json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()])
    assert trial.began <= trial.ended


def _claim(sides: tuple[Side, ...], *, reference: str) -> Claim:
    return Claim(number=1, work="w", unit="s", sides=sides, reference=reference, target="t", finding="f", reached=None)
