"""Numbers and times as people read them, in a training and in a search."""

import math


def number_text(value: float | None, decimals: int = 3) -> str:
    """Formats with `decimals` decimals from 0.01 to 100; a dash if None or not finite.

    A smaller number has that many significant digits, a larger one two more, so that 1523 and 1527 differ.

    >>> number_text(0.8034), number_text(0.00012), number_text(0.8034, decimals=4), number_text(None)
    ('0.803', '0.00012', '0.8034', '-')
    >>> number_text(142.3), number_text(1523), number_text(24_000_000)
    ('142.3', '1523', '2.4e+07')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:.{decimals + 2}g}"
    return f"{value:.{decimals}f}" if value == 0 or abs(value) >= 0.01 else f"{value:.{decimals}g}"


def duration_text(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds.

    >>> duration_text(72), duration_text(3672), duration_text(100000)
    ('1:12', '1:01:12', '27:46:40')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
