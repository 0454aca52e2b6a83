"""Every algorithm follows torch's own, group by group, and learns the parameters of the loss too."""

import pytest
import torch
from torch import nn

from trainable.techniques.optim.optimizer import ALGORITHMS, OptimizerConfig, build_optimizer, check_all_trained

BY_HAND = {
    "adamw": lambda p: torch.optim.AdamW([p], lr=0.1, betas=(0.8, 0.9), weight_decay=0.5),
    "adam": lambda p: torch.optim.Adam([p], lr=0.1, betas=(0.8, 0.9), weight_decay=0.5),
    "sgd": lambda p: torch.optim.SGD([p], lr=0.1, momentum=0.7, weight_decay=0.5),
    "rmsprop": lambda p: torch.optim.RMSprop([p], lr=0.1, momentum=0.7, weight_decay=0.5),
}


def config_of(algorithm):
    return OptimizerConfig(algorithm=algorithm, max_lr=0.1, weight_decay=0.5, beta1=0.8, beta2=0.9, momentum=0.7)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_steps_are_those_of_torchs_algorithm(algorithm):
    model = nn.Linear(3, 2, bias=False)
    weight = nn.Parameter(model.weight.detach().clone())
    ours, by_hand = build_optimizer(model, config_of(algorithm)), BY_HAND[algorithm](weight)
    for step in range(3):
        for parameter, optimizer in ((model.weight, ours), (weight, by_hand)):
            optimizer.zero_grad()
            (parameter * (step + 1)).sum().backward()
            optimizer.step()
    # Ours are fused, which rounds in another order than torch's plain loop.
    torch.testing.assert_close(model.weight, weight, rtol=1e-6, atol=1e-7)


def test_the_parameters_of_the_loss_are_trained_and_never_decay():
    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.log_variance = nn.Parameter(torch.ones(2, 2))

    model, loss = nn.Linear(3, 2), Loss()
    optimizer = build_optimizer(model, config_of("adamw"), loss)
    check_all_trained(optimizer, [model, loss])
    (own,) = [group for group in optimizer.param_groups if group["params"][0] is loss.log_variance]
    assert own["weight_decay"] == 0.0


def test_nesterov_changes_the_path_of_sgd():
    paths = []
    for nesterov in (False, True):
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        optimizer = build_optimizer(model, OptimizerConfig(algorithm="sgd", nesterov=nesterov))
        model.weight.sum().backward()
        optimizer.step()
        paths.append(model.weight.item())
    assert paths[0] != paths[1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"algorithm": "adamv"}, "adamv is not an algorithm; did you mean"),
        ({"nesterov": True}, "needs algorithm=sgd"),
        ({"algorithm": "sgd", "momentum": 0.0, "nesterov": True}, "a momentum above 0"),
        ({"momentum": 1.0}, "momentum is 1.0; it must lie in"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        OptimizerConfig(**settings)
