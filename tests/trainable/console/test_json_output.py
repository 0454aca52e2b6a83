import json
from types import MappingProxyType

import numpy as np
import pytest

from trainable.console.json_output import write_json


def test_a_number_that_json_does_not_have_is_null(capsys):
    write_json({1: float("nan"), "inner": MappingProxyType({"values": (1, -np.inf, np.float64("nan"), True, "NaN")})})
    said = capsys.readouterr().out

    def refuse(constant):
        pytest.fail(constant)

    parsed = json.loads(said, parse_constant=refuse)
    assert parsed == {"1": None, "inner": {"values": [1, None, None, True, "NaN"]}}
