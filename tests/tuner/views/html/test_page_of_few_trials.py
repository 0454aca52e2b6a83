"""The page of a search of three trials: what is measured without training, and what more trials would show."""

import re
import shutil

import pytest

from tests.tuner.views.html.test_page import page_of
from tuner.records.trivial import PROBE, TRIVIAL, ProbeScore, TrivialScore
from tuner.results.headline import State


@pytest.fixture(scope="module")
def folder(trained_folder, tmp_path_factory):
    folder = shutil.copytree(trained_folder, tmp_path_factory.mktemp("few") / "run")
    for split, trivial, probe in (("validation", 0.31, 0.41), ("test", 0.32, 0.42)):
        TRIVIAL.write(folder, split, TrivialScore(name="an empty mask", objective=trivial, metrics={}))
        PROBE.write(folder, split, ProbeScore(name="linear probe", objective=probe, metrics={}, seconds=1.0))
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return page_of(folder, State.OVER)


def test_what_needs_no_training_is_beside_the_headline_and_in_a_table(page):
    assert "without training linear probe 0.410, an empty mask 0.310" in page.words
    assert "linear probe 0.410 0.420 an empty mask 0.310 0.320 Rows that are not trials need no training" in page.words


def test_the_command_that_makes_the_importance_measurable_can_be_copied(page, folder):
    measured = int(re.search(r"needs 20 trials .* this search has (\d+)\.", page.words)[1])
    assert f"python -m tuner.search --resume {folder} --trials +{20 - measured} Copy" in page.words


def test_three_dots_are_no_figure(page):
    figures = {value for _, name, value in page.attributes if name == "data-figure"}
    assert "learning-curves" in figures
    assert not any(name.startswith("best-so-far") for name in figures)


def test_a_rung_is_explained_where_it_is_first_drawn(page):
    assert "stopped at a rung, an epoch at which trials are compared" in page.words
