"""Code on the nodes of a running cluster: two raylets in another working folder, which have not the user's module."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[3]
CLUSTER = """
import os, sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from trainable.configuration.reference import activate, find

project = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
os.chdir(project)
reference = find("my_nets.py:NET")

from tuner.ray.cluster import ray_running
from tuner.ray.nodes import check_nodes

def on_node(reference):
    from trainable.configuration.reference import activate, load
    activate([reference])
    return load(reference.text), any("py_modules" in place and Path(place, "tuner").is_dir() for place in sys.path)

with ray_running(cluster.address, references=[reference]):
    project.rename(project.with_name("elsewhere"))
    for node in ray.nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        # A process that has not seen the folder.
        fresh = ray.remote(num_cpus=1, runtime_env={"env_vars": {"FRESH": "1"}})(on_node)
        print(ray.get(fresh.options(scheduling_strategy=there).remote(reference)))
    try:
        check_nodes(["json", "no_such_library"])
    except ValueError as error:
        print(error)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> list[str]:
    """The output of the driver of a search on such a cluster."""
    project = tmp_path_factory.mktemp("cluster") / "project"
    project.mkdir()
    (project / "my_nets.py").write_text("from my_layers import NAME\nNET = NAME\n")
    (project / "my_layers.py").write_text("NAME = 'a network'\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-W", "ignore", "-c", CLUSTER, str(project)]
    done = subprocess.run(command, env=environment, cwd=project.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_package_and_the_modules_of_the_user_travel_to_every_node(lines):
    assert lines[:2] == ["('a network', True)"] * 2


def test_a_node_that_lacks_a_library_is_named_before_the_first_trial(lines):
    assert re.match(r"2 of 2 nodes can't run a trial: .* can't import no_such_library: ModuleNotFoundError", lines[2])
