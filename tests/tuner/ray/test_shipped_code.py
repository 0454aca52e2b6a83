"""A cluster whose only node that trains has the libraries, but neither this package nor the user's files."""

import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.tuner.end_to_end.search_process import Search
from tests.tuner.ray.raylets import Node, await_nodes, joining, needs_mounts
from tuner.policy.outcomes import Outcome
from tuner.ray.nodes import OWN
from tuner.records import read_search
from tuner.selection.comparison import confirmed_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), needs_mounts]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def bare_python(tmp_path) -> str:
    """An interpreter with the libraries of this one, without this package, even where it is installed as editable.

    A .pth file in a folder that a .pth file has added is not read.
    """
    folder = tmp_path / "bare"
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return str(folder / "bin" / "python")


@pytest.fixture
def project(tmp_path) -> Path:
    """The folder of a user whose space imports a module beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    example = (ROOT / "examples/own_loop.py").read_text()
    (folder / "own_loop.py").write_text(example.replace("SIDE_PX, CLASSES = 16, 3", "from sizes import *"))
    (folder / "sizes.py").write_text("SIDE_PX, CLASSES = 16, 3\n")
    return folder


OF_THE_PACKAGE = "--space moe --set effective_batch=8 --set pyramid_channels=16 --set backbone=small"
OF_THE_USER = "--space own_loop.py:SPACE"


@pytest.mark.parametrize("space", [OF_THE_PACKAGE, OF_THE_USER])
def test_a_node_without_the_code_trains_and_confirms_with_what_the_search_brings(
    head, bare_python, project, tmp_path, disc_folder, space
):
    results = tmp_path / "results"
    search = Search(tmp_path, results / ("moe" if space is OF_THE_PACKAGE else "own_loop") / "run")
    options = f"{space} --address {head} --storage {results} --name run --trials 2 --max-epochs 2 --scheduler none"
    options += " --confirm 1 --confirm-seeds 2" + (f" --data {disc_folder}" if space is OF_THE_PACKAGE else "")
    hidden = (project, *(ROOT / name for name in OWN))
    place = tmp_path / "node"
    node = Node(place, *joining(head), hidden=hidden, python=bare_python, environment={"PYTHONPATH": ""})
    try:
        assert_no_code(bare_python, place)
        await_nodes(head, 2)
        search.begin(*options.split(), cwd=project)
        assert search.finish() == 0, search.commands[-1].complained
    finally:
        search.end()
        node.kill()
    record = read_search(search.folder)
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETED] * 2
    assert len(confirmed_runs(search.folder, record)) == 4


def assert_no_code(python: str, folder: Path) -> None:
    """It finds the libraries and nothing else."""
    names = ["torch", "ray", *OWN, "own_loop"]
    code = f"from importlib.util import find_spec; print([name for name in {names} if find_spec(name)])"
    done = subprocess.run([python, "-c", code], cwd=folder, env={}, capture_output=True, text=True, check=True)
    assert done.stdout == "['torch', 'ray']\n"
