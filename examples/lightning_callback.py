"""A Lightning module of one's own, searched through a callback of ten lines.

    python -m tuner.search --space examples/lightning_callback.py:SPACE --trials 12

Needs the extra `examples`: pip install 'vision-tuner[examples]'.
"""

import lightning.pytorch as pl
import torch
from own_loop import network, pictures
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from search_spaces import LoopSpace


class Reporting(pl.Callback):
    """Tells a trial what Lightning logs, and lets it wait, go on and resume between epochs."""

    def __init__(self, trial):
        self.trial, self.has_reported = trial, False

    def on_train_start(self, trainer, module):
        schedules = {f"schedule_{number}": one.scheduler for number, one in enumerate(trainer.lr_scheduler_configs)}
        self.epochs = self.trial.epochs(model=module, optimizer=trainer.optimizers[0], **schedules)
        progress = trainer.fit_loop.epoch_progress.current
        progress.processed = progress.completed = next(self.epochs, self.trial.max_epochs)

    def on_train_epoch_start(self, trainer, module):
        if self.has_reported:
            next(self.epochs)  # by now Lightning has stepped the schedules of the epoch before

    def on_train_epoch_end(self, trainer, module):
        self.trial.report(trainer.callback_metrics)
        self.has_reported = True

    def on_train_end(self, trainer, module):
        next(self.epochs, None)


class Stripes(pl.LightningModule):
    def __init__(self, params):
        super().__init__()
        self.params, self.network = params, network(params["width"], params["dropout"])

    def training_step(self, batch):
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def validation_step(self, batch):
        self.log("val/accuracy", (self.network(batch[0]).argmax(dim=1) == batch[1]).float().mean())

    def test_step(self, batch):
        self.log("test/accuracy", (self.network(batch[0]).argmax(dim=1) == batch[1]).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.params["lr"])
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_epochs)]


def train(params, trial):
    train_set, validation, test = (
        TensorDataset(*pictures(size, seed=seed)) for seed, size in enumerate((384, 192, 192))
    )
    trainer = pl.Trainer(
        max_epochs=trial.max_epochs,
        accelerator=trial.device.type,
        devices=1,
        callbacks=[Reporting(trial)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    model = Stripes(params)
    trainer.fit(model, DataLoader(train_set, batch_size=32, shuffle=True), DataLoader(validation, batch_size=192))
    return trainer.test(model, DataLoader(test, batch_size=192), verbose=False)[0]


def suggest(trial):
    return {
        "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
        "width": trial.suggest_int("width", 4, 16, step=4),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }


SPACE = LoopSpace(
    name="lightning",
    train=train,
    objective="val/accuracy",
    suggest=suggest,
    defaults={"lr": 3e-3, "width": 8, "dropout": 0.1},
    max_epochs=6,
    grace_epochs=2,
)
