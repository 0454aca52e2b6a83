import pytest
import torch

from trainable.metrics.confusion import Confusion, dice, e_measure, f_measure, iou


def test_one_pixel_in_each_cell_gives_the_hand_worked_values() -> None:
    confusion = _confusion(1, 1, 1, 1)
    # Half of both maps is object: agreeing pixels align to 1, disagreeing ones to -1, divided by 3 pixels.
    assert e_measure(confusion).item() == pytest.approx(2 / 3)
    # Precision and recall are 1/2: 1.3 * 0.25 / (0.15 + 0.5).
    assert f_measure(confusion).item() == pytest.approx(0.5)
    assert iou(confusion).item() == pytest.approx(1 / 3)
    assert dice(confusion).item() == pytest.approx(0.5)


def test_f_measure_prefers_precision_over_recall() -> None:
    precise, complete = _confusion(5, 0, 5, 10), _confusion(10, 10, 0, 0)
    assert f_measure(precise).item() == pytest.approx(1.3 * 0.5 / (0.3 + 0.5))
    assert f_measure(complete).item() == pytest.approx(1.3 * 0.5 / (0.15 + 1))


@pytest.mark.parametrize(
    ("cells", "e", "f", "overlap"),
    [
        ((0, 0, 0, 16), 16 / 15, 0.0, 1.0),
        ((0, 4, 0, 12), 12 / 15, 0.0, 0.0),
        ((16, 0, 0, 0), 16 / 15, 1.0, 1.0),
        ((4, 0, 12, 0), 4 / 15, 1.3 * 0.25 / (0.3 + 0.25), 0.25),
        ((0, 0, 4, 12), 0.25 * 16 / 15, 0.0, 0.0),
    ],
    ids=["both empty", "empty mask", "both full", "full mask", "empty decision"],
)
def test_empty_and_full_maps_have_their_own_rules(cells, e, f, overlap) -> None:
    confusion = _confusion(*cells)
    values = [measure(confusion).item() for measure in (e_measure, f_measure, iou)]
    assert values == pytest.approx([e, f, overlap])
    assert dice(confusion).item() == pytest.approx(2 * overlap / (1 + overlap))


def _confusion(*cells: float) -> Confusion:
    names = ("true_positive", "false_positive", "false_negative", "true_negative")
    return Confusion(**{name: torch.tensor([float(cell)]).double() for name, cell in zip(names, cells, strict=True)})
