"""examples/notebook.ipynb, run from top to bottom in a folder of its own."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra examples")
nbclient = pytest.importorskip("nbclient", reason="needs the extra examples")

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook.ipynb"

# The client and its kernel leave sockets and event loops to the collector.
pytestmark = [
    pytest.mark.examples,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_each_cell_runs_and_the_progress_of_the_search_is_a_table_in_its_cell(tmp_path, monkeypatch):
    monkeypatch.setenv("VISION_TUNER_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=360, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert any("progress" in shown.get("data", {}).get("text/html", "") for shown in outputs[0])
    assert "3 trials" in outputs[0][-1]["data"]["text/plain"]
    assert len(list(tmp_path.glob("results/moe/*/report.md"))) == 1
    assert "%" in outputs[-1][-1]["data"]["text/plain"]
