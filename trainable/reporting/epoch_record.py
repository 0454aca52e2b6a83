"""What a standalone training keeps while it runs: its configuration, and after each epoch curve and checkpoint."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from trainable.config import flat_params
from trainable.configuration.exported_config import ExportedConfig, read_exported_config, write_exported_config
from trainable.reporting.epoch_text import changes_line, epoch_line
from trainable.reporting.output_folder import CHECKPOINT, CONFIG, CURVE, cut_curve, keep_checkpoints
from trainable.reporting.tracking import TrackedRun, opened_trackers
from trainable.run import Run, TrainedEpoch

logger = logging.getLogger(__name__)


def keep_config(exported: ExportedConfig, output: Path, *, epoch: int) -> None:
    """Keeps what is trained beside what comes of it; a run that is resumed with other values says so in the file.

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


def record_epochs(
    run: Run, epochs: Iterable[TrainedEpoch], output: Path, save_every_epochs: int | None, track: Sequence[str]
) -> None:
    """Saves each epoch: first its line of the curve, then its checkpoint, from which a resume continues."""
    cut_curve(output / CURVE, run.epoch)
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
