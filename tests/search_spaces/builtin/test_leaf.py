"""The documents' rows for leaf sets of three sizes, and the loss that is searched."""

from dataclasses import replace

import pytest
import torch

from search_spaces.builtin.leaf import SPACE, recommended_row
from search_spaces.space import Situation
from search_spaces.stub_trials import given_or_middle
from trainable.config import from_params
from trainable.configuration.config_options import with_params
from trainable.tasks.registry import get_task

SITUATION = Situation(num_train_images=300, pretrained=False)
COUNTS = (30, 3, 9, 9, 9)
LOGITS = torch.tensor([[3.0, 0, 0, 0, 0], [0, 3, 0, 0, 0]])
"""As sure of the first class as of the second."""


def losses_of(params):
    """The loss of the first class where it is right, and of the second, which has a tenth of the images."""
    config = from_params(params, get_task("leaf").default_config())
    loss = replace(config.loss, class_counts=COUNTS).build()
    return [loss(LOGITS[row : row + 1], torch.tensor([row])).item() for row in (0, 1)]


def suggested(**values):
    return SPACE.suggest(given_or_middle(SPACE.defaults(SITUATION) | values), SITUATION)


@pytest.mark.parametrize("kind", ["inverse", "sqrt_inverse", "effective_number"])
def test_with_class_weights_of_the_space_a_rare_disease_costs_more(kind):
    common, rare = losses_of(suggested())
    assert rare == pytest.approx(common)
    common, rare = losses_of(suggested(class_weights=kind, label_smoothing=0.0))
    assert rare > 2 * common


def test_the_share_of_the_focal_term_of_the_space_decides_what_an_easy_leaf_costs():
    mostly_entropy, mostly_focal = (losses_of(suggested(focal_share=share))[0] for share in (0.1, 0.9))
    assert mostly_entropy > 3 * mostly_focal


@pytest.mark.parametrize("params", [{"focal_share": 0.9}, {"class_weights": "inverse"}])
def test_set_changes_the_loss_as_the_space_does(params):
    config = with_params(get_task("leaf").default_config(), params)
    changed = replace(config.loss, class_counts=COUNTS).build()
    assert [changed(LOGITS[[row]], torch.tensor([row])).item() for row in (0, 1)] == losses_of(suggested(**params))


@pytest.mark.parametrize(
    ("num_images", "max_lr", "effective_batch"),
    [(3_000, 5e-5, 16), (4_999, 5e-5, 16), (5_000, 1e-4, 32), (50_000, 1e-4, 32), (50_001, 3e-4, 128)],
)
def test_the_row_follows_the_number_of_images(num_images, max_lr, effective_batch):
    row = recommended_row(num_images)
    assert (row["max_lr"], row["effective_batch"]) == (max_lr, effective_batch)
