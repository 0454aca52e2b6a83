"""Baselines that are measured while trials or confirmations train; neither waits for them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from trainable.workloads.registry import CarriedConfig, get_workload
from tuner import formatting
from tuner.baselines.measuring import Measured, measure_at_low_priority
from tuner.baselines.probe_config import probed_config
from tuner.export import trial_config
from tuner.ray.tasks import BackgroundCall
from tuner.records import SearchRecord
from tuner.records.events import EpochDone, Event
from tuner.records.recorder import Listener
from tuner.records.trivial import PROBE, TRIVIAL, Split

logger = logging.getLogger(__name__)


class Baselines(Listener):
    """Measures the baselines of one split that the folder lacks, and writes each as soon as it is known.

    As a listener of a search it starts after the first epoch, so as not to delay it; it ends with Ray unless
    someone waits for it.

    Args:
        unfit_nodes: returns the ids of the nodes that can't measure.
    """

    def __init__(
        self,
        folder: Path,
        search: SearchRecord,
        split: Split,
        *,
        unfit_nodes: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._folder, self._search, self._split = folder, search, split
        self._unfit_nodes = unfit_nodes
        self._call: BackgroundCall[Measured] | None = None
        self._has_begun = False

    def on_event(self, search: SearchRecord, event: Event) -> None:
        if isinstance(event, EpochDone):
            self.begin()
            if self._call is not None and self._call.is_done():
                self.finish()

    def begin(self) -> None:
        """Starts measuring missing baselines, and logs those that can't be measured."""
        default = self._search.default_trial
        if self._has_begun or default is None:
            return
        self._has_begun = True
        settings = self._search.settings
        config, name = probed_config(trial_config(self._search, default), settings.pinned)
        workload = get_workload(config.workload)
        why_not = workload.no_linear_probe(config)
        # A confirmation need not repeat the messages of the search.
        level = logging.INFO if self._split == "validation" else logging.DEBUG
        if not workload.can_use_ranks:
            logger.log(level, "No trivial prediction and no linear probe beside this search: %s.", why_not)
            return
        if why_not is not None and getattr(config, "has_trained_weights", False):
            logger.log(level, "No linear probe beside this search: %s.", why_not)
        trivial = self._split not in TRIVIAL.read(self._folder)
        probe = why_not is None and self._split not in PROBE.read(self._folder)
        if trivial or probe:
            carried = CarriedConfig(config, settings.references)
            arguments = (carried, settings.data_fingerprint, self._split)
            probe_name = name if probe else None
            self._call = BackgroundCall(
                measure_at_low_priority,
                *arguments,
                trivial=trivial,
                probe=probe_name,
                unfit_nodes=self._unfit_nodes(),
            )

    def finish(self) -> None:
        """Waits for running measurements, writes and logs their results."""
        if self._call is None:
            return
        if not self._call.is_done():
            logger.info("waiting for the predictions that need no training, on the %s split", self._split)
        call, self._call = self._call, None
        error = call.result.exception()
        if error is not None:
            cause = str(error).strip().splitlines()[-1]
            logger.warning("Nothing was measured beside the %s split; the next run tries again: %s", self._split, cause)
            return
        self._write(call.result.result())

    def _write(self, measured: Measured) -> None:
        objective = self._search.settings.metric
        if measured.trivial is not None:
            TRIVIAL.write(self._folder, self._split, measured.trivial)
        if measured.problem is not None:
            logger.info("%s", measured.problem)
        if measured.probe is not None:
            PROBE.write(self._folder, self._split, measured.probe)
            logger.info(
                "%s: %s %s on the %s split, measured in %s",
                measured.probe.name,
                objective,
                formatting.number(measured.probe.objective),
                self._split,
                formatting.duration(measured.probe.seconds),
            )
