"""Each benchmark runs, at a size that shows nothing but that."""

import importlib.util
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmarks import record
from benchmarks.claims import OURS
from benchmarks.harness import Size
from benchmarks.registry import BENCHMARKS, SECONDS
from benchmarks.report import picture, table
from benchmarks.training import metrics, training_step

TINY = Size(rounds=2, is_tiny=True)
WITHOUT_OTHER_PROCESSES = (
    "training_step",
    "epoch",
    "augmentation",
    "metrics",
    "experts",
    "validation",
    "driver",
    "decision",
    "many_running",
)


@pytest.fixture
def no_peers(monkeypatch, tmp_path) -> Path:
    """No peer is installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", WITHOUT_OTHER_PROCESSES)
def test_ours_is_measured_in_every_claim_and_can_be_reported(name, no_peers):
    claims = BENCHMARKS[name](TINY)
    for claim in claims:
        measured = [side.name for side in claim.sides if side.values]
        assert any(side.startswith(OURS) for side in measured) or claim.reached is None
        assert claim.work
        assert claim.finding
    row = record.measured_now(claims, seconds=1.0)
    record.write(no_peers / record.FILE, {name: row})
    kept = record.read(no_peers / record.FILE)[name].claims
    assert [(one.work, one.reached) for one in kept] == [(one.work, one.reached) for one in claims]
    assert len(picture(claims).axes) >= len(claims)


def test_a_peer_that_is_missing_is_reported_in_the_table(no_peers):
    console = Console(width=160, file=StringIO(), record=True)
    claims = training_step.measure(TINY)[:1] + metrics.measure(TINY)
    assert {claim.reached for claim in claims} == {None}
    console.print(table(claims))
    text = console.export_text()
    assert "lightning is not installed" in text
    assert "no .venv-bench" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_its_claims_say_so():
    for claim in BENCHMARKS["gpu"](TINY):
        assert claim.reached is None
        assert "no CUDA device" in claim.finding


def test_each_benchmark_says_how_long_it_takes_and_all_fit_into_ten_minutes():
    assert SECONDS.keys() == BENCHMARKS.keys()
    assert sum(SECONDS.values()) <= 600
