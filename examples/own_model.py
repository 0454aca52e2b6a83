"""Trains your own model and data with the optimized loop, without a search and without Ray.

    python examples/own_model.py --epochs 12

Two experts segment bright discs on noise. Replace `TwoExperts` and `discs` with your own: the model must return logits,
or a dict with `predictions` and, for experts, `routing_info`.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from trainable import OptimizedTrainer

NUM_EXPERTS = 2


class TwoExperts(nn.Module):
    """Each image is routed to one of two small convolution nets."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
        self.router = nn.Linear(8, NUM_EXPERTS)
        self.experts = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(NUM_EXPERTS))
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, images: Tensor) -> dict[str, object]:
        """Images [B, 1, H, W] to logits [B, 1, H, W], with the routing that balancing and collapse detection need."""
        features = self.stem(images)
        probabilities = self.router(features.mean(dim=(2, 3))).softmax(dim=1)
        gates, chosen = probabilities.topk(1, dim=1)
        outputs = torch.stack([expert(features) for expert in self.experts], dim=1)
        picked = outputs[torch.arange(len(images)), chosen[:, 0]] * gates[:, :, None, None]
        routing = {"routing_probs": probabilities, "expert_assignments": chosen}
        return {"predictions": self.head(picked.relu()), "routing_info": routing}


def discs(count: int, *, seed: int, side_px: int = 32) -> TensorDataset:
    """Noise images [N, 1, side, side] with one bright disc each, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(count, 2, 1, 1, generator=generator) * side_px
    rows, columns = torch.meshgrid(torch.arange(side_px), torch.arange(side_px), indexing="ij")
    masks = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < (side_px / 5) ** 2).float()[:, None]
    noise = torch.rand(masks.shape, generator=generator)
    return TensorDataset(0.5 * noise + 0.5 * masks, masks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each epoch; returns 0."""
    parser = argparse.ArgumentParser(description="Train your own model with the optimized loop.")
    parser.add_argument("--epochs", type=int, default=12)
    epochs = parser.parse_args(arguments).epochs
    torch.manual_seed(0)
    train = DataLoader(discs(64, seed=0), batch_size=8, shuffle=True)
    validation = DataLoader(discs(32, seed=1), batch_size=32)
    model = TwoExperts()
    trainer = OptimizedTrainer(
        model,
        torch.optim.AdamW(model.parameters(), lr=1e-2),
        nn.BCEWithLogitsLoss(),
        device="cpu",
        accumulation_steps=2,
        total_epochs=epochs,
        warmup_epochs=1,
        max_lr=1e-2,
        num_experts=NUM_EXPERTS,
        enable_load_balancing=True,
        enable_collapse_detection=True,
        enable_progressive_aug=False,
    )
    for epoch in range(epochs):
        trained, validated = trainer.train_epoch(train, epoch), trainer.validate(validation)
        sys.stdout.write(
            f"epoch {epoch + 1}: train loss {trained['loss']:.4f}, validation loss {validated['val_loss']:.4f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
