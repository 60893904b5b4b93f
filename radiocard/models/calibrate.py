"""Calibration of probabilities inside the fold: what may be asked for, and when there are too few patients for it."""

from __future__ import annotations

from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from radiocard.errors import CohortError

CALIBRATION_FOLDS = 5
ISOTONIC_MIN_PATIENTS = 1000


def calibrated(estimator: Any, method: str) -> Any:
    """Wrap a classifier so that its probabilities are calibrated on held-out answers of its own training rows.

    The classifier answers for each row by models trained on the other folds; one calibrator is
    fitted to these answers, and the classifier is then fitted on all rows. ``sigmoid`` is Platt's
    for each class against the rest [1]_, ``isotonic`` a step function that rises [2]_,
    ``temperature`` one number that divides all logits [3]_, so that it never changes the answer.

    Parameters
    ----------
    estimator : classifier
        Not fitted.
    method : {'none', 'sigmoid', 'isotonic', 'temperature'}
        How; 'none' returns the classifier as it is.

    Returns
    -------
    classifier
        Not fitted.

    References
    ----------
    .. [1] Platt, Advances in Large Margin Classifiers (1999)
    .. [2] Zadrozny & Elkan, KDD (2002), doi:10.1145/775047.775151
    .. [3] Guo et al., ICML (2017), arXiv:1706.04599
    """
    if method == "none":
        return estimator
    return CalibratedClassifierCV(estimator, method=method, cv=CALIBRATION_FOLDS, ensemble=False)


def check_isotonic(pipeline: Pipeline, *, n_patients: int) -> None:
    """Refuse isotonic calibration on few patients, where it overfits and a sigmoid does better [1]_.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        About to be fitted.
    n_patients : int
        Independent patients that it would be fitted on.

    Raises
    ------
    CohortError
        Below :data:`ISOTONIC_MIN_PATIENTS` (``E_CLASS_COUNT``).

    References
    ----------
    .. [1] Niculescu-Mizil & Caruana, ICML (2005), doi:10.1145/1102351.1102430
    """
    if pipeline.get_params().get("model__method") == "isotonic" and n_patients < ISOTONIC_MIN_PATIENTS:
        msg = (
            f"Isotonic calibration would be fitted on {n_patients} patients, "
            f"expected at least {ISOTONIC_MIN_PATIENTS} in the training part of every fold."
        )
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Use 'calibration: temperature' or 'sigmoid'.")
