"""The figures show what is on record."""

from dataclasses import replace

import pytest

from tests.tuner.importance.test_importance import search_of
from tests.tuner.test_session import new_search, play
from tuner.importance.measure import measure_importance
from tuner.policy.outcomes import Outcome
from tuner.records import read_search
from tuner.selection.comparison import Confirmation
from tuner.views.figures.curves import draw_best_so_far, draw_learning_curves
from tuner.views.figures.drawing import epochs_between_ticks, new_figure
from tuner.views.figures.parameters import MAX_TICKS, draw_parameters, ticks_of
from tuner.views.figures.seeds import draw_seeds
from tuner.views.figures.techniques import draw_techniques, usage_by_epoch
from tuner.views.figures.timeline import draw_timeline


@pytest.fixture(scope="module")
def search(finished_folder):
    return read_search(finished_folder)


@pytest.fixture(scope="module")
def parameters(search):
    drawings = draw_parameters(search, search.leader, measure_importance(search))
    return {drawing.name: drawing for drawing in drawings}


def curves_of(figure):
    """Each trial's points, from all traces."""
    found = {}
    for trace in figure.data:
        for name, x, y in zip(trace.customdata, trace.x, trace.y, strict=True):
            if name is not None:
                found.setdefault(name, {})[x] = y
    return found


def trace(figure, name):
    (found,) = [one for one in figure.data if one.name == name]
    return found


def test_a_trial_that_was_promoted_past_a_rung_has_reached_it(tmp_path):
    folder = new_search(tmp_path / "search", scheduler="asha", slots=2, num_trials=12, sampler="random")
    play(folder, slots=2)
    search = read_search(folder)
    second = search.settings.rung_epochs[1]
    there = [trial for trial in search.trials if trial.last_epoch >= second]
    ended = [trial for trial in there if trial.last_epoch == second]
    caption = draw_learning_curves(search, search.leader).caption
    assert f"rung 2 (epoch {second}): {len(ended)} of {len(there)} stopped" in caption


def test_the_curves_are_those_on_record_with_default_and_exported_named(search):
    drawing = draw_learning_curves(search, search.leader)
    recorded = {
        trial.name: {epoch: result.objective for epoch, result in trial.results.items()} for trial in search.trials
    }
    assert curves_of(drawing.figure) == recorded
    assert set(trace(drawing.figure, "exported").customdata) - {None} == {search.leader.name}
    assert set(trace(drawing.figure, "default").customdata) - {None} == {search.default_trial.name}
    first_rung = [one.decision.action for one in search.decisions if one.decision.epoch == 3]
    assert f"rung 1 (epoch 3): {first_rung.count('stop')} of {len(first_rung)} stopped" in drawing.caption.lower()


def test_a_surface_of_a_small_objective_is_as_finely_drawn_as_of_a_large_one(finished_folder):
    def heights(scale):
        search = read_search(finished_folder)
        for trial in search.trials:
            for epoch, result in trial.results.items():
                trial.results[epoch] = replace(result, objective=scale * result.objective)
        drawings = draw_parameters(search, search.leader, measure_importance(search))
        (contour,) = [drawing for drawing in drawings if drawing.name == "contour"]
        return {float(height) / scale for row in contour.figure.data[0].z for height in row if height == height}

    as_recorded, small = heights(1.0), heights(1e-6)
    assert len(small) == len(as_recorded) > 20
    assert sorted(small) == pytest.approx(sorted(as_recorded), abs=1e-3)


def test_a_metric_that_is_no_objective_is_drawn_where_it_was_measured(search):
    drawing = draw_learning_curves(search, search.leader, metric="train/loss")
    assert curves_of(drawing.figure)[search.leader.name] == {
        epoch: result.metrics["train/loss"] for epoch, result in search.leader.results.items()
    }


def test_small_values_are_written_as_powers_of_ten_not_as_micro():
    figure = new_figure(x="learning rate", y="rate")
    assert (figure.layout.xaxis.exponentformat, figure.layout.yaxis.exponentformat) == ("e", "e")


def test_the_best_so_far_never_falls_and_ends_at_the_best(search):
    for drawing in draw_best_so_far(search, search.leader):
        best = trace(drawing.figure, "best so far").y
        assert list(best) == sorted(best)
        assert best[-1] == search.leader.objective_at(12)


def test_for_a_loss_the_best_so_far_never_rises(synthetic_search):
    synthetic = synthetic_search(mode="min")
    synthetic.run()
    search = synthetic.recorder.record
    for drawing in draw_best_so_far(search, search.leader):
        best = trace(drawing.figure, "best so far").y
        assert list(best) == sorted(best, reverse=True)


def test_the_timeline_has_every_epoch_in_one_of_its_bars(search):
    figure = draw_timeline(search, search.leader).figure
    seconds = sum(sum(bar.x) for bar in figure.data if bar.type == "bar")
    assert seconds == pytest.approx(
        sum(result.seconds for trial in search.trials for result in trial.results.values()), rel=1e-3
    )


def test_every_seed_is_a_dot_and_equal_seeds_are_joined(search):
    confirmation = Confirmation(
        trial=search.leader.name, values={1: 0.8, 2: 0.9}, default_values={1: 0.7, 2: 0.6}, higher_is_better=True
    )
    figure = draw_seeds(search, search.leader, [confirmation]).figure
    assert trace(figure, "default").y == (0.7, 0.6, pytest.approx(0.65))
    assert trace(figure, f"trial {search.leader.name}").y == (0.8, 0.9, pytest.approx(0.85))
    assert trace(figure, "seed 2").y == (0.6, 0.9)


def test_importance_has_its_share_and_what_chance_reaches(search, parameters):
    importance = measure_importance(search)
    beyond, within, chance = parameters["importance"].figure.data
    shares = {name: share for bars in (beyond, within) for name, share in zip(bars.y, bars.x, strict=True)}
    assert shares == importance.shares
    assert set(beyond.y) == set(importance.beyond_chance)
    assert dict(zip(chance.y, chance.x, strict=True)) == pytest.approx(
        {name: min(share, 1.5 * max(importance.shares.values())) for name, share in importance.chance.items()}
    )
    assert "of 40 trials" in parameters["importance"].caption


def test_a_slice_has_a_dot_for_each_trial_that_reached_the_rung(search, parameters):
    figure = parameters["slice-1"].figure
    assert parameters["slice-1"].title == "s_measure against max_lr"
    dots = {name: x for one in figure.data for name, x in zip(one.customdata, one.x, strict=True)}
    assert dots == {trial.name: trial.params["max_lr"] for trial in search.measured_at(3)}


def test_the_parallel_axes_have_every_trial_and_words_as_words(search, parameters):
    (lines,) = parameters["parallel"].figure.data
    assert {len(axis["values"]) for axis in lines.dimensions} == {len(search.measured_at(3))}
    averaging = next(axis for axis in lines.dimensions if axis.label == "averaging")
    assert set(averaging.ticktext) == {"ema", "off"}


def test_a_parameter_that_only_trials_without_a_value_had_is_among_the_bars_alone():
    params = [{"max_lr": 0.01 * number} | ({"momentum": 0.1 * number} if number < 5 else {}) for number in range(24)]
    diverged = dict.fromkeys(range(5), Outcome.DIVERGED)
    search = search_of(params, lambda v: None if "momentum" in v else v["max_lr"], outcomes=diverged)
    importance = measure_importance(search)
    bars, *others = draw_parameters(search, search.leader, importance)
    assert importance.shares["momentum"] == 0.0
    assert "momentum" in bars.description
    assert [drawing.title for drawing in others] == ["s_measure against max_lr", "Parallel coordinates"]
    assert others[0].description.startswith("One dot for each of 19 trials.")


@pytest.mark.parametrize(
    "values",
    [
        [8, 16, 16, 32, 8],
        [5.0],
        [1e-4, 1.01e-4, 1e-1],
        [10 ** (-4 + 3 * (number / 40) ** 2) for number in range(41)],
        [number / 20 for number in range(1, 19)],
        list(range(1, 13)),
    ],
)
def test_ticks_are_values_that_were_tried_from_the_least_to_the_greatest_and_not_many(values):
    ticks = ticks_of(values)
    assert set(ticks) <= set(values)
    assert ticks == sorted(set(ticks))
    assert (ticks[0], ticks[-1]) == (min(values), max(values))
    assert len(ticks) <= MAX_TICKS


def test_few_values_are_all_ticks_unless_their_labels_would_lie_upon_each_other():
    assert ticks_of([4, 8, 16, 64]) == [4, 8, 16, 64]
    assert ticks_of([0.2, 0.2001, 0.3, 0.9]) == [0.2, 0.3, 0.9]


@pytest.mark.parametrize(("epochs", "step"), [(4, 1), (12, 1), (13, 2), (24, 2), (100, 10), (20_000, 1000)])
def test_axes_of_epochs_have_at_most_about_twelve_ticks_at_whole_ones(epochs, step):
    assert epochs_between_ticks(epochs) == step


def test_a_slice_has_ticks_where_it_has_dots(search, parameters):
    figure = parameters["slice-1"].figure
    assert set(figure.layout.xaxis.tickvals) <= {trial.params["max_lr"] for trial in search.measured_at(3)}


def test_too_few_trials_have_a_sentence_instead_of_figures(synthetic_search):
    synthetic = synthetic_search(num_trials=5)
    synthetic.run()
    search = synthetic.recorder.record
    (only,) = draw_parameters(search, search.leader, measure_importance(search))
    assert only.figure is None
    assert "needs 20 trials" in only.caption


def test_expert_usage_is_read_in_the_order_of_the_experts(synthetic_search):
    synthetic = synthetic_search(num_trials=1)
    shares = {f"moe/usage_{expert}": share for expert, share in enumerate([0.5, *[0.04] * 10, 0.1])}
    synthetic._metrics = lambda params, epoch, value: dict(sorted(shares.items()))
    synthetic.run()
    (drawing,) = draw_techniques(synthetic.recorder.record.leader)
    assert [one.name for one in drawing.figure.data] == [f"expert {expert}" for expert in range(12)]
    assert [one.y[0] for one in drawing.figure.data] == list(shares.values())


def test_only_what_a_trial_recorded_and_what_changes_is_drawn(synthetic_search):
    synthetic = synthetic_search(num_trials=1)
    synthetic._metrics = lambda params, epoch, value: {"train/lr": 0.1 / epoch, "aug_strength": 0.1}
    synthetic.run()
    winner = synthetic.recorder.record.leader
    assert [drawing.name for drawing in draw_techniques(winner)] == ["learning-rate"]
    assert usage_by_epoch(winner) == {}


def test_a_search_without_a_value_has_sentences(synthetic_search):
    search = synthetic_search().recorder.record
    drawings = [draw_learning_curves(search, None), *draw_best_so_far(search, None), draw_timeline(search, None)]
    assert all(drawing.figure is None and drawing.caption for drawing in drawings)
    assert draw_techniques(None) == []
