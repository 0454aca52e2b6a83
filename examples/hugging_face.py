"""A model of transformers and its Trainer, searched through a callback of ten lines.

    python -m tuner.search --space examples/hugging_face.py:SPACE --trials 12

Needs the extra `examples`: pip install 'vision-tuner[examples]'. Nothing is downloaded: a small ViT from scratch.

The Trainer shuffles after a resume as in its first epochs, so that a resumed curve is another one: give the best a
second look with `tuner.confirm`, which never resumes.
"""

import tempfile

import numpy as np
from own_loop import CLASSES, SIDE_PX, pictures
from transformers import Trainer, TrainerCallback, TrainingArguments, ViTConfig, ViTForImageClassification

from search_spaces import LoopSpace


class Reporting(TrainerCallback):
    """Tells a trial what the Trainer evaluates, and lets it wait, go on and resume between epochs."""

    def __init__(self, trial):
        self.trial = trial

    def on_train_begin(self, args, state, control, model=None, optimizer=None, lr_scheduler=None, **others):
        self.epochs = self.trial.epochs(model=model, optimizer=optimizer, schedule=lr_scheduler)
        control.should_training_stop = next(self.epochs, None) is None

    def on_evaluate(self, args, state, control, metrics=None, **others):
        if "eval_accuracy" in metrics:
            self.trial.report({"val/accuracy": metrics["eval_accuracy"], "val/loss": metrics["eval_loss"]})
            control.should_training_stop = next(self.epochs, None) is None


class Pictures:
    """The pictures of own_loop.py as the Trainer takes them."""

    def __init__(self, count, *, seed):
        self.images, self.labels = pictures(count, seed=seed)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


def accuracy(predictions):
    return {"accuracy": float(np.mean(predictions.predictions.argmax(axis=1) == predictions.label_ids))}


def train(params, trial):
    config = ViTConfig(
        image_size=SIDE_PX,
        patch_size=4,
        num_channels=1,
        num_labels=CLASSES,
        hidden_size=params["width"],
        intermediate_size=2 * params["width"],
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=ViTForImageClassification(config),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=trial.max_epochs,
                learning_rate=params["lr"],
                per_device_train_batch_size=32,
                per_device_eval_batch_size=192,
                eval_strategy="epoch",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=trial.device.type == "cpu",
                seed=trial.seed,
            ),
            train_dataset=Pictures(384, seed=0),
            eval_dataset=Pictures(192, seed=1),
            compute_metrics=accuracy,
            callbacks=[Reporting(trial)],
        )
        trainer.train()
        return {"test/accuracy": trainer.evaluate(Pictures(192, seed=2), metric_key_prefix="test")["test_accuracy"]}


def suggest(trial):
    return {
        "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
        "width": trial.suggest_categorical("width", (32, 64)),
    }


SPACE = LoopSpace(
    name="hugging_face",
    train=train,
    objective="val/accuracy",
    suggest=suggest,
    defaults={"lr": 3e-3, "width": 32},
    max_epochs=4,
    grace_epochs=1,
)
