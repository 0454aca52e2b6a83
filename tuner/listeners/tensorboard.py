"""TensorBoard event files, one folder per trial: its curves and, when it ends, its parameters and objective."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from search_spaces.ranges import is_number
from tuner.records import RecordedSettings, SearchRecord, TrialRecord
from tuner.records.events import EpochDone, Event, TrialEnded
from tuner.records.recorder import Listener

FOLDER = "tensorboard"
PREFERRED = 5
"""Parameters that the HParams page shows before anything is ticked."""
MAX_OPEN = 64
"""Files open at a time, each with its own thread: a promoting search may have hundreds of waiting trials."""

logger = logging.getLogger(__name__)


class TensorBoards(Listener):
    """Logs a search; the files of trials that had not ended in an earlier session are rewritten."""

    def __init__(self, folder: Path, search: SearchRecord) -> None:
        self._folder = folder / FOLDER
        self._tags = objective_tags(search.settings)
        self._writers: dict[str, SummaryWriter] = {}
        """The most recently used one is last."""
        self._epochs: dict[str, int] = {}
        """The last epoch written for each open trial."""
        last_end = max((trial.end_time for trial in search.trials if trial.end_time is not None), default=None)
        for trial in search.trials:
            # A kill may have come between the last record and its event file.
            if trial.end_time in (None, last_end) or not (self._folder / trial.name).exists():
                self._rewrite(trial)

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if isinstance(event, EpochDone):
            # A trial that started over must show each epoch once, and TensorBoard may read several files of a folder
            # in any order.
            if event.trial in self._writers and event.epoch > self._epochs[event.trial]:
                self._add(event)
            else:
                self._rewrite(search.by_name[event.trial])
            self._writer(event.trial).flush()
        elif isinstance(event, TrialEnded):
            trial = search.by_name[event.trial]
            if event.trial in self._writers:
                self._end(trial)
            else:
                self._rewrite(trial)

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _rewrite(self, trial: TrialRecord) -> None:
        if trial.name in self._writers:
            self._writers.pop(trial.name).close()
        shutil.rmtree(self._folder / trial.name, ignore_errors=True)
        for epoch in sorted(trial.results):
            self._add(trial.results[epoch])
        if trial.outcome is not None:
            self._end(trial)

    def _add(self, result: EpochDone) -> None:
        writer = self._writer(result.trial)
        for name, value in result.metrics.items():
            if value is not None:
                writer.add_scalar(name, value, result.epoch)
        self._epochs[result.trial] = result.epoch

    def _end(self, trial: TrialRecord) -> None:
        """Closes a trial's file; its parameters appear on TensorBoard's HParams page."""
        writer = self._writer(trial.name)
        if trial.last is not None:
            # Torch would write True as 1.
            readable = {name: value if is_number(value) else str(value) for name, value in trial.params.items()}
            _, *session = hparams(readable, {})
            _add(writer, session)
        for epoch, tag in self._tags.items():
            if (value := trial.objective_at(epoch)) is not None:
                writer.add_scalar(tag, value)
        self._writers.pop(trial.name).close()
        self._epochs.pop(trial.name, None)

    def _writer(self, trial: str) -> SummaryWriter:
        """The trial's writer, marked as most recently used; closes the least recently used one beyond MAX_OPEN."""
        writer = self._writers.pop(trial, None) or SummaryWriter(self._folder / trial)
        self._writers[trial] = writer
        if len(self._writers) > MAX_OPEN:
            self._writers.pop(next(iter(self._writers))).close()
        return writer


def objective_tags(settings: RecordedSettings) -> dict[int, str]:
    """Tags of the epochs where objectives are compared: the first rung, which nearly all trials reach, and the last."""
    return {epoch: f"objective/at_epoch_{epoch}" for epoch in sorted({*settings.rung_epochs[:1], settings.max_epochs})}


def write_columns(folder: Path, search: SearchRecord, most_important: Iterable[str]) -> None:
    """Numbers the parameters of the HParams page by importance, unnamed ones last; no numbers without importance.

    The page sorts by name, after those that it is told to prefer: the first `PREFERRED`, which it shows at once.
    Nothing where a search has dropped its boards.
    """
    place = folder / FOLDER
    if not place.is_dir():
        return
    ranked = list(most_important)
    names = dict.fromkeys([*ranked, *(name for trial in search.trials for name in trial.params)])
    tried = {name: [trial.params[name] for trial in search.trials if name in trial.params] for name in names}
    # A value of the column's type: text where any value is text.
    columns = {name: 0.0 if all(map(is_number, values)) else str(values[0]) for name, values in tried.items()}
    # A choice that a trial has as a number would not match: the page would hide the trial.
    words = {name: values for name, values in tried.items() if not any(map(is_number, values))}
    domains = {name: sorted({str(value) for value in values}) for name, values in words.items()}
    tags = objective_tags(search.settings).values()
    summary, *_ = hparams(columns, dict.fromkeys(reversed(tags), 0.0), domains)
    content = HParamsPluginData.FromString(summary.value[0].metadata.plugin_data.content)
    for rank, column in enumerate(content.experiment.hparam_infos, start=1):
        column.display_name = f"{rank}. {column.name}" if ranked else column.name
        column.differs = rank <= PREFERRED
    summary.value[0].metadata.plugin_data.content = content.SerializeToString()
    try:
        for earlier in place.glob("events.out.tfevents.*"):
            earlier.unlink()
        with SummaryWriter(place) as writer:
            _add(writer, [summary])
    except OSError as error:
        logger.warning("TensorBoard's HParams page does not number the parameters by importance: %s", error)


def _add(writer: SummaryWriter, summaries: Iterable[object]) -> None:
    for summary in summaries:
        writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # torch types it by its first None
