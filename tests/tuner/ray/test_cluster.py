"""How a cluster is divided between trials, and what is left behind of one that was started here."""

import logging
from dataclasses import replace

import pytest

from tuner.ray import cluster
from tuner.ray.cluster import allocate_resources, dashboard_in_words, resources_here
from tuner.records import TrialResources
from tuner.settings import SearchSettings

CLUSTERS = {
    "a laptop": ({"CPU": 8.0}, {}, TrialResources(concurrent=8, cpus_per_trial=1, gpus_per_trial=0)),
    "fewer trials than room": (
        {"CPU": 8.0},
        {"num_trials": 3},
        TrialResources(concurrent=3, cpus_per_trial=1, gpus_per_trial=0),
    ),
    "two CPUs a trial": (
        {"CPU": 8.0},
        {"cpus_per_trial": 2},
        TrialResources(concurrent=4, cpus_per_trial=2, gpus_per_trial=0),
    ),
    "fewer at a time": (
        {"CPU": 8.0},
        {"concurrent": 2},
        TrialResources(concurrent=2, cpus_per_trial=1, gpus_per_trial=0),
    ),
    "GPUs": ({"CPU": 16.0, "GPU": 2.0}, {}, TrialResources(concurrent=2, cpus_per_trial=8, gpus_per_trial=1)),
    "half a GPU": (
        {"CPU": 16.0, "GPU": 1.0},
        {"gpus_per_trial": 0.5},
        TrialResources(concurrent=2, cpus_per_trial=8, gpus_per_trial=0.5),
    ),
    "two fifths of a GPU": (
        {"CPU": 16.0, "GPU": 2.0},
        {"gpus_per_trial": 0.4, "cpus_per_trial": 1},
        TrialResources(concurrent=4, cpus_per_trial=1, gpus_per_trial=0.4),
    ),
    "a tenth of a GPU": (
        {"CPU": 16.0, "GPU": 1.0},
        {"gpus_per_trial": 0.1, "cpus_per_trial": 1},
        TrialResources(concurrent=10, cpus_per_trial=1, gpus_per_trial=0.1),
    ),
    "a fifth of a CPU": (
        {"CPU": 1.0},
        {"cpus_per_trial": 0.2},
        TrialResources(concurrent=5, cpus_per_trial=0.2, gpus_per_trial=0),
    ),
    "58 of 100 CPUs go with 0.58 of the GPU": (
        {"CPU": 100.0, "GPU": 1.0},
        {"gpus_per_trial": 0.58},
        TrialResources(concurrent=1, cpus_per_trial=58, gpus_per_trial=0.58),
    ),
    "the CPU wanted": (
        {"CPU": 4.0, "GPU": 1.0},
        {"device": "cpu"},
        TrialResources(concurrent=4, cpus_per_trial=1, gpus_per_trial=0),
    ),
    "no GPU wanted": (
        {"CPU": 4.0, "GPU": 1.0},
        {"gpus_per_trial": 0},
        TrialResources(concurrent=4, cpus_per_trial=1, gpus_per_trial=0),
    ),
    "more GPUs than CPUs": (
        {"CPU": 4.0, "GPU": 8.0},
        {},
        TrialResources(concurrent=4, cpus_per_trial=1, gpus_per_trial=1),
    ),
    "two GPUs a trial": (
        {"CPU": 16.0, "GPU": 5.0},
        {"gpus_per_trial": 2},
        TrialResources(concurrent=2, cpus_per_trial=6, gpus_per_trial=2, ranks_per_trial=2),
    ),
    "two processes a trial": (
        {"CPU": 5.0},
        {"ranks_per_trial": 2},
        TrialResources(concurrent=2, cpus_per_trial=2, gpus_per_trial=0, ranks_per_trial=2),
    ),
    "two processes a trial where there are GPUs": (
        {"CPU": 8.0, "GPU": 2.0},
        {"ranks_per_trial": 2},
        TrialResources(concurrent=1, cpus_per_trial=8, gpus_per_trial=2, ranks_per_trial=2),
    ),
}


@pytest.mark.parametrize(("available", "asked", "slots"), CLUSTERS.values(), ids=CLUSTERS)
def test_a_cluster_is_divided_as_it_is_and_as_asked(available, asked, slots):
    follows = "concurrent" not in asked and asked.get("device") != "mps"
    assert allocate_resources(SearchSettings(**asked), [available]) == replace(slots, follows_cluster=follows)


def test_resources_of_several_machines_are_divided_machine_by_machine():
    nodes = [{"CPU": 3.0}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 2.0}]
    assert allocate_resources(SearchSettings(cpus_per_trial=2, gpus_per_trial=0), nodes).concurrent == 6
    assert allocate_resources(SearchSettings(), nodes) == TrialResources(
        concurrent=2, cpus_per_trial=4, gpus_per_trial=1, follows_cluster=True
    )
    with pytest.raises(ValueError, match="--cpus-per-trial is 9, but Ray has 8 CPUs"):
        allocate_resources(SearchSettings(cpus_per_trial=9), nodes)
    with pytest.raises(ValueError, match="no single machine of the cluster has both"):
        allocate_resources(SearchSettings(cpus_per_trial=4, gpus_per_trial=1), [{"CPU": 8.0}, {"CPU": 2.0, "GPU": 1.0}])


def test_a_trial_of_several_processes_lies_on_one_machine():
    with pytest.raises(ValueError, match="--gpus-per-trial is 2, but Ray has 1 GPUs here"):
        allocate_resources(SearchSettings(gpus_per_trial=2), [{"CPU": 4.0, "GPU": 1.0}] * 2)


def test_on_an_apple_gpu_one_trial_trains_at_a_time(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    resources = allocate_resources(SearchSettings(device="mps"), [{"CPU": 8.0}])
    assert (resources.device, resources.concurrent, resources.gpus_per_trial) == ("mps", 1, 0)
    assert str(resources) == "1 trial at a time, 1 CPU and the Apple GPU each"


@pytest.mark.parametrize(("device", "sentence"), [("mps", "no Apple GPU"), ("cuda", "there is no CUDA GPU")])
def test_a_device_that_is_not_there_is_a_sentence(device, sentence, monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ValueError, match=sentence):
        allocate_resources(SearchSettings(device=device), [{"CPU": 8.0}])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"device": "tpu"}, "allowed: cpu, cuda, mps"), ({"device": "cpu", "gpus_per_trial": 1}, "uses no CUDA GPU")],
)
def test_a_device_that_cannot_be_meant_is_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        SearchSettings(**changes)


def test_the_address_of_the_dashboard_says_where_its_token_lies(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "token_file", lambda: tmp_path / "auth_token")
    assert dashboard_in_words("127.0.0.1:8265") == "http://127.0.0.1:8265"
    (tmp_path / "auth_token").write_text("0")
    assert dashboard_in_words("127.0.0.1:8265").endswith(" (asks for the token in ~/.ray/auth_token)")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "elsewhere")
    assert dashboard_in_words("127.0.0.1:8265").endswith(" (asks for the token in RAY_AUTH_TOKEN_PATH)")
    assert dashboard_in_words("") == ""


def test_on_a_cluster_more_trials_than_have_room_wait_for_nodes_to_join(caplog):
    asked, nodes = {"concurrent": 8, "num_trials": 30}, [{"CPU": 2.0}]
    with caplog.at_level(logging.WARNING):
        resources = allocate_resources(SearchSettings(address="127.0.0.1:6379", **asked), nodes)
    assert (resources.concurrent, resources.follows_cluster) == (8, False)
    assert "--concurrent is 8, but 2 CPUs and 0 GPUs have room for 2 trials: the others wait" in caplog.text
    with pytest.raises(ValueError, match=r"have room for 2 trials; give at most that\.$"):
        allocate_resources(SearchSettings(**asked), nodes)


@pytest.mark.parametrize("address", ["127.0.0.1:6379", None])
@pytest.mark.parametrize(("began", "goes_on"), [(16, 2), (2, 16)])
def test_a_search_continued_elsewhere_runs_as_many_trials_at_a_time_as_fit(address, began, goes_on):
    there = allocate_resources(SearchSettings(address=address), [{"CPU": began / 2}] * 2)
    assert (there.concurrent, resources_here(there, [{"CPU": float(goes_on)}]).concurrent) == (began, goes_on)


def test_a_search_continued_elsewhere_keeps_the_users_number_of_trials_at_a_time_and_one_on_an_apple_gpu(
    monkeypatch,
):
    monkeypatch.setattr("trainable.run_setup.chosen_device", lambda device: device)
    on_apple = allocate_resources(SearchSettings(device="mps"), [{"CPU": 2.0}])
    assert resources_here(on_apple, [{"CPU": 8.0}]).concurrent == 1
    as_asked = allocate_resources(SearchSettings(concurrent=1), [{"CPU": 2.0}])
    assert resources_here(as_asked, [{"CPU": 8.0}]) == as_asked
