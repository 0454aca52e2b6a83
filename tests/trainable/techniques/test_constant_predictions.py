"""Constant predictions are reported once when they begin, and again when they begin again."""

import pytest

from trainable.techniques.constant_predictions import ConstantPredictions


def logged(caplog, shares, *, watched=None, first_epoch=1):
    watched = watched or ConstantPredictions()
    caplog.clear()
    for epoch, share in enumerate(shares, start=first_epoch):
        watched.observe({"val/constant_share": share, "val/loss": 1.0}, epoch=epoch)
    return [record.getMessage().split(";")[0] for record in caplog.records]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([1.0, 0.4, 1.0, 0.4], []),
        ([0.4, 1.0, 0.99, 1.0, 1.0], ["epoch 3: val/constant_share is 0.99, predictions are constant since epoch 2"]),
        (
            [1.0, 1.0, 0.5, 1.0, 1.0],
            [
                "epoch 2: val/constant_share is 1.00, predictions are constant since epoch 1",
                "epoch 5: val/constant_share is 1.00, predictions are constant since epoch 4",
            ],
        ),
    ],
)
def test_a_second_constant_epoch_is_reported_once_with_its_share_and_the_beginning(shares, expected, caplog):
    assert logged(caplog, shares) == expected


def test_each_task_is_reported_by_its_own_name(caplog):
    watched = ConstantPredictions()
    for epoch in (1, 2):
        watched.observe({"val/edema_constant_share": 1.0, "val/retinopathy_constant_share": 0.6}, epoch=epoch)
    (record,) = caplog.records
    assert "val/edema_constant_share is 1.00" in record.getMessage()


def test_where_it_began_survives_a_restart_and_is_not_reported_again(caplog):
    first, second = ConstantPredictions(), ConstantPredictions()
    logged(caplog, [0.5, 1.0, 1.0], watched=first)
    second.load_state_dict(first.state_dict())
    assert logged(caplog, [1.0], watched=second, first_epoch=4) == []
    assert (first.began, second.began) == (2, 2)
    logged(caplog, [0.5], watched=second, first_epoch=5)
    assert second.began is None
