"""Techniques that only make sense together are asked for together."""

import pytest
import torch

from trainable.techniques.experts.collapse_response import CollapseResponse
from trainable.techniques.experts.load_balance import GlobalBatchLoadBalancer
from trainable.techniques.techniques import Techniques


def test_a_response_to_collapse_without_a_detector_says_what_is_missing():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    balancer, generator = GlobalBatchLoadBalancer(4), torch.Generator()
    response = CollapseResponse("rebalance", balancer=balancer, layers=[], optimizer=optimizer, generator=generator)
    with pytest.raises(ValueError, match="needs a collapse_detector; give one"):
        Techniques(collapse_response=response)
