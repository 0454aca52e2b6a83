"""The page docs/own_workload.md, followed to the letter in a folder outside the project."""

import json
import re
from pathlib import Path

import pytest

from tests.run_module import ROOT, run_module

pytestmark = pytest.mark.timeout(400)
PAGE = ROOT / "docs" / "own_workload.md"
FILE = re.compile(r"^`(\w+/[\w/]+\.py)` [^`]*?```python\n(.*?)```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder with the files of the page and nothing else."""
    folder = tmp_path_factory.mktemp("project")
    for name, code in page().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    return folder


def page() -> dict[str, str]:
    """The files that the page shows, by name."""
    return dict(FILE.findall(PAGE.read_text()))


def test_the_page_shows_three_files():
    assert list(page()) == ["my_project/data.py", "my_project/task.py", "my_project/space.py"]


def test_the_code_of_the_page_is_in_the_style_of_the_project(project):
    run_module(project, "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "my_project")
    run_module(project, "ruff", "format", "--check", "--config", str(ROOT / "pyproject.toml"), "my_project")


@pytest.mark.slow
def test_it_is_searched_exported_and_trained_alone_to_the_same_curve_from_any_folder(project, tmp_path):
    space = "my_project.space:SPACE"
    run_module(project, "tuner.search", "--space", space, "--trials", "3", "--name", "first", "--confirm", "0")
    folder = project / "results" / "stripes" / "first"
    (tmp_path / "cache").symlink_to(project / "cache")
    assert "the same to the bit" in run_module(tmp_path, "tuner.export", str(folder), "--verify")
    assert json.loads((folder / "best" / "metrics.json").read_text())["objective"] > 0.6
    assert "accuracy" in (folder / "report.md").read_text()
    run_module(tmp_path, "tuner.search", "--resume", str(folder), "--trials", "+1")
    changed = project / "my_project" / "space.py"
    changed.write_text(changed.read_text() + "# changed\n")
    for command in (("tuner.search", "--resume", str(folder), "--trials", "+1"), ("tuner.export", str(folder))):
        output = run_module(tmp_path, *command, status=2)
        assert "my_project/space.py, which holds my_project.space:SPACE, has changed since; restore it" in output
        assert "Traceback" not in output
