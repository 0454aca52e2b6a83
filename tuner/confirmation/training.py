"""Runs the trainings of a confirmation on a running Ray."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from trainable.loop.loop_error import ReturnedError
from trainable.run import Run, run_epochs
from trainable.run_setup import open_run
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.optim.gradient_update import DivergedError
from trainable.workloads.exported_config import ExportedConfig
from trainable.workloads.registry import CarriedConfig
from tuner import formatting
from tuner.baselines.beside import Baselines
from tuner.budget.time_left import TimeLeft
from tuner.confirmation.remaining import Remaining, TrainingKey
from tuner.confirmation.wanted import Training, first_round, next_trainings, num_further_seeds
from tuner.export import trial_config
from tuner.ray.cluster import check_room, node_resources
from tuner.ray.tasks import run_tasks
from tuner.records import (
    ConfirmedRun,
    ConfirmSeeds,
    SearchRecord,
    TrialRecord,
    TrialResources,
    append_run,
    read_search,
)
from tuner.records.typed_json import finite_or_none
from tuner.selection.comparison import confirmed_runs

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a confirmation after a training."""

    done: int
    total: int
    left: TimeLeft


def log_training(run: ConfirmedRun, progress: Progress) -> None:
    """Writes one line for a finished training."""
    name = "default" if run.number == 0 else f"trial {run.trial}"
    tested, validated = formatting.number(run.objective, 4), formatting.number(run.validation, 4)
    result = f"{tested} on the test split" if run.objective is not None else "diverged or out of memory"
    if run.objective is None and run.validation is not None:
        result = f"{validated} on the validation split, no finite value on the test split"
    left = f" | {progress.left} left" if progress.done < progress.total else ""
    sys.stdout.write(f"[{progress.done}/{progress.total}{left}] {name}, seed {run.seed}: {result}\n")
    sys.stdout.flush()


def confirm(
    folder: Path,
    *,
    top: int,
    seeds: ConfirmSeeds,
    on_run: Callable[[ConfirmedRun, Progress], None],
    on_wait: Callable[[], None] = lambda: None,
    unfit_nodes: Callable[[], Sequence[str]] = tuple,
    resources: TrialResources | None = None,
) -> list[ConfirmedRun]:
    """Runs the missing trainings of the confirmation on a running Ray, and saves each as it ends.

    First the default and the best on `seeds.first` seeds; then the exported one and the default on further seeds, until
    they are told apart or there are `seeds.last`. A training whose process died stays missing, and ends it after those
    beside it.

    Args:
        on_run: called with each finished training and the progress so far.
        on_wait: called every second while trainings run; what it raises ends the confirmation.
        unfit_nodes: returns the ids of the nodes that get no training.
        resources: what trainings get on this Ray; None is what the search's trials had.

    Raises:
        ValueError: the folder holds no finished trial to confirm, or a trial needs more than Ray has.
    """
    record = read_search(folder)
    if resources is not None:
        record.settings = replace(record.settings, resources=resources)
    check_room(record.settings.resources.cpus_per_trial, record.settings.resources.gpus_per_trial, node_resources())
    baselines, has_all = Baselines(folder, record, "test", unfit_nodes=unfit_nodes), True
    if first_round(record, top, seeds.first):
        baselines.begin()
    else:
        logger.info("confirming: nothing, because no other trial reached the default's last epoch")
    process_seconds = None
    while has_all and (todo := next_trainings(folder, record, top=top, seeds=seeds)):
        further = num_further_seeds(record, todo, seeds)
        remaining = Remaining(record, todo, further_seeds=further, process_seconds=process_seconds)
        logger.info("%s, %s left", _announcement(record, todo, top=top, seeds=seeds), remaining.time_left)
        has_all = _train_batch(folder, record, todo, remaining, on_run, on_wait, unfit_nodes)
        # Those that run wait for the next batch.
        process_seconds = 0.0
    baselines.finish()
    return confirmed_runs(folder, record)


def _train_batch(
    folder: Path,
    record: SearchRecord,
    todo: Sequence[Training],
    remaining: Remaining,
    on_run: Callable[[ConfirmedRun, Progress], None],
    on_wait: Callable[[], None],
    unfit_nodes: Callable[[], Sequence[str]],
) -> bool:
    """Trains and records a batch; returns False if a process died."""
    num_before, has_all = len(confirmed_runs(folder, record)), True
    total = num_before + len(todo)
    for number, (training, run) in enumerate(_train(record, todo, on_wait, unfit_nodes), start=1):
        remaining.end(training)
        if run is None:
            has_all = False
            continue
        append_run(folder, run)
        on_run(run, Progress(done=num_before + number, total=total, left=remaining.time_left))
    return has_all


def _announcement(record: SearchRecord, todo: Sequence[Training], *, top: int, seeds: ConfirmSeeds) -> str:
    """Describes what is trained and why, such as `not decided yet, 2 more trainings`."""
    first = first_round(record, top, seeds.first)
    if todo[0] not in first:
        more = formatting.count(len(todo), "more training")
        return f"confirming: not decided yet, {more} (up to {seeds.last} seeds for each configuration)"
    more = ""
    if seeds.last > seeds.first:
        more = f" (up to {seeds.last} for the exported one and the default while undecided)"
    return (
        f"confirming: retraining the default and the best {len(first) // seeds.first - 1} on "
        f"{formatting.count(seeds.first, 'seed')} each{more}, then scoring them on the test split: "
        f"{formatting.count(len(todo), 'training')}"
    )


def _train(
    record: SearchRecord,
    todo: Sequence[Training],
    on_wait: Callable[[], None],
    unfit_nodes: Callable[[], Sequence[str]],
) -> Iterator[tuple[TrainingKey, ConfirmedRun | None]]:
    """Yields trainings as they end, run on the slots of the search; None, with a warning, if a process died."""
    resources, fingerprint = record.settings.resources, record.settings.data_fingerprint
    calls = (
        ((trial, seed), (_carried_config(record, trial, seed), fingerprint, resources.device)) for trial, seed in todo
    )
    # One process in any case: the same batch, so the same training as of several.
    ended = run_tasks(_train_and_test, calls, resources, name=_name, on_wait=on_wait, unfit_nodes=unfit_nodes)
    has_warned = False
    for (trial, seed), training in ended:
        if (error := training.exception()) is not None:
            cause = str(error).strip().splitlines()[-1]
            logger.warning("trial %s, seed %d was not confirmed; run it again: %s", trial.name, seed, cause)
            yield (trial.name, seed), None
            continue
        trained: Trained = training.result()
        if trained.unscored is not None and not has_warned:
            has_warned = True
            logger.warning("Not scored on the test split, so that the validation split decides: %s", trained.unscored)
        finite = {name: finite_or_none(value) for name, value in trained.test.items()}
        run = ConfirmedRun(
            trial=trial.name,
            seed=seed,
            objective=finite.get(record.settings.metric),
            test=finite,
            validation=finite_or_none(trained.validation),
            seconds=trained.seconds,
        )
        yield (trial.name, seed), run


def _name(training: Training) -> str:
    trial, seed = training
    return f"trial {trial.name}, seed {seed}"


def _carried_config(record: SearchRecord, trial: TrialRecord, seed: int) -> CarriedConfig:
    """The configuration of a trial with another seed, for another process."""
    return CarriedConfig(replace(trial_config(record, trial), seed=seed), record.settings.references)


class Trained(NamedTuple):
    """A training that ended."""

    validation: float | None
    """The objective on the validation split; None after divergence or out of memory."""
    test: Mapping[str, float | None]
    """The metrics on the test split, of the same weights; only the objective, as None, where the training failed."""
    seconds: float
    unscored: str | None = None
    """Why a loop of the user's own has no objective there; None where it has one, or the training failed."""


def _train_and_test(carried: CarriedConfig, fingerprint: dict[str, str], device: str) -> Trained:
    began = time.perf_counter()
    validation: float | None
    test: Mapping[str, float | None]
    unscored = None
    run = open_run(ExportedConfig(config=carried.read(), data_fingerprint=fingerprint), device)
    metric = formatting.metric(run.objective)
    try:
        with shortages_named():
            objectives = {result.epoch: result.objective for result in run_epochs(run, on_epoch=lambda result: None)}
            validation = objectives[run.handed_over.epoch]
            test, unscored = _tested(run, metric)
    except (DivergedError, MemoryShortage):
        validation, test = None, {metric: None}
    return Trained(validation, test, time.perf_counter() - began, unscored)


def _tested(run: Run, metric: str) -> tuple[Mapping[str, float], str | None]:
    """Metrics on the test split, and the reason if a user's own loop gave no objective."""
    try:
        test = run.test()
    except ReturnedError as error:
        return {}, str(error)
    if metric in test:
        return test, None
    returned = ", ".join(test) or "nothing"
    return test, f"{run.config.workload} returned {returned} after its loop; return {{'test/{metric}': ...}}."
