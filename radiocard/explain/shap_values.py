"""SHAP values of a trained model on its own input columns, in a stated scale, additivity proved each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from threadpoolctl import threadpool_limits

from radiocard.errors import ModelError, UsageError
from radiocard.explain.shap_methods import EXACT_METHODS, SINGLE_PRECISION, FloatArray, Parts, Scale, explain_inputs
from radiocard.models.fitted import FittedModel

PERMUTATION_EVALUATIONS = 60_000
COHORT_EVALUATIONS = 8_000
COHORT_ROWS = 100


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each column contributed to the output of a model for each class.

    ``base + values.sum(axis=2)`` equals ``output``.

    Parameters
    ----------
    model : str
        Name of the model.
    ids : tuple of str, length n
        Patients.
    classes : tuple of str
        Labels.
    columns : tuple of str
        Input columns of the model; those that do not reach the classifier contribute 0.
    values : ndarray of float, shape (n, classes, columns)
        SHAP values in ``scale``.
    base : ndarray of float, shape (classes,)
        Output where nothing is known about the patient.
    output : ndarray of float, shape (n, classes)
        What is explained, computed by the model itself.
    probabilities : ndarray of float, shape (n, classes)
        What is printed.
    scale : {'log-odds', 'probability'}
        Unit of values, base and output.
    method : str
        How the values were computed.
    note : str
        What exactly is explained, and how it relates to the printed percentage.
    """

    model: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray
    base: FloatArray
    output: FloatArray
    probabilities: FloatArray
    scale: Scale
    method: str
    note: str

    def importance(self) -> pd.DataFrame:
        """Mean absolute SHAP value over the patients, classes as rows, columns as columns."""
        mean = np.abs(self.values).mean(axis=0)
        return pd.DataFrame(mean, index=list(self.classes), columns=list(self.columns))

    def ranked(self, label: str, *, row: int = 0) -> list[tuple[str, float]]:
        """Return columns and contributions to one class for one patient, largest magnitude first.

        Raises
        ------
        UsageError
            If the model does not know the class.
        """
        phi = self.values[row, self.class_index(label)]
        order = np.argsort(-np.abs(phi), kind="stable")
        return [(self.columns[j], float(phi[j])) for j in order]

    def class_index(self, label: str) -> int:
        """Return the position of a class.

        Raises
        ------
        UsageError
            If the model does not know the class.
        """
        if label not in self.classes:
            msg = f"Class {label!r} is not among those of model {self.model!r}: {', '.join(self.classes)}."
            raise UsageError(msg)
        return self.classes.index(label)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "model": self.model,
            "ids": list(self.ids),
            "classes": list(self.classes),
            "columns": list(self.columns),
            "values": self.values.tolist(),
            "base": self.base.tolist(),
            "output": self.output.tolist(),
            "probabilities": self.probabilities.tolist(),
            "scale": self.scale,
            "method": self.method,
            "note": self.note,
        }


def explain(
    fitted: FittedModel, background: pd.DataFrame, x: pd.DataFrame, *, evaluations: int | None = None
) -> Explanation:
    """Explain the output of a trained model for one or a few patients.

    Random forest and decision tree: path-dependent TreeSHAP of the probability. Gradient boosted
    trees: path-dependent TreeSHAP of the log-odds. Logistic regression and discriminant analysis:
    exact linear SHAP of the log-odds. Naive Bayes and the explainable boosting machine, whose
    log-odds are sums of one term per column: these terms against their means. Any other
    classifier: permutation SHAP of the printed probability. With more than two classes,
    log-odds are those of a class against the geometric mean of all classes, since softmax
    scores have no zero of their own. Imputing, scaling and selecting act on single columns,
    so that the values of the classifier's inputs are those of the original columns [1]_ [2]_.

    Parameters
    ----------
    fitted : FittedModel
        Trained model.
    background : DataFrame, shape (m, columns)
        Training patients; used by the linear, the additive and the permutation method.
    x : DataFrame, shape (n, columns)
        Patients to explain, indexed by patient.
    evaluations : int, optional
        Largest number of rows that the permutation method classifies per patient; 60 000 when None.

    Returns
    -------
    Explanation

    Raises
    ------
    ModelError
        If the values do not add up to the model's output, or columns are missing (``E_COLUMNS``).
    UsageError
        If there is no patient in ``x`` or ``background``.

    References
    ----------
    .. [1] Lundberg & Lee, NeurIPS 30 (2017)
    .. [2] Lundberg et al., Nat Mach Intell 2 (2020), doi:10.1038/s42256-019-0138-9
    """
    if len(x) == 0 or len(background) == 0:
        msg = f"Nothing to explain: {len(x)} patients, {len(background)} background patients; expected at least 1."
        raise UsageError(msg)
    with threadpool_limits(1):
        z = fitted.transform(x).to_numpy(dtype=float)
        parts = explain_inputs(fitted, z, background, evaluations or PERMUTATION_EVALUATIONS)
        probabilities = fitted.predict_proba(x)
    check_additivity(parts.values, parts.base, parts.output, tolerance=parts.tolerance, model=fitted.name)
    _check_printed(parts, probabilities, fitted.name)
    values = np.zeros((len(x), len(fitted.classes), len(fitted.columns)))
    values[:, :, [fitted.columns.index(c) for c in fitted.final_columns]] = parts.values
    return Explanation(
        model=fitted.name,
        ids=tuple(map(str, x.index)),
        classes=fitted.classes,
        columns=fitted.columns,
        values=values,
        base=parts.base,
        output=parts.output,
        probabilities=probabilities,
        scale=parts.scale,
        method=parts.method,
        note=parts.note,
    )


def explain_cohort(fitted: FittedModel, background: pd.DataFrame, X: pd.DataFrame) -> Explanation:
    """Explain many patients, for a beeswarm and the mean absolute SHAP values.

    Parameters
    ----------
    fitted : FittedModel
    background : DataFrame, shape (m, columns)
        Training patients.
    X : DataFrame, shape (n, columns)
        Patients. Where the permutation method is needed, at most 100 of them are explained,
        evenly spaced in the order of the table, with fewer evaluations; the
        ids of the explanation say which.

    Returns
    -------
    Explanation

    Raises
    ------
    ModelError, UsageError
        See :func:`explain`.
    """
    if isinstance(fitted.final, EXACT_METHODS):
        return explain(fitted, background, X)
    rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), COHORT_ROWS)).round().astype(int))
    return explain(fitted, background, X.iloc[rows], evaluations=COHORT_EVALUATIONS)


def check_additivity(values: FloatArray, base: FloatArray, output: FloatArray, *, tolerance: float, model: str) -> None:
    """Refuse SHAP values that do not add up to the model's output.

    Parameters
    ----------
    values : ndarray of float, shape (n, classes, inputs)
    base : ndarray of float, shape (classes,)
    output : ndarray of float, shape (n, classes)
    tolerance : float
        Largest absolute difference.
    model : str
        Name, for the message.

    Raises
    ------
    ModelError
        With the largest difference.
    """
    off = float(np.abs(base + values.sum(axis=2) - output).max())
    if not off <= tolerance:
        msg = f"SHAP values of model {model!r} miss its output by {off:.2g}, expected at most {tolerance:.0e}."
        raise ModelError(msg, hint="The explanation is withheld; the prediction is not affected.")


def _check_printed(parts: Parts, probabilities: FloatArray, model: str) -> None:
    """Refuse an explained output that is not the one from which the printed probability comes."""
    again = parts.output if parts.scale == "probability" else _probability(parts.output)
    off = float(np.abs(again - probabilities).max())
    if not off <= SINGLE_PRECISION:
        msg = f"What is explained of model {model!r} differs from what it prints by {off:.2g} in probability."
        raise ModelError(msg)


def _probability(log_odds: FloatArray) -> FloatArray:
    out: FloatArray = expit(log_odds) if log_odds.shape[1] == 2 else softmax(log_odds, axis=1)
    return out
