"""The page docs/own_workload.md, followed to the letter in a copy of the project: searched, exported, trained."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "own_workload.md"
ROOMS = ("search_spaces", "trainable", "tuner")
FILE = re.compile(r"^`(\w+/[\w/]+\.py)` [^`]*?```python\n(.*?)```", re.DOTALL | re.MULTILINE)
LINES = {
    "trainable/tasks/registry.py": ("", '    "stripes": "trainable.tasks.stripes:StripesTask",'),
    "search_spaces/registry.py": ("from search_spaces import stripes\n", "    stripes.SPACE,"),
}
"""For each registry what it imports, if anything, and its line, as the page says it."""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The project with a sixth workload."""
    copy = tmp_path_factory.mktemp("project")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    shutil.copy(ROOT / "tests/search_spaces/test_registry_contracts.py", copy / "tests")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name, code in page().items():
        (copy / name).write_text(code)
    for name, (imported, line) in LINES.items():
        text = (copy / name).read_text()
        text = re.sub(r"\n\n_", f"\n{imported}\n_", text, count=1)
        (copy / name).write_text(re.sub(r"\n( +# One line for each)", rf"\n{line}\n\1", text, count=1))
        assert line.strip() in PAGE.read_text()
    return copy


def page() -> dict[str, str]:
    """The files that the page shows, by name."""
    return dict(FILE.findall(PAGE.read_text()))


def run(project: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(project), "VISION_TUNER_CACHE": str(project / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_three_files():
    assert list(page()) == ["trainable/data/stripes.py", "trainable/tasks/stripes.py", "search_spaces/stripes.py"]


def test_the_code_of_the_page_is_in_the_style_of_the_project(project):
    run(project, "ruff", "check", *page())
    run(project, "ruff", "format", "--check", *page())


def test_it_is_held_to_the_contracts_of_every_space(project):
    assert "passed" in run(project, "pytest", "tests/test_registry_contracts.py", "-k", "stripes")


def test_it_is_searched_exported_and_trained_alone_to_the_same_curve(project):
    run(project, "tuner.search", "--space", "stripes", "--trials", "3", "--name", "first", "--confirm", "0")
    folder = project / "results" / "stripes" / "first"
    assert "the same to the bit" in run(project, "tuner.export", str(folder), "--verify")
    assert json.loads((folder / "best" / "metrics.json").read_text())["objective"] > 0.6
    assert "accuracy" in (folder / "report.md").read_text()
