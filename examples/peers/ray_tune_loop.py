"""The job of own_loop.py with Ray Tune alone: proposes at random, halves, trials in parallel, checkpoints for a resume.

    PYTHONPATH=examples python examples/peers/ray_tune_loop.py

Not there: random generators are not saved, so a resumed curve is another one; nothing is confirmed or reported.
"""

import math
import sys
import tempfile
from pathlib import Path

import torch
from own_loop import accuracy, network, pictures
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from torch.nn import functional as F

EPOCHS = 8


def train(params):
    (images, labels), validation = pictures(384, seed=0), pictures(192, seed=1)
    torch.manual_seed(0)
    model = network(params["width"], params["dropout"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["lr"], weight_decay=params["weight_decay"])
    first, checkpoint = 0, tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / "state.pt", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    for epoch in range(first, EPOCHS):
        model.train()
        for batch in torch.randperm(len(images)).split(params["batch_size"]):
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if not math.isfinite(loss.item()):
            return
        with tempfile.TemporaryDirectory() as folder:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
            torch.save(state, Path(folder) / "state.pt")
            tune.report({"accuracy": accuracy(model, *validation)}, checkpoint=tune.Checkpoint.from_directory(folder))


def main(storage: Path, trials: int = 12) -> tune.ResultGrid:
    space = {
        "lr": tune.loguniform(1e-4, 3e-1),
        "weight_decay": tune.loguniform(1e-5, 1e-1),
        "width": tune.choice([4, 8, 12, 16]),
        "dropout": tune.uniform(0.0, 0.5),
        "batch_size": tune.choice([16, 32, 64]),
    }
    run = str(storage / "own_loop")
    trainable = tune.with_resources(train, {"cpu": 1})
    if tune.Tuner.can_restore(run):
        tuner = tune.Tuner.restore(run, trainable, resume_unfinished=True, restart_errored=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                num_samples=trials,
                scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=2, reduction_factor=2),
            ),
            run_config=tune.RunConfig(name="own_loop", storage_path=str(storage)),
        )
    return tuner.fit()


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path.cwd() / 'ray_results').get_best_result()}\n")
