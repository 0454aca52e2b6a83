"""Draws the samples once, after the confirmation, from the saved weights; the two networks judge as the final test."""

import logging
import math
import time
from collections.abc import Hashable, Iterator, Mapping
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
from tuner.ensemble import Network, scoring_network
from tuner.export import exported_config_of, trial_config
from tuner.records import SearchRecord, TrialRecord
from tuner.results.samples import POOR_SCORE, Sample, Samples, read_samples, write_samples
from tuner.samples.batching import alone, form_of, join_batches, row_of
from tuner.samples.kind import JudgedImage, Kind
from tuner.samples.kinds import kind_of
from tuner.selection.selected_trial import select_trial

logger = logging.getLogger(__name__)

NUM_SHOWN, NUM_WORST = 8, 4
MAX_JUDGED = 200
"""Images of the test split that are looked at, spread over it: its order is often that of the classes."""
MAX_SECONDS = 60.0
"""Time limit of judging: large pictures take long on a CPU."""


def draw_samples_once(folder: Path, search: SearchRecord) -> None:
    """Draws the samples of a confirmed search that has none; logs a warning if that fails."""
    selected = select_trial(folder, search)
    if selected is None or not selected.is_confirmed or read_samples(folder, selected.trial.name) is not None:
        return
    try:
        with shortages_named():
            draw_samples(folder, search, selected.trial)
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
    inputs = _spread_inputs(task, config, splits.test, kind)
    images = _within_time(_judge(inputs, networks, device))
    samples = _chosen(exported.name, kind, images, num_test=len(splits.test))
    write_samples(folder, samples)
    return samples


Inputs = Mapping[int, tuple[Tensor, Any]]
"""Images and targets of a batch of one, by position in the split."""


def spread_order(number: int) -> list[int]:
    """The places 0 to number - 1, so ordered that the first n are spread evenly over them, for every n.

    By the fractional parts of multiples of the golden ratio: by the three-gap theorem, those below any bound lie at
    most three different distances apart.
    """
    golden_ratio = (math.sqrt(5) - 1) / 2
    return sorted(range(number), key=lambda place: place * golden_ratio % 1)


def _spread_inputs(task: Task[Any], config: TrialConfig, data: Any, kind: Kind) -> Inputs:
    """Selects at most MAX_JUDGED test images, in the order in which they are judged.

    The batches are those of the final test, whose views may depend on the batch.
    """
    order, found, passed = spread_order(len(data))[:MAX_JUDGED], {}, 0
    wanted = set(order)
    for images, targets in task.evaluation_batches(config, data, torch.device("cpu")):
        if not kind.counts(targets):
            continue
        for row in range(len(images)):
            if passed + row in wanted:
                found[passed + row] = alone((images, targets), row)
        passed += len(images)
    return {place: found[place] for place in order if place in found}


@torch.no_grad()
def _judge(inputs: Inputs, networks: Mapping[str, Network], device: torch.device) -> Iterator[JudgedImage]:
    """Judges the images in order, in rounds of at least NUM_SHOWN if possible: a contrastive loss needs other images.

    Images of a round whose targets differ in size, as masks may, form separate batches.
    """
    for one_round in np.array_split(list(inputs), max(1, len(inputs) // NUM_SHOWN)):
        by_form: dict[Hashable, list[int]] = {}
        for place in map(int, one_round):
            by_form.setdefault(form_of(inputs[place]), []).append(place)
        for places in by_form.values():
            images, targets = join_batches([inputs[place] for place in places])
            on_device = map_tensors(lambda part: part.to(device), (images, targets))
            scores = {name: map_tensors(Tensor.cpu, network(*on_device)) for name, network in networks.items()}
            for row, place in enumerate(places):
                own = {name: row_of(one, row) for name, one in scores.items()}
                yield JudgedImage(images[row].float(), row_of(targets, row), own, place)


def _within_time(judged: Iterator[JudgedImage]) -> list[JudgedImage]:
    """Judges images for up to MAX_SECONDS, but at least NUM_SHOWN; returns them in the order of the split."""
    images: list[JudgedImage] = []
    began = time.monotonic()
    for image in judged:
        images.append(image)
        if len(images) >= NUM_SHOWN and time.monotonic() - began > MAX_SECONDS:
            break
    return sorted(images, key=lambda image: image.place)


def _chosen(trial: str, kind: Kind, images: list[JudgedImage], num_test: int) -> Samples:
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
        num_test=num_test,
        shown=[samples[place] for place in places],
        worst_default=worst("default"),
        worst_exported=worst("exported"),
        confusions=kind.confusions(images),
        num_poor={name: sum(score < POOR_SCORE for score in own) for name, own in scores.items() if own},
        in_rows=kind.in_rows,
    )
