import math

import pytest

from trainable.techniques.early_stopping import EarlyStopping, EarlyStoppingConfig


def stopped_after(values, *, mode="max", **settings):
    """Number of values until the training ended; None if it never did."""
    stopping = EarlyStopping(EarlyStoppingConfig(**settings), mode)
    for count, value in enumerate(values, start=1):
        stopping.observe(value)
        if stopping.has_stopped:
            return count
    return None


def test_a_standstill_ends_after_the_patience_and_an_improvement_starts_the_count_again():
    assert stopped_after([0.5, 0.5, 0.4, 0.6, 0.6, 0.6, 0.6], patience_epochs=3) == 7


def test_an_improvement_by_less_than_min_delta_is_none_whichever_way_the_metric_goes():
    values = [1.0, 1.02, 1.04, 1.06]
    for mode, sign in (("max", 1), ("min", -1)):
        signed = [sign * value for value in values]
        assert stopped_after(signed, mode=mode, patience_epochs=2, min_delta=0.05) == 3
        assert stopped_after(signed, mode=mode, patience_epochs=2) is None


def test_a_slow_climb_counts_once_it_left_the_best_behind_by_min_delta():
    assert stopped_after([1.0, 1.04, 1.08, 1.12, 1.16], patience_epochs=2, min_delta=0.06) is None


def test_where_it_stands_survives_a_restart():
    stopping = EarlyStopping(EarlyStoppingConfig(patience_epochs=2), "max")
    for value in (0.5, 0.4):
        stopping.observe(value)
    restored = EarlyStopping(EarlyStoppingConfig(patience_epochs=2), "max")
    restored.load_state_dict(stopping.state_dict())
    restored.observe(0.45)
    assert restored.has_stopped


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"patience_epochs": 0}, "patience_epochs is 0; it must be 1 or more"),
        ({"min_delta": -0.1}, "min_delta is -0.1; it must be 0 or more"),
        ({"min_delta": math.inf}, "min_delta is inf"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        EarlyStoppingConfig(**settings)
