"""The picture of a plan shows what the training will do, in a file of its own."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from PIL import Image

from trainable.config import from_params
from trainable.configuration.config_options import with_params
from trainable.data.io.image_cache import CACHE_VARIABLE
from trainable.preset import main
from trainable.reporting.schedule_picture import draw_schedule, planned_rates, planned_strengths
from trainable.tasks.registry import get_task


def documented(workload):
    task = get_task(workload)
    return task.presets["document"].over(task.default_config(), has_folder=False)


def test_the_documents_rates_and_strengths_are_planned():
    config = documented("moe")
    (rates,) = planned_rates(config, [0, 2.5, 5, 100]).values()
    assert rates == pytest.approx([1e-6, 5.05e-5, 1e-4, 1e-6])
    strengths = planned_strengths(config)
    assert [strengths[epoch] for epoch in (0, 19, 25, 30, 99)] == pytest.approx([0.3, 0.3, 0.55, 0.8, 0.8])
    assert planned_strengths(replace(config, augmentation=None)) == [0.0] * 100


def test_each_part_has_its_own_rate():
    config = with_params(documented("agroforestry"), {"custom_layers": ["density_head"], "custom_lr": 2e-4})
    rates = planned_rates(from_params({"backbone_lr_ratio": 0.1}, config), [0])
    assert {part: values[0] for part, values in rates.items()} == pytest.approx(
        {"backbone": 1e-5, "heads": 1e-4, "custom": 2e-4}
    )


def test_the_picture_has_a_line_for_each_part_and_the_steps_of_the_unfreezing(tmp_path, monkeypatch):
    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kw: (drawn.append(self), save(self, *args, **kw)))
    draw_schedule(tmp_path / "plan.png", documented("retina"))
    rate, share = drawn[0].axes
    assert {line.get_label() for line in rate.lines} == {"heads", "backbone"}
    steps = {patch.get_label(): list(patch.get_data().values) for patch in share.patches}
    assert steps["share of the backbone that trains"] == [0.0] * 6 + [0.25] * 5 + [0.5] * 5 + [1.0] * 34


def test_a_preset_is_drawn_beside_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    few = [f"--set=scenes.num_{split}=4" for split in ("train", "validation", "test")]
    out, picture = tmp_path / "config.json", tmp_path / "plan.png"
    assert main(["moe", "document", str(out), "--plot", str(picture), *few]) == 0
    assert out.is_file()
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
