import pytest
import torch
from torch import nn

from trainable import EMA
from trainable.techniques.optim.averaging import AveragingConfig, WeightAverage, carrying


class Scalar(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("mean", torch.tensor([value]))
        self.register_buffer("count", torch.tensor(0))


class Counting(Scalar):
    """A module whose extra state is a dict that it keeps writing to."""

    def __init__(self, value: float) -> None:
        super().__init__(value)
        self.seen = {"images": 0, "first": torch.zeros(2)}

    def get_extra_state(self) -> dict:
        return self.seen

    def set_extra_state(self, state: dict) -> None:
        self.seen = dict(state)


def set_to(model: Scalar, value: float, count: int) -> None:
    with torch.no_grad():
        model.weight.fill_(value)
        model.mean.fill_(value)
        model.count.fill_(count)


def test_the_average_follows_the_hand_worked_sequence():
    model = Scalar(1.0)
    average = WeightAverage(model, decay=0.9)
    set_to(model, 2.0, 7)
    average.update()
    first = 0.1 * 1.0 + 0.9 * 2.0
    average.update()
    decay = 2 / 11
    with average.applied():
        assert model.weight.item() == pytest.approx(decay * first + (1 - decay) * 2.0)


def test_early_averages_are_not_the_initial_weights():
    model = Scalar(0.0)
    average = WeightAverage(model, decay=0.9999)
    set_to(model, 1.0, 0)
    for _ in range(20):
        average.update()
    with average.applied():
        assert model.weight.item() > 0.9
    average.num_updates = 10**6
    set_to(model, 1001.0, 0)
    average.update()
    with average.applied():
        assert model.weight.item() == pytest.approx(1.1, abs=0.05)


def test_float_buffers_are_averaged_and_counters_copied():
    model = Scalar(0.0)
    average = WeightAverage(model, decay=0.5)
    set_to(model, 1.0, 3)
    average.update()
    with average.applied():
        assert model.mean.item() == pytest.approx(0.9)
        assert model.count.item() == 3


def test_the_models_own_weights_come_back_even_after_an_error():
    model = Scalar(0.0)
    average = WeightAverage(model, decay=0.5)
    set_to(model, 1.0, 1)
    seen = []

    def evaluate():
        with average.applied():
            seen.append(model.weight.item())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        evaluate()
    assert seen == [0.0]
    assert model.weight.item() == 1.0


def test_the_documented_calls_do_what_the_context_does_and_refuse_to_lose_weights():
    model = Scalar(0.0)
    average = EMA(model, 0.5)
    set_to(model, 1.0, 1)
    average.apply_shadow()
    assert model.weight.item() == 0.0
    for lost in (average.apply_shadow, average.update):
        with pytest.raises(ValueError, match="call restore"):
            lost()
    average.restore()
    assert model.weight.item() == 1.0
    with pytest.raises(ValueError, match="call apply_shadow"):
        average.restore()


def test_state_continues_where_it_was_saved():
    model = Scalar(0.0)
    average = WeightAverage(model, decay=0.9)
    set_to(model, 1.0, 0)
    average.update()
    other = WeightAverage(Scalar(5.0), decay=0.9)
    other.load_state_dict(average.state_dict())
    assert other.num_updates == 1
    with other.applied():
        assert other._model.weight.item() == pytest.approx(0.9)


def test_half_life_is_in_epochs():
    decay = AveragingConfig(half_life_epochs=0.5).decay(updates_per_epoch=20)
    assert decay**10 == pytest.approx(0.5)


@pytest.mark.parametrize("half_life", [0.0, -1.0])
def test_a_half_life_must_be_positive(half_life):
    with pytest.raises(ValueError, match="half_life_epochs"):
        AveragingConfig(half_life_epochs=half_life)


def test_a_decay_per_update_takes_the_place_of_the_half_life():
    assert AveragingConfig(ema_decay=0.9999).decay(updates_per_epoch=7) == 0.9999


@pytest.mark.parametrize("ema_decay", [0.0, 1.0, -0.1])
def test_a_decay_lies_between_zero_and_one(ema_decay):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        AveragingConfig(ema_decay=ema_decay)


def test_extra_state_of_a_module_is_that_of_the_last_update_while_the_average_is_applied_and_its_own_afterwards():
    model = Counting(0.0)
    average = WeightAverage(model, decay=0.5)
    set_to(model, 1.0, 3)
    model.seen["images"] = 5
    average.update()
    model.seen["images"] = 6
    with average.applied():
        assert (model.seen["images"], model.weight.item()) == (5, pytest.approx(0.9))
    assert (model.seen["images"], model.weight.item()) == (6, 1.0)


def test_an_average_with_extra_state_continues_from_a_file(tmp_path):
    model = Counting(0.0)
    average = WeightAverage(model, decay=0.5)
    model.seen["images"] = 5
    average.update()
    torch.save(average.state_dict(), tmp_path / "average.pt")
    other = Counting(0.0)
    restored = WeightAverage(other, decay=0.5)
    restored.load_state_dict(torch.load(tmp_path / "average.pt", weights_only=True))
    with restored.applied():
        assert other.seen["images"] == 5
    assert other.seen["images"] == 0


def test_extra_state_of_given_weights_is_carried_and_then_put_back():
    model, other = Counting(1.0), Counting(2.0)
    other.seen["images"] = 9
    with carrying(model, other.state_dict()):
        assert (model.weight.item(), model.seen["images"]) == (2.0, 9)
    assert (model.weight.item(), model.seen["images"]) == (1.0, 0)


def test_rows_of_a_parameter_that_two_modules_share_begin_anew_under_both_names():
    layer = nn.Linear(1, 2, bias=False)
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 1), layer)
    average = WeightAverage(model, decay=0.9)
    own = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1
    average.restart_rows([(layer.weight, 1)])
    with average.applied():
        torch.testing.assert_close(layer.weight - own, torch.tensor([[0.0], [1.0]]))
