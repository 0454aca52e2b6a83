"""Every kind of schedule against torch's own, one step an epoch, and what the configuration refuses."""

import math

import pytest
import torch
from torch.optim import lr_scheduler

from trainable.techniques.optim.schedule import CosineAnnealingWithWarmup
from trainable.techniques.optim.schedule_config import KINDS, ScheduleConfig

EPOCHS = 20
MAX_LR = 0.4


def sgd(*rates: float) -> torch.optim.SGD:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def built(kind: str, *, rates=(MAX_LR,), mode="max", **fields):
    config = ScheduleConfig(schedule_kind=kind, **fields)
    return config.build(sgd(*rates), total_epochs=EPOCHS, max_lr=MAX_LR, mode=mode)


def ours(schedule, epochs=range(EPOCHS + 1)):
    return [schedule.lr_at(epoch) for epoch in epochs]


def torchs(make, *, num_epochs=EPOCHS):
    """The rates of a scheduler of torch's, one step an epoch."""
    optimizer = sgd(MAX_LR)
    scheduler, rates = make(optimizer), [optimizer.param_groups[0]["lr"]]
    for _ in range(num_epochs):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_cosine_is_the_documented_schedule_to_the_bit():
    schedule = built("cosine", warmup_fraction=0.15, min_lr_ratio=0.05)
    plain = CosineAnnealingWithWarmup(sgd(MAX_LR), 0.15 * EPOCHS, EPOCHS, 0.05 * MAX_LR, MAX_LR)
    progress = [step / 7 for step in range(7 * EPOCHS)]
    assert ours(schedule, progress) == ours(plain, progress)


def test_one_cycle_is_torchs_with_the_same_ends():
    def make(optimizer):
        div, final = 25, 250
        # torch puts the peak on a whole step, one below the share of the total.
        return lr_scheduler.OneCycleLR(
            optimizer, MAX_LR, total_steps=EPOCHS + 1, pct_start=7 / (EPOCHS + 1),
            div_factor=div, final_div_factor=final / div, cycle_momentum=False,
        )  # fmt: skip

    schedule = built("one_cycle", warmup_fraction=0.3, start_lr_ratio=1 / 25, min_lr_ratio=1 / 250)
    assert ours(schedule) == pytest.approx(torchs(make), rel=1e-6)


def test_warm_restarts_are_torchs():
    def make(optimizer):
        return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=4, T_mult=2, eta_min=0.01 * MAX_LR)

    schedule = built("warm_restarts", warmup_fraction=0.0, first_cycle_fraction=0.2, min_lr_ratio=0.01)
    assert ours(schedule) == pytest.approx(torchs(make), rel=1e-9)


def test_cycles_that_fill_the_budget_end_at_the_bottom_and_do_not_restart():
    schedule = built("warm_restarts", warmup_fraction=0.1, first_cycle_fraction=0.3, cycle_growth=1.0, min_lr_ratio=0.1)
    assert schedule.lr_at(8) == pytest.approx(MAX_LR)
    assert schedule.lr_at(EPOCHS) == pytest.approx(0.1 * MAX_LR)


def test_exponential_is_torchs():
    def make(optimizer):
        return lr_scheduler.ExponentialLR(optimizer, gamma=0.02 ** (1 / EPOCHS))

    assert ours(built("exponential", warmup_fraction=0.0, min_lr_ratio=0.02)) == pytest.approx(torchs(make), rel=1e-9)


def test_warmup_stable_decay_is_three_of_torchs_in_a_row():
    def make(optimizer):
        parts = [
            lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=4),
            lr_scheduler.ConstantLR(optimizer, factor=1.0),
            lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=6),
        ]
        return lr_scheduler.SequentialLR(optimizer, parts, milestones=[4, 14])

    schedule = built("warmup_stable_decay", warmup_fraction=0.2, decay_fraction=0.3, min_lr_ratio=0.1)
    assert ours(schedule) == pytest.approx(torchs(make), rel=1e-9)


def test_steps_are_torchs_until_the_lowest_rate():
    schedule = built("step", warmup_fraction=0.0, step_fraction=0.15, step_factor=0.3, min_lr_ratio=0.01)
    rates = torchs(lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3))
    assert ours(schedule) == pytest.approx([max(rate, 0.01 * MAX_LR) for rate in rates], rel=1e-9)
    assert len(set(ours(schedule))) == 5


def test_steps_begin_to_count_after_the_warmup():
    rates = ours(built("step", warmup_fraction=0.2, step_fraction=0.4, step_factor=0.5))
    assert rates[4:] == pytest.approx([MAX_LR] * 8 + [MAX_LR / 2] * 8 + [MAX_LR / 4])


def test_constant_stays_up_after_its_warmup():
    rates = ours(built("constant", warmup_fraction=0.25, min_lr_ratio=0.2))
    assert rates[:6] == pytest.approx([MAX_LR * (0.2 + 0.8 * epoch / 5) for epoch in range(6)])
    assert set(rates[5:]) == {MAX_LR}


OBJECTIVES = [0.1, 0.2, 0.2, 0.1, 0.15, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.31, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_plateau_is_torchs_whichever_way_the_metric_goes(mode):
    values = OBJECTIVES if mode == "max" else [-value for value in OBJECTIVES]
    optimizer = sgd(MAX_LR)
    reference = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor=0.3, patience=2, threshold=0.0, threshold_mode="abs", min_lr=0.02 * MAX_LR
    )
    schedule = built(
        "plateau", warmup_fraction=0.0, plateau_factor=0.3, plateau_patience_fraction=0.1, min_lr_ratio=0.02, mode=mode
    )
    rates, expected = [], []
    for epoch, value in enumerate(values):
        schedule.step(epoch + 1)
        schedule.observe(value)
        reference.step(value)
        schedule.step(epoch + 1)
        rates.append(schedule.get_last_lr()[0])
        expected.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(expected)
    assert len(set(rates)) == 5


def test_a_standstill_during_the_warmup_lowers_nothing():
    schedule = built("plateau", warmup_fraction=0.5, plateau_patience_fraction=0.1)
    for epoch in range(9):
        schedule.step(epoch + 1)
        schedule.observe(0.1)
    assert schedule.lr_at(10) == MAX_LR


@pytest.mark.parametrize("every", [1, 2, 5])
def test_patience_counts_epochs_however_seldom_is_validated(every):
    schedule = built("plateau", warmup_fraction=0.0, plateau_patience_fraction=0.25)
    for epoch in range(1, 16):
        schedule.step(epoch)
        if epoch % every == 0:
            schedule.observe(0.5, epochs=every)
        reduced = epoch if schedule.lr_at(epoch) < MAX_LR else None
        if reduced:
            break
    # Five epochs of patience after the first validation, and the first validation beyond them.
    assert reduced == every + every * (5 // every + 1)


def test_a_patience_of_whole_epochs_is_waited_for_to_its_end():
    """15 / 22 times 22 is a little less than 15."""
    config = ScheduleConfig(schedule_kind="plateau", warmup_fraction=0.0, plateau_patience_fraction=15 / 22)
    schedule, rates = config.build(sgd(MAX_LR), total_epochs=22, max_lr=MAX_LR, mode="max"), []
    for epoch in range(1, 18):
        schedule.step(epoch)
        schedule.observe(0.5)
        rates.append(schedule.lr_at(epoch))
    assert rates[:16] == [MAX_LR] * 16
    assert rates[16] < MAX_LR


def test_a_restored_plateau_continues_counting():
    def observed(schedule, epochs):
        for epoch in epochs:
            schedule.step(epoch + 1)
            schedule.observe(0.5)
        return schedule.lr_at(EPOCHS)

    fields = {"warmup_fraction": 0.0, "plateau_patience_fraction": 0.2}
    first, second = built("plateau", **fields), built("plateau", **fields)
    observed(first, range(4))
    second.load_state_dict(first.state_dict())
    assert observed(second, range(4, 12)) == observed(first, range(4, 12)) == MAX_LR * 0.5**2
    assert second.last_epoch == 12


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_follows_progress_alone_and_keeps_the_proportions_of_the_groups(kind):
    schedule = built(kind, rates=(MAX_LR / 10, MAX_LR))
    schedule.step(13.25)
    slow, fast = schedule.get_last_lr()
    again = built(kind, rates=(MAX_LR / 10, MAX_LR))
    for step in range(4 * 13 + 2):
        again.step(step / 4)
    assert again.get_last_lr() == [slow, fast] == [group["lr"] for group in schedule.optimizer.param_groups]
    assert slow == pytest.approx(fast / 10)
    assert 0 < fast <= MAX_LR


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_schedule_stands_where_it_was_saved(kind):
    first, second = built(kind), built(kind)
    first.step(7.5)
    second.load_state_dict(first.state_dict())
    assert second.optimizer.param_groups[0]["lr"] == first.optimizer.param_groups[0]["lr"]


def test_the_kinds_differ_except_a_plateau_without_a_value():
    curves = {kind: tuple(ours(built(kind))) for kind in KINDS}
    assert curves.pop("plateau") == curves["constant"]
    assert len(set(curves.values())) == len(KINDS) - 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"warmup_fraction": 0.6}, "warmup_fraction is 0.6"),
        ({"warmup_fraction": -0.1}, "warmup_fraction is -0.1"),
        ({"min_lr_ratio": 1.1}, "min_lr_ratio is 1.1"),
        ({"schedule_kind": "one_circle"}, "did you mean one_cycle"),
        ({"plateau_factor": 1.0}, "lowers nothing"),
        ({"plateau_factor": 0.0}, "plateau_factor is 0"),
        ({"step_factor": 1.0}, "step_factor is 1, which lowers nothing"),
        ({"step_fraction": 0.0}, "step_fraction is 0"),
        ({"cycle_growth": 0.5}, "cycle_growth is 0.5"),
        ({"schedule_kind": "exponential", "min_lr_ratio": 0.0}, "no exponential decay reaches"),
        ({"schedule_kind": "warmup_stable_decay", "decay_fraction": 0.95}, "more than the whole budget"),
        ({"decay_fraction": math.nan}, "decay_fraction is nan"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_to_do(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        ScheduleConfig(**fields)
