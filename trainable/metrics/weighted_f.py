"""Weighted F-measure: errors count less inside an object than far from it, and less beside correct neighbours.

What: each object pixel's error may be replaced by the Gaussian mean of the errors around it, background pixels borrow
the error of their nearest object pixel in that mean, and background errors weigh more, up to double, the farther they
lie from the object.
Source: Margolin et al., How to Evaluate Foreground Maps?, CVPR 2014, https://doi.org/10.1109/CVPR.2014.39.
Cost: an exact distance transform per image, on the CPU, of the box around its object and all that was predicted, and a
smoothing of the box around its object: for final evaluations, not for every epoch.
"""

from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

_HALF_LIFE_PX = 5.0
_SMOOTHING_SIGMA_PX = 5.0
_SMOOTHING_RADIUS_PX = 3


def weighted_f_measure(predictions: Tensor, masks: Tensor) -> Tensor:
    """The weighted F-measure (beta squared 1) of each image, shape (B,), float64; 0 for an empty mask.

    Args:
        predictions: in [0, 1], stretched as the protocol asks, (B, 1, H, W).
        masks: (B, 1, H, W); object above 0.5.
    """
    pairs = zip(predictions.double().cpu().numpy()[:, 0], (masks > 0.5).cpu().numpy()[:, 0], strict=True)
    scores = [_of_image(prediction, mask) for prediction, mask in pairs]
    return torch.tensor(scores, dtype=torch.float64, device=predictions.device)


def _of_image(prediction: np.ndarray, mask: np.ndarray) -> float:
    if not mask.any():
        return 0.0
    weight_at = _alarm_weights(sum(side**2 for side in mask.shape))
    # Outside this box no error counts, and no distance is needed.
    shown = _box_around(mask | (prediction > 0))
    prediction, mask = prediction[shown], mask[shown]
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    alarms = (prediction * weight_at.take(_squared_distances(nearest))).sum()
    # The mean is needed inside the object alone, so only the box around it is smoothed.
    box = _box_around(mask)
    # Pixels of the object are their own nearest object pixel.
    borrowed = 1 - prediction[tuple(nearest[:, *box])]
    smoothed = gaussian_filter(borrowed, _SMOOTHING_SIGMA_PX, mode="constant", radius=_SMOOTHING_RADIUS_PX)
    inside = np.minimum(1 - prediction[box], smoothed)[mask[box]]
    hits = inside.size - inside.sum()
    recall, precision = hits / inside.size, hits / max(hits + alarms, np.spacing(1))
    return float(2 * recall * precision / max(recall + precision, np.spacing(1)))


def _squared_distances(nearest: np.ndarray) -> np.ndarray:
    """Squared pixels (H, W) to the nearest object pixel from its indices (2, H, W); whole numbers."""
    rows, columns = (np.arange(size, dtype=nearest.dtype) for size in nearest.shape[1:])
    return np.square(nearest[0] - rows[:, None]) + np.square(nearest[1] - columns)


@lru_cache(maxsize=4)
def _alarm_weights(count: int) -> np.ndarray:
    """Weights of errors at squared distances 0, 1, 2 ...: 0 on the object, up to 2 far from it."""
    weights = 2 - np.exp2(-np.sqrt(np.arange(count)) / _HALF_LIFE_PX)
    weights[0] = 0
    return weights


def _box_around(shown: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold all of `shown`, widened by the radius of the smoothing."""
    lines = [np.flatnonzero(shown.any(axis)) for axis in (1, 0)]
    rows, columns = (slice(max(0, on[0] - _SMOOTHING_RADIUS_PX), on[-1] + _SMOOTHING_RADIUS_PX + 1) for on in lines)
    return rows, columns
