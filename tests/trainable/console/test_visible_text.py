"""Names from strangers, on the terminal and in tables."""

import logging

import pytest

from trainable.console.process import VisibleFormatter
from trainable.console.visible_text import from_csv_cell, to_csv_cell, visible


@pytest.mark.parametrize("harmful", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b31m", "\u202e", "\udcff", "\x00"])
def test_nothing_that_a_terminal_obeys_is_left_in_a_text(harmful):
    shown = visible(f"a{harmful}b")
    assert shown.isprintable()
    assert shown[0] + shown[-1] == "ab"


def test_other_text_stays_as_it_is():
    for text in ("two\nlines\tand a tab", "größe 大小 ✓", ""):
        assert visible(text) == text


def test_a_logged_name_cannot_clear_the_screen():
    record = logging.LogRecord("trainable", logging.INFO, "f.py", 1, "picture %s", ("a\x1b[2J.png",), None)
    assert VisibleFormatter().format(record) == "picture a\\x1b[2J.png"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|calc", "-2+3", "@SUM(A1)", "\t=1", "'=1", "'"])
def test_a_formula_is_text_in_a_table_and_is_read_back(text):
    assert to_csv_cell(text) == f"'{text}"
    assert from_csv_cell(to_csv_cell(text)) == text


@pytest.mark.parametrize("cell", ["a.png", "-0.5", "+3", "-inf", -0.5, 3, None, ""])
def test_numbers_and_plain_text_stay_as_they_are(cell):
    assert to_csv_cell(cell) == cell
