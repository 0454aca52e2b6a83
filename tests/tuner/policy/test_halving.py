"""The epochs of the rungs."""

import pytest

from tuner.policy.halving import rung_epochs


@pytest.mark.parametrize(
    ("grace", "longest", "factor", "epochs"),
    [
        (3, 12, 2, (3, 6)),
        (1, 9, 3, (1, 3)),
        (1, 100, 4, (1, 4, 16, 64)),
        (5, 50, 3, (5, 15, 45)),
        (1, 244, 3, (1, 3, 9, 27, 81, 243)),
        (1, 1001, 10, (1, 10, 100, 1000)),
        (12, 12, 2, ()),
    ],
)
def test_rungs_are_exact_powers_below_the_full_length(grace, longest, factor, epochs):
    assert rung_epochs(grace_epochs=grace, max_epochs=longest, reduction_factor=factor) == epochs


@pytest.mark.parametrize(
    ("grace", "longest", "factor", "sentence"),
    [
        (0, 12, 2, "grace_epochs is 0, but must be from 1 to max_epochs"),
        (13, 12, 2, "grace_epochs is 13"),
        (1, 12, 1, "reduction_factor is 1, but must be a whole number of at least 2"),
    ],
)
def test_impossible_rungs_are_refused(grace, longest, factor, sentence):
    with pytest.raises(ValueError, match=sentence):
        rung_epochs(grace_epochs=grace, max_epochs=longest, reduction_factor=factor)
