"""Starts the last layer at a linear probe of the trained weights: fine-tuning begins where the frozen features stand.

What: before the first epoch a logistic regression is fitted to the features of the training split, as the network makes
    them untrained, and becomes the last layer; one for each task. From a random layer a few hundred updates often do
    not come as far as that regression, and their gradients distort the features on the way.
Source: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022,
    https://arxiv.org/abs/2202.10054; scikit-learn's `LogisticRegression`.
Cost: one forward pass over at most `MOST_IMAGES` training images, and a fit of seconds, once a training.
Off: `head_start="random"`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainable.data.classes.labelled_images import MISSING
from trainable.models.output import as_model_output
from trainable.supervision.linear_probe import Batches, encode_images, fit_heads, thin

RANDOM, PROBE = "random", "probe"
HEAD_STARTS = (RANDOM, PROBE)
STRENGTH = 0.1
"""C of the regression: the best on three of four sets that were tried (`results/LOG.md`)."""
LEAST_LOGIT = -10.0
"""Bias of a class without an image: low, but what smoothed labels can still learn from."""


def check_head_start(head_start: str, *, has_user_network: bool) -> None:
    """Raises ValueError for a value outside `HEAD_STARTS`, or a network whose head is unknown."""
    if head_start not in HEAD_STARTS:
        raise ValueError(f"head_start is {head_start!r}; give one of {', '.join(HEAD_STARTS)}.")
    if head_start == PROBE and has_user_network:
        raise ValueError(
            f"head_start is {PROBE}, but the network is your own, and which layer is its head is not known; set "
            f"it to {RANDOM}."
        )


@torch.no_grad()
def start_head(model: nn.Module, batches: Batches, *, num_images: int, num_classes: Sequence[int]) -> None:
    """Gives `model.head`, a linear layer (D, sum of `num_classes`), the weights of the regressions.

    Args:
        model: its embeddings are what the head reads, (B, D).
        batches: the training split in order; labels (B,), or (B, T) with -1 where one is missing.
        num_images: of the training split.
        num_classes: of each task.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    model.eval()

    def embeddings_of(images: Tensor) -> Tensor:
        embeddings = as_model_output(model(images)).embeddings
        assert embeddings is not None
        return embeddings

    features, labels = encode_images(embeddings_of, thin(batches, num_images))
    heads = []
    for own, classes in zip(labels.reshape(len(labels), -1).T, num_classes, strict=True):
        known = own != MISSING
        heads += fit_heads(features[known], own[known], classes, strengths=(STRENGTH,))
    head = model.get_submodule("head")
    assert isinstance(head, nn.Linear)
    head.weight.copy_(torch.cat([one.weights for one in heads], dim=1).T)
    head.bias.copy_(torch.cat([one.bias for one in heads]).clamp(min=LEAST_LOGIT))
