"""The job of own_loop.py with Optuna alone: proposes, prunes by halving, goes on with the study after a kill.

    PYTHONPATH=examples python examples/peers/optuna_loop.py

Not there: a killed or pruned trial starts from its first epoch, trials do not wait for promotion, one process trains,
and nothing is confirmed, exported or reported.
"""

import math
import sys

import optuna
import torch
from own_loop import accuracy, network, pictures, suggest
from torch.nn import functional as F

EPOCHS = 8


def train(trial):
    params = suggest(trial)
    (images, labels), validation = pictures(384, seed=0), pictures(192, seed=1)
    torch.manual_seed(0)
    model = network(params["width"], params["dropout"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["lr"], weight_decay=params["weight_decay"])
    for epoch in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(images)).split(params["batch_size"]):
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        value = accuracy(model, *validation)
        if not math.isfinite(loss.item()):
            raise optuna.TrialPruned
        trial.report(value, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def main(trials: int = 12) -> optuna.Study:
    study = optuna.create_study(
        study_name="own_loop",
        storage="sqlite:///own_loop.db",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2),
    )
    study.enqueue_trial({"lr": 3e-3, "weight_decay": 1e-2, "width": 8, "dropout": 0.1, "batch_size": 32})
    study.optimize(train, n_trials=trials)
    return study


if __name__ == "__main__":
    sys.stdout.write(f"{main().best_trial}\n")
