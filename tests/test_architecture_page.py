"""docs/architecture.md names files and functions that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    line
    for line in (ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


@pytest.mark.parametrize("row", ROWS)
def test_each_hop_names_a_file_and_functions_in_it(row):
    files = re.findall(r"[\w/]+\.py", row)
    folder = (ROOT / files[0]).parent
    places = [ROOT / name if "/" in name else folder / name for name in files]
    text = "".join(place.read_text(encoding="utf-8") for place in places)
    functions = re.findall(r"`([A-Za-z_.]+)`", row.split("|")[3].split(":")[0])
    assert functions
    for function in functions:
        for part in function.split("."):
            assert re.search(rf"(def|class) {part}\b", text), f"{function} is not in {files}"


def test_a_sampled_value_takes_at_most_twelve_hops():
    first = ROWS[: next(number for number, row in enumerate(ROWS) if number and row.startswith("| 1 |"))]
    assert len(first) <= 12
