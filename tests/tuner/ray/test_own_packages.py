"""A working folder with files of the names of packages, in a cluster of its own."""

import optuna
import pytest
import ray

import tuner
from tuner.ray.cluster import ray_running


@pytest.mark.slow
def test_a_users_file_with_the_name_of_a_package_is_not_imported_by_rays_processes(tmp_path, monkeypatch):
    """tuner.ray.compat.job_with_own_packages_first; a module of the user's that has another name still is."""
    for name in ("tuner", "optuna", "of_the_user"):
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.chdir(tmp_path)

    def places():
        import of_the_user
        import optuna

        import tuner

        return tuner.__file__, optuna.__file__, of_the_user.__file__

    with ray_running(None):
        found = ray.get(ray.remote(num_cpus=0)(places).remote())
    assert found == (tuner.__file__, optuna.__file__, str(tmp_path / "of_the_user.py"))
