"""The script before: the same network and data, trained once, with nothing around it.

PYTHONPATH=examples python examples/peers/plain_loop.py
"""

import sys

import torch
from own_loop import accuracy, network, pictures
from torch.nn import functional as F

EPOCHS = 8


def train(params):
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
        sys.stdout.write(f"epoch {epoch + 1}: {accuracy(model, *validation):.3f}\n")


if __name__ == "__main__":
    train({"lr": 3e-3, "weight_decay": 1e-2, "width": 8, "dropout": 0.1, "batch_size": 32})
