"""How long a full training is, from what the default reached: where more updates stop helping, and where it is above
the trivial prediction."""

import math
from types import SimpleNamespace

import pytest
import torch

from trainable.techniques.optim.gradient_update import DivergedError
from trainable.workloads.registry import get_workload
from tuner.budget.learning_curve import MOST_UPDATES, LearningCurve, PilotLimits, pilot_run


def curve(*values, trivial=0.5, most_epochs=50, **changes):
    return LearningCurve(values=values, updates_per_epoch=40, trivial=trivial, most_epochs=most_epochs, **changes)


def rising(epochs, *, half_life=4.0, top=0.9):
    """A curve from 0.4 towards `top`; each half-life halves the distance."""
    return curve(*(top - (top - 0.4) * 2 ** (-(epoch + 1) / half_life) for epoch in range(epochs)))


def test_a_curve_has_settled_once_twice_the_updates_bring_less_than_a_tenth_of_the_gain():
    settled = next(epochs for epochs in range(1, 50) if rising(epochs).has_settled)
    best, before = (max(rising(epochs).values) for epochs in (settled, settled // 2))
    assert best - before < 0.1 * (best - 0.5)
    assert rising(settled).full_epochs == settled
    assert not rising(settled - 2).has_settled


def test_a_network_that_learns_half_as_fast_trains_about_twice_as_long():
    fast, slow = (
        next(epochs for epochs in range(1, 100) if rising(epochs, half_life=life).has_settled) for life in (4.0, 8.0)
    )
    assert 1.7 < slow / fast < 2.3


def test_noise_of_single_epochs_does_not_end_a_try_while_the_values_rise():
    values = [0.45 + 0.01 * epoch + 0.05 * math.sin(2.5 * epoch) for epoch in range(30)]
    assert not any(curve(*values[:epochs]).has_settled for epochs in range(8, 31))


def test_a_curve_below_the_trivial_prediction_has_not_settled_however_flat_it_is():
    flat = curve(*[0.45] * 30)
    assert not flat.has_settled
    assert flat.first_above is None
    assert flat.full_epochs == 50


def test_a_try_that_was_cut_off_plans_twice_its_length_but_no_more_than_the_most():
    assert rising(5).full_epochs == 10
    assert curve(*rising(5).values, most_epochs=8).full_epochs == 8


def test_a_curve_has_not_settled_before_the_warm_up_is_well_over():
    values = [0.55] * 8
    assert curve(*values).has_settled
    assert not curve(*values, least_epochs=10).has_settled


@pytest.mark.parametrize(
    ("values", "epoch"),
    [([0.6, 0.6], 1), ([0.4, 0.6, 0.4, 0.6, 0.7], 4), ([0.4, 0.6], None), ([0.5, 0.5], None), ([], None)],
)
def test_the_default_is_above_the_trivial_prediction_from_the_first_of_two_such_epochs_on(values, epoch):
    assert curve(*values).first_above == epoch


@pytest.mark.parametrize(
    ("first_above", "rung"),
    [(1, 10), (10, 10), (15, 15), (20, 20), (30, 20)],
)
def test_the_first_rung_comes_when_the_default_is_above_but_not_before_its_share_or_after_the_half(first_above, rung):
    values = [0.4] * (first_above - 1) + [0.6] * (40 - first_above)
    assert curve(*values).first_rung(0.25, 40) == rung


def test_a_workload_without_a_trivial_prediction_has_the_rungs_of_its_space():
    found = curve(*rising(12).values, trivial=None)
    assert found.first_rung(0.25, 12) == 3


LIMITS = {"most_seconds": 60.0, "trivial": None, "sign": 1.0}


def tried(config, data, **changes):
    limits = {name: changes.pop(name, value) for name, value in LIMITS.items()}
    workload = changes.pop("workload", get_workload(config.workload))
    options = {"updates_per_epoch": 40, "epoch_seconds": 0.0} | changes
    return pilot_run(workload, config, data, PilotLimits(**limits), device=torch.device("cpu"), **options)


def test_the_default_is_really_trained_and_validated_epoch_by_epoch(disc_config):
    data = get_workload("moe").open_data(disc_config)
    found = tried(disc_config, data, updates_per_epoch=MOST_UPDATES // 5, trivial=2.0)
    assert found.epochs == 5
    assert all(0 < value < 1 for value in found.values)
    assert (found.trivial, found.updates_per_epoch) == (2.0, MOST_UPDATES // 5)


def scripted(values, *, before=lambda step: None):
    """A workload whose runs give these values; None diverges. `before` gets the step of their optimizer before each."""
    left, optimizer = iter(values), torch.optim.SGD([torch.zeros(1)])

    def run_epoch():
        before(optimizer.step)
        value = next(left)
        if value is None:
            raise DivergedError(term="loss", value=math.nan, epoch=3, step=1)
        return SimpleNamespace(objective=value)

    run = SimpleNamespace(ending=None, run_epoch=run_epoch, trainer=SimpleNamespace(optimizer=optimizer))
    return SimpleNamespace(begin=lambda *_, **__: run)


def test_a_try_ends_when_it_has_settled_and_lower_may_be_better(disc_config):
    found = tried(disc_config, None, workload=scripted([0.5] * 100), trivial=0.9, sign=-1.0)
    assert found.has_settled
    assert found.first_above == 1
    assert found.epochs == max(4, math.ceil(2 * disc_config.warmup_fraction * 50))


def test_a_default_that_diverges_has_the_curve_that_it_had(disc_config):
    assert tried(disc_config, None, workload=scripted([0.4, 0.6, None])).values == (0.4, 0.6)


def test_without_time_for_two_epochs_nothing_is_tried(disc_config):
    assert tried(disc_config, None, workload=scripted([]), epoch_seconds=31.0).values == ()


def test_a_try_ends_before_its_time_is_up(disc_config):
    seconds = iter(range(0, 300, 20))
    found = tried(
        disc_config,
        None,
        workload=scripted([0.4] * 9),
        epoch_seconds=20.0,
        clock=lambda: next(seconds),
        most_seconds=90,
    )
    assert found.epochs == 4


class Slow:
    """A clock, and epochs of so many updates that take so many seconds each, however they were timed."""

    def __init__(self, *update_seconds: float, updates: int = 10) -> None:
        self.now, self._left, self._updates = 0.0, iter(update_seconds), updates

    def train(self, step):
        seconds = next(self._left)
        for _ in range(self._updates):
            self.now += seconds
            step()


@pytest.mark.parametrize(
    ("update_seconds", "epochs", "took"),
    [
        # Twice as slow as they were timed: none is begun that would pass the minute.
        ((2.0, 2.0, 2.0, 2.0), 3, 60.0),
        ((1.0, 1.0, 3.9, 9.9), 3, 59.0),
        # The second becomes slow: it ends between two updates, and the first alone says nothing.
        ((2.0, 8.0), 0, 68.0),
        ((7.0,), 0, 63.0),
        # The third does.
        ((2.0, 2.0, 9.0), 2, 67.0),
    ],
)
def test_a_try_keeps_its_time_where_an_epoch_is_slower_than_it_was_timed(disc_config, update_seconds, epochs, took):
    slow = Slow(*update_seconds)
    workload = scripted([0.4] * 9, before=slow.train)
    found = tried(disc_config, None, workload=workload, epoch_seconds=10.0, clock=lambda: slow.now)
    assert (found.epochs, slow.now) == (epochs, pytest.approx(took))
