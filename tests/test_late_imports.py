"""Packages that take seconds to import are imported when needed. One new process does all of it, step by step."""

import json
import subprocess
import sys

import pytest

STEPS = {
    "import trainable; from tuner import load, resume, search": {"torch", "ray"},
    # Whoever reads a search that is over needs no policy, and so none of scipy's optimizers: a quarter of a second.
    "import tuner.explain, tuner.report": {"torch", "ray", "scipy.optimize"},
    "import tuner.page, tuner.views.page_data": {"streamlit"},
    # A search builds trainers of all kinds before it starts Ray. Torchvision imports torch's compiler: a second.
    "from tuner.planning.plan import plan_as_given; from tuner.planning.preflight import check_configurations; "
    "from tuner.settings import SearchSettings; "
    "check_configurations(plan_as_given(SearchSettings(space='moe')), {})": {"torch._dynamo"},
    "from trainable.models.backbones.registry import build_backbone; build_backbone('mobilenet_v3_small')": {"timm"},
    "import tuner.run, trainable.train, trainable.ray.trainable": {"mlflow", "wandb"},
}
"""The packages that each step must not import."""

PROCESS = """
import gc, json, sys
for step in json.loads(sys.argv[1]):
    exec(step)
    print(json.dumps([step, sorted(sys.modules), gc.get_freeze_count(), gc.isenabled()]))
"""


@pytest.fixture(scope="module")
def after():
    """Modules that are loaded after each step, and the state of the garbage collector."""
    command = [sys.executable, "-c", PROCESS, json.dumps(list(STEPS))]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {step: rest for step, *rest in map(json.loads, output.splitlines())}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_imports_nothing_that_it_does_not_need(after, step):
    modules, _, _ = after[step]
    assert not STEPS[step] & set(modules)


def test_a_module_that_a_notebook_imports_freezes_nothing(after):
    assert all((frozen, is_enabled) == (0, True) for _, frozen, is_enabled in after.values())
