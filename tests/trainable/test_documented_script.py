"""A training script as the source documentation writes it, with nothing changed but the import."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainable import (
    CODProgressiveAugmentation,
    CosineAnnealingWithWarmup,
    ExpertCollapseDetector,
    GlobalBatchLoadBalancer,
    OptimizedTrainer,
)
from trainable.techniques.techniques import Techniques

PAGE = Path(__file__).resolve().parents[2] / "docs" / "trainer_alone.md"


class MyCODModel(nn.Module):
    """The documented dict form, with four experts routed by image."""

    def __init__(self, num_experts: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.router = nn.Linear(8, num_experts)
        self.experts = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(num_experts))
        self.head, self.aux = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 1, 1)

    def forward(self, images):
        features = self.stem(images).relu()
        probs = self.router(features.mean(dim=(2, 3))).softmax(dim=1)
        gates, chosen = probs.topk(2, dim=1)
        mixed = torch.stack([expert(features) for expert in self.experts], dim=1)
        picked = mixed[torch.arange(len(images))[:, None], chosen]
        features = (picked * gates[..., None, None, None]).sum(dim=1)
        return {
            "predictions": self.head(features),
            "aux_outputs": [self.aux(features)],
            "routing_info": {"routing_probs": probs, "expert_assignments": chosen},
        }


def compute_cod_metrics(predictions, targets):
    predictions = (torch.sigmoid(predictions) > 0.5).float()
    intersection = (predictions * targets).sum()
    union = predictions.sum() + targets.sum() - intersection
    return {"val_mae": (predictions - targets).abs().mean().item(), "val_iou": (intersection / (union + 1e-8)).item()}


@pytest.fixture
def loader():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(18, 3, 32, 32, generator=generator)
    masks = (images.mean(dim=1, keepdim=True) > 0.5).float()
    return DataLoader(TensorDataset(images, masks), batch_size=4)


def trainer_for(model, optimizer, **options):
    return OptimizedTrainer(
        model=model,
        optimizer=optimizer,
        criterion=nn.BCEWithLogitsLoss(),
        device=torch.device("cpu"),
        accumulation_steps=4,
        use_amp=True,
        **options,
    )


def test_the_documented_loop_trains_saves_the_best_and_resumes(loader, tmp_path):
    torch.manual_seed(0)
    model = MyCODModel()
    options = {
        "total_epochs": 6,
        "warmup_epochs": 2,
        "min_lr": 1e-6,
        "max_lr": 1e-2,
        "num_experts": 4,
        "enable_load_balancing": True,
        "enable_collapse_detection": True,
        "enable_progressive_aug": True,
        "aug_transition_epoch": 2,
    }
    trainer = trainer_for(model, torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4), **options)
    best_loss, losses = float("inf"), []
    for epoch in range(6):
        train_metrics = trainer.train_epoch(loader, epoch, log_interval=10)
        val_metrics = trainer.validate(loader, metrics_fn=compute_cod_metrics)
        losses.append(val_metrics["val_loss"])
        if val_metrics["val_loss"] < best_loss:
            best_loss = val_metrics["val_loss"]
            trainer.save_checkpoint(str(tmp_path / "best.pth"), epoch, val_metrics)
    assert losses[-1] < losses[0]
    assert set(val_metrics) == {"val_loss", "val_mae", "val_iou"}
    assert train_metrics["collapse_collapsed"] in (True, False)
    other = MyCODModel()
    resumed = trainer_for(other, torch.optim.AdamW(other.parameters(), lr=1e-4, weight_decay=1e-4), **options)
    start_epoch = resumed.load_checkpoint(str(tmp_path / "best.pth"))
    assert resumed.validate(loader)["val_loss"] == pytest.approx(min(losses))
    for epoch in range(start_epoch + 1, 6):
        resumed.train_epoch(loader, epoch)
    assert trainer.get_training_summary()["global_step"] == 6 * 2


def test_multi_stage_training_restarts_the_schedule_in_its_second_stage(loader):
    model = MyCODModel()
    first = trainer_for(model, torch.optim.AdamW(model.parameters(), lr=1e-4), enable_progressive_aug=False)
    first.train_epoch(loader, 0)
    second_optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
    second = trainer_for(model, second_optimizer, total_epochs=70, max_lr=5e-5, aug_transition_epoch=10)
    assert second.scheduler.last_epoch == 0
    second.train_epoch(loader, 15)
    assert second.augmentation.current_strength == pytest.approx(0.55)


def test_a_subclass_brings_its_own_augmentation(loader):
    class CustomAugmentation(CODProgressiveAugmentation):
        def apply(self, images, masks, augmentation_type="random"):
            images, masks = super().apply(images, masks, augmentation_type)
            if torch.rand(1, generator=self.generator) < 0.3 * self.current_strength:
                images = 1.0 - images
            return images, masks

    model = MyCODModel()
    trainer = trainer_for(model, torch.optim.AdamW(model.parameters(), lr=1e-3))
    trainer.augmentation = CustomAugmentation(1.0, 1.0, 0, 0)
    assert trainer.train_epoch(loader, 0)["aug_strength"] == 1.0


def test_every_technique_may_be_assigned_by_its_name(loader):
    model = MyCODModel()
    trainer = trainer_for(model, torch.optim.SGD(model.parameters(), lr=1.0), max_grad_norm=None, max_lr=1.0)
    for technique in fields(Techniques):
        setattr(trainer, technique.name, getattr(trainer, technique.name))
    before = [weight.detach().clone() for weight in model.parameters()]
    trainer.max_grad_norm = 1e-4
    trainer.train_epoch(loader, 0)
    moved = max((new - old).abs().max().item() for new, old in zip(model.parameters(), before, strict=True))
    assert 0.0 < moved <= 1e-3


def test_the_pages_script_continues_after_the_last_epoch_to_the_same_weights(loader, tmp_path, monkeypatch):
    def weights_after(*epochs_of_each_process):
        (tmp_path / "last.pt").unlink(missing_ok=True)
        for epochs in epochs_of_each_process:
            torch.manual_seed(0)
            model = MyCODModel()
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
            trainer = trainer_for(model, optimizer, num_experts=4, total_epochs=4, warmup_epochs=1)
            names = {"trainer": trainer, "train_loader": DataLoader(loader.dataset, batch_size=4, shuffle=True)}
            exec(script.replace("range(start, 100)", f"range(start, {epochs})"), names)
        return torch.cat([weight.flatten() for weight in model.state_dict().values()])

    monkeypatch.chdir(tmp_path)
    script = page_script("load_checkpoint")
    assert torch.equal(weights_after(4), weights_after(2, 4))


def page_script(word):
    scripts = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return next(each for each in scripts if word in each)


def test_the_pages_script_for_classes_learns_them():
    script = page_script("ClassificationSupervision")
    torch.manual_seed(0)
    labels = torch.arange(32) % 3
    images = torch.rand(32, 3, 8, 8) + 2.0 * nn.functional.one_hot(labels, 3)[:, :, None, None]
    loader = DataLoader(TensorDataset(images, labels), batch_size=8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    names = {"model": model, "optimizer": optimizer, "train_loader": loader, "val_loader": loader}
    exec(script, names)
    assert names["metrics"]["accuracy"] == 1.0
    assert names["train_metrics"].keys() == {"loss", "accuracy", "lr"}


def test_the_page_names_every_metric_of_a_training_epoch(loader):
    model = MyCODModel()
    on = {"num_experts": 4, "enable_load_balancing": True, "enable_collapse_detection": True}
    trainer = trainer_for(model, torch.optim.AdamW(model.parameters(), lr=1e-3), **on)
    named = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    assert trainer.train_epoch(loader, 0).keys() | trainer.get_training_summary().keys() <= named


def test_the_parts_work_alone_as_documented():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4)
    scheduler = CosineAnnealingWithWarmup(optimizer, warmup_epochs=5, total_epochs=100, min_lr=1e-6, max_lr=1e-4)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2.08e-5)
    augmentation = CODProgressiveAugmentation(0.3, 0.8, 20, 10)
    augmentation.update_epoch(25)
    assert augmentation.current_strength == pytest.approx(0.55)
    probs = torch.full((512, 6), 0.01)
    probs[:, 0] = 0.95
    assignments = torch.zeros(512, 1, dtype=torch.long)
    detector = ExpertCollapseDetector(num_experts=6)
    detector.update(probs, assignments)
    collapsed, reasons = detector.check_collapse()
    assert collapsed
    assert any("experts underutilized" in reason for reason in reasons)
    balancer = GlobalBatchLoadBalancer(num_experts=6, alpha_l2=0.01, alpha_cv=0.01)
    loss = balancer.compute_load_balance_loss(probs.requires_grad_(), assignments)
    balancer.update(probs, assignments)
    loss.backward()
    assert probs.grad.abs().sum() > 0
    assert balancer.get_global_statistics()["max_global_usage"] == 1.0
