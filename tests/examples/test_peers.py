"""The scripts that docs/own_loop.md counts beside the example: each runs, and has as many lines as the page says."""

import ast
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PEERS = EXAMPLES / "peers"
PAGE = (ROOT / "docs" / "own_loop.md").read_text(encoding="utf-8")


def run(place: Path, code: str) -> str:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{EXAMPLES}{os.pathsep}{PEERS}"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_plain_script_trains(tmp_path):
    params = {"lr": 3e-3, "weight_decay": 1e-2, "width": 8, "dropout": 0.1, "batch_size": 32}
    assert "epoch 8: " in run(tmp_path, f"import plain_loop; plain_loop.train({params})")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_script_of_optuna_searches_and_continues_with_its_study(tmp_path):
    code = "import optuna_loop; print(len(optuna_loop.main(trials=2).trials))"
    assert run(tmp_path, code).split()[-1] == "2"
    assert run(tmp_path, code).split()[-1] == "4"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_script_of_ray_tune_searches(tmp_path):
    storage = f"pathlib.Path({str(tmp_path / 'results')!r})"
    code = f"import pathlib, ray_tune_loop; print('trials', len(ray_tune_loop.main({storage}, trials=2)))"
    assert "trials 2" in run(tmp_path, code)


def code_of(path: Path) -> list[str]:
    """Lines without the docstring of the file, blank ones and comments."""
    text = path.read_text(encoding="utf-8")
    lines = text[text.index('"""', 3) + 3 :].splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def gained(name: str) -> int:
    """Lines that a peer's script has and the plain one has not."""
    plain, peer = code_of(PEERS / "plain_loop.py"), code_of(PEERS / name)
    return sum(line.startswith("+ ") for line in difflib.ndiff(plain, peer))


def statements() -> dict[str, list[str]]:
    """The functions and the space of the example, by name, as lines."""
    text = (EXAMPLES / "own_loop.py").read_text(encoding="utf-8")
    named = {getattr(one, "name", None) or ast.unparse(one).split()[0]: one for one in ast.parse(text).body}
    return {name: ast.get_source_segment(text, one).splitlines() for name, one in named.items()}


def counted() -> dict[str, int]:
    """Line counts by script, as the page states them."""
    return {name: int(lines) for name, lines in re.findall(r"^\| `examples/(\S+)` \| (\d+) \|", PAGE, re.MULTILINE)}


def test_the_page_counts_the_lines_of_the_peers_as_they_are():
    suggest = len(statements()["suggest"])  # which the script of Optuna takes from the example
    lines = counted()
    assert lines["peers/optuna_loop.py"] == gained("optuna_loop.py") + suggest
    assert lines["peers/ray_tune_loop.py"] == gained("ray_tune_loop.py")


def test_the_page_counts_the_lines_of_the_example_as_they_are():
    example = statements()
    of_handle = [line for line in example["train"] if re.search(r"\btrial\b(?!\.device)", line)]
    of_test = [line for line in example["train"] if re.match(r"    (test =|return )", line)]
    imported = 1
    total = imported + len(of_handle) + len(of_test) + len(example["suggest"]) + len(example["SPACE"])
    assert counted()["own_loop.py"] == total
