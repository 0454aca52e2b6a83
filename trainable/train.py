"""Trains one configuration, without Ray.

    python -m trainable.train --config results/moe/<run>/best/config.json
    torchrun --nproc-per-node 2 -m trainable.train --config ...     the same training, on two devices

Writes the curve, a checkpoint after every epoch, TensorBoard events, and finally weights and test metrics.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from trainable.config import TrialConfig, flat_params
from trainable.configuration.config_options import params_of, with_params
from trainable.configuration.reference import references_of
from trainable.console.command_line import error_line, run_main, unnamed_errors_name
from trainable.console.json_output import write_json
from trainable.console.process import log_to
from trainable.preset import read_training_config
from trainable.reporting.epoch_text import changes_line, epoch_line, why_ended
from trainable.reporting.number_text import number_text
from trainable.reporting.output_folder import (
    CHECKPOINT,
    CONFIG,
    CURVE,
    METRICS,
    WEIGHTS,
    check_output,
    keep_checkpoints,
    read_tested,
)
from trainable.reporting.profiling import parse_updates, profile_updates
from trainable.reporting.tracking import TrackedRun, check_trackers, opened_trackers, tracker_errors
from trainable.reporting.train_options import TrainOptions, train_parser
from trainable.run import Run, TrainedEpoch
from trainable.run_setup import chosen_device, open_run, started_from
from trainable.techniques.checkpoint import CheckpointError, save_whole
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.parallel.data_parallel import ranks_of_torchrun
from trainable.training_run import TrainingRun
from trainable.workloads.exported_config import ExportedConfig, read_exported_config, write_exported_config

PROG = "python -m trainable.train"
logger = logging.getLogger("trainable.train")

build_parser = train_parser


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command and returns its exit status."""
    options = train_parser(prog).parse_args(arguments)
    log_to(sys.stderr if options.json else sys.stdout)
    # An export replaces its folder as a whole, so the training writes next to it, wherever the command is run.
    folder = options.output or Path(os.path.normpath(options.config.parent / ".."))
    output = options.output or folder / "train"
    if options.experiment_name is not None:
        output = folder / options.experiment_name
    is_first = os.environ.get("RANK", "0") == "0"
    if not is_first:
        logging.getLogger().setLevel(logging.ERROR)
    try:
        chosen = TrainOptions(
            device=options.device,
            resume=options.resume,
            num_fresh=options.fresh_test,
            save_every_epochs=options.save_every_epochs,
            validate_every_epochs=options.validate_every_epochs,
            log_interval=options.log_interval,
            profile=None if options.profile is None else parse_updates(options.profile),
            track=options.track,
        )
        train(_planned(options), output, chosen)
    except (ValueError, ArithmeticError) as error:
        return _failed(f"error: {error}")
    except MemoryShortage as error:
        remedy = "Give a smaller batch_size and more accumulation_steps, and add --resume."
        return _failed(f"error: {error.message}. {remedy}")
    except OSError as error:
        problem = error_line(error, remedy="").rstrip()
        return _failed(f"{problem}. Finished epochs in {output} are saved; fix the problem and add --resume.")
    except tracker_errors(options.track) as error:
        problem = f"{' or '.join(options.track)} failed: {str(error).strip().rstrip('.')}"
        remedy = f"Finished epochs in {output} are saved; leave out --track, or fix it, and add --resume."
        return _failed(f"error: {problem}. {remedy}")
    except KeyboardInterrupt:
        logger.info("Interrupted. Finished epochs are saved; add --resume to the same command to continue.")
        return 130
    if options.json and is_first:
        write_json({"output": str(output), **read_tested(output / METRICS)})
    return 0


def _failed(sentence: str) -> int:
    logger.error("%s", sentence)
    return 2


def train(exported: ExportedConfig, output: Path, options: TrainOptions) -> dict[str, float]:
    """Trains to the planned budget and returns the metrics on the test split.

    Under torchrun each process computes its part, and the first one writes.

    Raises:
        ValueError: the data is not what the configuration was found on, `output` holds a run and `resume` is off,
            fresh samples are requested of a workload that generates none, or a tracker is not installed.
        DivergedError: the training diverged.
        MemoryShortage: the smallest micro-batch does not fit, or, with several processes, the configured one.
    """
    check_output(output, resume=options.resume)
    check_trackers(options.track)
    torch.set_num_threads(exported.num_threads)
    with ranks_of_torchrun(chosen_device(options.device)) as ranks, shortages_named(), unnamed_errors_name(output):
        run = open_run(exported, options.device, ranks=ranks)
        if options.log_interval:
            _of_task(run, "--log-interval").log_interval = options.log_interval
        tested: dict[str, Any] = {"test": None}
        if options.num_fresh is not None:
            own = _of_task(run, "--fresh-test")
            tested["fresh_test"] = own.task.fresh_test_set(own.config, options.num_fresh)
        if options.resume and (output / CHECKPOINT).exists():
            _restore(run, output / CHECKPOINT)
        writes = ranks is None or ranks.is_first
        epochs = _epochs(run, options.validate_every_epochs)
        if writes:
            _keep_config(replace(exported, config=run.config), output, epoch=run.epoch)
            profiling: AbstractContextManager[None] = nullcontext()
            if options.profile is not None:
                profiling = profile_updates(_of_task(run, "--profile").trainer.optimizer, options.profile, output)
            with profiling:
                _record_epochs(run, epochs, output, options.save_every_epochs, options.track)
        else:
            for _ in epochs:
                # Saving also sums over ranks; only the first one writes.
                run.save(output / CHECKPOINT)
        metrics = {name: run.test(data) for name, data in tested.items()}
        if writes:
            _write_results(run, metrics, output)
    for name, values in metrics.items():
        logger.info("%s: %s", name, ", ".join(f"{metric} {number_text(value, 4)}" for metric, value in values.items()))
    logger.info("%s", why_ended(run))
    return metrics["test"]


def _keep_config(exported: ExportedConfig, output: Path, *, epoch: int) -> None:
    """Writes the configuration next to the results; a resume with other values is noted in the file.

    Raises:
        ValueError: the folder holds another configuration, of which nothing was trained here.
    """
    if (output / CONFIG).exists():
        recorded = read_exported_config(output / CONFIG)
        changes = changes_line(recorded.config, exported.config)
        if not changes:
            return
        if epoch == 0:
            raise ValueError(f"{output / CONFIG} is another configuration ({changes}); give another --output.")
        logger.info("resumed after epoch %d with %s", epoch, changes)
        earlier = recorded.found_by.get("resumed", [])
        assert isinstance(earlier, list)
        resumed = [*earlier, {"after_epoch": epoch, "changes": changes}]
        exported = replace(exported, found_by=recorded.found_by | {"resumed": resumed})
    write_exported_config(output / CONFIG, exported)


def _record_epochs(
    run: Run, epochs: Iterable[TrainedEpoch], output: Path, save_every_epochs: int | None, track: Sequence[str]
) -> None:
    """Saves each epoch: first its line of the curve, then its checkpoint, from which a resume continues."""
    if (output / CURVE).exists():
        # Epochs without a checkpoint are trained again, and must not be in the curve twice.
        lines = (output / CURVE).read_text().splitlines(keepends=True)
        (output / CURVE).write_text("".join(lines[: run.epoch]))
    logger.info("%s", run.summary)
    logger.info("results in %s", output)
    params = flat_params(run.config)
    tracked = TrackedRun(folder=output, name=output.name, experiment=run.config.workload, params=params)
    with opened_trackers(track, tracked) as trackers:
        for result in epochs:
            with (output / CURVE).open("a") as curve:
                curve.write(json.dumps(asdict(result)) + "\n")
            for tracker in trackers:
                tracker.log(result.epoch, result.metrics)
            run.save(output / CHECKPOINT)
            keep_checkpoints(output, run.epoch, is_best=run.is_at_best_epoch, every_epochs=save_every_epochs)
            line = epoch_line(result, objective=run.objective, max_epochs=run.config.max_epochs)
            logger.info("%s", line)


def _write_results(run: Run, metrics: dict[str, dict[str, float]], output: Path) -> None:
    """Writes the exported weights and their test metrics."""
    handed_over = run.handed_over
    if handed_over.weights:
        save_whole(output / WEIGHTS, handed_over.weights)
    ended = {"epoch": handed_over.epoch, "last_epoch": run.epoch, "ended": why_ended(run)}
    (output / METRICS).write_text(json.dumps(metrics | ended, indent=2) + "\n")


def _epochs(run: Run, validate_every: int) -> Iterator[TrainedEpoch]:
    """Runs the epochs left in the budget; validates every `validate_every`-th one and the last."""
    own = _of_task(run, "--validate-every-epochs") if validate_every > 1 else None
    while run.ending is None:
        since = run.epoch % validate_every + 1
        if own is None:
            yield run.run_epoch()
        elif since == validate_every or run.epoch + 1 == run.config.max_epochs:
            yield own.run_epoch(span_epochs=since)
        else:
            yield own.train_epoch()


def _of_task(run: Run, option: str) -> TrainingRun:
    """Returns the run; raises ValueError for a user's own loop, which does not support the option."""
    if not isinstance(run, TrainingRun):
        raise ValueError(f"{option} needs a loop of this project, and {run.config.workload} is your own; leave it out.")
    return run


def _restore(run: Run, checkpoint: Path) -> None:
    try:
        run.restore(checkpoint)
    except CheckpointError as error:
        raise ValueError(f"{error} To start over, give another --output.") from error
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"{checkpoint} does not fit this configuration; resume with the configuration of the run, or "
            "give another --output."
        ) from error


def _planned(options: argparse.Namespace) -> ExportedConfig:
    """The configuration with the changes of the command line."""
    exported = read_training_config(options.config, source=options.data)
    config = with_params(exported.config, params_of(options))
    if options.init is not None and not isinstance(config, TrialConfig):
        raise ValueError(
            f"--init is for networks of this project, and {config.workload} is a loop of your own; load it there."
        )
    if options.init is not None and isinstance(config, TrialConfig):
        config = started_from(config, options.init)
    # Pictures read in another way are other data.
    is_same_data = config.data == exported.config.data
    fingerprint = exported.data_fingerprint if is_same_data else {}
    references = tuple(dict.fromkeys((*(exported.references or ()), *references_of(getattr(config, "model", None)))))
    return replace(exported, config=config, data_fingerprint=fingerprint, references=references or None)


if __name__ == "__main__":
    sys.exit(run_main(main))
