"""The direction of an objective."""


def sign_of(mode: str) -> float:
    """The factor that makes higher objectives better, and converts them back; `mode` is `max` or `min`."""
    return {"max": 1.0, "min": -1.0}[mode]
