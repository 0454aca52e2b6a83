"""A result as JSON on standard output: what `--json` prints for a script."""

import json
import math
import sys
from collections.abc import Mapping


def write_json(content: object) -> None:
    """Writes plain data; numbers that are not finite, which JSON does not have, become null."""
    sys.stdout.write(f"{json.dumps(_as_json(content), indent=2)}\n")


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
