"""Measures a batch with pysodmetrics, in an environment of its own, and returns values and seconds.

Reads lines of JSON: first the predictions and masks, 0 to 255 and of shape (B, H, W) each, then what to measure, one
line each time. Imports nothing of this project.
"""

import json
import sys
import time

import numpy as np
import py_sod_metrics


def main() -> None:
    predictions, masks = (np.array(array, np.uint8) for array in json.loads(sys.stdin.readline()))
    measures = {"S, E, F and MAE": _all_but_weighted_f, "weighted F": _weighted_f}
    for line in sys.stdin:
        began = time.perf_counter()
        values = measures[json.loads(line)](predictions, masks)
        answer = {"seconds": time.perf_counter() - began, "values": values}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _all_but_weighted_f(predictions: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    structure, alignment = py_sod_metrics.Smeasure(), py_sod_metrics.Emeasure()
    overlap, error = py_sod_metrics.Fmeasure(), py_sod_metrics.MAE()
    for prediction, mask in zip(predictions, masks, strict=True):
        for measure in (structure, alignment, overlap, error):
            measure.step(prediction, mask)
    e_measure, f_measure = alignment.get_results()["em"], overlap.get_results()["fm"]
    values = {
        "s_measure": structure.get_results()["sm"],
        "mae": error.get_results()["mae"],
        "e_measure_adaptive": e_measure["adp"],
        "e_measure_mean": e_measure["curve"].mean(),
        "e_measure_max": e_measure["curve"].max(),
        "f_measure_adaptive": f_measure["adp"],
        "f_measure_mean": f_measure["curve"].mean(),
        "f_measure_max": f_measure["curve"].max(),
    }
    return {name: float(value) for name, value in values.items()}


def _weighted_f(predictions: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    weighted = py_sod_metrics.WeightedFmeasure()
    for prediction, mask in zip(predictions, masks, strict=True):
        weighted.step(prediction, mask)
    return {"weighted_f_measure": float(weighted.get_results()["wfm"])}


if __name__ == "__main__":
    main()
