"""docs/documents.md has a row for every item of the documents, and names what exists."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NUM_ITEMS = {"S0": 50, "S1": 19, "S2": 22, "S3": 19, "S4": 10}
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in (ROOT / "docs/documents.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| S\d\.\d+ \|", line)
]
FILE_OR_NAME = re.compile(r"`([^`]+)`|([\w/]+\.(?:py|md|toml))")


def test_every_item_of_each_document_has_one_row_in_order():
    expected = [f"{document}.{item}" for document, count in NUM_ITEMS.items() for item in range(1, count + 1)]
    assert [row[0] for row in ROWS] == expected
    assert {len(row) for row in ROWS} == {5}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_place_is_a_file_that_holds_the_names_after_it(row):
    text, num_names = None, 0
    for name, file in FILE_OR_NAME.findall(row[2]):
        if file:
            text = (ROOT / file).read_text(encoding="utf-8")
        else:
            assert text is not None, f"{name} stands before any file"
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?!\w)", text), f"{name} is not in the file before it"
            num_names += 1
    assert num_names, "a place is a file with a name in it"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_item_is_shown_by_tests_or_a_command_that_exist(row):
    command = re.match(r"`python -m ([\w.]+)", row[3])
    if command:
        assert find_spec(command[1])
        return
    for test in row[3].split("; "):
        assert re.fullmatch(r"tests/[\w/]*test_\w+\.py", test)
        assert (ROOT / test).is_file()
