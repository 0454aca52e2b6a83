"""Wrong paths and names are reported before anything slow starts."""

import subprocess
import sys

import pytest

from search_spaces.ranges import OneOf
from tuner.api.searches import resume
from tuner.planning.opened_data import open_for_search
from tuner.search import main
from tuner.settings import SearchSettings

WRONG_PATHS = """
import sys
from tuner.search import main
for option in ("--data", "--init", "--warm-start", "--space-file", "--resume"):
    assert main([option, "nowhere"]) == 2, option
assert main(["--set", "weights=nowhere.pt"]) == main(["--set", "init_weights=nowhere.pt"]) == 2
print("torch" in sys.modules)
"""


def test_a_path_that_leads_nowhere_is_reported_before_torch_is_imported(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", WRONG_PATHS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "False"
    lines = process.stderr.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("error: ") and "nowhere" in line for line in lines)


@pytest.mark.parametrize("options", [["--warm-start", "auto"], ["--resume", "s3://bucket/results/moe/run"]])
def test_the_latest_search_and_an_address_are_no_paths(monkeypatch, options):
    monkeypatch.setattr("tuner.api.searches.load_libraries", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(options)


def test_an_address_is_left_to_what_fetches_it(monkeypatch):
    monkeypatch.setattr("tuner.api.searches.load_libraries", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        resume("s3://bucket/results/moe/run")


@pytest.mark.parametrize("given", [{"pinned": {"max_lrr": 1e-3}}, {"pinned": {"max_lr": 1e-3, "max_lrr": 1e-3}}])
def test_a_name_that_is_no_parameter_is_reported_before_weights_are_chosen_and_data_is_opened(monkeypatch, given):
    monkeypatch.setattr("tuner.planning.base_config.trained_backbones", lambda: pytest.fail("looked for weights"))
    with pytest.raises(ValueError, match=r"^max_lrr is not a parameter; did you mean max_lr\?$"):
        open_for_search(SearchSettings(data="never-opened", **given))


def test_a_range_of_a_name_that_is_no_parameter_is_reported_as_early(monkeypatch):
    monkeypatch.setattr("tuner.planning.base_config.trained_backbones", lambda: pytest.fail("looked for weights"))
    ranges = {"max_lrr": OneOf(values=(1e-3, 1e-2))}
    with pytest.raises(ValueError, match=r"^max_lrr is not a parameter; did you mean max_lr\?$"):
        open_for_search(SearchSettings(data="never-opened", ranges=ranges))
