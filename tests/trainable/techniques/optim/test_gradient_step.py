import math

import pytest
import torch
from torch import nn

from tests.gpu.test_waits import Crossings
from trainable.techniques.optim.gradient_update import MAX_SKIPPED_UPDATES, DivergedError, GradientStep


class HalfScaler:
    """GradScaler for fp16 on a CPU: the scale halves when a gradient overflows."""

    def __init__(self, scale: float = 2.0**16) -> None:
        self.scale_now = scale
        self.overflowed = False

    def is_enabled(self) -> bool:
        return True

    def unscale_(self, optimizer) -> None:
        parameter = optimizer.param_groups[0]["params"][0]
        parameter.grad /= self.scale_now
        self.overflowed = not parameter.grad.isfinite().all()

    def update(self) -> None:
        self.scale_now *= 0.5 if self.overflowed else 1.0


def sgd(*values: float) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.tensor(values))], lr=1.0)


def weight(optimizer) -> torch.Tensor:
    return optimizer.param_groups[0]["params"][0]


def advance(step, optimizer, gradient, *, scaler=None, loss=1.0, limit=None) -> bool:
    weight(optimizer).grad = torch.tensor(gradient)
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    stepped, terms = step({"loss": torch.tensor(loss)}, scaler=scaler, max_grad_norm=limit, epoch=2, step=7)
    assert terms == {"loss": loss}
    return stepped


def test_a_gradient_is_clipped_to_the_norm_of_all_parameters_together():
    optimizer = sgd(0.0, 0.0)
    assert advance(GradientStep(optimizer), optimizer, [3.0, 4.0], limit=1.0)
    assert weight(optimizer).tolist() == pytest.approx([-0.6, -0.8])


def test_without_a_limit_the_gradient_stays_whole():
    optimizer = sgd(0.0, 0.0)
    advance(GradientStep(optimizer), optimizer, [3.0, 4.0])
    assert weight(optimizer).tolist() == [-3.0, -4.0]


def test_clipping_sees_the_gradient_without_its_loss_scale():
    optimizer = sgd(0.0, 0.0)
    advance(GradientStep(optimizer), optimizer, [3.0 * 1024, 4.0 * 1024], scaler=HalfScaler(1024.0), limit=5.0)
    assert weight(optimizer).tolist() == pytest.approx([-3.0, -4.0], rel=1e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training_with_the_weights_as_they_were(value):
    optimizer = sgd(1.0)
    with pytest.raises(DivergedError, match=r"loss became .* in epoch 3, optimizer step 7"):
        advance(GradientStep(optimizer), optimizer, [0.5], loss=value)
    assert weight(optimizer).item() == 1.0


def test_an_infinite_gradient_without_loss_scaling_is_divergence():
    optimizer = sgd(1.0)
    with pytest.raises(DivergedError, match="gradient became inf"):
        advance(GradientStep(optimizer), optimizer, [math.inf])


def test_an_fp16_overflow_skips_the_update_lowers_the_scale_and_continues():
    optimizer, scaler = sgd(1.0), HalfScaler(1024.0)
    step = GradientStep(optimizer)
    assert not advance(step, optimizer, [math.inf], scaler=scaler)
    assert (weight(optimizer).item(), scaler.scale_now, weight(optimizer).grad) == (1.0, 512.0, None)
    assert advance(step, optimizer, [512.0], scaler=scaler)
    assert weight(optimizer).item() == 0.0


def test_overflowing_without_end_is_divergence():
    optimizer, scaler = sgd(1.0), HalfScaler()
    step = GradientStep(optimizer)
    for _ in range(MAX_SKIPPED_UPDATES):
        assert not advance(step, optimizer, [math.nan], scaler=scaler)
    with pytest.raises(DivergedError, match="gradient became nan"):
        advance(step, optimizer, [math.nan], scaler=scaler)


@pytest.mark.parametrize("is_scaled", [False, True])
def test_an_optimizer_that_is_not_fused_waits_for_its_device_once_an_update(is_scaled):
    """Torch's meta device stands for a GPU: it counts what is read from it, and answers with ones."""
    weight = nn.Parameter(torch.ones(3, device="meta"))
    scaler, loss = torch.amp.GradScaler("meta", enabled=is_scaled), torch.ones((), device="meta")
    weight.grad = torch.ones_like(weight)
    with Crossings() as crossings:
        scaler.scale(loss)
        GradientStep(torch.optim.SGD([weight], lr=1.0))(
            {"loss": loss}, scaler=scaler, max_grad_norm=None, epoch=0, step=0
        )
    assert len(crossings.reads) == 1


def test_a_real_loss_scale_is_halved_by_an_overflow_and_the_next_update_is_taken():
    optimizer, scaler = sgd(1.0), torch.amp.GradScaler("cpu", init_scale=1024.0)
    step = GradientStep(optimizer)
    for gradient, expected, scale in ((math.inf, 1.0, 512.0), (512.0, 0.0, 512.0)):
        scaler.scale(torch.ones(()))
        advance(step, optimizer, [gradient], scaler=scaler)
        assert (weight(optimizer).item(), scaler.get_scale()) == (expected, scale)


@pytest.mark.parametrize(("epoch", "step", "is_first"), [(0, 0, True), (0, 1, False), (2, 0, False)])
def test_what_is_not_finite_before_the_first_update_is_no_matter_of_the_rate(epoch, step, is_first):
    text = str(DivergedError(term="loss", value=float("nan"), epoch=epoch, step=step))
    assert text.endswith("no update was made before: the network, its weights or the data give it") == is_first
