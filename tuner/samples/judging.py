"""Draws the samples once, after the confirmation, from the saved weights; the two networks judge as the final test."""

import logging
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.run_setup import chosen_device, open_data
from trainable.tasks.task import Task
from trainable.techniques.memory import MemoryShortage, shortages_named
from trainable.techniques.parallel.tensor_tree import map_tensors
from trainable.workloads.registry import task_of
from tuner.answer.handed_over import handed_over
from tuner.ensemble import Network, scoring_network
from tuner.export import exported_config_of, trial_config
from tuner.records import SearchRecord, TrialRecord
from tuner.results.samples import POOR_SCORE, Sample, Samples, read_samples, write_samples
from tuner.samples.kind import JudgedImage, Kind
from tuner.samples.kinds import kind_of

logger = logging.getLogger(__name__)

NUM_SHOWN, NUM_WORST = 8, 4
MAX_JUDGED = 200
"""Images of the test split that are looked at."""
MAX_SECONDS = 60.0
"""Of looking at them: large pictures take long on a CPU."""


def draw_samples_once(folder: Path, search: SearchRecord) -> None:
    """Of a confirmed search whose samples are not drawn yet; a reason why they can't be is a warning."""
    answer = handed_over(folder, search)
    if answer is None or not answer.is_confirmed or read_samples(folder, answer.trial.name) is not None:
        return
    try:
        with shortages_named():
            draw_samples(folder, search, answer.trial)
    except (ValueError, OSError, MemoryShortage) as error:
        logger.warning("No sample pictures are drawn: %s", error)


def draw_samples(folder: Path, search: SearchRecord, exported: TrialRecord) -> Samples | None:
    """Writes and returns the samples; None for a workload whose answers can't be drawn.

    Raises:
        ValueError: weights are gone, or the data has changed.
    """
    default, first = search.default_trial, exported_config_of(search, exported, folder)
    if default is None or not isinstance(first.config, TrialConfig):
        return None
    task, config = task_of(first.config)
    splits = open_data(first.config, first.data_fingerprint)
    try:
        kind = kind_of(task.predictor(task.adapt_to_data(config, splits)), splits.test)
    except ValueError:
        # A workload of the user's own need not say what is on a single picture.
        return None
    if kind is None:
        return None
    device = chosen_device("auto")
    trials = {"exported": exported} if exported is default else {"default": default, "exported": exported}
    networks = {name: scoring_network(folder, one, trial_config(search, one), device) for name, one in trials.items()}
    images = _first(_judged(task, config, splits.test, networks, kind, device))
    samples = _chosen(exported.name, kind, images)
    write_samples(folder, samples)
    return samples


@torch.no_grad()
def _judged(
    task: Task[Any], config: TrialConfig, data: Any, networks: Mapping[str, Network], kind: Kind, device: torch.device
) -> Iterator[JudgedImage]:
    """The images of the split in order."""
    for batch in task.evaluation_batches(config, data, device):
        if not kind.counts(batch[1]):
            continue
        images, targets = map_tensors(lambda part: part.to(device), batch)
        scores = {name: map_tensors(Tensor.cpu, network(images, targets)) for name, network in networks.items()}
        images, targets = map_tensors(Tensor.cpu, (images, targets))
        for row in range(len(images)):
            own = {name: _row(one, row) for name, one in scores.items()}
            yield JudgedImage(images[row].float(), _row(targets, row), own)


def _first(judged: Iterator[JudgedImage]) -> list[JudgedImage]:
    """As many as their limits of number and time allow, but never fewer than are shown."""
    images: list[JudgedImage] = []
    began = time.monotonic()
    for image in islice(judged, MAX_JUDGED):
        images.append(image)
        if len(images) >= NUM_SHOWN and time.monotonic() - began > MAX_SECONDS:
            break
    return images


def _row(values: Any, row: int) -> Any:
    """One image's part of a batch: of a tensor or a list, or of each in a tuple or a dict."""
    if isinstance(values, dict):
        return {name: _row(one, row) for name, one in values.items()}
    return tuple(_row(one, row) for one in values) if isinstance(values, tuple) else values[row]


def _chosen(trial: str, kind: Kind, images: list[JudgedImage]) -> Samples:
    """Images spread over the split, and the worst of each network."""
    samples = [kind.sample(number, images) for number in range(len(images))]
    places = sorted({round(place) for place in np.linspace(0, len(samples) - 1, NUM_SHOWN)})
    scores = {
        "exported": [one.exported.score for one in samples],
        "default": [one.default.score for one in samples if one.default is not None],
    }

    def worst(network: str) -> list[Sample]:
        order = sorted(range(len(scores[network])), key=scores[network].__getitem__)
        return [samples[place] for place in order[:NUM_WORST]]

    return Samples(
        trial=trial,
        score=kind.score,
        num_judged=len(samples),
        shown=[samples[place] for place in places],
        worst_default=worst("default"),
        worst_exported=worst("exported"),
        confusions=kind.confusions(images),
        num_poor={name: sum(score < POOR_SCORE for score in own) for name, own in scores.items() if own},
        in_rows=kind.in_rows,
    )
