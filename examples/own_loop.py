"""A training script of one's own, searched as it is: the lines that the search needs are marked.

    python -m tuner.search --space examples/own_loop.py:SPACE --trials 12

A small network tells three textures apart: horizontal, vertical and diagonal stripes under heavy noise.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces import LoopSpace

SIDE_PX, CLASSES = 16, 3


def pictures(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy stripes [count, 1, side, side], and which of the three directions they run in [count]."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    rows, columns = torch.meshgrid(torch.arange(SIDE_PX), torch.arange(SIDE_PX), indexing="ij")
    along = torch.stack([rows, columns, rows + columns])[labels]
    phase = 6.3 * torch.rand(count, 1, 1, generator=generator)
    noise = torch.randn(along.shape, generator=generator)
    return (torch.sin(1.2 * along + phase) + 1.2 * noise)[:, None], labels


def network(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, CLASSES),
    )


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return (model.eval()(images).argmax(dim=1) == labels).float().mean().item()


def train(params, trial):
    images, labels = (part.to(trial.device) for part in pictures(384, seed=0))
    validation = tuple(part.to(trial.device) for part in pictures(192, seed=1))
    model = network(params["width"], params["dropout"]).to(trial.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["lr"], weight_decay=params["weight_decay"])
    for _ in trial.epochs(model=model, optimizer=optimizer):  # in place of range(epochs)
        model.train()
        for batch in torch.randperm(len(images)).split(params["batch_size"]):
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trial.report({"val/accuracy": accuracy(model, *validation), "train/loss": loss.item()})  # in place of print
    test = tuple(part.to(trial.device) for part in pictures(384, seed=2))
    return {"test/accuracy": accuracy(model, *test)}


def suggest(trial):
    return {
        "lr": trial.suggest_float("lr", 1e-4, 3e-1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        "width": trial.suggest_int("width", 4, 16, step=4),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "batch_size": trial.suggest_categorical("batch_size", (16, 32, 64)),
    }


SPACE = LoopSpace(
    name="own_loop",
    train=train,
    objective="val/accuracy",
    suggest=suggest,
    defaults={"lr": 3e-3, "weight_decay": 1e-2, "width": 8, "dropout": 0.1, "batch_size": 32},
    max_epochs=8,
    grace_epochs=2,
)
