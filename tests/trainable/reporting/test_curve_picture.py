import json

import pytest
from matplotlib.figure import Figure
from PIL import Image

from trainable.reporting.curve_picture import main


@pytest.fixture
def curve(tmp_path):
    path = tmp_path / "curve.jsonl"
    epochs = [
        {
            "epoch": epoch,
            "objective": objective,
            "seconds": 1.5,
            "metrics": {"train/loss": 1 / epoch, "val/loss": 1.1 / epoch, "train/lr": 1e-3, "val/accuracy": objective},
        }
        for epoch, objective in enumerate((0.5, 0.9, 0.8), start=1)
    ]
    path.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    return path


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kw: (figures.append(self), save(self, *args, **kw)))
    return figures


def test_the_picture_holds_the_curves_and_the_best_epoch(curve, tmp_path, drawn):
    assert main([str(curve), str(tmp_path / "training.png")]) == 0
    loss, accuracy, rate, summary = drawn[0].axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[1, 1 / 2, 1 / 3], [1.1, 1.1 / 2, 1.1 / 3]]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [[0.5, 0.9, 0.8]]
    assert len(rate.lines) == 1
    assert "highest 0.9000 at epoch 2" in summary.texts[0].get_text()
    with Image.open(tmp_path / "training.png") as picture:
        assert picture.info["dpi"][0] == pytest.approx(300, abs=1)


def test_of_several_tasks_the_accuracy_is_their_mean(curve, tmp_path, drawn):
    curve.write_text(curve.read_text().replace("val/accuracy", "val/mean_accuracy"))
    assert main([str(curve), str(tmp_path / "training.svg")]) == 0
    accuracy = drawn[0].axes[1]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [[0.5, 0.9, 0.8]]
    assert accuracy.get_title(loc="left") == "accuracy"


def test_a_single_epoch_that_ends_at_a_rate_of_0_is_drawn_too(curve, tmp_path):
    curve.write_text(curve.read_text().splitlines(keepends=True)[0].replace('"train/lr": 0.001', '"train/lr": 0.0'))
    assert main([str(curve), str(tmp_path / "training.png")]) == 0
    assert (tmp_path / "training.png").exists()


def test_a_curve_without_epochs_is_a_sentence(tmp_path, capsys):
    (tmp_path / "curve.jsonl").write_text("")
    assert main([str(tmp_path / "curve.jsonl"), str(tmp_path / "training.png")]) == 2
    assert "holds no epoch" in capsys.readouterr().err


def test_epochs_that_were_not_validated_have_no_objective_and_are_drawn(curve, tmp_path, drawn):
    first, *others = map(json.loads, curve.read_text().splitlines())
    del first["objective"]
    curve.write_text("".join(json.dumps(epoch) + "\n" for epoch in (first, *others)))
    assert main([str(curve), str(tmp_path / "training.png")]) == 0
    assert "3 epochs" in drawn[0].axes[3].texts[0].get_text()
    assert "lowest 0.8000 at epoch 3" in drawn[0].axes[3].texts[0].get_text()
