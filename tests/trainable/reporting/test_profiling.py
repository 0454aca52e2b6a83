import json
import logging

import pytest
import torch

from trainable.reporting.profiling import TRACE, parse_updates, profile_updates


def work(optimizer, updates):
    for number in range(1, updates + 1):
        with torch.profiler.record_function(f"update {number}"):
            (optimizer.param_groups[0]["params"][0] ** 2).sum().backward()
        optimizer.step()


@pytest.fixture
def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)


def test_the_trace_holds_the_updates_that_were_asked_for_and_no_others(optimizer, tmp_path):
    with profile_updates(optimizer, parse_updates("3-4"), tmp_path):
        work(optimizer, 6)
    names = {event["name"] for event in json.loads((tmp_path / TRACE).read_text())["traceEvents"]}
    assert {name for name in names if name.startswith("update ")} == {"update 3", "update 4"}


def test_a_training_that_ends_too_soon_says_so(optimizer, tmp_path, caplog):
    with caplog.at_level(logging.WARNING), profile_updates(optimizer, parse_updates("10-20"), tmp_path):
        work(optimizer, 3)
    assert "ended before update 10" in caplog.text
    assert not (tmp_path / TRACE).exists()


@pytest.mark.parametrize("text", ["", "7", "9-4", "1-5", "a-b"])
def test_what_is_no_range_of_updates_is_refused(text):
    with pytest.raises(ValueError, match="give the first and the last update"):
        parse_updates(text)
