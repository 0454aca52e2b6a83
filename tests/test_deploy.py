"""The files of deploy/: they parse, their cluster schemas hold, and the commands in them are ours."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tuner.search_options import search_parser

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCS = Path(__file__).parents[1] / "docs" / "clusters.md"


def manifest(name: str) -> dict:
    return yaml.safe_load((DEPLOY / name).read_text())


def cluster_specs() -> list[dict]:
    return [manifest("kuberay_cluster.yaml")["spec"], manifest("kuberay_job.yaml")["spec"]["rayClusterSpec"]]


def test_every_file_is_described():
    assert all(f"deploy/{path.name}" in DOCS.read_text() for path in DEPLOY.iterdir())


def test_ray_accepts_its_cluster_configuration():
    from ray.autoscaler._private.util import validate_config

    # Ray adds these before it checks.
    validate_config({"cluster_synced_files": [], "file_mounts": {}} | manifest("ray_up.yaml"))


@pytest.mark.parametrize("spec", cluster_specs(), ids=["cluster", "job"])
def test_a_kuberay_cluster_scales_spot_workers_that_see_the_shared_disk(spec):
    (workers,) = spec["workerGroupSpecs"]
    assert spec["enableInTreeAutoscaling"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    for template in (spec["headGroupSpec"]["template"], workers["template"]):
        (container,) = template["spec"]["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}
    assert workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_job_runs_a_search_whose_options_exist():
    program, *options = shlex.split(manifest("kuberay_job.yaml")["spec"]["entrypoint"].removeprefix("python -m "))
    assert program == "tuner.search"
    assert search_parser().parse_args(options).storage == "/shared/results"


def test_the_slurm_script_is_bash_and_closes_the_cluster_with_a_password():
    script = DEPLOY / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    assert "RAY_AUTH_MODE=token" in text
    assert re.search(r"python -m tuner\.search --address .* \"\$@\"$", text, flags=re.MULTILINE)


def test_the_image_holds_every_package():
    copied = re.findall(r"^COPY (\w+) \w+$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert copied == ["search_spaces", "trainable", "tuner"]
