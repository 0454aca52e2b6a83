import math

import pytest
import torch
from torch import nn

from trainable.configuration.fields import convert
from trainable.models.backbones.registry import build_backbone
from trainable.supervision.base import DeepSupervision
from trainable.techniques.optim.averaging import WeightAverage
from trainable.techniques.optim.precision import resolve_precision
from trainable.techniques.optim.schedule import CosineAnnealingWithWarmup
from trainable.techniques.optim.unfreezing import (
    STEPS_OF_50_EPOCHS,
    GradualUnfreezing,
    Milestones,
    UnfreezingConfig,
    blocks_in_order,
    unfrozen_share,
)
from trainable.techniques.techniques import Techniques
from trainable.trainer import Trainer

IN_QUARTERS = ((0.0, 0.0), (0.25, 0.25), (0.5, 0.5), (0.75, 1.0))


class Net(nn.Module):
    """Four blocks with BatchNorm and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*(block(3 if index == 0 else 4) for index in range(4)))
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, images):
        return self.head(self.backbone(images))


def block(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh())


def trainer_of(milestones=IN_QUARTERS, *, total_epochs=4, averaged=False):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.5)
    return Trainer(
        net,
        optimizer,
        DeepSupervision(nn.BCEWithLogitsLoss()),
        "cpu",
        scheduler=CosineAnnealingWithWarmup(optimizer, 0, total_epochs, max_lr=1e-2),
        precision=resolve_precision("fp32", torch.device("cpu")),
        techniques=Techniques(
            averaging=WeightAverage(net, decay=0.5) if averaged else None,
            unfreezing=GradualUnfreezing(net.backbone, milestones, total_epochs=total_epochs),
            max_grad_norm=1.0,
        ),
    )


def blocks_of(trainer):
    return blocks_in_order(trainer.model.backbone)


def batches(count=2):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.rand(4, 3, 8, 8, generator=generator), torch.rand(4, 1, 8, 8, generator=generator).round())
        for _ in range(count)
    ]


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def is_same(module, state):
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_the_default_is_the_documents_table_for_fifty_epochs():
    shares = [unfrozen_share(STEPS_OF_50_EPOCHS, epoch / 50) for epoch in range(50)]
    assert shares == [0.0] * 6 + [0.25] * 5 + [0.5] * 5 + [1.0] * 34


def test_milestones_follow_the_budget():
    shares = [unfrozen_share(STEPS_OF_50_EPOCHS, epoch / 12) for epoch in range(12)]
    assert shares == [0.0, 0.0, 0.25, 0.5] + [1.0] * 8


def test_blocks_join_from_the_top_down():
    trainer = trainer_of()
    joined = []
    for epoch in range(4):
        before = [state_of(one) for one in blocks_of(trainer)]
        head = state_of(trainer.model.head)
        assert trainer.train_epoch(batches(), epoch)["unfrozen_share"] == IN_QUARTERS[epoch][1]
        joined.append([not is_same(*pair) for pair in zip(blocks_of(trainer), before, strict=True)])
        assert not is_same(trainer.model.head, head)
    assert joined == [[False] * 4, [False] * 3 + [True], [False] * 2 + [True] * 2, [True] * 4]


def test_a_frozen_block_neither_decays_nor_drifts_in_the_average():
    trainer = trainer_of(averaged=True)
    before = state_of(trainer.model.backbone)
    trainer.train_epoch(batches(), 0)
    assert is_same(trainer.model.backbone, before)
    average = trainer.techniques.averaging.state_dict()["average"]
    assert all(torch.equal(average[f"backbone.{name}"], value) for name, value in before.items())


def test_a_frozen_block_stays_in_evaluation_mode_also_after_a_validation():
    trainer = trainer_of()
    for epoch in range(2):
        trainer.train_epoch(batches(), epoch)
        trainer.evaluate(batches())
    trainer.train_epoch(batches(), 1)
    assert [one[1].training for one in blocks_of(trainer)] == [False, False, False, True]


def test_the_optimizer_holds_every_parameter_from_the_start():
    trainer = trainer_of()
    held = sum(len(group["params"]) for group in trainer.optimizer.param_groups)
    trainer.train_epoch(batches(), 0)
    assert held == len(list(trainer.model.parameters()))
    assert len(trainer.optimizer.state) == len(list(trainer.model.head.parameters()))


@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_a_resumed_run_continues_as_if_it_had_never_stopped(stopped_after, tmp_path):
    whole, first, second = trainer_of(averaged=True), trainer_of(averaged=True), trainer_of(averaged=True)
    for epoch in range(4):
        whole.train_epoch(batches(), epoch)
    for epoch in range(stopped_after):
        first.train_epoch(batches(), epoch)
    first.save_checkpoint(tmp_path / "state.pt", stopped_after)
    for epoch in range(second.load_checkpoint(tmp_path / "state.pt"), 4):
        second.train_epoch(batches(), epoch)
    assert is_same(second.model, state_of(whole.model))
    average = whole.techniques.averaging.state_dict()["average"]
    assert all(
        torch.equal(average[name], value) for name, value in second.techniques.averaging.state_dict()["average"].items()
    )


def test_layers_that_were_exchanged_after_the_building_are_frozen_too():
    trainer = trainer_of()
    exchanged = trainer.model.backbone[0][1] = nn.BatchNorm2d(4)
    trainer.techniques.unfreezing.update_epoch(0)
    assert not exchanged.training
    assert not exchanged.weight.requires_grad


@pytest.mark.parametrize(("name", "num_blocks"), [("small", 9), ("efficientnet_v2_s", 41), ("resnet50", 18)])
def test_blocks_hold_the_whole_backbone_once_and_in_order(name, num_blocks):
    backbone = build_backbone(name)
    blocks = blocks_in_order(backbone)
    assert len(blocks) == num_blocks
    in_blocks = [id(parameter) for one in blocks for parameter in one.parameters()]
    assert in_blocks == [id(parameter) for parameter in backbone.parameters()]


def test_the_top_quarter_is_rounded_up_to_whole_blocks():
    blocks = [nn.Linear(1, 1) for _ in range(9)]
    unfreezing = GradualUnfreezing(nn.Sequential(*blocks), IN_QUARTERS, total_epochs=4)
    unfreezing.update_epoch(1)
    trained = [one.weight.requires_grad for one in blocks]
    assert trained == [False] * 6 + [True] * math.ceil(9 / 4)


@pytest.mark.parametrize(
    ("milestones", "sentence"),
    [
        ((), "they start at"),
        (((0.1, 0.0), (0.5, 1.0)), "they start at"),
        (((0.0, 0.0), (0.5, 0.5), (0.4, 1.0)), "fractions of the budget rise"),
        (((0.0, 0.0), (1.0, 1.0)), "stay below 1"),
        (((0.0, 0.5), (0.2, 0.2), (0.5, 1.0)), "never fall"),
        (((0.0, -0.5), (0.5, 1.0)), "from 0 to 1"),
        (((0.0, 0.0), (0.5, 0.5)), "ends with share 0.5; .*backbone_lr_ratio=0"),
    ],
)
def test_wrong_milestones_are_refused_with_a_sentence(milestones, sentence):
    with pytest.raises(ValueError, match=sentence):
        UnfreezingConfig(milestones=milestones)


def test_milestones_from_a_file_are_pairs_of_numbers():
    assert convert([[0, 0], [0.5, 1]], Milestones, "milestones") == ((0.0, 0.0), (0.5, 1.0))
    with pytest.raises(ValueError, match=r"milestones\[1\]\[1\] is 'all'; it must be a finite number"):
        convert([[0, 0], [0.5, "all"]], Milestones, "milestones")
    with pytest.raises(ValueError, match=r"milestones\[1\] is \[0.5\]; it must have 2 items"):
        convert([[0, 0], [0.5]], Milestones, "milestones")
