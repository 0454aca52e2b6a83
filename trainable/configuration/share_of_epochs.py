"""Converts a share of a training to epochs."""


def share_of_epochs(fraction: float, max_epochs: float) -> float:
    """Converts a share to epochs; rounds near whole numbers: otherwise 7/25 of 25 epochs would end in epoch 8.

    >>> share_of_epochs(7 / 25, 25), share_of_epochs(15 / 22, 22), share_of_epochs(0.25, 10)
    (7.0, 15.0, 2.5)
    """
    return round(fraction * max_epochs, 9)
