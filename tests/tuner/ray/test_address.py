"""Which cluster a command joins."""

import socket

import pytest

from tuner.ray.address import cluster_address
from tuner.ray.cluster import restored_environment


@pytest.fixture(autouse=True)
def own_environment():
    """An address also decides how Ray's password is used, which the next Ray of this process would inherit."""
    with restored_environment():
        yield


@pytest.fixture
def listening(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_the_address_of_a_job_or_pod_is_used_and_reported(listening, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("RAY_ADDRESS", listening)
    assert cluster_address(None) == listening
    assert caplog.messages == [f"joining the Ray cluster at {listening}, as RAY_ADDRESS says"]


def test_a_given_address_goes_before_that_of_the_environment(listening, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert cluster_address(listening) == listening


@pytest.mark.parametrize("value", ["", "local"])
def test_without_an_address_ray_starts_here(monkeypatch, value):
    monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address(None) is None


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", r"Nothing answers at 127.0.0.1:1 \(.*\); start Ray there, or unset RAY_ADDRESS"),
        (
            "ray://127.0.0.1:10001",
            "RAY_ADDRESS is 'ray://127.0.0.1:10001', an address of Ray's client, which cannot run a search",
        ),
        ("http://127.0.0.1:8265", "RAY_ADDRESS is 'http://127.0.0.1:8265', an address of Ray's dashboard; run the"),
        ("somewhere", "RAY_ADDRESS is 'somewhere'; give host:port of a running Ray cluster"),
    ],
)
def test_an_address_that_no_search_can_use_is_a_sentence_that_names_the_variable(monkeypatch, address, sentence):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ValueError, match=sentence):
        cluster_address(None)


def test_a_given_address_that_does_not_answer_is_reported_as_the_option():
    with pytest.raises(ValueError, match=r"Nothing answers at 127.0.0.1:1 \(.*\); start Ray there, or leave --address"):
        cluster_address("127.0.0.1:1")
