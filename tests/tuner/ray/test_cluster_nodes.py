"""Which nodes of a cluster may train: a cluster of names, whose answers the test gives."""

import logging
from types import SimpleNamespace

import pytest
import ray

from tuner.ray import cluster_nodes
from tuner.ray.cluster_nodes import AGAIN_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, ClusterNodes

NO_ANSWER = object()
A_LOOK, A_MINUTE = LOOK_SECONDS + 1, AGAIN_SECONDS + 1


class Cluster:
    """Nodes by name, with what each says of itself: None where it can train."""

    def __init__(self, **answers):
        self.answers, self.asked, self.now = answers, [], 0.0

    def nodes(self):
        return [
            {
                "NodeID": name,
                "Alive": True,
                "Resources": {"CPU": 2.0},
                "NodeManagerHostname": name,
                "NodeManagerAddress": "10.0.0.1",
            }
            for name in self.answers
        ]

    def call(self, name, *_):
        self.asked.append(name)
        return name

    def wait(self, calls, timeout):
        done = [name for name in calls if self.answers.get(name) is not NO_ANSWER]
        return done, [name for name in calls if name not in done]

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def begin(monkeypatch):
    def with_answers(**answers):
        cluster = Cluster(**answers)
        monkeypatch.setattr(ray, "nodes", cluster.nodes)
        monkeypatch.setattr(ray, "wait", cluster.wait)
        monkeypatch.setattr(ray, "get", lambda name, timeout: cluster.answers[name])
        monkeypatch.setattr(cluster_nodes, "call_on_node", cluster.call)
        monkeypatch.setattr(cluster_nodes, "time", SimpleNamespace(sleep=cluster.sleep))
        return cluster, ClusterNodes(needs=None, clock=cluster.clock)

    return with_answers


def test_a_node_that_can_not_train_is_named_once_and_asked_again_every_minute(begin, caplog):
    cluster, nodes = begin(whole=None, bare="it has no data")
    nodes.wait()
    assert (nodes.resources, nodes.unfit) == ([{"CPU": 2.0}], ["bare"])
    cluster.now += A_MINUTE
    assert not nodes.has_changed()
    cluster.answers["bare"] = None
    cluster.now += A_MINUTE
    assert nodes.has_changed()
    assert nodes.unfit == []
    assert sorted(cluster.asked) == ["bare", "bare", "bare", "whole"]
    assert caplog.text.count("bare (10.0.0.1) gets no trials: it has no data") == 1


def test_a_search_begins_without_a_node_that_does_not_answer(begin, caplog):
    cluster, nodes = begin(whole=None, hanging=NO_ANSWER)
    nodes.wait()
    assert cluster.now >= PATIENCE_SECONDS
    assert nodes.unfit == ["hanging"]
    assert "hanging (10.0.0.1) has not answered for 300 s" in caplog.text
    cluster.answers["hanging"] = None
    cluster.now += A_LOOK
    assert nodes.has_changed()
    assert nodes.unfit == []


def test_where_none_can_train_a_sentence_says_what_they_need(begin):
    _, nodes = begin(one="it has no data", other="it has no data")
    with pytest.raises(ValueError, match=r"^0 of 2 nodes can train, as said above\. Give --data a path"):
        nodes.wait()


def test_asking_for_unfit_nodes_does_not_hide_a_node_that_joined(begin):
    cluster, nodes = begin(whole=None)
    nodes.wait()
    cluster.answers["spot"] = None
    cluster.now += A_LOOK
    assert nodes.unfit_now() == []
    assert nodes.has_changed()
    assert not nodes.has_changed()


def test_trials_may_run_on_any_node_until_one_is_known_to_be_fit(begin):
    cluster, nodes = begin(spot=None)
    nodes.wait()
    # Its successor has joined before it leaves, and decodes the data.
    cluster.answers["successor"] = NO_ANSWER
    cluster.now += A_LOOK
    assert nodes.unfit_now() == ["successor"]
    del cluster.answers["spot"]
    cluster.now += A_LOOK
    assert nodes.unfit_now() == []


def test_a_node_that_left_and_is_back_is_checked_again(begin, caplog):
    cluster, nodes = begin(whole=None, spot=None)
    nodes.wait()
    with caplog.at_level(logging.INFO):
        del cluster.answers["spot"]
        cluster.now += A_LOOK
        assert nodes.has_changed()
    assert "spot (10.0.0.1) has left; its trials continue elsewhere" in caplog.text
    cluster.answers["spot"] = "its disk is not mounted"
    cluster.now += A_LOOK
    nodes.has_changed()
    assert nodes.unfit == ["spot"]
    assert nodes.unfit_now() == ["spot"]
