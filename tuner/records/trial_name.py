"""The name of a trial, such as 029-7682ec2b: its number and a hash of its configuration.

It is the same everywhere: terminal, report, TensorBoard, Optuna's study, trackers, checkpoint folders, and Ray's
dashboard and logs as far as reused processes allow.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256

PATTERN = r"[0-9]{3,9}-[0-9a-f]{8}"
"""A name is also a folder name, so it must not contain a path."""


def trial_name(number: int, params: Mapping[str, object]) -> str:
    """The name of the trial with this number and these parameters."""
    content = json.dumps(params, sort_keys=True, default=str)
    return f"{number:03d}-{sha256(content.encode()).hexdigest()[:8]}"


def number_of(name: str) -> int:
    """Raises ValueError when it is not a trial's name."""
    if not re.fullmatch(PATTERN, name):
        raise ValueError(f"{name!r} is not a trial's name, such as 029-7682ec2b")
    return int(name.partition("-")[0])
