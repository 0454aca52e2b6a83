import math
from itertools import pairwise

import matplotlib
import pytest
from matplotlib.image import imread

from tuner.policy.outcomes import Outcome
from tuner.records import read_search
from tuner.results.figure_style import Label, label_right, new_axes
from tuner.results.figures import (
    draw_best_so_far,
    draw_endings,
    draw_expert_usage,
    draw_learning_curves,
    remove_other_pictures,
    save_pictures,
)
from tuner.results.importance import measure_importance
from tuner.results.parameter_figures import draw_importance, draw_parameters

NAMES = ["learning_curves", "best_so_far", "importance", "parameters", "expert_usage", "endings"]


@pytest.fixture
def finished(finished_folder):
    return read_search(finished_folder)


def texts(picture):
    """All that is written in a picture."""
    return " | ".join(text.get_text() for axes in picture.figure.axes for text in [*axes.texts, axes.xaxis.label])


def test_a_search_of_forty_trials_has_every_picture_and_the_style_of_others_is_left_alone(finished, tmp_path):
    before = dict(matplotlib.rcParams)
    saved = save_pictures(finished, finished.leader, tmp_path / "figures")
    assert dict(matplotlib.rcParams) == before
    assert [path.stem for _, path in saved] == NAMES
    for _, path in saved:
        image = imread(path)
        assert image.shape[1] > 800
        assert image[..., :3].std() > 0.02


def test_the_curves_are_those_on_record_with_the_exported_trial_and_the_default_named(finished):
    picture = draw_learning_curves(finished, finished.leader)
    lines = [list(line.get_ydata()) for line in picture.figure.axes[0].lines]
    for trial in (finished.leader, finished.default_trial):
        assert [trial.objective_at(epoch) for epoch in range(1, 13)] in lines
    first_rung = [one.decision.action for one in finished.decisions if one.decision.epoch == 3]
    assert f"rung 1: {first_rung.count('stop')} of {len(first_rung)} stopped" in texts(picture)
    assert f"trial {finished.leader.name}  {finished.leader.objective_at(12):.3f}" in texts(picture)
    assert f"default  {finished.default_trial.objective_at(12):.3f}" in texts(picture)


def test_the_best_so_far_never_falls_and_ends_at_the_leader(finished):
    best = draw_best_so_far(finished, finished.leader).figure.axes[0].lines[0].get_ydata()
    assert (best[1:] >= best[:-1]).all()
    assert best[-1] == finished.leader.objective_at(12)


def test_for_a_loss_the_best_so_far_never_rises(synthetic_search):
    synthetic = synthetic_search(mode="min")
    synthetic.run()
    best = draw_best_so_far(synthetic.recorder.record, None).figure.axes[0].lines[0].get_ydata()
    assert (best[1:] <= best[:-1]).all()


def test_expert_usage_is_read_in_the_order_of_the_experts(synthetic_search):
    synthetic = synthetic_search(num_trials=1)
    shares = {f"moe/usage_{expert}": share for expert, share in enumerate([0.5, *[0.04] * 10, 0.1])}
    synthetic._metrics = lambda params, epoch, value: dict(sorted(shares.items()))
    synthetic.run()
    picture = draw_expert_usage(synthetic.recorder.record.leader)
    assert texts(picture).startswith("expert 0  50% | expert 1  4% | expert 2  4%")
    assert "expert 11  10%" in texts(picture)


def test_a_model_without_experts_has_a_sentence_instead_of_a_picture(synthetic_search):
    synthetic = synthetic_search(num_trials=1)
    synthetic._metrics = lambda params, epoch, value: {"val/s_measure": value, "moe/usage_0": math.nan}
    synthetic.run()
    picture = draw_expert_usage(synthetic.recorder.record.leader)
    assert picture.figure is None
    assert "recorded its expert usage in fewer than two epochs" in picture.caption


def test_a_workload_without_experts_is_not_told_about_them(synthetic_search, tmp_path):
    synthetic = synthetic_search(num_trials=2)
    synthetic._metrics = lambda params, epoch, value: {"val/macro_f1": value}
    synthetic.run()
    saved = save_pictures(synthetic.recorder.record, synthetic.recorder.record.leader, tmp_path)
    assert [picture.title for picture, _ in saved if "xpert" in picture.title + picture.caption] == []


def test_the_bars_count_every_ending(finished):
    widths = sorted(bar.get_width() for bar in draw_endings(finished).figure.axes[0].patches)
    stops = [trial for trial in finished.trials if trial.outcome is Outcome.STOPPED_AT_RUNG]
    assert sum(widths) == 40
    assert len(stops) in {widths[-1] + width for width in widths}


def test_importance_is_named_with_its_number_of_trials_and_its_epoch(finished):
    importance = measure_importance(finished)
    picture = draw_importance(finished, importance)
    assert "of 40 trials" in picture.caption
    assert "epoch 3" in picture.caption
    assert "max_lr" in picture.caption
    assert "max_lr" in texts(draw_parameters(finished, importance, finished.leader))


def test_parameters_that_are_words_are_drawn_by_their_words(finished):
    for trial in finished.trials:
        trial.params = {"averaging": trial.params["averaging"], "switch": trial.params["top_k"] == 1}
    picture = draw_parameters(finished, measure_importance(finished), finished.leader)
    ticks = {tick.get_text() for axes in picture.figure.axes for tick in axes.get_xticklabels()}
    assert ticks >= {"ema", "off", "True", "False"}


def test_a_picture_of_an_earlier_report_does_not_outlive_its_reason_and_others_stay(synthetic_search, tmp_path):
    for name in ("importance", "own"):
        (tmp_path / f"{name}.png").write_bytes(b"old")
    synthetic = synthetic_search(num_trials=1)
    synthetic.run()
    saved = save_pictures(synthetic.recorder.record, synthetic.recorder.record.leader, tmp_path)
    remove_other_pictures(tmp_path, saved)
    assert {path.name for path in tmp_path.glob("*.png")} == {"own.png"} | {path.name for _, path in saved if path}
    assert not (tmp_path / "importance.png").exists()


def test_labels_of_equal_height_do_not_cover_each_other():
    axes = new_axes(height=3.0)
    label_right(axes, [Label(y=0.5, text=name, colour="black") for name in "abc"])
    heights = [text.xy[1] for text in axes.texts]
    assert min(high - low for low, high in pairwise(heights)) * 3.0 * 72 > 9.5
