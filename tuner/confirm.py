"""Trains the best configurations again beside the default, on several seeds, and judges them on the test split.

    python -m tuner.confirm results/moe/<run> --seeds 3

The search compared single runs on the validation split; this says whether what it found holds on data it never saw.
"""

import argparse
import logging
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import ray
from ray.exceptions import RayError

from trainable import messages
from trainable.handover import Handover
from trainable.memory_shortage import MemoryShortage, shortages_named
from trainable.opening import open_data, open_run
from trainable.techniques.divergence import DivergedError
from trainable.training_run import run_epochs
from tuner import standing, wording
from tuner.confirm_progress import Progress, Remaining, say_run
from tuner.confirmation import confirmed_runs
from tuner.export import handover_of
from tuner.ray.cluster import check_room, node_resources, ray_running
from tuner.records import ConfirmedRun, SearchRecord, TrialRecord, append_run, locked, read_search

logger = logging.getLogger(__name__)

NUM_BEST, NUM_SEEDS = 3, 3
FIRST_SEED = 1000
"""Seeds of the confirmation start here; the search's own is left out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0 done, 1 a training is missing, 2 a mistake of the user's, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tuner.confirm", description="Judge the winner on the test split.")
    parser.add_argument("folder", type=Path, help="a search's results, results/<space>/<run>")
    parser.add_argument(
        "--top", type=int, default=NUM_BEST, metavar="K", help=f"how many of the best (default: {NUM_BEST})"
    )
    parser.add_argument(
        "--seeds", type=int, default=NUM_SEEDS, metavar="N", help=f"trainings of each (default: {NUM_SEEDS})"
    )
    options = parser.parse_args(arguments)
    try:
        check_confirmable(options.folder, top=options.top, num_seeds=options.seeds)
        with messages.shown(), locked(options.folder), ray_running(None):
            done = confirm(options.folder, top=options.top, num_seeds=options.seeds, on_run=say_run)
        return _say_missing(read_search(options.folder), done, top=options.top, num_seeds=options.seeds)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Finished trainings are saved; the same command goes on with the rest.\n")
        return 130


def check_confirmable(folder: Path, *, top: int, num_seeds: int) -> None:
    """What can be checked before Ray starts.

    Raises:
        ValueError: nothing is asked for, or the folder holds nothing to confirm, or its data is no longer the same.
    """
    for option, value in (("--top", top), ("--seeds", num_seeds)):
        if value < 1:
            raise ValueError(f"{option} is {value}; it must be 1 or more.")
    record = read_search(folder)
    confirmed_runs(folder, record)
    handover = handover_of(record, candidates(record, top)[0], folder)
    open_data(handover.config, handover.data_fingerprint)


def confirm(
    folder: Path, *, top: int, num_seeds: int = NUM_SEEDS, on_run: Callable[[ConfirmedRun, Progress], None]
) -> list[ConfirmedRun]:
    """Runs what is missing of the confirmation on a running Ray, saving each training as it ends.

    A training whose process died stays missing; the others go on.

    Args:
        on_run: called with each finished training, and where that leaves the whole.

    Raises:
        ValueError: the folder holds no finished trial to confirm, or a trial takes more than Ray has.
    """
    record = read_search(folder)
    check_room(record.settings.resources.cpus_per_trial, record.settings.resources.gpus_per_trial, node_resources())
    done = confirmed_runs(folder, record)
    known = _identified(done)
    wanted = wanted_runs(record, top, num_seeds)
    todo = [(trial, seed) for trial, seed in wanted if (trial.name, seed) not in known]
    if not wanted:
        logger.info("confirming: nothing, because no other trial came as far as the default")
    if not todo:
        return done
    remaining = Remaining(record, todo)
    left = [(trial.name, seed) for trial, seed in todo]
    logger.info(
        "confirming: retraining the default and the best %d on %s each, then scoring them on the test split: "
        "%s, about %s",
        len(wanted) // num_seeds - 1,
        wording.count(num_seeds, "seed"),
        wording.count(len(todo), "training"),
        wording.duration(remaining.seconds(left)),
    )
    for (trial, seed), ready in _trainings(record, todo, folder):
        left.remove((trial.name, seed))
        try:
            validation, test = ray.get(ready)
        except RayError as error:
            cause = str(error).strip().splitlines()[-1]
            logger.warning("trial %s, seed %d was not confirmed; run it again: %s", trial.name, seed, cause)
            continue
        done.append(_measured(record, trial, seed, validation=validation, test=test))
        append_run(folder, done[-1])
        progress = Progress(done=len(wanted) - len(left), total=len(wanted), seconds_left=remaining.seconds(left))
        on_run(done[-1], progress)
    return done


def _trainings(
    record: SearchRecord, todo: Sequence[tuple[TrialRecord, int]], folder: Path
) -> Iterator[tuple[tuple[TrialRecord, int], ray.ObjectRef]]:
    """As they end; no more at a time than the search had trials."""
    waiting, pending = deque(todo), {}
    while waiting or pending:
        while waiting and len(pending) < record.settings.resources.concurrent:
            trial, seed = waiting.popleft()
            pending[_start(record, trial, seed, folder)] = (trial, seed)
        (ready,), _ = ray.wait(list(pending), num_returns=1)
        yield pending.pop(ready), ready


def candidates(record: SearchRecord, top: int) -> list[TrialRecord]:
    """The default and the best others; raises ValueError when nothing was measured."""
    if record.winner is None:
        raise ValueError("No trial has a finite objective; there is nothing to confirm.")
    return standing.best_beside_default(record, top)


def wanted_runs(record: SearchRecord, top: int, num_seeds: int = NUM_SEEDS) -> list[tuple[TrialRecord, int]]:
    """Trials with the seeds that they are confirmed on; none where there is nothing to compare."""
    chosen = candidates(record, top)
    if chosen == [record.default_trial]:
        return []
    seeds = islice((seed for seed in count(FIRST_SEED) if seed != record.settings.seed), num_seeds)
    return [(trial, seed) for seed in seeds for trial in chosen]


def is_confirmed(folder: Path, record: SearchRecord, top: int) -> bool:
    """All that is wanted was trained."""
    wanted = {(trial.name, seed) for trial, seed in wanted_runs(record, top)}
    return wanted <= _identified(confirmed_runs(folder, record))


def _identified(runs: list[ConfirmedRun]) -> set[tuple[str, int]]:
    return {(run.trial, run.seed) for run in runs}


def _start(record: SearchRecord, trial: TrialRecord, seed: int, folder: Path) -> ray.ObjectRef:
    handover = handover_of(record, trial, folder)
    handover = replace(handover, config=replace(handover.config, seed=seed))
    # One process in any case: the same batch, so the same training as of several.
    resources = record.settings.resources
    task = ray.remote(num_cpus=resources.cpus_per_rank, num_gpus=resources.gpus_per_rank)(_train_and_test)
    return task.remote(handover, resources.device)


def _train_and_test(handover: Handover, device: str) -> tuple[float | None, dict[str, float | None]]:
    """The objective on the validation split and the metrics on the test split.

    Of a training that diverged or had too little memory the objective alone, as None.
    """
    run = open_run(handover, device)
    try:
        with shortages_named():
            results = run_epochs(run, on_epoch=lambda result: None)
            return results[-1].objective, run.test()
    except (DivergedError, MemoryShortage):
        return None, {run.task.objective.removeprefix("val/"): None}


def _measured(
    record: SearchRecord, trial: TrialRecord, seed: int, *, validation: float | None, test: dict[str, float | None]
) -> ConfirmedRun:
    finite = {name: _finite_or_none(value) for name, value in test.items()}
    return ConfirmedRun(
        trial=trial.name,
        seed=seed,
        objective=finite[record.settings.objective.removeprefix("val/")],
        test=finite,
        validation=_finite_or_none(validation),
    )


def _finite_or_none(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _say_missing(record: SearchRecord, done: list[ConfirmedRun], *, top: int, num_seeds: int) -> int:
    known = _identified(done)
    wanted = wanted_runs(record, top, num_seeds)
    missing = [f"trial {trial.name}, seed {seed}" for trial, seed in wanted if (trial.name, seed) not in known]
    if missing:
        listed = "; ".join(missing)
        sys.stderr.write(f"error: {len(missing)} of {len(wanted)} trainings are missing: {listed}. Run it again.\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
