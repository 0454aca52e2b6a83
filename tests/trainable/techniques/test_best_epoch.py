"""The best epoch: which metric decides, which epoch wins, what is kept of it."""

import pytest
import torch

from trainable.techniques.best_epoch import BestEpoch, BestEpochConfig, resolve_monitor

NAMES = ("val/accuracy", "val/retinopathy_ece", "val/mae")


def observed(best, *values):
    for epoch, value in enumerate(values, start=1):
        best.observe(value, epoch=epoch, weights=lambda epoch=epoch: {"w": torch.tensor(float(epoch))})
    return best


@pytest.mark.parametrize(("mode", "epoch", "value"), [("max", 2, 0.9), ("min", 1, 0.1)])
def test_the_best_value_wins_and_ties_go_to_the_earlier_epoch(mode, epoch, value):
    best = observed(BestEpoch(mode), 0.1, 0.9, 0.9, 0.1)
    assert (best.epoch, best.value, best.weights["w"].item()) == (epoch, value, epoch)


def test_it_continues_from_its_state():
    best = BestEpoch("max")
    best.load_state_dict(observed(BestEpoch("max"), 0.5, 0.4).state_dict())
    best.observe(0.45, epoch=3, weights=dict)
    assert (best.epoch, best.value, best.weights["w"].item()) == (1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("monitor", "mode", "expected"),
    [
        (None, None, ("val/accuracy", "max")),
        ("val/loss", None, ("val/loss", "min")),
        ("val/retinopathy_ece", None, ("val/retinopathy_ece", "min")),
        ("val/mae", "max", ("val/mae", "max")),
    ],
)
def test_the_mode_follows_the_metric_unless_it_is_given(monitor, mode, expected):
    config = BestEpochConfig(monitor=monitor, monitor_mode=mode)
    found = resolve_monitor(config, objective="val/accuracy", mode="max", metric_names=NAMES)
    assert (found.name, found.mode) == expected


def test_an_unknown_metric_is_a_sentence_with_the_nearest():
    with pytest.raises(ValueError, match=r"val/acuracy is not a metric to monitor; did you mean val/accuracy\?"):
        resolve_monitor(
            BestEpochConfig(monitor="val/acuracy"), objective="val/accuracy", mode="max", metric_names=NAMES
        )
