"""Replays of searches on generated curves, and the command around them."""

import json
import random
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.replay.__main__ import RUNS, first_rung, main, read_runs
from benchmarks.replay.loop import Ending, ReplayedSearch
from benchmarks.replay.past import PastSearch, past_search
from benchmarks.replay.peers import RayPolicy
from benchmarks.replay.policies import POLICIES, Setting
from benchmarks.replay.problems import Curve, Problem, TableProblem
from benchmarks.replay.report import behind, better_variants, bootstrap_means, setting, table
from benchmarks.replay.run import POINTS, Job, problems_of, run_job
from benchmarks.replay.run import _run as regret_of
from benchmarks.replay.synthetic import SyntheticProblem
from tests.tuner.conftest import recorded_settings
from tuner.policy.outcomes import Outcome
from tuner.policy.policy import NoWork, Start
from tuner.records import Recorder, trial_name

FULL = POINTS - 1


def job(policy, *, seed=0, slots=4):
    return Job(
        suite="synthetic", problem="synthetic 1", policy=policy, grace_epochs=first_rung(27), slots=slots, seed=seed
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_search(policy):
    first, second = run_job(job(policy)), run_job(job(policy))
    assert first | {"seconds": 0} == second | {"seconds": 0}
    assert all(len(regret) == POINTS for regret in first["regret"].values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ours_finds_better_configurations_than_random_search():
    ours, random_search = (
        np.mean([min(run[-1] for run in run_job(job(policy, seed=seed))["regret"].values()) for seed in range(2)])
        for policy in ("ours", "random")
    )
    assert ours < random_search


class Line(Problem):
    """A trial `x` always has the value x; the larger, the slower."""

    name, mode, max_epochs = "line", "max", 4

    def space(self, trial):
        return {"x": trial.suggest_float("x", 0.0, 1.0)}

    def curve(self, params):
        return Curve(np.full(4, params["x"]), np.arange(1, 5) * (1 + params["x"]))

    def reference(self):
        return np.array([0.0, 0.5, 1.0])


class Script:
    """A searcher that proposes what it was given, and a scheduler that stops a trial; both note what they hear."""

    def __init__(self, *values, stop=None):
        self.values, self.stop, self.heard = list(values), stop, []

    def suggest(self, trial_id):
        return {"x": self.values.pop(0)} if self.values else "FINISHED"

    def on_trial_result(self, *args):
        """Records a result; a scheduler gets a controller first, a searcher does not."""
        name, (trial, result) = ("scheduler", (args[1].trial_id, args[2])) if len(args) == 3 else ("searcher", args)
        self.heard.append((name, trial, result["training_iteration"]))
        return "STOP" if (trial, result["training_iteration"]) == self.stop else "CONTINUE"

    def on_trial_complete(self, *args, error=False):
        is_searcher = isinstance(args[0], str)
        trial = args[0] if is_searcher else args[1].trial_id
        self.heard.append((f"{'searcher' if is_searcher else 'scheduler'} {'error' if error else 'end'}", trial))

    def on_trial_error(self, controller, trial):
        self.heard.append(("scheduler error", trial.trial_id))

    def on_trial_add(self, controller, trial):
        self.heard.append(("add", trial.trial_id))


def search_by(script, *, slots=1, problem=None):
    problem = problem or Line()
    policy = RayPolicy(script, script, slots=slots, max_epochs=problem.max_epochs)
    return ReplayedSearch(problem, policy, slots=slots)


def heard_by(script, *, slots=1, problem=None):
    search = search_by(script, slots=slots, problem=problem)
    search.run()
    return script.heard, search


def test_peers_of_ray_hear_what_ray_would_tell_them():
    """A result goes to the scheduler first; the last of a trial comes with its end, which the scheduler hears first."""
    heard, search = heard_by(Script(0.5))
    results = [(name, "00000", epoch) for epoch in (1, 2, 3) for name in ("scheduler", "searcher")]
    assert heard == [("add", "00000"), *results, ("scheduler end", "00000"), ("searcher end", "00000")]
    assert search.num_epochs == 4


def test_a_peer_that_stops_a_trial_hears_no_more_of_it():
    heard, search = heard_by(Script(0.5, 0.6, stop=("00000", 2)))
    first = [one for one in heard if one[1] == "00000"]
    assert first[-3:] == [("scheduler", "00000", 2), ("scheduler end", "00000"), ("searcher end", "00000")]
    assert [trial.epoch for trial in search.trials] == [2, 4]


class Diverging(Line):
    def curve(self, params):
        return Curve(np.array([0.5, np.nan, np.nan, np.nan]), np.arange(1.0, 5.0))


def test_a_trial_that_diverges_has_failed_for_peers_of_ray():
    heard, search = heard_by(Script(0.5), problem=Diverging())
    assert heard[-2:] == [("scheduler error", "00000"), ("searcher error", "00000")]
    assert search.num_epochs == 2


def test_a_peer_s_proposal_stays_until_it_begins():
    policy = RayPolicy(script := Script(0.5, 0.6), script, slots=2, max_epochs=4)
    policy.start("00000", policy.next_work().candidate)
    proposed = policy.next_work()
    policy.end("00000", Outcome.STOPPED_AT_RUNG)
    assert policy.next_work() is proposed
    assert isinstance(proposed, Start)
    policy.start("00001", proposed.candidate)
    assert policy.next_work() is NoWork.FINISHED


def test_epochs_take_the_times_of_the_curves():
    """The first trial's epochs end at 1, 2, 3 and 4, the second's at 2, 4, 6 and 8."""
    _, search = heard_by(Script(0.0, 1.0), slots=2)
    assert search.now == 8.0


def test_the_winner_has_the_best_value_or_is_among_those_that_came_furthest_and_gets_its_full_length():
    search = heard_by(Script(0.3, 0.9, stop=("00001", 1)))[1]
    assert search.end_with_best_value() == Ending(search.trials[1], missing_epochs=3)
    assert search.end_with_best_at_top() == Ending(search.trials[0], missing_epochs=0)


def test_regret_is_measured_between_the_best_and_the_median():
    assert [Line().regret({"x": x}) for x in (1.0, 0.75, 0.5, 0.0)] == [0.0, 0.5, 1.0, 2.0]


def test_a_table_answers_with_the_nearest_row():
    rows, values = np.array([[0.01, 1.0], [1.0, 10.0]]), np.array([[3.0, 2.0], [1.0, np.nan]])
    problem = TableProblem("t", ["rate", "width"], rows, values, mode="min")
    assert problem.curve({"rate": 0.05, "width": 2.0}).values.tolist() == [3.0, 2.0]
    assert problem.regret({"rate": 1.0, "width": 10.0}) == 2.0
    assert [one.params for one in problem.source.pool(0).draw(0, None, near=[])] == [
        {"rate": 0.01, "width": 1.0},
        {"rate": 1.0, "width": 10.0},
    ]


def test_a_column_of_one_value_has_no_part_in_the_distance_between_rows():
    rows = np.array([[0.01, 5.0], [0.1, 5.0], [1.0, 5.0]])
    problem = TableProblem("t", ["rate", "width"], rows, np.ones((3, 2)), mode="min")
    assert [problem.nearest({"rate": rate, "width": 5.0}) for rate in (0.02, 0.2, 0.9)] == [0, 1, 2]


def test_where_most_rows_of_a_table_diverge_the_others_still_differ():
    values = np.array([[0.1], [0.4], [np.nan], [np.nan], [np.inf]])
    problem = TableProblem("t", ["rate"], 10.0 ** np.arange(5)[:, None], values, mode="min")
    assert problem.scale == (0.1, 0.4)
    assert [problem.regret(problem.row(number)) for number in range(5)] == [0.0, 1.0, 2.0, 2.0, 2.0]


def test_on_a_table_ours_chooses_among_the_rows_unless_it_is_to_draw_as_all_others_do():
    rows = np.random.default_rng(0).uniform(0.1, 1.0, size=(30, 2))
    problem = TableProblem("t", ["rate", "width"], rows, np.ones((30, 3)), mode="min")
    setting, held = Setting(problem=problem, slots=1, seed=0, grace_epochs=1), {tuple(row) for row in rows.tolist()}
    for policy, is_row in (("ours", True), ("asha-stopping", False)):
        proposed = POLICIES[policy](setting).next_work().candidate
        assert (tuple(proposed.params.values()) in held) is is_row


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("policy", ["ours-told", "stock-told"])
def test_who_is_reported_its_row_gets_each_row_once_and_the_nearest_that_is_left(policy):
    rows = np.random.default_rng(0).uniform(0.1, 1.0, size=(12, 2))
    problem = TableProblem("t", ["rate", "width"], rows, rows[:, :1] + np.zeros((12, 3)), mode="min")
    setting = Setting(problem=problem, slots=1, seed=0, grace_epochs=1)
    search = ReplayedSearch(problem, POLICIES[policy](setting), slots=1)
    while len(search.trials) < 12:
        search.run(search.num_epochs + 1)
    assert sorted(tuple(trial.candidate.params.values()) for trial in search.trials) == sorted(
        map(tuple, rows.tolist())
    )
    assert problem.nearest(problem.row(3)) == 3
    assert problem.nearest(problem.row(3), but={3}) != 3


def test_the_finalists_are_trained_to_full_length_and_the_best_value_there_wins():
    """A poor value there does not win, whatever was predicted."""
    search = heard_by(Script(0.3, 0.9, stop=("00001", 1)))[1]
    last = [search.trials[1].name]
    assert search.end_with_finalists(()) == Ending(search.trials[0], missing_epochs=0)
    assert search.end_with_finalists(last) == Ending(search.trials[1], missing_epochs=3)
    search = heard_by(Script(0.9, 0.3, stop=("00001", 1)))[1]
    assert search.end_with_finalists(last) == Ending(search.trials[0], missing_epochs=3)


def test_generated_curves_cross_and_diverge():
    problem = SyntheticProblem(0)
    source, draw = problem.source, random.Random(0)
    curves = np.array([problem.curve(source.any(draw).params).values for _ in range(200)])
    diverged = np.isnan(curves[:, -1])
    assert 0.02 < diverged.mean() < 0.3
    early, late = curves[~diverged, 0], curves[~diverged, -1]
    assert np.corrcoef(early, late)[0, 1] < 0.9


def test_a_past_search_can_be_replayed(finished_folder):
    (problem,) = past_search(finished_folder)
    assert isinstance(problem, PastSearch)
    best, median = problem.scale
    assert best > median
    setting = Setting(problem=problem, slots=2, seed=0, grace_epochs=3)
    search = ReplayedSearch(problem, POLICIES["ours"](setting), slots=2)
    search.run(100)
    assert search.num_epochs == 100


def past_of(folder, *curves, bad=()):
    recorder = Recorder.create(folder / "past", recorded_settings(name="past", max_epochs=3))
    for number, curve in enumerate(curves):
        params = {"lr": 0.1 * number}
        trial = trial_name(number, params)
        recorder.start(trial, params=params, answers=params)
        for epoch, value in enumerate(curve, start=1):
            recorder.result(trial, epoch=epoch, objective=value, metrics={}, seconds=2.0)
        outcome = Outcome.DIVERGED if number in bad else Outcome.COMPLETED
        recorder.end(trial, outcome, numbers={}, epoch=len(curve))
    recorder.close()
    return past_search(folder / "past")[0]


def test_where_most_of_a_past_search_are_as_good_as_its_best_only_the_others_regret(tmp_path):
    problem = past_of(tmp_path, (0.1, 0.2, 0.5), (0.5, 0.5, 0.5), (0.5,), (0.4, 0.4, 0.4))
    assert [problem.regret({"lr": 0.1 * number}) for number in range(4)] == [0.0, 0.0, 0.0, 2.0]


def test_what_diverged_in_a_past_search_has_no_value_from_then_on_and_is_never_the_best(tmp_path):
    problem = past_of(tmp_path, (0.6, 0.7, 0.8), (0.6,), (0.9, 0.95), (), bad=(2, 3))
    assert problem.scale == (0.8, 0.7)
    assert [problem.regret({"lr": 0.1 * number}) for number in range(4)] == pytest.approx([0.0, 2.0, 2.0, 2.0])
    np.testing.assert_array_equal(problem.curve({"lr": 0.2}).values, [0.9, 0.95, np.nan])
    np.testing.assert_array_equal(problem.curve({"lr": 0.3}).values, [np.nan] * 3)
    assert problem.curve({"lr": 0.3}).times.tolist() == [2.0, 4.0, 6.0]


def test_the_command_writes_a_table_and_a_picture_and_continues_where_it_stood(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.replay.__main__._results", lambda jobs, processes: map(run_job, jobs))
    options = ["--policies", "ours", "random+asha", "--tasks", "synthetic 1", "--seeds", "1", "--out", str(tmp_path)]
    assert main(options) == 0
    table_text = (tmp_path / "table.md").read_text()
    assert table_text.startswith("Curves: synthetic; 4 simulated workers, without noise.\n")
    assert "| ours |" in table_text
    assert (tmp_path / "regret.png").stat().st_size > 10_000
    lines = (tmp_path / RUNS).read_text().splitlines()
    (tmp_path / RUNS).write_text(lines[0] + "\n" + lines[1][:50])
    assert main(options) == 0
    again = [json.loads(line) for line in (tmp_path / RUNS).read_text().splitlines()]
    assert again[0] == json.loads(lines[0])
    assert again[1]["regret"] == json.loads(lines[1])["regret"]


def test_a_search_that_was_recorded_by_older_rules_is_not_compared(tmp_path):
    asked, records = job("random"), tmp_path / RUNS
    older = {name: value for name, value in asdict(asked).items() if name != "rules"}
    records.write_text(json.dumps(older) + "\n" + json.dumps(asdict(asked) | {"regret": {}}) + "\n")
    assert read_runs(records, [asked]) == [asdict(asked) | {"regret": {}}]
    records.write_text(json.dumps(older) + "\n")
    assert read_runs(records, [asked]) == []


def test_the_setting_of_a_comparison_names_the_curves_without_their_folder():
    noisy = {"suite": "surrogate:/data/lcbench", "slots": 16, "noise": 0.3}
    assert setting(noisy) == "Curves: surrogate lcbench; 16 simulated workers, noise of 0.3 of the spread."


def test_noise_is_a_share_of_the_spread_and_alike_for_every_policy():
    """200 searches of one trial each, three values, whose value without noise is .5."""
    heard = [measured(0.5, noise=0.4, seed=seed) for seed in range(200)]
    assert heard[3] == measured(0.5, noise=0.4, seed=3)
    assert measured(0.5, noise=0.0, seed=3) == [0.5] * 3
    # The middle half of uniform values is half of their range; of normal ones, 1.349 deviations.
    assert np.std(heard) == pytest.approx(0.4 * 0.5 / 1.349, rel=0.12)
    assert np.mean(heard) == pytest.approx(0.5, abs=0.02)


def test_the_regret_is_that_without_noise():
    quiet, noisy = (run_job(replace(job("random"), noise=noise)) for noise in (0.0, 0.5))
    assert noisy["noise"] == 0.5
    # Random search proposes the same configurations, whatever it hears: the best of them is never found sooner.
    best = min(quiet["regret"]["best at the highest epoch"])
    assert min(noisy["regret"]["best at the highest epoch"]) >= best


def measured(x, *, noise, seed):
    """Values that a scheduler gets for a trial; it does not get the last epoch."""
    values = []

    class Listening(Script):
        def on_trial_result(self, *args):
            if len(args) == 3:
                values.append(args[2]["objective"])
            return super().on_trial_result(*args)

    script = Listening(x)
    policy = RayPolicy(script, script, slots=1, max_epochs=4)
    ReplayedSearch(Line(), policy, slots=1, noise=noise, seed=seed).run()
    return values


def test_wrong_options_are_reported(tmp_path, capsys):
    assert main(["--noise", "-1"]) == 2
    assert "--noise is -1; it must be 0 or more" in capsys.readouterr().err
    assert main(["--table", str(tmp_path / "none.npz")]) == 2
    assert "none.npz does not exist" in capsys.readouterr().err
    assert main(["--tasks", "nothing"]) == 2
    assert "--tasks nothing is not among the tasks" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seeds 0", "--first-seed -1", "--workers 0", "--jobs 0"])
def test_a_number_that_is_too_small_is_reported_by_its_option(option, capsys):
    assert main(option.split()) == 2
    least = 0 if "first" in option else 1
    assert f"error: {option.replace(' ', ' is ')}; it must be {least} or more" in capsys.readouterr().err


def test_what_is_no_table_is_reported(tmp_path, capsys):
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "other.npz", hp=np.ones(3))
    (tmp_path / "torn.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    for name in ("array.npy", "torn.npz"):
        assert main(["--table", str(tmp_path / name)]) == 2
        assert f"{name} is not an .npz file" in capsys.readouterr().err
    assert main(["--table", str(tmp_path / "other.npz")]) == 2
    assert "other.npz needs hp, hp_names and <task>/valid; it has hp" in capsys.readouterr().err


def test_a_folder_without_a_surrogate_is_reported(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    assert main(["--surrogate", str(tmp_path)]) == 2
    assert "holds no surrogate: there is no model.onnx" in capsys.readouterr().err


def test_a_task_that_is_named_twice_is_searched_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.replay.__main__._results", lambda jobs, processes: map(run_job, jobs))
    options = ["--policies", "random", "--seeds", "1", "--out", str(tmp_path), "--tasks", "synthetic 1"]
    assert main(options) == 0
    assert main([*options, "synthetic 1"]) == 0
    assert len((tmp_path / RUNS).read_text().splitlines()) == 1
    assert "missing" not in capsys.readouterr().err


def test_a_search_that_ends_early_keeps_its_last_winner_from_the_budget_that_its_full_length_costs():
    """Trainings of four epochs; the better trial is stopped after its first, so its full length ends at the eighth."""
    regret = regret_of(search_by(Script(0.75)))
    assert regret == {"best value": [0.5] * POINTS, "best at the highest epoch": [0.5] * POINTS}
    by_value = [1.0, *[0.5] * (POINTS - 1)]
    assert regret_of(search_by(Script(0.5, 0.75, stop=("00001", 1)))) == {
        "best value": by_value,
        "best at the highest epoch": [1.0] * POINTS,
    }


def run(policy, seed, level, *, problem="p", grace=3, ending="best value"):
    fields = {"policy": policy, "seed": seed, "problem": problem, "grace_epochs": grace}
    return SimpleNamespace(**fields, regret={ending: [level] * POINTS}).__dict__


def test_a_policy_with_several_ways_is_shown_with_the_better():
    runs = [run("stock", seed, level, grace=grace) for seed in (0, 1) for grace, level in ((1, 0.6), (3, 0.4 + seed))]
    runs += [run("ours", seed, 0.2) for seed in (0, 1)]
    regrets = better_variants(runs)
    assert regrets["stock"][..., FULL].tolist() == [[0.6, 0.6]]
    assert "| ours | 0.200 (0.200 to 0.200) | 0.33 (0.33 to 0.33) |" in table(regrets)


def test_nothing_is_divided_by_a_baseline_without_regret():
    runs = [run("stock", 0, 0.0), run("ours", 0, 0.2)]
    assert "| ours | 0.200 (0.200 to 0.200) | stock has no regret |" in table(better_variants(runs))


def test_how_far_a_policy_is_behind_ours_has_a_paired_standard_error_over_the_tasks():
    runs = [run("ours", 0, 0.2, problem="p"), run("ours", 0, 0.6, problem="q")]
    runs += [run("stock", 0, 0.3, problem="p"), run("stock", 0, 0.9, problem="q")]
    assert behind(better_variants(runs)).endswith(
        "| stock | 0.600" + " | +0.200 ± 0.100 | 0.600" * 2 + " | +0.200 ± 0.100 |"
    )
    assert behind(better_variants([one for one in runs if one["problem"] == "p"])).endswith("0.300 | +0.100 |")


def test_only_what_every_policy_has_done_is_compared():
    runs = [run("stock", 0, 0.5), run("stock", 1, 0.9), run("ours", 0, 0.2)]
    assert better_variants(runs)["stock"][..., FULL].tolist() == [[0.5]]


def test_a_search_that_is_missing_takes_away_as_few_of_the_others_as_possible():
    cells = [(problem, seed) for problem in "abcd" for seed in (0, 1) if (problem, seed) != ("d", 1)]
    runs = [run(policy, seed, 0.5, problem=problem) for policy in ("stock", "ours") for problem, seed in cells]
    assert better_variants(runs)["ours"].shape == (3, 2, POINTS)
    assert better_variants([run("stock", 0, 0.5), run("ours", 1, 0.2)]) == {}


def test_the_bootstrap_agrees_with_the_normal_approximation():
    regret = np.random.default_rng(0).normal(0.3, 0.1, size=(40, 1))
    means = bootstrap_means(regret)
    assert means.std() == pytest.approx(regret.std() / 40**0.5, rel=0.1)


def test_problems_are_read_once():
    assert problems_of("synthetic") is problems_of("synthetic")
