"""A share of the training, in epochs."""


def share_of_epochs(fraction: float, max_epochs: float) -> float:
    """A whole number that is meant is whole: without rounding, 7/25 of 25 epochs end after epoch 7, in epoch 8.

    >>> share_of_epochs(7 / 25, 25), share_of_epochs(15 / 22, 22), share_of_epochs(0.25, 10)
    (7.0, 15.0, 2.5)
    """
    return round(fraction * max_epochs, 9)
