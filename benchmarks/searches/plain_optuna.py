"""The same search by plain Optuna: data, network, ranges, default and number of epochs; another policy.

    python -m benchmarks.searches.plain_optuna results/moe/<run>

What: Optuna's TPE proposes, its successive halving stops, one training at a time, the default first. The best of those
    that were trained in full is trained on the seeds of the search's confirmation, and judged on the test split beside
    what the search exported. Interrupted, the same command goes on; an unfinished training begins again.
Cost: as many epochs as the search trained, and one training for each seed of the confirmation.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from trainable.configuration.run_config import RunConfig
from trainable.run import run_epochs
from trainable.run_setup import open_run
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.optim.gradient_update import DivergedError
from trainable.workloads.exported_config import ExportedConfig
from tuner import formatting
from tuner.planning.plan import Plan, plan_from_records
from tuner.policy.samplers.tpe import DIRECTIONS
from tuner.records import ConfirmedRun, SearchRecord, append_run, read_runs, read_search, trial_name
from tuner.selection.comparison import Confirmation, confirmed_runs
from tuner.selection.selected_trial import select_trial

logger = logging.getLogger(__name__)

JOURNAL = "study.log"
OUT = Path("results") / "plain_optuna"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 2 the search is not confirmed, 130 Ctrl-C."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        search = read_search(options.folder)
        out = options.out / search.settings.space / options.folder.resolve().name
        out.mkdir(parents=True, exist_ok=True)
        study = tuned(search, out)
        sys.stdout.write(f"{compared(options.folder, search, study, out)}\n")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: finished trainings are saved; run the same command to continue.\n")
        return 130
    return 0


def tuned(search: SearchRecord, out: Path) -> optuna.Study:
    """The study after as many epochs as the search trained."""
    settings, plan = search.settings, plan_from_records(search.settings)
    budget = sum(len(trial.results) for trial in search.trials)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(out / JOURNAL))),
        study_name=settings.space,
        load_if_exists=True,
        direction=DIRECTIONS[settings.mode],
        sampler=optuna.samplers.TPESampler(seed=settings.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=settings.rung_epochs[0] if settings.rung_epochs else settings.max_epochs,
            reduction_factor=plan.space.reduction_factor,
        ),
    )
    study.enqueue_trial(dict(plan.pinned_space.points_to_evaluate()[0]), skip_if_exists=True)
    while (spent := sum(len(trial.intermediate_values) for trial in study.get_trials(deepcopy=False))) < budget:
        logger.info("%d of %s trained", spent, formatting.count(budget, "epoch"))
        study.optimize(lambda trial: _trained(trial, plan, search), n_trials=1)
    return study


def compared(folder: Path, search: SearchRecord, study: optuna.Study, out: Path) -> str:
    """Default, exported trial and Optuna's best on the test split, on the same seeds; a table in Markdown.

    Raises:
        ValueError: the search is not confirmed, or the study has no training in full.
    """
    seeds = sorted(run.seed for run in confirmed_runs(folder, search) if run.number == 0)
    if not seeds:
        raise ValueError(f"{folder} is not confirmed; run python -m tuner.confirm {folder}.")
    finished = study.get_trials(states=[TrialState.COMPLETE])
    if not finished:
        raise ValueError("Optuna trained no configuration in full; the search's epochs were too few for it.")
    best = study.best_trial
    config = plan_from_records(search.settings).config_of(optuna.trial.FixedTrial(best.params))
    found = _tested(config, search, seeds, out, trial_name(best.number, best.params))
    exported = select_trial(folder, search)
    assert exported is not None
    runs = confirmed_runs(folder, search)
    default = _measured(run for run in runs if run.number == 0)
    ours = _measured(run for run in runs if run.trial == exported.trial.name)
    lines = [
        f"| {search.settings.metric} on test | mean | gain over the default |",
        "|---|---|---|",
    ]
    lines.append(f"| default | {_mean(default)} | |")
    for name, values in ((f"exported, trial {exported.trial.name}", ours), ("plain Optuna", found)):
        gain = Confirmation(
            trial=name,
            values=values,
            default_values=default,
            higher_is_better=study.direction is StudyDirection.MAXIMIZE,
        )
        lines.append(f"| {name} | {_mean(values)} | {_interval(gain)} |")
    return "\n".join(lines)


def _trained(trial: optuna.Trial, plan: Plan, search: SearchRecord) -> float:
    """The objective after the last epoch."""
    run = open_run(_exported(plan.config_of(trial), search), search.settings.resources.device)
    value = None
    try:
        with shortages_named():
            while run.ending is None:
                result = run.run_epoch()
                value = result.objective
                trial.report(value, result.epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
    except (DivergedError, MemoryShortage) as error:
        raise optuna.TrialPruned(str(error)) from error
    assert value is not None
    return value


def _tested(config: RunConfig, search: SearchRecord, seeds: Sequence[int], out: Path, name: str) -> dict[int, float]:
    """The objective on the test split by seed; those that are recorded are not trained again."""
    known = {run.seed: run for run in read_runs(out) if run.trial == name}
    for seed in (seed for seed in seeds if seed not in known):
        run = open_run(_exported(replace(config, seed=seed), search), search.settings.resources.device)
        run_epochs(run, on_epoch=lambda result: None)
        test = run.test()
        objective = test[search.settings.metric]
        known[seed] = ConfirmedRun(trial=name, seed=seed, objective=objective, test={**test})
        append_run(out, known[seed])
        logger.info("seed %d: %s on the test split", seed, formatting.number(objective))
    return _measured(known[seed] for seed in seeds)


def _measured(runs: Iterable[ConfirmedRun]) -> dict[int, float]:
    """The objective by seed, of those that have one."""
    return {run.seed: run.objective for run in runs if run.objective is not None}


def _exported(config: RunConfig, search: SearchRecord) -> ExportedConfig:
    return ExportedConfig(config=config, data_fingerprint=search.settings.data_fingerprint)


def _mean(values: dict[int, float]) -> str:
    each = " ".join(formatting.number(values[seed]) for seed in sorted(values))
    return f"{formatting.number(sum(values.values()) / len(values))} ({each})" if values else "none"


def _interval(gain: Confirmation) -> str:
    if not gain.gains:
        return "none"
    mean = formatting.difference(sum(gain.gains) / len(gain.gains))
    if gain.interval is None:
        return mean
    low, high = map(formatting.difference, gain.interval)
    return f"{mean} ({low} to {high})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.searches.plain_optuna",
        description="Repeat a confirmed search by plain Optuna with as many epochs; compare both on the test split.",
    )
    parser.add_argument("folder", type=Path, help="a confirmed search's results, results/<space>/<run>")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"its own results (default: {OUT})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
