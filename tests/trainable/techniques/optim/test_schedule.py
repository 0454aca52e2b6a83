import math

import pytest
import torch

from trainable.techniques.optim.schedule import CosineAnnealingWithWarmup, warmup_cosine


def sgd(*rates: float) -> torch.optim.SGD:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 1e-6), (1, 2.08e-5), (4, 8.02e-5), (5, 1e-4), (52.5, 5.05e-5), (100, 1e-6), (150, 1e-6)],
)
def test_the_documented_defaults_give_hand_worked_rates(epoch, expected):
    rate = warmup_cosine(epoch, warmup_epochs=5, total_epochs=100, min_lr=1e-6, max_lr=1e-4)
    assert rate == pytest.approx(expected, rel=1e-9)


def test_a_quarter_of_the_decay_follows_the_cosine():
    expected = 1.0 * 0.5 * (1 + math.cos(math.pi / 4))
    assert warmup_cosine(2.5, warmup_epochs=0, total_epochs=10, min_lr=0, max_lr=1.0) == pytest.approx(expected)


def test_warmup_may_be_absent_or_fill_the_whole_training():
    assert warmup_cosine(0, warmup_epochs=0, total_epochs=10, min_lr=0, max_lr=1.0) == 1.0
    assert warmup_cosine(10, warmup_epochs=10, total_epochs=10, min_lr=0, max_lr=1.0) == 1.0


def test_stepping_by_epochs_as_documented_starts_at_min_lr_and_peaks_after_the_warmup():
    optimizer = sgd(1e-4)
    scheduler = CosineAnnealingWithWarmup(optimizer)
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    assert rates[0] == pytest.approx(1e-6)
    assert max(rates) == rates[5] == pytest.approx(1e-4)


def test_groups_keep_their_proportions():
    optimizer = sgd(1e-5, 1e-3)
    scheduler = CosineAnnealingWithWarmup(optimizer, warmup_epochs=0, total_epochs=10, min_lr=0, max_lr=1e-3)
    assert scheduler.get_last_lr() == pytest.approx([1e-5, 1e-3])
    scheduler.step(5)
    assert scheduler.get_last_lr() == pytest.approx([5e-6, 5e-4])


def test_a_restored_schedule_follows_the_present_configuration():
    old = CosineAnnealingWithWarmup(sgd(1e-4), total_epochs=30, max_lr=1e-4)
    old.step(7)
    optimizer = sgd(5e-4)
    new = CosineAnnealingWithWarmup(optimizer, warmup_epochs=0, total_epochs=100, min_lr=0, max_lr=5e-4)
    new.load_state_dict(old.state_dict())
    assert new.last_epoch == 7
    assert optimizer.param_groups[0]["lr"] == pytest.approx(5e-4 * 0.5 * (1 + math.cos(math.pi * 0.07)))


def test_the_picture_peaks_where_the_schedule_does():
    scheduler = CosineAnnealingWithWarmup(sgd(1.0), warmup_epochs=50, total_epochs=100, min_lr=0, max_lr=1.0)
    top = scheduler.draw(columns=21, rows=5).splitlines()[0]
    assert top.split("|")[1].strip() == "*" * len(top.split("|")[1].strip())
    assert abs(top.split("|")[1].index("*") - 10) <= 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"warmup_epochs": 11, "total_epochs": 10}, "warmup_epochs=11"),
        ({"min_lr": 1.0, "max_lr": 0.1}, "min_lr=1.0"),
        ({"total_epochs": 0, "warmup_epochs": 0}, "total_epochs=0"),
    ],
)
def test_impossible_schedules_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        CosineAnnealingWithWarmup(sgd(0.1), **arguments)


def test_an_optimizer_without_any_rate_is_refused():
    with pytest.raises(ValueError, match="learning rate 0"):
        CosineAnnealingWithWarmup(sgd(0.0))
