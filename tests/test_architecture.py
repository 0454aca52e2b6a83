"""Holds the import rules: search_spaces <- nothing of ours; trainable <- torch; tuner <- both; no cycles.

benchmarks may import them all, and none of them imports benchmarks.
"""

import ast
import re
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from benchmarks.searches.search import ROOT as CHECKOUT
from benchmarks.training.metrics import WORKER as PYSODMETRICS_WORKER
from tuner.page import SCRIPT as PAGE_SCRIPT
from tuner.page import TRAINING_SCRIPT

ROOT = Path(__file__).resolve().parents[1]
TOP_PACKAGES = ("search_spaces", "trainable", "tuner", "benchmarks")
FILES = sorted(path for name in TOP_PACKAGES for path in (ROOT / name).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def imported_at_run_time(path: Path) -> set[str]:
    """Modules that a file imports at run time, without those for the type checker alone."""
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not ast.unparse(node).startswith("if TYPE_CHECKING")]
    return imported_by(ast.walk(tree), path)


@cache
def imported_modules(path: Path) -> frozenset[str]:
    return frozenset(imported_by(nodes_of(path), path))


def imported_by(nodes: Iterable[ast.AST], path: Path) -> set[str]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_top_packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(path)}


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def test_imports_point_down():
    forbidden = {
        "search_spaces": {"trainable", "tuner", "benchmarks", "torch", "torchvision", "ray"},
        "trainable": {"tuner", "search_spaces", "benchmarks", "optuna"},
        "tuner": {"benchmarks"},
        "benchmarks": set(),
    }
    upward = {path: imported_top_packages(path) & forbidden[package_of(path)] for path in FILES}
    assert not {module_name(path): names for path, names in upward.items() if names}


PRODUCT = [path for path in FILES if package_of(path) != "benchmarks"]
TRAINED_AND_TUNED = [path for path in FILES if package_of(path) in ("trainable", "tuner")]


def opening_words(init: Path) -> str:
    """The docstring on one line: its words may break anywhere."""
    return " ".join((ast.get_docstring(ast.parse(init.read_text())) or "").split())


PACKAGES_THAT_SAY = [path for path in PRODUCT if path.name == "__init__.py" and "May import" in opening_words(path)]


@pytest.mark.parametrize("init", PACKAGES_THAT_SAY, ids=module_name)
def test_a_package_imports_no_more_of_ours_than_its_first_lines_say(init):
    said = opening_words(init).partition("May import")[2]
    allowed = {
        module_name(init),
        *re.findall(r"\b(?:search_spaces|trainable|tuner)\b(?:\.\w+)*", said.partition(";")[0]),
    }
    ours = {module_name(path) for path in FILES} - {"trainable", "tuner"}
    for path in init.parent.glob("*.py"):
        for name in imported_modules(path) & ours:
            assert any(begins_with(name, one) for one in allowed), f"{path} imports {name}"


PEERS_OF_RAY = {
    "benchmarks.searches.sleeping": "measures Ray Tune itself",
    "benchmarks.searches.simulated_search": "plays Ray's scheduler beside ours",
    "benchmarks.replay.peers": "plays Ray's scheduler beside ours",
    "benchmarks.replay.policies": "plays Ray's scheduler beside ours",
    "benchmarks.replay.told": "plays Ray's searcher beside ours",
}
"""Files of the benchmarks that import ray, each with its reason."""


def test_ray_is_imported_in_its_own_packages_alone():
    """Also inside functions; a peer of the benchmarks is Ray itself."""
    importing = {module_name(path) for path in FILES if "ray" in imported_top_packages(path)} - PEERS_OF_RAY.keys()
    elsewhere = {name for name in importing if not begins_with(name, "tuner.ray") | begins_with(name, "trainable.ray")}
    assert not elsewhere, "let a function of tuner.ray do that"


LAYERS = ("tuner.policy", "tuner.records", "tuner.session", "tuner.ray")
"""Each may import those before it and none of those after it. `tuner.policy_from_records` stands
between records and session."""
NOT_IN = {
    "tuner.policy": {"ray", "torch", "tuner.records", "trainable"},
    "tuner.records": {"ray", "torch", "optuna"},
    "tuner.session": {"ray", "torch", "optuna"},
    "tuner.policy_from_records": {"ray", "torch", "optuna", "tuner.session"},
    "tuner.listeners": {"ray", "tuner.ray", "tuner.session"},
}


def begins_with(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("layer", [*LAYERS, "tuner.policy_from_records", "tuner.listeners"])
def test_the_parts_of_a_search_import_only_what_lies_below(layer):
    above = LAYERS[LAYERS.index(layer) + 1 :] if layer in LAYERS else ()
    files = [path for path in FILES if begins_with(module_name(path), layer)]
    assert files
    for path in files:
        for name in imported_modules(path):
            forbidden = {*above, *NOT_IN.get(layer, ())}
            assert not any(begins_with(name, package) for package in forbidden), f"{path} imports {name}"


def test_records_know_of_trainable_no_more_than_what_a_leg_a_reference_and_a_finding_are():
    names = {name for path in (ROOT / "tuner/records").glob("*.py") for name in imported_modules(path)}
    assert {name for name in names if begins_with(name, "trainable")} <= {
        "trainable.data.io.findings",
        "trainable.data.io.findings.FindingKind",
        "trainable.leg",
        "trainable.leg.checkpoint_name",
        "trainable.configuration.reference",
        "trainable.configuration.reference.Reference",
    }


PACKAGES = ("ray", "optuna", "torch")
MAY_TOUCH = {"ray": "tuner/ray/compat.py", "torch": "trainable/techniques/optim/older_torch.py"}
"""The one file that may use private parts of a package, where there is one."""
NO_PUBLIC_API = ("ray.tune.execution.class_cache",)
"""Modules without an underscore that no documentation names; they may change as a private one may."""


def private_names(path: Path) -> set[str]:
    """Underscored parts of the packages that a file imports or reaches into, such as `torch._foreach_norm`."""
    bound, used = {}, set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                used.add(alias.name)
                name = alias.asname or alias.name.split(".")[0]
                bound[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            used |= {f"{node.module}.{alias.name}" for alias in node.names}
            bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    used |= {name for node in nodes_of(path) if (name := dotted(node, bound)) is not None}
    return {name for name in used if name.split(".")[0] in PACKAGES and is_private_name(name)}


def is_private_name(name: str) -> bool:
    return any(map(is_private, name.split("."))) or any(begins_with(name, module) for module in NO_PUBLIC_API)


def dotted(node: ast.AST, bound: dict[str, str]) -> str | None:
    """The full name of an attribute of something imported."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not parts or not isinstance(node, ast.Name) or node.id not in bound:
        return None
    return ".".join([bound[node.id], *reversed(parts)])


def is_private(part: str) -> bool:
    return part.startswith("_") and not (part.startswith("__") and part.endswith("__"))


def test_private_parts_of_ray_optuna_and_torch_are_touched_in_one_file_alone():
    touched = {(name, str(path.relative_to(ROOT))) for path in FILES for name in private_names(path)}
    elsewhere = {(name, path) for name, path in touched if MAY_TOUCH.get(name.split(".")[0]) != path}
    assert not elsewhere, f"use a public name, or put it into {MAY_TOUCH}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import torch\ntorch._foreach_norm([])", {"torch._foreach_norm"}),
        ("import torch\ntorch.utils._pytree.tree_map", {"torch.utils._pytree.tree_map", "torch.utils._pytree"}),
        ("from torch.utils._pytree import tree_map", {"torch.utils._pytree.tree_map"}),
        ("import torch.nn.functional as F\nF._verify(1)", {"torch.nn.functional._verify"}),
        ("from ray import tune\ntune._x", {"ray.tune._x"}),
        ("def late():\n    import ray._private.worker", {"ray._private.worker"}),
        ("from ray import _private as p\np.worker", {"ray._private", "ray._private.worker"}),
        ("from ray.tune.execution import class_cache", {"ray.tune.execution.class_cache"}),
        ("import ray.tune.execution.class_cache", {"ray.tune.execution.class_cache"}),
        ("import optuna\noptuna.samplers._tpe", {"optuna.samplers._tpe"}),
        # A documented argument of ray.init in spite of its underscore.
        ("import ray\nray.init(_temp_dir='x')", set()),
        ("import ray\nray.__version__", set()),
        ("import numpy\nnumpy._core", set()),
        ("import torch\nself._torch = torch.ones(1)", set()),
    ],
)
def test_private_parts_are_found(tmp_path, code, found):
    (tmp_path / "module.py").write_text(code)
    assert private_names(tmp_path / "module.py") == found


PICKLING = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "_pickle"}
CATCH_ITS_ERROR = {
    "trainable/techniques/checkpoint.py": "a checkpoint that holds pickled code is named as such",
    "trainable/models/backbones/weight_files.py": "a file that holds no weights is named as such",
}
"""Files that import pickle, each for UnpicklingError alone: torch.load(weights_only=True) raises it."""


def test_nothing_is_pickled_and_nothing_pickled_is_read():
    """torch's refusal of pickled code is an error of the pickle module, which may be caught."""
    for path in TRAINED_AND_TUNED:
        used = {
            node.attr
            for node in nodes_of(path)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PICKLING
        }
        assert imported_top_packages(path) & PICKLING <= {"pickle"}, path
        assert used <= {"UnpicklingError"}, path
        assert not any(isinstance(node, ast.ImportFrom) and node.module in PICKLING for node in nodes_of(path)), path


def test_pickle_is_imported_where_its_error_is_caught_alone():
    importing = {str(path.relative_to(ROOT)) for path in PRODUCT if imported_top_packages(path) & PICKLING}
    assert importing == set(CATCH_ITS_ERROR)


def test_whatever_torch_loads_is_weights_only():
    for path in TRAINED_AND_TUNED:
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                chosen = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert chosen.get("weights_only") == "True", f"{path}, line {node.lineno}"


def test_no_import_cycles():
    names = {module_name(path): path for path in FILES}
    graph = {name: imported_at_run_time(path) & set(names) - {name} for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def packages_below() -> dict[str, set[str]]:
    """For each package below the top, the other such packages that its files import, late or for the type checker too.

    Files of a top package itself are left out: they are entry points, or shared by all packages in it.
    """
    package = {module_name(path): module_name(path.parent / "__init__.py") for path in PRODUCT}
    packages = {name for name in package.values() if "." in name}
    below: dict[str, set[str]] = {name: set() for name in packages}
    for path in PRODUCT:
        own = package[module_name(path)]
        if own in packages:
            below[own] |= {package[name] for name in imported_modules(path) & package.keys()} & packages - {own}
    return below


def test_packages_import_each_other_one_way():
    """No cycles, so that a package can be read without its users."""
    TopologicalSorter(packages_below()).prepare()


def test_paths_that_are_made_from_the_place_of_a_file_exist():
    """Files that moved took such constants with them, and nothing imports what they name."""
    assert PAGE_SCRIPT.is_file()
    assert TRAINING_SCRIPT.is_file()
    assert PYSODMETRICS_WORKER.is_file()
    assert (CHECKOUT / "pyproject.toml").is_file()
