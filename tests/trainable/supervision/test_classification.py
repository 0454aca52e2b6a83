import torch
from torch.nn import functional as F

from trainable.models.output import ModelOutput
from trainable.supervision.classification import ClassificationSupervision

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])


def forward(images):
    return ModelOutput(predictions=LOGITS)


def test_the_loss_is_the_criterions_and_the_accuracy_that_of_the_batch():
    losses = ClassificationSupervision(F.cross_entropy).losses(forward, None, torch.tensor([0, 0, 0]))
    assert losses.total == F.cross_entropy(LOGITS, torch.tensor([0, 0, 0]))
    assert losses.parts["accuracy"].item() == torch.tensor(2 / 3)


def test_of_a_mixed_image_the_share_of_the_called_class_counts():
    soft = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.0, 1.0]])
    losses = ClassificationSupervision(F.cross_entropy).losses(forward, None, soft)
    torch.testing.assert_close(losses.parts["accuracy"], torch.tensor((0.7 + 0.6 + 0.0) / 3))


def test_evaluated_scores_are_probabilities():
    evaluated = ClassificationSupervision(F.cross_entropy).evaluate(forward, None, torch.tensor([0, 1, 1]))
    torch.testing.assert_close(evaluated.scores, torch.exp(LOGITS) / torch.exp(LOGITS).sum(1, keepdim=True))
    assert evaluated.losses["loss"] == F.cross_entropy(LOGITS, torch.tensor([0, 1, 1]))
