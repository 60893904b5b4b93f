"""SHAP values of a trained model on its own input columns, in a stated scale, additivity proved each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from radiocard.errors import ModelError, UsageError
from radiocard.models.fitted import FittedModel
from radiocard.models.glass_box import GlassBoxClassifier

FloatArray = NDArray[np.floating[Any]]
Scale = Literal["log-odds", "probability"]

PERMUTATION_EVALUATIONS = 60_000
COHORT_EVALUATIONS = 8_000
BACKGROUND_ROWS = 100
COHORT_ROWS = 100
_EXACT = 1e-6
_SINGLE_PRECISION = 1e-5
_TREES = (RandomForestClassifier, DecisionTreeClassifier)
_BOOSTED = (XGBClassifier, HistGradientBoostingClassifier)
_LINEAR = (LogisticRegression, LinearDiscriminantAnalysis)
_ADDITIVE = (GaussianNB, GlassBoxClassifier)

_LOG_ODDS_NOTE = (
    "Contributions are on the log-odds scale, {against}; with the base value they add up to the very number from "
    "which the printed percentage is computed."
)
_PROBABILITY_NOTE = "Contributions are in probability; with the base value they add up to the printed percentage."
_PERMUTATION_NOTE = (
    "Contributions are in probability and add up, with the base value, to the printed percentage, which is calibrated; "
    "they are estimated from {n} orders of the features and their reverses, against {m} training patients."
)


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


@dataclass(frozen=True, eq=False)
class _Parts:
    """Values on the classifier's inputs, shape (n, classes, inputs), and what they must add up to."""

    values: FloatArray
    base: FloatArray
    output: FloatArray
    scale: Scale
    method: str
    note: str
    tolerance: float


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
        parts = _dispatch(fitted, z, background, evaluations or PERMUTATION_EVALUATIONS)
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
    if isinstance(fitted.final, (*_TREES, *_BOOSTED, *_LINEAR, *_ADDITIVE)):
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


def _check_printed(parts: _Parts, probabilities: FloatArray, model: str) -> None:
    """Refuse an explained output that is not the one from which the printed probability comes."""
    again = parts.output if parts.scale == "probability" else _probability(parts.output)
    off = float(np.abs(again - probabilities).max())
    if not off <= _SINGLE_PRECISION:
        msg = f"What is explained of model {model!r} differs from what it prints by {off:.2g} in probability."
        raise ModelError(msg)


def _probability(log_odds: FloatArray) -> FloatArray:
    out: FloatArray = expit(log_odds) if log_odds.shape[1] == 2 else softmax(log_odds, axis=1)
    return out


def _dispatch(fitted: FittedModel, z: FloatArray, background: pd.DataFrame, evaluations: int) -> _Parts:
    final = fitted.final
    if isinstance(final, _TREES):
        return _forest(final, z)
    if isinstance(final, _BOOSTED):
        return _boosted(final, z)
    reference = fitted.transform(background).to_numpy(dtype=float)
    if isinstance(final, _LINEAR):
        return _linear(final, z, reference)
    if isinstance(final, _ADDITIVE):
        return _additive(final, z, reference)
    return _permutation(final.predict_proba, z, reference, evaluations=evaluations, random_state=fitted.random_state)


def _forest(model: RandomForestClassifier | DecisionTreeClassifier, z: FloatArray) -> _Parts:
    import shap

    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(z, check_additivity=False), dtype=float).transpose(0, 2, 1)
    base = np.asarray(explainer.expected_value, dtype=float)
    output = np.asarray(model.predict_proba(z), dtype=float)
    return _Parts(values, base, output, "probability", "TreeSHAP (path-dependent)", _PROBABILITY_NOTE, _EXACT)


def _boosted(model: XGBClassifier | HistGradientBoostingClassifier, z: FloatArray) -> _Parts:
    import shap

    # With data= the base values of multi-class XGBoost are wrong and shap's own check is silent.
    explainer = shap.TreeExplainer(model)
    values = np.asarray(explainer.shap_values(z, check_additivity=False), dtype=float)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=float))
    own = model.predict(z, output_margin=True) if isinstance(model, XGBClassifier) else model.decision_function(z)
    margin = np.asarray(own, dtype=float)
    values = values[:, None, :] if values.ndim == 2 else values.transpose(0, 2, 1)
    return _log_odds(values, base, margin.reshape(len(z), -1), "TreeSHAP (path-dependent)", _SINGLE_PRECISION)


def _linear(model: LogisticRegression | LinearDiscriminantAnalysis, z: FloatArray, reference: FloatArray) -> _Parts:
    centre = reference.mean(axis=0)
    values = (z - centre)[:, None, :] * model.coef_[None]
    base = model.coef_ @ centre + model.intercept_
    score = np.asarray(model.decision_function(z), dtype=float).reshape(len(z), -1)
    return _log_odds(values, base, score, "linear SHAP (exact, features taken as independent)", _EXACT)


def _additive(model: GaussianNB | GlassBoxClassifier, z: FloatArray, reference: FloatArray) -> _Parts:
    """Exact for any model whose scores add up over the columns, as for a linear one."""
    if isinstance(model, GaussianNB):
        terms, usual = _densities(model, z), _densities(model, reference).mean(axis=0)
        start, score = np.log(model.class_prior_), np.asarray(model.predict_joint_log_proba(z), dtype=float)
    else:
        terms, usual = model.contributions(z), model.contributions(reference).mean(axis=0)
        start, score = model.intercept_, model.decision_function(z).reshape(len(z), -1)
    values, base = terms - usual, start + usual.sum(axis=1)
    if len(model.classes_) == 2 and score.shape[1] == 2:
        values, base, score = np.diff(values, axis=1), np.diff(base), np.diff(score, axis=1)
    return _log_odds(values, base, score, "additive SHAP (exact, features taken as independent)", _EXACT)


def _densities(model: GaussianNB, z: FloatArray) -> FloatArray:
    """Logarithm of the normal density of each class and column, shape (n, classes, inputs)."""
    out: FloatArray = -0.5 * (np.log(2 * np.pi * model.var_) + (z[:, None] - model.theta_) ** 2 / model.var_)
    return out


def _log_odds(values: FloatArray, base: FloatArray, score: FloatArray, method: str, tolerance: float) -> _Parts:
    """One score: log-odds of the second class, the first takes the opposite. Several: against their mean."""
    if score.shape[1] == 1:
        values = np.concatenate([-values, values], axis=1)
        base, score = np.concatenate([-base, base]), np.concatenate([-score, score], axis=1)
        against = "of the class against the other"
    else:
        values = values - values.mean(axis=1, keepdims=True)
        base, score = base - base.mean(), score - score.mean(axis=1, keepdims=True)
        against = "of the class against the geometric mean of all classes"
    return _Parts(values, base, score, "log-odds", method, _LOG_ODDS_NOTE.format(against=against), tolerance)


def _permutation(
    predict: Callable[[FloatArray], FloatArray],
    z: FloatArray,
    reference: FloatArray,
    *,
    evaluations: int,
    random_state: int,
) -> _Parts:
    """Permutation SHAP: features enter in random orders and in their reverses, against background rows."""
    rng = np.random.default_rng(random_state)
    if len(reference) > BACKGROUND_ROWS:
        reference = reference[np.sort(rng.choice(len(reference), BACKGROUND_ROWS, replace=False))]
    n_inputs = z.shape[1]
    pairs = max(1, evaluations // (2 * (n_inputs + 1) * len(reference)))
    orders = [rng.permutation(n_inputs) for _ in range(pairs)]
    orders += [order[::-1] for order in orders]
    values = np.stack([_one_permutation_row(predict, row, reference, orders) for row in z])
    note = _PERMUTATION_NOTE.format(n=pairs, m=len(reference))
    base = np.asarray(predict(reference), dtype=float).mean(axis=0)
    output = np.asarray(predict(z), dtype=float)
    method = f"permutation SHAP ({pairs} orders and their reverses, seed {random_state})"
    return _Parts(values, base, output, "probability", method, note, _EXACT)


def _one_permutation_row(
    predict: Callable[[FloatArray], FloatArray], row: FloatArray, reference: FloatArray, orders: list[NDArray[np.intp]]
) -> FloatArray:
    """Mean change of the output as each input takes the patient's value, shape (classes, inputs)."""
    changes = []
    for order in orders:
        stages = np.repeat(reference[None], len(order) + 1, axis=0)
        for step, j in enumerate(order, start=1):
            stages[step:, :, j] = row[j]
        out = np.asarray(predict(stages.reshape(-1, len(row))), dtype=float)
        mean = out.reshape(len(order) + 1, len(reference), -1).mean(axis=1)
        change = np.empty((mean.shape[1], len(row)))
        change[:, order] = np.diff(mean, axis=0).T
        changes.append(change)
    return np.mean(changes, axis=0)
