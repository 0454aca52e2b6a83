"""A sampler of Optuna's interface: the study it sees, and that it learns under either scheduler."""

import random
import warnings

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from search_spaces.space import Situation
from tests.tuner.policy.playing import DEFAULT, SOURCE, make, space
from tuner.planning.spaces import find_space
from tuner.planning.user_sampler import user_sampler
from tuner.policy.candidates import SpaceSource
from tuner.policy.halving import HalvingConfig
from tuner.policy.outcomes import Outcome
from tuner.policy.samplers.optuna_sampler import NAMED, OptunaSampler
from tuner.policy.simulation import SimulatedSearch

CONFIG = HalvingConfig(rung_epochs=(1, 3), max_epochs=9, reduction_factor=3, mode="max", slots=1, seed=0)


class Listening(optuna.samplers.RandomSampler):
    """Keeps the study that it was given."""

    def sample_relative(self, study, trial, search_space):
        self.study = study
        return super().sample_relative(study, trial, search_space)


@pytest.fixture
def told():
    """A sampler, and what Optuna's is told at its next proposal, by the rate of each trial."""
    made = []

    def listening(seed):
        made.append(Listening(seed=seed))
        return made[-1]

    sampler = OptunaSampler(space, CONFIG, listening)

    def now():
        sampler.report("running", epoch=1, value=0.4)
        next(iter(sampler.draw(random.Random(0))))
        return {trial.params["rate"]: trial for trial in made[-1].study.trials[:-1]}

    for number, name in enumerate(("running", "waiting", "good", "bad", "hopeless", "failed"), start=1):
        sampler.start(name, SOURCE.of(DEFAULT | {"rate": 1e-3 * number}))
    return sampler, now


def test_each_trial_is_told_with_its_values_by_epoch_and_its_ending(told):
    sampler, now = told
    for trial, values in {"waiting": [0.1, 0.2], "good": [0.5, 0.7, 0.6], "bad": [0.9], "failed": [0.9]}.items():
        for epoch, value in enumerate(values, start=1):
            sampler.report(trial, epoch=epoch, value=value)
    sampler.pause("waiting")
    sampler.end("good", Outcome.STOPPED_AT_RUNG)
    sampler.end("bad", Outcome.DIVERGED)
    sampler.end("hopeless", Outcome.OVER_LIMIT)
    sampler.end("failed", Outcome.FAILED)
    trials = list(now().values())
    assert [trial.state for trial in trials] == [
        TrialState.RUNNING,
        *[TrialState.COMPLETE] * 4,
        TrialState.FAIL,
    ]
    assert [trial.value for trial in trials] == [None, 0.2, 0.6, 0.1, 0.1, None]
    assert [trial.intermediate_values for trial in trials[:3]] == [
        {1: 0.4},
        {1: 0.1, 2: 0.2},
        {1: 0.5, 2: 0.7, 3: 0.6},
    ]
    assert [trial.user_attrs.get("outcome") for trial in trials] == [
        None,
        None,
        "stopped_at_rung",
        "diverged",
        "over_limit",
        "failed",
    ]
    assert [trial.number for trial in trials] == list(range(6))


def test_a_waiting_trial_that_goes_on_keeps_a_value_so_that_the_sampler_does_not_forget_the_best(told):
    sampler, now = told
    sampler.report("good", epoch=1, value=0.1)
    assert now()[3e-3].state is TrialState.RUNNING
    sampler.pause("good")
    assert now()[3e-3].value == 0.1
    sampler.report("good", epoch=2, value=0.3)
    assert (now()[3e-3].state, now()[3e-3].value) == (TrialState.COMPLETE, 0.3)
    sampler.end("good", Outcome.COMPLETED)
    assert (now()[3e-3].value, len(now())) == (0.3, 6)


def square(trial):
    return {"x": trial.suggest_float("x", -5.0, 5.0), "y": trial.suggest_float("y", -5.0, 5.0)}


def best_found(pair, *, seed):
    """After sixty trials whose curves rise to a height that has its maximum inside."""
    policy = make(pair, asked=square, first=(), seed=seed, num_trials=60)

    def value(trial):
        height = -((trial.candidate.params["x"] - 1) ** 2) - (trial.candidate.params["y"] + 2) ** 2
        return height - 1.0 / trial.epoch

    search = SimulatedSearch(policy, slots=1, max_epochs=9, value=value, seconds=lambda trial, begins: 1.0)
    search.run()
    return max(value(trial) for trial in search.trials)


@pytest.mark.parametrize("scheduler", ["asha", "asha-stopping"])
def test_the_evolution_strategy_remembers_its_generations_and_beats_random_search(scheduler):
    own, other = ([best_found(f"{scheduler} {name}", seed=seed) for seed in range(4)] for name in ("cmaes", "random"))
    assert sum(own) > sum(other)


@pytest.mark.parametrize(("error", "words"), [(KeyError("rate"), "KeyError: 'rate'"), (SystemExit(3), "SystemExit: 3")])
def test_an_error_in_a_sampler_is_told_with_its_name(error, words):
    class Broken(optuna.samplers.RandomSampler):
        def sample_independent(self, *args):
            raise error

    sampler = OptunaSampler(space, CONFIG, lambda seed: Broken(seed=seed))
    with pytest.raises(ValueError, match=f"The sampler Broken failed: {words}"):
        next(iter(sampler.draw(random.Random(0))))


OWN_SPACE = """
from search_spaces.loop_space import LoopSpace

def train(params, trial):
    pass

def suggest(trial):
    return {"rate": trial.suggest_float("rate", 0.1, 1.0), "width": int(WIDTH)}

SPACE = LoopSpace(name="mine", train=train, objective="loss", suggest=suggest, defaults={}, max_epochs=2)
"""


@pytest.mark.parametrize(
    ("width", "error", "sentence"),
    [
        ("8", RuntimeError("boom"), "^The sampler Own failed: RuntimeError: boom$"),
        ("'eight'", None, r"(?s)^the space mine failed:.*ValueError: invalid literal.* \(own_space_b\.py, line 8\)$"),
    ],
)
def test_an_error_in_a_sampler_and_one_in_the_users_space_are_told_apart(tmp_path, width, error, sentence):
    class Own(optuna.samplers.RandomSampler):
        def sample_independent(self, *args):
            if error is not None:
                raise error
            return super().sample_independent(*args)

    file = tmp_path / ("own_space_b.py" if error is None else "own_space_a.py")
    file.write_text(OWN_SPACE.replace("WIDTH", width))
    own = find_space(f"{file}:SPACE").space.suggest
    sampler = OptunaSampler(lambda trial: own(trial, Situation(num_train_images=1, pretrained=False)), CONFIG, Own)
    with pytest.raises(ValueError, match=sentence):
        next(iter(sampler.draw(random.Random(0))))


@pytest.mark.parametrize("proposed", [-1e9, 1e9])
def test_a_number_outside_of_the_range_which_optuna_lets_through_is_told(proposed):
    class Outside(optuna.samplers.RandomSampler):
        def sample_independent(self, *args):
            return proposed

    sampler = OptunaSampler(lambda trial: {"x": trial.suggest_float("x", 0.0, 1.0)}, CONFIG, lambda seed: Outside(seed))
    with pytest.raises(ValueError, match=r"The sampler Outside proposes x=-?1000000000.0; the space asks for 0..1"):
        next(iter(sampler.draw(random.Random(0))))


class OfMyOwn(optuna.samplers.RandomSampler):
    """Proposes numbers as a user's code computes them, in turn."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = iter(numbers)

    def sample_independent(self, study, trial, name, distribution):
        return next(self.numbers)


def stepped(trial):
    return {
        "rate": trial.suggest_float("rate", 1e-4, 0.1, log=True),
        "share": trial.suggest_float("share", 0.1, 0.3, step=0.1),
        "width": trial.suggest_int("width", 1, 8),
    }


@pytest.mark.parametrize(
    ("numbers", "answers"),
    [
        # Ends that are missed by a rounding: exp(log(0.1)) and 0.1 + 2 * 0.1.
        ((0.10000000000000002, 0.30000000000000004, 8), {"rate": 0.1, "share": 0.3, "width": 8}),
        ((np.float32(0.5**7), np.float64(0.1), np.int64(3)), {"rate": 0.5**7, "share": 0.1, "width": 3}),
    ],
)
def test_numbers_of_a_sampler_are_those_that_the_space_asks_for(numbers, answers):
    sampler = OptunaSampler(stepped, CONFIG, lambda seed: OfMyOwn(numbers))
    candidate = next(iter(sampler.draw(random.Random(0))))
    assert candidate.answers == answers
    assert [type(value) for value in candidate.answers.values()] == [float, float, int]
    assert SpaceSource(stepped).of(candidate.answers).answers == answers
    # The trial is in the study of the next proposal, where Optuna checks it.
    sampler.start("first", candidate)
    sampler.end("first", Outcome.FAILED)
    next(iter(sampler.draw(random.Random(0))))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sequence_that_goes_on_in_the_study_is_that_of_optuna_and_goes_on_after_a_resume():
    def of_optuna(number):
        study = optuna.create_study(sampler=optuna.samplers.QMCSampler(warn_independent_sampling=False))
        for _ in range(number):
            trial = study.ask()
            square(trial)
            study.tell(trial, 0.0)
        return [trial.params for trial in study.trials]

    def told(first):
        sampler = OptunaSampler(
            square, CONFIG, lambda seed: optuna.samplers.QMCSampler(warn_independent_sampling=False)
        )
        found = []
        for number in range(8):
            known = SpaceSource(square).of(first[number]) if number < len(first) else None
            candidate = known or next(iter(sampler.draw(random.Random(0))))
            found.append(candidate.answers)
            sampler.start(str(number), candidate)
            sampler.report(str(number), epoch=9, value=0.0)
            sampler.end(str(number), Outcome.COMPLETED)
        return found

    whole = told([])
    # Without a trial that has ended, the first is drawn at random.
    assert whole[1:] == of_optuna(8)[1:]
    assert told(whole[:5]) == whole


@pytest.mark.filterwarnings("ignore:.constraints_func. has been deprecated")
def test_a_sampler_whose_constraints_would_never_be_evaluated_is_refused(tmp_path, monkeypatch):
    made = "optuna.samplers.TPESampler(constraints_func=lambda trial: (1.0,))"
    (tmp_path / "constrained_sampler.py").write_text(f"import optuna\ndef Own(): return {made}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"constrained_sampler:Own has a constraints_func, which no trial's end calls"):
        user_sampler("constrained_sampler:Own")


@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_what_optuna_says_of_each_proposal_anew_is_not_shown(name):
    def asked(trial):
        return {
            "share": trial.suggest_float("share", 0.0, 1.0, step=0.3),
            "sizes": trial.suggest_categorical("sizes", ((3, 3), (5, 5))),
        }

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        policy = make(f"asha-stopping {name}", asked=asked, first=(), num_trials=6)
        SimulatedSearch(policy, slots=1, max_epochs=9, value=lambda trial: 0.5, seconds=lambda trial, begins: 1.0).run()
    assert [str(one.message) for one in shown] == []


def test_what_a_sampler_noted_with_its_proposal_is_there_when_another_process_hears_of_the_trial():
    source = SpaceSource(square)

    def told_of(asked):
        sampler = OptunaSampler(square, CONFIG, NAMED["cmaes"])
        proposals = []
        for number in range(20):
            candidate = next(iter(sampler.draw(random.Random(0)))) if asked is None else source.of(asked[number])
            proposals.append(candidate.answers)
            sampler.start(str(number), candidate)
            sampler.report(str(number), epoch=9, value=-abs(candidate.params["x"]))
            sampler.end(str(number), Outcome.COMPLETED)
        return proposals, next(iter(sampler.draw(random.Random(0)))).answers

    proposals, following = told_of(None)
    assert told_of(proposals) == (proposals, following)
