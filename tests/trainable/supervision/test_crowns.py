"""Four terms, each with a gradient where it should have one, over images that lack parts."""

import math

import pytest
import torch
from torch.nn import functional as F

from trainable.losses.crowns import VOID, CrownLossConfig, density_map, map_losses
from trainable.models.crown_net import CrownNet, CrownNetConfig, CrownOutput
from trainable.supervision.crowns import CrownSupervision

SIDE = 48
TERMS = {
    "instance": ("proposals", "instances"),
    "semantic": ("semantic_head",),
    "crown": ("crown_head",),
    "density": ("density_head",),
}


def crown_target(*boxes, semantic=0, has_instances=True):
    masks = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = 1
    return {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "masks": masks,
        "semantic": torch.full((SIDE, SIDE), semantic),
        "has_instances": torch.tensor(has_instances),
    }


ANNOTATED = crown_target((4, 4, 24, 20), (20, 20, 44, 44), semantic=2)
NO_CROWNS_KNOWN = crown_target(semantic=1, has_instances=False)
NO_CLASSES_KNOWN = crown_target((10, 10, 30, 30), semantic=VOID)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return CrownNet(CrownNetConfig(pyramid_channels=8))


@pytest.fixture
def images():
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def only(term, weight=1.0):
    return CrownLossConfig(**{f"{name}_weight": weight * (name == term) for name in TERMS})


def gradient(module):
    return sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("term", TERMS)
def test_each_term_trains_its_own_head_and_the_shared_trunk_and_no_other_head(net, images, term):
    losses = CrownSupervision(only(term)).losses(net, images, [ANNOTATED, NO_CROWNS_KNOWN, NO_CLASSES_KNOWN])
    losses.total.backward()
    heads = {name: sum(gradient(getattr(net, head)) for head in own) for name, own in TERMS.items()}
    assert heads.pop(term) > 0
    assert set(heads.values()) == {0.0}
    assert gradient(net.backbone) > 0
    assert gradient(net.pyramid) > 0


def test_the_total_is_the_documented_weighted_sum(net, images):
    losses = CrownSupervision(CrownLossConfig()).losses(net, images, [ANNOTATED, ANNOTATED, ANNOTATED])
    parts = {name: value.item() for name, value in losses.parts.items()}
    weights = {"instance_loss": 1.0, "semantic_loss": 1.0, "crown_loss": 0.5, "density_loss": 0.5}
    assert losses.total.item() == pytest.approx(sum(weight * parts[name] for name, weight in weights.items()))
    assert parts.keys() == weights.keys()


def test_an_image_that_lacks_a_part_adds_nothing_to_it(net, images):
    supervision = CrownSupervision(CrownLossConfig())
    parts = supervision.losses(net, images, [NO_CROWNS_KNOWN] * 3).parts
    assert parts["instance_loss"] == parts["crown_loss"] == parts["density_loss"] == 0
    assert parts["semantic_loss"] > 0
    parts = supervision.losses(net, images, [NO_CLASSES_KNOWN] * 3).parts
    assert parts["semantic_loss"] == 0
    assert parts["crown_loss"] > 0


def output_of(semantic, crown, density):
    return CrownOutput(predictions=semantic, crown_logits=crown, density=density)


def test_the_maps_terms_are_those_written_by_hand():
    generator = torch.Generator().manual_seed(0)
    semantic = torch.randn(2, 4, SIDE, SIDE, generator=generator)
    crown = torch.randn(2, SIDE, SIDE, generator=generator)
    density = torch.rand(2, SIDE // 4, SIDE // 4, generator=generator)
    half_void = crown_target((8, 8, 16, 16), semantic=3)
    half_void["semantic"][: SIDE // 2] = VOID
    losses = map_losses(output_of(semantic, crown, density), [half_void, NO_CROWNS_KNOWN])

    log_p = semantic.log_softmax(dim=1)
    by_hand = (-log_p[0, 3, SIDE // 2 :].mean() - log_p[1, 1].mean()) / 2
    assert losses["semantic"].item() == pytest.approx(by_hand.item(), rel=1e-5)
    truth = torch.zeros(SIDE, SIDE)
    truth[8:16, 8:16] = 1
    p = crown[0].sigmoid()
    by_hand = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean() / 2
    assert losses["crown"].item() == pytest.approx(by_hand.item(), rel=1e-5)
    true_density = torch.zeros(SIDE // 4, SIDE // 4)
    true_density[2:4, 2:4] = 1000 / 64
    by_hand = F.smooth_l1_loss(density[0], true_density) / 2
    assert losses["density"].item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_density_of_overlapping_crowns_adds_up_to_their_number():
    density = density_map(crown_target((3, 5, 24, 21), (10, 10, 44, 44), (0, 0, 7, 48)))
    assert density.sum().item() * 16 / 1000 == pytest.approx(3, rel=1e-5)


def test_accumulated_micro_batches_weigh_an_image_as_one_batch_does(net, images):
    targets = [ANNOTATED, NO_CROWNS_KNOWN, NO_CLASSES_KNOWN]
    whole = map_losses(net(images), targets)
    first, second = map_losses(net(images[:2]), targets[:2]), map_losses(net(images[2:]), targets[2:])
    for name, value in whole.items():
        assert value.item() == pytest.approx((2 * first[name].item() + second[name].item()) / 3)


def test_the_judgement_does_not_depend_on_the_weights(net, images):
    def judged(config):
        with torch.no_grad():
            return CrownSupervision(config).evaluate(net.eval(), images, [ANNOTATED, NO_CROWNS_KNOWN, NO_CLASSES_KNOWN])

    plain, other = judged(CrownLossConfig()), judged(CrownLossConfig(semantic_weight=7.0, crown_weight=0.0))
    assert {name: float(value) for name, value in plain.losses.items()} == {
        name: float(value) for name, value in other.losses.items()
    }
    assert plain.scores.num_trees.shape == (3,)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"crown_weight": -1.0}, "crown_weight is -1"),
        ({"density_weight": math.nan}, "density_weight is nan"),
        (dict.fromkeys([f"{name}_weight" for name in TERMS], 0.0), "nothing would be trained"),
    ],
)
def test_weights_that_make_no_loss_are_refused(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        CrownLossConfig(**weights)
