"""SHAP values on the inputs of a classifier, by the kind of classifier: trees, boosted trees, linear, additive, any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from radiocard.models.fitted import FittedModel
from radiocard.models.glass_box import GlassBoxClassifier

FloatArray = NDArray[np.floating[Any]]
Scale = Literal["log-odds", "probability"]

BACKGROUND_ROWS = 100
EXACT = 1e-6
SINGLE_PRECISION = 1e-5
_TREES = (RandomForestClassifier, DecisionTreeClassifier)
_BOOSTED = (XGBClassifier, HistGradientBoostingClassifier)
_LINEAR = (LogisticRegression, LinearDiscriminantAnalysis)
_ADDITIVE = (GaussianNB, GlassBoxClassifier)
EXACT_METHODS = (*_TREES, *_BOOSTED, *_LINEAR, *_ADDITIVE)

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
class Parts:
    """Values on the classifier's inputs, shape (n, classes, inputs), and what they must add up to."""

    values: FloatArray
    base: FloatArray
    output: FloatArray
    scale: Scale
    method: str
    note: str
    tolerance: float


def explain_inputs(fitted: FittedModel, z: FloatArray, background: pd.DataFrame, evaluations: int) -> Parts:
    """Explain the classifier at the end of a pipeline by the method that fits its kind.

    Parameters
    ----------
    fitted : FittedModel
        Trained model.
    z : ndarray of float, shape (n, inputs)
        What reaches the classifier.
    background : DataFrame, shape (m, columns)
        Training patients.
    evaluations : int
        Largest number of rows that the permutation method classifies per patient.
    """
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


def _forest(model: RandomForestClassifier | DecisionTreeClassifier, z: FloatArray) -> Parts:
    import shap

    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(z, check_additivity=False), dtype=float).transpose(0, 2, 1)
    base = np.asarray(explainer.expected_value, dtype=float)
    output = np.asarray(model.predict_proba(z), dtype=float)
    return Parts(values, base, output, "probability", "TreeSHAP (path-dependent)", _PROBABILITY_NOTE, EXACT)


def _boosted(model: XGBClassifier | HistGradientBoostingClassifier, z: FloatArray) -> Parts:
    import shap

    # With data= the base values of multi-class XGBoost are wrong and shap's own check is silent.
    explainer = shap.TreeExplainer(model)
    values = np.asarray(explainer.shap_values(z, check_additivity=False), dtype=float)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=float))
    own = model.predict(z, output_margin=True) if isinstance(model, XGBClassifier) else model.decision_function(z)
    margin = np.asarray(own, dtype=float)
    values = values[:, None, :] if values.ndim == 2 else values.transpose(0, 2, 1)
    return _log_odds(values, base, margin.reshape(len(z), -1), "TreeSHAP (path-dependent)", SINGLE_PRECISION)


def _linear(model: LogisticRegression | LinearDiscriminantAnalysis, z: FloatArray, reference: FloatArray) -> Parts:
    centre = reference.mean(axis=0)
    values = (z - centre)[:, None, :] * model.coef_[None]
    base = model.coef_ @ centre + model.intercept_
    score = np.asarray(model.decision_function(z), dtype=float).reshape(len(z), -1)
    return _log_odds(values, base, score, "linear SHAP (exact, features taken as independent)", EXACT)


def _additive(model: GaussianNB | GlassBoxClassifier, z: FloatArray, reference: FloatArray) -> Parts:
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
    return _log_odds(values, base, score, "additive SHAP (exact, features taken as independent)", EXACT)


def _densities(model: GaussianNB, z: FloatArray) -> FloatArray:
    """Logarithm of the normal density of each class and column, shape (n, classes, inputs)."""
    out: FloatArray = -0.5 * (np.log(2 * np.pi * model.var_) + (z[:, None] - model.theta_) ** 2 / model.var_)
    return out


def _log_odds(values: FloatArray, base: FloatArray, score: FloatArray, method: str, tolerance: float) -> Parts:
    """One score: log-odds of the second class, the first takes the opposite. Several: against their mean."""
    if score.shape[1] == 1:
        values = np.concatenate([-values, values], axis=1)
        base, score = np.concatenate([-base, base]), np.concatenate([-score, score], axis=1)
        against = "of the class against the other"
    else:
        values = values - values.mean(axis=1, keepdims=True)
        base, score = base - base.mean(), score - score.mean(axis=1, keepdims=True)
        against = "of the class against the geometric mean of all classes"
    return Parts(values, base, score, "log-odds", method, _LOG_ODDS_NOTE.format(against=against), tolerance)


def _permutation(
    predict: Callable[[FloatArray], FloatArray],
    z: FloatArray,
    reference: FloatArray,
    *,
    evaluations: int,
    random_state: int,
) -> Parts:
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
    return Parts(values, base, output, "probability", method, note, EXACT)


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
