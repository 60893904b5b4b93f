"""Codecs of the calibrators that follow a classifier: sigmoids, step functions, a temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.calibration import (
    CalibratedClassifierCV,
    _CalibratedClassifier,
    _SigmoidCalibration,
    _TemperatureScaling,
)
from sklearn.isotonic import IsotonicRegression

from radiocard.models.codecs.arrays import Array, ArrayReader

# scikit-learn searches the logarithm of the inverse temperature between -10 and 10.
_STEEPEST = math.exp(10.0)


def calibrator_arrays(model: CalibratedClassifierCV) -> Mapping[str, Array]:
    """Return what the calibrators of a fitted classifier have learned, without the classifier itself."""
    (pair,) = model.calibrated_classifiers_
    if pair.method == "sigmoid":
        return {"sigmoid": np.array([[c.a_, c.b_] for c in pair.calibrators], "<f8")}
    if pair.method == "temperature":
        beta = pair.calibrators[0].beta_
        return {"inverse_temperature": np.array([beta], "<f8"), "single": _is_single(beta)}
    return {
        "isotonic_n": np.array([len(c.X_thresholds_) for c in pair.calibrators], "<i8"),
        "isotonic_x": np.concatenate([c.X_thresholds_ for c in pair.calibrators]).astype("<f8"),
        "isotonic_y": np.concatenate([c.y_thresholds_ for c in pair.calibrators]).astype("<f8"),
        "single": _is_single(pair.calibrators[0].X_thresholds_),
    }


def restore_calibrators(model: CalibratedClassifierCV, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`CalibratedClassifierCV` whose classifier is filled already."""
    columns = 1 if n_classes == 2 else n_classes
    read = {"sigmoid": _sigmoids, "isotonic": _steps, "temperature": _temperature}[model.method]
    classes = np.arange(n_classes)
    calibrators = read(arrays, columns)
    model.calibrated_classifiers_ = [
        _CalibratedClassifier(model.estimator, calibrators, classes=classes, method=model.method)
    ]
    model.classes_ = classes
    model.n_features_in_ = n_features
    return n_classes


def _sigmoids(arrays: ArrayReader, columns: int) -> list[Any]:
    out = []
    for a, b in arrays.floats("sigmoid", (columns, 2)):
        calibrator = _SigmoidCalibration()
        calibrator.a_, calibrator.b_ = a, b
        out.append(calibrator)
    return out


def _temperature(arrays: ArrayReader, columns: int) -> list[Any]:
    low, high = 0.999 / _STEEPEST, 1.001 * _STEEPEST
    beta = arrays.floats("inverse_temperature", (1,), low=low, high=high)
    calibrator = _TemperatureScaling()
    calibrator.beta_ = beta.astype(_precision(arrays))[0]
    return [calibrator]


def _steps(arrays: ArrayReader, columns: int) -> list[Any]:
    counts = arrays.ints("isotonic_n", (columns,), low=1, high=2**31)
    total = int(counts.sum())
    x = arrays.floats("isotonic_x", (total,))
    y = arrays.floats("isotonic_y", (total,), low=0.0, high=1.0)
    precision = _precision(arrays)
    out = []
    for end, n in zip(np.cumsum(counts), counts, strict=True):
        part = slice(int(end - n), int(end))
        if (np.diff(x[part]) <= 0).any() or (np.diff(y[part]) < 0).any():
            arrays.refuse("a step function does not rise")
        out.append(_step_function(x[part].astype(precision), y[part].astype(precision)))
    return out


def _step_function(x: Array, y: Array) -> IsotonicRegression:
    step = IsotonicRegression(out_of_bounds="clip")
    step.X_thresholds_, step.y_thresholds_ = x, y
    step.X_min_, step.X_max_ = x[0], x[-1]
    step.increasing_ = True
    step._build_f(x, y)
    return step


def _is_single(values: Any) -> Array:
    """Say whether the classifier answers in single precision, in which the calibrator then computes as well."""
    return np.array([np.asarray(values).dtype == np.float32], "|u1")


def _precision(arrays: ArrayReader) -> type[np.floating[Any]]:
    return np.float32 if arrays.flags("single", (1,))[0] else np.float64
