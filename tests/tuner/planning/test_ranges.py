"""Ranges of the user's in a real space: typed by their field, with a scale, refused in a sentence, kept on record."""

from contextlib import closing

import pytest

from search_spaces.ranges import OneOf, Range
from search_spaces.stub_trials import ends_or_inside
from tuner.planning.plan import plan_as_given, plan_from_records
from tuner.planning.preflight import check_configurations
from tuner.records import Recorder, TrialResources, read_search
from tuner.run import recorded_settings
from tuner.settings import SearchSettings


def planned(**ranges):
    return plan_as_given(SearchSettings(space="moe", ranges=ranges))


@pytest.fixture(scope="module")
def plan():
    return planned(
        max_lr=Range(low=1e-3, high=2e-3),
        beta2=Range(low=0.9, high=0.99),
        max_grad_norm=Range(low=1, high=10),
        router_noise=Range(low=0.1, high=1),
        batch_size=Range(low=8, high=64),
        precision=OneOf(values=("auto", "fp32")),
        weight_decay=Range(low=1e-4, high=1e-2, log=False),
    )


def test_a_range_has_the_scale_of_the_space_or_by_its_width_or_as_given(plan):
    scales = {name: one.log for name, one in plan.ranges.items()}
    assert scales == {
        "max_lr": True,
        "beta2": False,
        "max_grad_norm": True,
        "router_noise": False,
        "batch_size": False,
        "precision": False,
        "weight_decay": False,
    }


def test_the_ends_have_the_type_of_the_field(plan):
    assert isinstance(plan.ranges["max_grad_norm"].low, float)
    assert isinstance(plan.ranges["batch_size"].low, int)


def test_trial_0_has_the_default_or_the_nearest_value_inside(plan, caplog):
    first = plan.first_configs[0]
    assert (first.optimizer.max_lr, first.max_grad_norm, first.batch_size) == (2e-3, 1.0, 16)
    with caplog.at_level("INFO"):
        planned(max_lr=Range(low=1e-3, high=2e-3))
    assert "The default, max_lr=0.003, is outside: trial 0 has 0.002." in caplog.text


def test_the_weight_of_the_boundary_which_the_criterion_decides_is_searched_where_a_range_is_given():
    plan = planned(boundary_emphasis=Range(low=0, high=10))
    drawn = [plan.pinned_space(ends_or_inside(seed))["boundary_emphasis"] for seed in range(20)]
    assert min(drawn) == 0
    assert max(drawn) == 10


def test_what_is_on_record_asks_for_the_same(plan, tmp_path):
    settings = SearchSettings(space="moe", storage=tmp_path, name="run")
    resources = TrialResources(concurrent=2, cpus_per_trial=1.0, gpus_per_trial=0.0)
    with closing(Recorder.create(tmp_path / "run", recorded_settings(settings, plan, resources))):
        again = plan_from_records(read_search(tmp_path / "run").settings)
    assert again.ranges == plan.ranges
    for seed in range(20):
        one, other = ends_or_inside(seed), ends_or_inside(seed)
        assert again.pinned_space(one) == plan.pinned_space(other)
        assert repr(one.distributions) == repr(other.distributions)


def test_every_drawn_configuration_is_checked_against_the_limits_of_its_fields():
    given = {"beta2": Range(low=0.5, high=1.5)}
    with pytest.raises(ValueError, match=r"With --set beta2=0.5..1.5 .* beta1 and beta2 are 0.9 and"):
        check_configurations(planned(**given), {}, given)


def test_a_warmup_range_past_the_first_rung_is_refused():
    given = {"warmup_fraction": Range(low=0.0, high=0.4)}
    with pytest.raises(ValueError, match=r"--set warmup_fraction=0.\d+ warms up for .* give at most 0.25"):
        check_configurations(planned(**given), {}, given)


def test_a_network_at_the_end_of_a_range_that_memory_cannot_hold_is_refused():
    given = {"num_experts": OneOf(values=(4, 10**9))}
    with pytest.raises(ValueError, match=r"With --set num_experts=4,1000000000 .* can't allocate memory"):
        check_configurations(planned(**given), {}, given)


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("max_rl", Range(low=1, high=2), r"max_rl is not a parameter; did you mean max_lr\?"),
        (
            "batch_size",
            Range(low=8.5, high=64),
            r"batch_size=8.5..64: batch_size is a whole number; give",
        ),
        ("batch_size", Range(low=1, high=1e300), r"batch_size=1..1e\+300: batch_size is a whole number of at most 92"),
        ("precision", Range(low=1, high=2), r"precision=1..2 is a range, but precision is not a number; give names"),
        ("max_lr", OneOf(values=("fast", 1e-3)), r"max_lr is 'fast'; it must be a finite number"),
        ("max_lr", Range(low=0, high=1), r"max_lr=0..1: max_lr is searched by its logarithm; begin above 0"),
        (
            "long_side_px",
            OneOf(values=(128, 240)),
            r"long_side_px=128,240 can't be searched: the data is",
        ),
        ("weights", OneOf(values=("scratch", "imagenet")), r"weights=scratch,imagenet can't be searched: all trials"),
        ("patience_epochs", Range(low=2, high=5), r"because early_stopping is off: add --set early_stopping=true"),
        ("max_epochs", Range(low=2, high=5), r"--set max_epochs=2..5 would be overruled; give it as --max-epochs"),
    ],
)
def test_a_range_that_does_not_fit_its_field_is_refused(name, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        planned(**{name: given})
