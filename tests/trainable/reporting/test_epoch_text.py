"""The line of an epoch in a terminal."""

import pytest

from trainable.reporting.epoch_text import epoch_line
from trainable.run import TrainedEpoch


@pytest.mark.parametrize(("max_epochs", "left"), [(2, "1:00"), (62, "1:01:00"), (3001, "50:00:00")])
def test_the_time_left_of_a_training_of_days_is_whole(max_epochs, left):
    epoch = TrainedEpoch(epoch=1, metrics={}, seconds=60.0, precision=None)
    line = epoch_line(epoch, objective="val/loss", max_epochs=max_epochs)
    assert line.endswith(f", about {left} left")
