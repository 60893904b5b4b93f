"""Codecs of discriminant analysis, naive Bayes, nearest neighbours and the glass box: a few arrays each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.naive_bayes import GaussianNB

from radiocard.models.codecs.arrays import Array, ArrayReader
from radiocard.models.estimators import NearestNeighbours
from radiocard.models.glass_box import GlassBoxClassifier

TINY = 1e-150
MAX_STEPS = 100_000


def lda_arrays(model: LinearDiscriminantAnalysis) -> Mapping[str, Array]:
    """Return coefficients, intercepts, class means and class shares."""
    names = ("coef", "intercept", "means", "priors")
    return {name: np.asarray(getattr(model, f"{name}_"), "<f8") for name in names}


def restore_lda(model: LinearDiscriminantAnalysis, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`LinearDiscriminantAnalysis`; two classes share one row of coefficients."""
    rows = 1 if n_classes == 2 else n_classes
    model.coef_ = arrays.floats("coef", (rows, n_features))
    model.intercept_ = arrays.floats("intercept", (rows,))
    model.means_ = arrays.floats("means", (n_classes, n_features))
    model.priors_ = arrays.floats("priors", (n_classes,), low=0.0, high=1.0)
    model.classes_ = np.arange(n_classes)
    model.n_features_in_ = n_features
    return n_classes


def naive_bayes_arrays(model: GaussianNB) -> Mapping[str, Array]:
    """Return mean and variance of each class and column, and the class shares."""
    return {
        "mean": np.asarray(model.theta_, "<f8"),
        "var": np.asarray(model.var_, "<f8"),
        "prior": np.asarray(model.class_prior_, "<f8"),
    }


def restore_naive_bayes(model: GaussianNB, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`GaussianNB`."""
    model.theta_ = arrays.floats("mean", (n_classes, n_features))
    model.var_ = arrays.floats("var", (n_classes, n_features), low=TINY)
    model.class_prior_ = arrays.floats("prior", (n_classes,), low=TINY, high=1.0)
    model.classes_ = np.arange(n_classes)
    model.n_features_in_ = n_features
    return n_classes


def neighbours_arrays(model: NearestNeighbours) -> Mapping[str, Array]:
    """Return the training rows as they reach the classifier, and their classes."""
    return {"rows": np.asarray(model._fit_X, "<f8"), "labels": np.asarray(model._y, "<i8")}


def restore_neighbours(model: NearestNeighbours, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`NearestNeighbours`; its fit keeps the rows and does nothing else."""
    rows = arrays.floats("rows", (None, n_features))
    labels = arrays.ints("labels", (len(rows),), low=0, high=n_classes - 1)
    if len(np.unique(labels)) < n_classes or len(rows) < model.n_neighbors:
        arrays.refuse("a class has no row, or there are fewer rows than neighbours")
    model.fit(rows, labels)
    return n_classes


def glass_box_arrays(model: GlassBoxClassifier) -> Mapping[str, Array]:
    """Return the steps of all curves, one curve after the other; the first step of each has no cut."""
    return {
        "sizes": np.array([len(h) for h in model.heights_], "<i8"),
        "cuts": np.concatenate([np.append(0.0, c) for c in model.cuts_]).astype("<f8"),
        "heights": np.concatenate(model.heights_).astype("<f8"),
        "intercept": np.asarray(model.intercept_, "<f8"),
    }


def restore_glass_box(model: GlassBoxClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`GlassBoxClassifier`."""
    n_scores = 1 if n_classes == 2 else n_classes
    sizes = arrays.ints("sizes", (n_features,), low=1, high=MAX_STEPS)
    total = int(sizes.sum())
    ends = np.cumsum(sizes)[:-1]
    cuts = [c[1:] for c in np.split(arrays.floats("cuts", (total,)), ends)]
    if not all((np.diff(c) > 0).all() for c in cuts):
        arrays.refuse("the cuts of a curve do not ascend")
    model.cuts_ = cuts
    model.heights_ = np.split(arrays.floats("heights", (total, n_scores)), ends)
    model.intercept_ = arrays.floats("intercept", (n_scores,))
    model.classes_ = np.arange(n_classes)
    model.n_features_in_ = n_features
    return n_classes
