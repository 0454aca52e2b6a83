"""Advice for a search that has learned little, each piece with the measurement behind it."""

import math
from collections.abc import Mapping

from tuner import formatting
from tuner.records import SearchRecord, TrialRecord

CLEAR_SHARE = 0.1
"""Share of the whole rise of a curve, or fall of a loss, below which nothing changed."""
SMALL_OBJECT_SHARE, SMALL_OBJECT_PX = 0.05, 16.0
"""Share of the image and side in pixels below which the median object is small."""
MUCH_LARGER = 1.3
"""Ratio of the files' side to the trained one above which larger images are worth their time."""
LEAST_EPOCHS = 4
"""Least epochs of a curve with a direction; earlier, a loss that has hardly fallen means nothing either."""
BATCH_FIELDS = ("batch_size", "accumulation_steps")
"""Their product is the number of images of an update."""
LEAST_UPDATES_FROM_SCRATCH, LEAST_UPDATES = 1100, 230
"""Updates after which a network from scratch, and one from trained weights, stayed above an empty mask on 204
photographs of tiles (results/LOG.md, 2026-11-28). Before that, a flat curve means nothing for longer trainings."""


def advice_for(
    search: SearchRecord, trial: TrialRecord, *, facts: Mapping[str, float], is_below_probe: bool = False
) -> str:
    """One sentence for each measurement that points somewhere.

    Args:
        facts: measurements of the training labels, from `TrivialScore`.
        is_below_probe: whether a linear layer on frozen trained features is better than the training.
    """
    sentences = [
        _advice_on_weights(search, trial, is_below_probe=is_below_probe),
        _advice_on_curve(search, trial),
        _advice_on_training_loss(trial),
        _advice_on_objects(search, trial, facts),
    ]
    found = " ".join(sentence for sentence in sentences if sentence)
    return found or "No measurement shows why; check the labels."


def _advice_on_weights(search: SearchRecord, trial: TrialRecord, *, is_below_probe: bool) -> str:
    if _is_from_scratch(search, trial):
        images = formatting.count(search.settings.images.get("train", 0), "image")
        # A network of the user's own has no weights by name.
        is_own = (search.settings.base_config.get("model") or {}).get("network") is not None
        how = "--init" if is_own else "--init or --set weights=..."
        return f"The network started from scratch, on {images}: give trained weights ({how})."
    if not is_below_probe:
        return ""
    return (
        "Training loses the pre-trained features: train the head first (--set unfreezing=true), or the backbone "
        "at a lower rate (--set backbone_lr_ratio=0.1)."
    )


def _advice_on_curve(search: SearchRecord, trial: TrialRecord) -> str:
    sign = search.settings.sign
    values = [sign * trial.results[epoch].objective for epoch in sorted(trial.results)]
    if len(values) < LEAST_EPOCHS:
        trained = f"{len(values)} of the {LEAST_EPOCHS} epochs that a curve needs to have a direction"
        return f"It was trained for {trained}: train longer (--max-epochs)."
    quarter = len(values) - math.ceil(len(values) / 4)
    rise = max(values[quarter:]) - max(values[:quarter])
    if rise > CLEAR_SHARE * (max(values) - values[0]) and rise > 0:
        longer = 2 * search.settings.max_epochs
        risen = formatting.number(rise)
        return f"The curve still rose by {risen} in its last quarter: train longer (--max-epochs {longer})."
    done = len(values) * _updates_an_epoch(search, trial)
    needed = LEAST_UPDATES_FROM_SCRATCH if _is_from_scratch(search, trial) else LEAST_UPDATES
    if 0 < done < needed:
        epochs = math.ceil(needed * len(values) / done)
        updates = formatting.count(done, "update")
        return f"It was trained for {updates}, where {needed} may be needed: train longer (--max-epochs {epochs})."
    best = max(range(len(values)), key=lambda index: values[index]) + 1
    return f"The best of {formatting.count(len(values), 'epoch')} was {best}, so longer trainings alone will not help."


def _is_from_scratch(search: SearchRecord, trial: TrialRecord) -> bool:
    config = search.settings.base_config
    weights = trial.params.get("weights", (config.get("model") or {}).get("weights"))
    return weights == "scratch" and config.get("init_weights") is None


def _updates_an_epoch(search: SearchRecord, trial: TrialRecord) -> int:
    """Updates per epoch; 0 if unknown, as for a user's own loop."""
    config = search.settings.base_config | trial.params
    images_per_update = math.prod(size for name in BATCH_FIELDS if isinstance(size := config.get(name), int))
    return math.ceil(search.settings.images.get("train", 0) / images_per_update)


def _advice_on_training_loss(trial: TrialRecord) -> str:
    losses = [trial.results[epoch].metrics.get("train/loss") for epoch in sorted(trial.results)]
    finite = [loss for loss in losses if loss is not None]
    if len(finite) < LEAST_EPOCHS:
        return ""
    first, last = finite[0], finite[-1]
    words = f"from {formatting.number(first)} to {formatting.number(last)}"
    if first - last < CLEAR_SHARE * abs(first):
        return f"The training loss hardly fell, {words}: check the labels, or try other rates (--set max_lr=...)."
    if last < abs(first) / 2:
        return (
            f"The training loss fell {words}, but the validation objective stayed poor: add images or stronger "
            "augmentation, or check the labels."
        )
    return ""


def _advice_on_objects(search: SearchRecord, trial: TrialRecord, facts: Mapping[str, float]) -> str:
    share, side = facts.get("object_share"), facts.get("object_side_px")
    if share is None or side is None:
        return ""
    found = []
    if share < SMALL_OBJECT_SHARE and not trial.params.get("crop", search.settings.base_config.get("crop")):
        found.append(f"The median object covers {share:.1%} of an image: train on crops (--set crop=true).")
    size, file_side = search.settings.image_size_px, facts.get("file_side_px", 0.0)
    if size is not None and side < SMALL_OBJECT_PX and file_side > MUCH_LARGER * max(size):
        larger = 16 * round(min(2 * max(size), file_side) / 16)
        found.append(
            f"The median object has a side of {side:.0f} px at {max(size)} px, and the files have {file_side:.0f}: "
            f"train on larger images (--set long_side_px={larger})."
        )
    return " ".join(found)
