"""The files of deploy/: they parse, their fields are those of KubeRay and Ray, and the commands in them are ours."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tuner.search_options import search_parser

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCS = ROOT / "docs" / "clusters.md"
# The fields that the manifests use, with their types, as KubeRay 1.6 and Kubernetes define them.
AMOUNTS = {"cpu": str, "memory": str, "nvidia.com/gpu": str}
CONTAINER = {
    "name": str,
    "image": str,
    "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
    "volumeMounts": [{"name": str, "mountPath": str}],
}
POD = {
    "terminationGracePeriodSeconds": int,
    "nodeSelector": {"node-kind": str},
    "tolerations": [{"key": str, "operator": str, "effect": str}],
    "securityContext": {"fsGroup": int, "fsGroupChangePolicy": str},
    "containers": [CONTAINER],
    "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}}],
}
WORKERS = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "rayStartParams": {},
    "template": {"spec": POD},
}
CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": str},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {"idleTimeoutSeconds": int},
    # All values are strings: KubeRay makes options of `ray start` of them.
    "headGroupSpec": {"rayStartParams": {"dashboard-host": str, "num-cpus": str}, "template": {"spec": POD}},
    "workerGroupSpecs": [WORKERS],
}
JOB = {
    "entrypoint": str,
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "rayClusterSpec": CLUSTER,
}


def manifest(name: str) -> dict:
    return yaml.safe_load((DEPLOY / name).read_text())


def cluster_specs() -> list[dict]:
    return [manifest("kuberay_cluster.yaml")["spec"], manifest("kuberay_job.yaml")["spec"]["rayClusterSpec"]]


def test_every_file_is_described():
    assert all(f"deploy/{path.name}" in DOCS.read_text() for path in DEPLOY.iterdir())


def test_ray_accepts_its_cluster_configuration():
    from ray.autoscaler._private.util import validate_config

    # Ray adds it before it checks.
    validate_config({"cluster_synced_files": []} | manifest("ray_up.yaml"))


def test_the_machines_of_a_cloud_install_the_wheel_that_is_copied_to_them():
    cluster = manifest("ray_up.yaml")
    assert cluster["file_mounts"] == {
        "/home/ubuntu/dist": "dist",
        "/home/ubuntu/constraints.txt": "constraints.txt",
        "/home/ubuntu/.ray/auth_token": "~/.ray/auth_token",
    }
    assert (
        "~/venv/bin/pip install --constraint ~/constraints.txt ~/dist/vision_tuner-*.whl" in cluster["setup_commands"]
    )


def test_the_machines_of_a_cloud_mount_the_shared_disk():
    cluster = manifest("ray_up.yaml")
    mount = next(command for command in cluster["initialization_commands"] if " mount " in command)
    assert mount.endswith(f".efs.{cluster['provider']['region']}.amazonaws.com:/ /shared")
    # Else one that was stopped comes back without the commands.
    assert cluster["provider"]["cache_stopped_nodes"] is False


def test_the_machines_of_a_cloud_are_there_from_the_start_and_have_a_password():
    cluster = manifest("ray_up.yaml")
    assert cluster["available_node_types"]["gpu_worker"]["min_workers"] >= 1
    for group in ("head", "worker"):
        assert cluster[f"{group}_start_ray_commands"][-1].startswith(
            "RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token ray start"
        )


def test_the_search_that_is_described_joins_the_cluster_of_its_machine():
    text = (DEPLOY / "ray_up.yaml").read_text()
    options = shlex.split(re.search(r"'python -m tuner.search (.*)'", text)[1])
    assert search_parser().parse_args(options).address == "auto"


def misfits(value: Any, field: Any, place: str) -> list[str]:
    """Lists keys of the value that the fields lack, and values of another type."""
    if not isinstance(field, (dict, list)):
        return [] if type(value) is field else [f"{place}: {value!r} is not {field.__name__}"]
    if type(value) is not type(field):
        return [f"{place}: {value!r} is not a {type(field).__name__}"]
    if isinstance(field, list):
        return [misfit for i, one in enumerate(value) for misfit in misfits(one, field[0], f"{place}[{i}]")]
    unknown = [f"{place}.{key} is no field" for key in value.keys() - field.keys()]
    known = value.keys() & field.keys()
    return unknown + [misfit for key in known for misfit in misfits(value[key], field[key], f"{place}.{key}")]


@pytest.mark.parametrize(("name", "kind", "fields"), [("cluster", "RayCluster", CLUSTER), ("job", "RayJob", JOB)])
def test_a_kuberay_manifest_has_only_fields_of_kuberay(name, kind, fields):
    content = manifest(f"kuberay_{name}.yaml")
    assert (content.pop("apiVersion"), content.pop("kind")) == ("ray.io/v1", kind)
    assert misfits(content, {"metadata": {"name": str}, "spec": fields}, name) == []


def test_a_field_that_kuberay_lacks_is_found():
    wrong = {"rayStartParam": {}, "replicas": "2", "template": {"spec": {"containers": {}}}}
    assert sorted(misfits(wrong, WORKERS, "workers")) == [
        "workers.rayStartParam is no field",
        "workers.replicas: '2' is not int",
        "workers.template.spec.containers: {} is not a list",
    ]


def test_both_kuberay_manifests_describe_the_same_cluster():
    cluster, of_job = cluster_specs()
    assert cluster == of_job


@pytest.mark.parametrize("spec", cluster_specs(), ids=["cluster", "job"])
class TestKubeRayCluster:
    def test_it_has_the_ray_of_the_image(self, spec):
        assert f"ray=={spec['rayVersion']}" in (ROOT / "constraints.txt").read_text().splitlines()

    def test_its_dashboard_is_reached_by_kuberay_and_asks_for_a_password(self, spec):
        assert spec["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "0.0.0.0"
        assert spec["authOptions"] == {"mode": "token"}

    def test_it_has_the_workers_of_a_search_from_the_start(self, spec):
        (workers,) = spec["workerGroupSpecs"]
        assert 1 <= workers["minReplicas"] == workers["replicas"] <= workers["maxReplicas"]

    def test_its_workers_are_let_on_spot_nodes_with_gpus(self, spec):
        pod = spec["workerGroupSpecs"][0]["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert {toleration["key"] for toleration in pod["tolerations"]} == {"spot", "nvidia.com/gpu"}

    def test_its_pods_may_write_to_the_shared_disk(self, spec):
        user = re.search(r"useradd .*--uid (\d+) --user-group", (DEPLOY / "Dockerfile").read_text())[1]
        for group in (spec["headGroupSpec"], spec["workerGroupSpecs"][0]):
            pod = group["template"]["spec"]
            assert str(pod["securityContext"]["fsGroup"]) == user
            assert pod["containers"][0]["volumeMounts"] == [{"name": "shared", "mountPath": "/shared"}]
            assert [volume["name"] for volume in pod["volumes"]] == ["shared"]


def test_the_image_has_the_program_that_kuberay_probes_with():
    assert re.search(r"apt-get install .*\bwget\b", (DEPLOY / "Dockerfile").read_text())


def test_the_job_runs_a_search_whose_options_exist():
    program, *options = shlex.split(manifest("kuberay_job.yaml")["spec"]["entrypoint"].removeprefix("python -m "))
    assert program == "tuner.search"
    assert search_parser().parse_args(options).storage == "/shared/results"


def test_the_slurm_script_is_bash_and_closes_the_cluster_with_a_password():
    script = DEPLOY / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    assert "RAY_AUTH_MODE=token" in text
    assert re.search(r"python -m tuner\.search --address .* \"\$@\" &$", text, flags=re.MULTILINE)
    assert "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK" in text


def test_slurm_warns_the_script_alone():
    assert "#SBATCH --signal=B:TERM@120" in (DEPLOY / "slurm.sh").read_text().splitlines()


def test_the_image_holds_every_package():
    copied = re.findall(r"^COPY (\w+) \w+$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert copied == ["search_spaces", "trainable", "tuner"]
