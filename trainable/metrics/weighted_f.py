"""Weighted F-measure: errors count less inside an object than far from it, and neighbours may stand in for a pixel.

What: each object pixel's error may be replaced by the Gaussian mean of the errors around it, background pixels borrow
the error of their nearest object pixel in that mean, and background errors weigh more, up to double, the farther they
lie from the object.
Source: Margolin et al., How to Evaluate Foreground Maps?, CVPR 2014, https://doi.org/10.1109/CVPR.2014.39.
Cost: an exact distance transform per image, on the CPU: for final evaluations, not for every epoch.
"""

import math

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
    distance, nearest = distance_transform_edt(~mask, return_indices=True)
    error = np.abs(prediction - mask)
    # Pixels of the object are their own nearest object pixel.
    smoothed = gaussian_filter(error[tuple(nearest)], _SMOOTHING_SIGMA_PX, mode="constant", radius=_SMOOTHING_RADIUS_PX)
    inside = np.minimum(error, smoothed)[mask]
    outside = (error * (2 - np.exp(-math.log(2) / _HALF_LIFE_PX * distance)))[~mask]
    hits = inside.size - inside.sum()
    recall, precision = hits / inside.size, hits / max(hits + outside.sum(), np.spacing(1))
    return float(2 * recall * precision / max(recall + precision, np.spacing(1)))
