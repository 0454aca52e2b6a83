"""Workloads by name or by reference, and configurations on their way to processes that don't know the user's folder."""

import pickle
import subprocess
import sys

import pytest

from trainable.configuration.reference import find
from trainable.tasks.registry import default_config, installed_tasks
from trainable.workloads.registry import CarriedConfig

SOURCE = """
from dataclasses import dataclass, fields
from trainable.tasks.moe import MoeConfig, MoeTask

@dataclass(frozen=True, slots=True, kw_only=True)
class Mine(MoeConfig):
    width: int = 8

class MyTask(MoeTask):
    config_class = Mine

    def default_config(self, source=None):
        inherited = super().default_config(source)
        return Mine(**{name: getattr(inherited, name) for name in [field.name for field in fields(inherited)]}, width=9)
"""
ARRIVING = "import sys, pickle; print(pickle.load(sys.stdin.buffer).read().width)"


@pytest.fixture
def reference(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_workload_of_a_test.py").write_text(SOURCE)
    yield find(f"{tmp_path}/own_workload_of_a_test.py:MyTask")
    sys.modules.pop("own_workload_of_a_test", None)


@pytest.fixture
def sent(reference):
    return pickle.dumps(CarriedConfig(default_config(reference.text), [reference]))


def received(sent):
    return subprocess.run([sys.executable, "-c", ARRIVING], input=sent, capture_output=True, check=False)


def test_a_configuration_of_the_users_class_arrives_where_its_folder_is_not_known(sent):
    assert received(sent).stdout.decode().strip() == "9"


def test_it_arrives_after_a_process_that_only_hands_it_on(sent):
    assert received(pickle.dumps(pickle.loads(sent))).stdout.decode().strip() == "9"


def test_a_machine_that_lacks_the_file_says_so(sent, tmp_path):
    (tmp_path / "own_workload_of_a_test.py").unlink()
    assert b"own_workload_of_a_test:MyTask, is missing on " in received(sent).stderr


def test_a_configuration_arrives_as_itself():
    config = default_config("dishes")
    assert pickle.loads(pickle.dumps(CarriedConfig(config, []))).read() == config


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a workload and a space of its own."""
    info = tmp_path / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[vision_tuner.tasks]\nmine = own_workload_of_a_test:MyTask\nmoe = own_workload_of_a_test:MyTask\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_a_workload_of_an_installed_package_has_a_name_and_no_builtin_one_is_replaced(package, reference):
    assert list(installed_tasks()) == ["mine"]
    assert default_config("mine").width == 9
    assert not hasattr(default_config("moe"), "width")


def test_an_unknown_workload_gets_the_nearest_installed_one(package):
    with pytest.raises(ValueError, match=r"mines is not a workload; did you mean mine\?"):
        default_config("mines")
