"""Codecs of the steps before the classifier. Each returns the number of columns that it lets through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.steps import CorrelationFilter, DropUnusable, SelectTop

TINY = 1e-150


def drop_arrays(step: DropUnusable) -> Mapping[str, Array]:
    """Return the learned attributes of :class:`DropUnusable`."""
    return {"empty": step.empty_.astype("|u1"), "constant": step.constant_.astype("|u1")}


def restore_drop(step: DropUnusable, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`DropUnusable`."""
    step.empty_ = arrays.flags("empty", (n_features,))
    step.constant_ = arrays.flags("constant", (n_features,))
    step.n_features_in_ = n_features
    return _passed(step, arrays)


def impute_arrays(step: SimpleImputer) -> Mapping[str, Array]:
    """Return the medians of a :class:`SimpleImputer`."""
    return {"median": np.asarray(step.statistics_, dtype="<f8")}


def restore_impute(step: SimpleImputer, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`SimpleImputer`."""
    step.statistics_ = arrays.floats("median", (n_features,))
    step.n_features_in_ = n_features
    step.indicator_ = None
    step._fit_dtype = step._fill_dtype = np.dtype(np.float64)
    return n_features


def decorrelate_arrays(step: CorrelationFilter) -> Mapping[str, Array]:
    """Return the learned attributes of :class:`CorrelationFilter`."""
    return {"stands_in": step.stands_in_.astype("<i8")}


def restore_decorrelate(step: CorrelationFilter, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`CorrelationFilter`."""
    step.stands_in_ = arrays.ints("stands_in", (n_features,), low=0, high=n_features - 1)
    step.n_features_in_ = n_features
    return _passed(step, arrays)


def scale_arrays(step: StandardScaler) -> Mapping[str, Array]:
    """Return mean, scale and variance of a :class:`StandardScaler`."""
    return {name: np.asarray(getattr(step, f"{name}_"), dtype="<f8") for name in ("mean", "scale", "var")}


def restore_scale(step: StandardScaler, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`StandardScaler`."""
    step.mean_ = arrays.floats("mean", (n_features,))
    step.scale_ = arrays.floats("scale", (n_features,), low=TINY)
    step.var_ = arrays.floats("var", (n_features,), low=0.0, high=np.finfo(float).max)
    step.n_features_in_ = n_features
    step.n_samples_seen_ = np.int64(0)
    return n_features


def select_arrays(step: SelectTop) -> Mapping[str, Array]:
    """Return the scores of a :class:`SelectTop`."""
    return {"scores": np.asarray(step.scores_, dtype="<f8")}


def restore_select(step: SelectTop, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`SelectTop`; what it keeps follows from the scores and k."""
    step.scores_ = arrays.floats("scores", (n_features,))
    step.n_features_in_ = n_features
    return _passed(step, arrays)


def _passed(step: Any, arrays: ArrayReader) -> int:
    n = int(step.get_support().sum())
    if n == 0:
        arrays.refuse("no column is left")
    return n
