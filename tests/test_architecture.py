"""Holds the import rules: search_spaces <- nothing of ours; trainable <- torch; tuner <- both; no circles.

benchmarks may import them all, and none of them imports benchmarks.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("search_spaces", "trainable", "tuner", "benchmarks")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(path)}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_down(path):
    forbidden = {
        "search_spaces": {"trainable", "tuner", "benchmarks", "torch", "torchvision", "ray"},
        "trainable": {"tuner", "search_spaces", "benchmarks", "optuna"},
        "tuner": {"benchmarks"},
        "benchmarks": set(),
    }[path.relative_to(ROOT).parts[0]]
    assert not imported_rooms(path) & forbidden


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(ROOT).parts[0] == "trainable"], ids=module_name)
def test_only_the_ray_trainable_and_its_ranks_import_ray(path):
    assert path.name in ("ray_trainable.py", "ray_ranks.py") or "ray" not in imported_rooms(path)


def test_no_import_circles():
    names = {module_name(path): path for path in FILES}
    graph = {name: imported_modules(path) & set(names) - {name} for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_importing_trainable_loads_no_torch():
    code = "import sys, trainable; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
