from dataclasses import replace

import numpy as np
import pytest

from trainable.config import from_params
from trainable.run import run_epochs
from trainable.tasks.registry import get_task
from trainable.techniques.experts.collapse_evidence import CollapseLimits, CollapseVerdict, judge_layer
from trainable.techniques.experts.collapse_response import ResponseConfig
from trainable.techniques.experts.expert_collapse import CollapseConfig
from trainable.techniques.experts.lasting_collapse import LastingCollapse
from trainable.training_run import TrainingRun

LIMITS = CollapseLimits(share=0.1, cv=None, confidence=None, level=0.001)
EAGER = {"num_experts": 4, "top_k": 1, "max_epochs": 5, "collapse_threshold": 0.9, "false_alarm_rate": 0.5}
QUICK = {"patience_checks": 1, "cooldown_checks": 0}


def layer(*counts, top_k=1):
    tokens = sum(counts) / top_k
    return judge_layer(np.array(counts, dtype=float), tokens=tokens, confidence=0.5, entropy=0.5, limits=LIMITS)


def verdict(*layers):
    return CollapseVerdict(layers=layers)


def is_lost(seen, top_k):
    collapse = LastingCollapse(1, top_k)
    collapse.observe(verdict(seen))
    return collapse.has_ended


def test_a_layer_is_lost_when_no_more_experts_are_alive_than_a_token_is_sent_to():
    assert is_lost(layer(900, 0, 0, 0), 1)
    assert not is_lost(layer(500, 400, 0, 0), 1)
    assert is_lost(layer(500, 500, 0, 0, top_k=2), 2)
    assert not is_lost(layer(500, 300, 200, 0, top_k=2), 2)


def test_too_few_assignments_prove_nothing():
    assert not is_lost(layer(9, 0, 0, 0), 1)


def test_an_epoch_with_too_little_evidence_counts_as_the_one_before_and_ends_nothing():
    lost, fine, few = layer(900, 0, 0, 0), layer(300, 300, 200, 100), layer(9, 0, 0, 0)
    collapse = LastingCollapse(4, top_k=1)
    for seen in (few, lost, few, few, few):
        collapse.observe(verdict(seen))
        assert not collapse.has_ended
    collapse.observe(verdict(lost))
    assert collapse.has_ended
    recovered = LastingCollapse(4, top_k=1)
    for seen in (lost, few, fine, few, lost, lost, lost):
        recovered.observe(verdict(seen))
        assert not recovered.has_ended


def test_the_same_layer_has_to_be_lost_in_a_row():
    lost, fine = layer(900, 0, 0, 0), layer(300, 300, 200, 100)
    collapse = LastingCollapse(2, top_k=1)
    for seen in (verdict(lost, fine), verdict(fine, lost), verdict(lost, fine)):
        collapse.observe(seen)
        assert not collapse.has_ended
    collapse.observe(verdict(layer(10, 0, 0, 990), fine))
    assert collapse.has_ended
    assert collapse.numbers == {"layer": 0, "expert": 3, "usage": 0.99, "lost_epochs": 2}


def test_where_it_stands_survives_a_restart():
    collapse, restored = LastingCollapse(2, top_k=1), LastingCollapse(2, top_k=1)
    collapse.observe(verdict(layer(900, 0, 0, 0)))
    restored.load_state_dict(collapse.state_dict())
    restored.observe(verdict(layer(900, 0, 0, 0)))
    assert restored.has_ended


def patience_epochs(max_epochs, watched):
    response = ResponseConfig(patience_checks=2, cooldown_checks=1)
    config = replace(get_task("moe").default_config(), max_epochs=max_epochs, collapse=watched, response=response)
    return get_task("moe").build_lasting_collapse(config).patience_epochs


@pytest.mark.parametrize(("fraction", "epochs"), [(0.75, 9), (0.6, 8), (0.01, 1), (1.0, 12)])
def test_the_patience_is_a_share_of_the_budget(fraction, epochs):
    watched = CollapseConfig(collapse_response="none", collapse_patience_fraction=fraction)
    assert patience_epochs(12, watched) == epochs


def test_a_short_training_does_not_end_before_the_response_has_taken_its_steps():
    """Each of its three steps waits for two alarmed checks and is followed by one of rest."""
    watched = CollapseConfig(collapse_response="reinitialise", collapse_patience_fraction=0.75)
    assert patience_epochs(6, watched) == 9
    assert patience_epochs(40, watched) == 30


def test_a_training_whose_router_sends_all_images_to_one_expert_ends_before_its_budget(disc_config):
    """The tiny network really collapses: its untrained router reads colours, and the discs have none."""
    splits = get_task("moe").open_data(disc_config)
    run = TrainingRun(from_params(EAGER | QUICK | {"collapse_patience_fraction": 0.6}, disc_config), splits)
    results = run_epochs(run, on_epoch=lambda result: None)
    assert [result.metrics[f"moe/usage_{run.ending.numbers['expert']}"] for result in results] == [1.0, 1.0, 1.0]
    assert run.ending.outcome == "experts_collapsed"
    assert run.ending.numbers | {"expert": 0} == {"layer": 0, "expert": 0, "usage": 1.0, "lost_epochs": 3}
    patient = TrainingRun(from_params(EAGER | {"collapse_patience_fraction": 0.6}, disc_config), splits)
    assert len(run_epochs(patient, on_epoch=lambda result: None)) == 5
    off = TrainingRun(from_params(EAGER | {"collapse_patience_fraction": None}, disc_config), splits)
    assert len(run_epochs(off, on_epoch=lambda result: None)) == 5
    assert off.ending.outcome == "completed"


@pytest.mark.parametrize("fraction", [0.0, 1.5])
def test_a_wrong_patience_is_refused(disc_config, fraction):
    with pytest.raises(ValueError, match=f"collapse_patience_fraction is {fraction}; it must be above 0 and at most 1"):
        from_params({"collapse_patience_fraction": fraction}, disc_config)
