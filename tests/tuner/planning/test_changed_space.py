"""A search continued in a changed space: misfits are errors, other changes are reported."""

from contextlib import closing
from dataclasses import replace

import pytest

from search_spaces import registry
from search_spaces.stub_trials import passing_on
from tuner.planning.changed_space import check_space
from tuner.planning.plan import plan_as_given
from tuner.records import Recorder, TrialResources, trial_name
from tuner.run import recorded_settings
from tuner.settings import SearchSettings

SPACE = registry.SPACES["moe"]
BEGAN = r"^The space moe has changed since this search began: "
WAY_OUT = r"\. Restore the space \(of version .+\), or begin a new search with --warm-start .*/run\.$"


@pytest.fixture(scope="module")
def plan():
    return plan_as_given(SearchSettings(space="moe"))


@pytest.fixture
def search(plan, tmp_path):
    """A search of whose trials the default has begun, and its folder."""
    settings = SearchSettings(space="moe", storage=tmp_path, name="run")
    recorded = recorded_settings(settings, plan, TrialResources(concurrent=1, cpus_per_trial=1.0, gpus_per_trial=0.0))
    with closing(Recorder.create(tmp_path / "run", recorded)) as recorder:
        answers = plan.first_answers[0]
        recorder.start(trial_name(0, answers), params=answers, answers=answers)
        yield tmp_path / "run", recorder.record


def change(monkeypatch, **changes) -> None:
    monkeypatch.setitem(registry.SPACES, "moe", replace(SPACE, **changes))


def asking(also=None, **ranges):
    """The space with other ranges of some numbers, and perhaps one question more."""

    class Changed:
        def __init__(self, trial):
            self._trial = trial

        def suggest_float(self, name, low, high, **how):
            return self._trial.suggest_float(name, *ranges.get(name, (low, high)), **how)

        def __getattr__(self, name):
            return getattr(self._trial, name)

    def suggest(trial, situation):
        params = SPACE.suggest(Changed(trial), situation)
        return params | ({} if also is None else {also: trial.suggest_float(also, 0.0, 1.0)})

    return suggest


def without(name):
    def suggest(trial, situation):
        asked = passing_on(trial)
        asked.params[name] = SPACE.defaults(situation)[name]
        return SPACE.suggest(asked, situation)

    return suggest


def test_an_unchanged_space_is_not_mentioned(search, caplog):
    check_space(*search)
    assert not caplog.text


def test_a_wider_range_and_another_default_are_reported_and_the_search_continues(search, plan, monkeypatch, caplog):
    default = SPACE.defaults(plan.situation)
    wider = asking(max_lr=(1e-7, 1.0))
    change(monkeypatch, suggest=wider, defaults=lambda situation: default | {"max_lr": 0.5})
    check_space(*search)
    (said,) = caplog.messages
    assert said.startswith("The space moe has changed since this search began: max_lr was ")
    assert ", is 1e-07..1 (logarithmic); the default of max_lr was " in said
    assert said.endswith(", is 0.5. What is on record still fits and is kept.")


def test_questions_in_another_order_are_reported_because_other_trials_are_drawn(search, plan, monkeypatch, caplog):
    low, high, step, log = plan.pinned_space.asked["weight_decay"]

    def suggest(trial, situation):
        trial.suggest_float("weight_decay", low, high, step=step, log=log)
        return SPACE.suggest(trial, situation)

    change(monkeypatch, suggest=suggest)
    check_space(*search)
    (said,) = caplog.messages
    assert said.startswith("The space moe asks in another order than when this search began, ")


@pytest.mark.parametrize(
    ("suggest", "sentence"),
    [
        (
            asking(max_lr=(0.9, 1.0)),
            r"trial 000-\w+ does not fit: max_lr is .*, but must be from 0\.9 to 1; max_lr was ",
        ),
        (asking(also="rho"), r"trial 000-\w+ does not fit: the space asks for 'rho', .*; rho is searched now, 0\.\.1"),
        (without("max_lr"), "the space moe has a default or a recommended value of max_lr, for which it never asks; "),
    ],
    ids=["narrower range", "added", "removed with its default left"],
)
def test_what_no_longer_fits_is_reported_with_what_has_changed_and_both_ways_out(
    search, monkeypatch, suggest, sentence
):
    change(monkeypatch, suggest=suggest)
    with pytest.raises(ValueError, match=f"{BEGAN}{sentence}.*{WAY_OUT}"):
        check_space(*search)


def test_a_parameter_that_is_gone_is_reported(search, plan, monkeypatch):
    default = SPACE.defaults(plan.situation)
    kept = {name: value for name, value in default.items() if name != "max_lr"}
    recommended = [{name: one[name] for name in one.keys() & kept} for one in SPACE.recommended(plan.situation)]
    gone = {"suggest": without("max_lr"), "defaults": lambda _: kept, "recommended": lambda _: recommended}
    change(monkeypatch, **gone)
    sentence = r"trial 000-\w+ does not fit: .*'max_lr', but for .*; max_lr is not searched any more"
    with pytest.raises(ValueError, match=f"{BEGAN}{sentence}{WAY_OUT}"):
        check_space(*search)


def test_of_a_search_of_an_older_version_the_recorded_trials_are_checked(search, monkeypatch):
    folder, record = search
    record.settings = replace(record.settings, space_ranges=None)
    check_space(folder, record)
    change(monkeypatch, suggest=asking(max_lr=(0.9, 1.0)))
    with pytest.raises(ValueError, match=rf"{BEGAN}trial 000-\w+ does not fit: max_lr .* from 0\.9 to 1{WAY_OUT}"):
        check_space(folder, record)


def test_a_fixed_value_of_a_parameter_that_is_gone_is_reported(search, monkeypatch):
    folder, record = search
    record.settings = replace(record.settings, pins={"gone": 1})
    with pytest.raises(ValueError, match=f"{BEGAN}the space moe has no parameter 'gone'.*{WAY_OUT}"):
        check_space(folder, record)
