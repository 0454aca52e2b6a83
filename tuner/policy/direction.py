"""Which values of an objective are better."""


def sign_of(mode: str) -> float:
    """Turns objectives into numbers of which more is better, and back; `mode` is `max` or `min`."""
    return {"max": 1.0, "min": -1.0}[mode]
