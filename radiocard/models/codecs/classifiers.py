"""Codecs of logistic regression, the majority class and the support vector machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from radiocard.models.codecs.arrays import Array, ArrayReader


def logistic_arrays(model: LogisticRegression) -> Mapping[str, Array]:
    """Return coefficients and intercepts."""
    return {"coef": np.asarray(model.coef_, "<f8"), "intercept": np.asarray(model.intercept_, "<f8")}


def restore_logistic(model: LogisticRegression, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`LogisticRegression`; two classes share one row of coefficients."""
    rows = 1 if n_classes == 2 else n_classes
    model.coef_ = np.asfortranarray(arrays.floats("coef", (rows, n_features)))  # as fitted: sums in the same order
    model.intercept_ = arrays.floats("intercept", (rows,))
    model.classes_ = np.arange(n_classes)
    model.n_features_in_ = n_features
    model.n_iter_ = np.zeros(1, dtype=np.int32)
    return n_classes


def majority_arrays(model: DummyClassifier) -> Mapping[str, Array]:
    """Return the shares of the classes."""
    return {"prior": np.asarray(model.class_prior_, "<f8")}


def restore_majority(model: DummyClassifier, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill a :class:`DummyClassifier`."""
    model.class_prior_ = arrays.floats("prior", (n_classes,), low=0.0, high=1.0)
    model.classes_ = np.arange(n_classes)
    model.n_classes_ = n_classes
    model.n_outputs_ = 1
    model.n_features_in_ = n_features
    model.sparse_output_ = False
    model._strategy = "prior"
    return n_classes


def svm_arrays(svc: SVC) -> Mapping[str, Array]:
    """Return support vectors, dual coefficients, intercepts and kernel width."""
    return {
        "support_vectors": np.asarray(svc.support_vectors_, "<f8"),
        "dual_coef": np.asarray(svc._dual_coef_, "<f8"),
        "intercept": np.asarray(svc._intercept_, "<f8"),
        "n_support": np.asarray(svc._n_support, "<i8"),
        "gamma": np.array([svc._gamma], "<f8"),
    }


def restore_svm(svc: SVC, arrays: ArrayReader, n_features: int, n_classes: int) -> int:
    """Fill an RBF :class:`sklearn.svm.SVC`.

    libsvm reads its arrays without a check, so every shape is proved here.
    """
    vectors = np.ascontiguousarray(arrays.floats("support_vectors", (None, n_features)))
    n_vectors = len(vectors)
    n_support = arrays.ints("n_support", (n_classes,), low=0, high=n_vectors)
    if n_vectors == 0 or int(n_support.sum()) != n_vectors:
        arrays.refuse(f"{n_vectors} support vectors, but the classes add up to {int(n_support.sum())}")
    pairs = n_classes * (n_classes - 1) // 2
    dual = np.ascontiguousarray(arrays.floats("dual_coef", (n_classes - 1, n_vectors)))
    intercept = np.ascontiguousarray(arrays.floats("intercept", (pairs,)))
    gamma = float(arrays.floats("gamma", (1,), low=0.0)[0])
    _fill_svc(svc, vectors, n_support, dual, intercept, gamma)
    return n_classes


def _fill_svc(svc: Any, vectors: Array, n_support: Array, dual: Array, intercept: Array, gamma: float) -> None:
    n_classes = len(n_support)
    sign = -1.0 if n_classes == 2 else 1.0  # scikit-learn flips both for two classes
    svc.support_vectors_ = vectors
    svc.support_ = np.arange(len(vectors), dtype=np.int32)
    svc._n_support = n_support.astype(np.int32)
    svc._dual_coef_, svc.dual_coef_ = dual, sign * dual
    svc._intercept_, svc.intercept_ = intercept, sign * intercept
    svc._gamma = gamma
    svc._probA = svc._probB = np.empty(0)
    svc._sparse = False
    svc._effective_probability = False
    svc._num_iter = np.zeros(len(intercept), dtype=np.int32)
    svc.n_iter_ = svc._num_iter
    svc.fit_status_ = 0
    svc.classes_ = np.arange(n_classes)
    svc.class_weight_ = np.ones(n_classes)
    svc.n_features_in_ = vectors.shape[1]
    svc.shape_fit_ = vectors.shape
