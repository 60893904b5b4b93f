"""Odds ratios of a few pre-specified measurements over several classes, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from statsmodels.discrete.discrete_model import MNLogit

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.intervals import Estimate, finite, holm

FloatArray = NDArray[np.floating[Any]]

SCHEMA = "radiocard/odds-ratios/1"
ENOUGH_EVENTS = 10.0
MAX_ITERATIONS = 200
_Z = 1.959963984540054
_STEEPEST = 15.0  # log-odds per standard deviation: the likelihood has no maximum


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """How the odds of one class against the reference class change with one measurement.

    Parameters
    ----------
    column : str
        Measurement.
    label : str
        Class.
    step : float
        Increase of the measurement that the ratio is for, in its own unit.
    ratio : Estimate
        Odds ratio, the other measurements unchanged.
    """

    column: str
    label: str
    step: float
    ratio: Estimate


@dataclass(frozen=True, eq=False)
class OddsRatios:
    """Odds ratios of all measurements and classes.

    Parameters
    ----------
    reference : str
        Class that all others are compared with.
    ratios : tuple of OddsRatio
        By measurement, then class.
    p_values, p_holm : mapping of str to float or None
        For each measurement, Wald test that it matters for no class; as found, and
        corrected for the number of measurements (Holm).
    events : mapping of str to int
        Independent patients of each class that were used.
    events_per_variable : float
        Patients of the smallest class per coefficient, intercepts not counted.
    left_out : int
        Rows with an undefined measurement.
    warnings : tuple of str
        What limits the trust in the ratios.
    """

    reference: str
    ratios: tuple[OddsRatio, ...]
    p_values: dict[str, float | None]
    p_holm: dict[str, float | None]
    events: dict[str, int]
    events_per_variable: float
    left_out: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        ratios = [
            {"column": r.column, "label": r.label, "step": r.step, "ratio": r.ratio.to_dict()} for r in self.ratios
        ]
        return {
            "schema": SCHEMA,
            "reference": self.reference,
            "ratios": ratios,
            "p_values": dict(self.p_values),
            "p_holm": dict(self.p_holm),
            "events": dict(self.events),
            "events_per_variable": self.events_per_variable,
            "left_out": self.left_out,
            "warnings": list(self.warnings),
        }


def odds_ratios(X: pd.DataFrame, y: ArrayLike, groups: ArrayLike, *, reference: str) -> OddsRatios:
    """Fit an unpenalised multinomial logistic regression and report its odds ratios.

    This describes a cohort; it is not a way to choose measurements, and columns that were
    chosen on the same patients get intervals that are too narrow. A column with two values is
    stepped from one to the other, any other column by one standard deviation. Rows of one group
    count as one patient: where there are any, the variance is that of clusters.
    Too few events per variable bias the ratios away from 1 [1]_ [2]_; the limit of 10 is a rule
    of thumb and only warns.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        Pre-specified measurements; rows with an undefined one are left out, and counted.
    y : array_like of str, shape (n,)
        Classes.
    groups : array_like of str, shape (n,)
        Rows of one group are one patient.
    reference : str
        Class to compare with, for example the normal one.

    Returns
    -------
    OddsRatios
        Without values where the classes can be separated perfectly.

    Raises
    ------
    UsageError
        If ``X``, ``y`` and ``groups`` differ in length, or there is no column.
    CohortError
        If the reference is not a class, a class has fewer than two patients, a column is constant
        or a sum of others, or there are no more patients than coefficients.

    References
    ----------
    .. [1] Peduzzi et al., J Clin Epidemiol 49 (1996), doi:10.1016/S0895-4356(96)00236-3
    .. [2] de Jong et al., Stat Med 38 (2019), doi:10.1002/sim.8063
    """
    labels, names = np.asarray(y).astype(str), np.asarray(groups).astype(str)
    if not len(X.columns) or not len(X) == labels.size == names.size:
        msg = f"Found {X.shape[1]} columns of {len(X)} rows, {labels.size} classes and {names.size} groups."
        raise UsageError(msg)
    known = X.notna().all(axis=1).to_numpy()
    values, labels, names = X.to_numpy(dtype=float)[known], labels[known], names[known]
    events = {str(c): len(set(names[labels == c])) for c in np.unique(labels)}
    others = [c for c in events if c != reference]
    n_coefficients = len(others) * values.shape[1]
    _check_events(events, reference, n_coefficients)
    steps = _steps(values, [str(c) for c in X.columns])
    codes = np.array([0 if c == reference else 1 + others.index(c) for c in labels])
    fit = _fit((values - values.mean(axis=0)) / steps, codes, names)
    per_variable = min(events.values()) / n_coefficients
    columns = [str(c) for c in X.columns]
    tests = {} if fit is None else _wald(columns, *fit)
    corrected = dict(zip(tests, holm(list(tests.values())), strict=True))
    return OddsRatios(
        reference=reference,
        ratios=_ratios(columns, others, steps, fit, float(sum(events.values()))),
        p_values={c: tests.get(c) for c in columns},
        p_holm={c: corrected.get(c) for c in columns},
        events=events,
        events_per_variable=per_variable,
        left_out=int((~known).sum()),
        warnings=_warnings(per_variable, int((~known).sum()), separated=fit is None),
    )


def _check_events(events: dict[str, int], reference: str, n_coefficients: int) -> None:
    listed = ", ".join(f"{c} {n}" for c, n in events.items()) or "no complete row"
    if reference not in events or len(events) < 2:
        msg = f"The reference class {reference!r} needs another class to be compared with; found: {listed}."
        raise CohortError(msg, code="E_CLASS_COUNT")
    if min(events.values()) < 2 or sum(events.values()) <= n_coefficients + len(events) - 1:
        msg = f"Too few patients for {n_coefficients} coefficients: {listed}."
        raise CohortError(msg, code="E_CLASS_COUNT", hint="Name fewer measurements, or join classes.")


def _steps(values: FloatArray, columns: Sequence[str]) -> FloatArray:
    """Return what one step of each column is, shape (columns,)."""
    flat = [c for c, v in zip(columns, values.T, strict=True) if np.ptp(v) == 0]
    if flat:
        msg = f"Column {flat[0]!r} has one value only."
        raise CohortError(msg, code="E_COLUMNS", field=flat[0])
    if np.linalg.matrix_rank((values - values.mean(axis=0)) / values.std(axis=0)) < values.shape[1]:
        msg = f"A column is a weighted sum of others: {', '.join(columns)}."
        raise CohortError(msg, code="E_COLUMNS", hint="Leave out a measurement that follows from the others.")
    binary = np.array([len(np.unique(v)) == 2 for v in values.T])
    return np.where(binary, np.ptp(values, axis=0), values.std(axis=0, ddof=1))


def _fit(z: FloatArray, codes: NDArray[np.intp], groups: NDArray[Any]) -> tuple[FloatArray, FloatArray] | None:
    """Return coefficients, shape (classes - 1, columns), and their covariance over (class, column); None if endless."""
    design = np.column_stack([np.ones(len(z)), z])
    clusters = np.unique(groups, return_inverse=True)[1]
    robust = clusters.max() + 1 < len(z)
    settings = {"cov_type": "cluster", "cov_kwds": {"groups": clusters}} if robust else {"cov_type": "nonrobust"}
    with np.errstate(all="ignore"):
        try:
            model = MNLogit(codes, design).fit(disp=0, maxiter=MAX_ITERATIONS, warn_convergence=False, **settings)
        except np.linalg.LinAlgError:
            return None
        params, covariance = np.asarray(model.params), np.asarray(model.cov_params())
    keep = np.arange(params.size) % len(params) > 0  # the first of each class is its intercept
    coefficients, covariance = params[1:].T, covariance[np.ix_(keep, keep)]
    endless = not np.isfinite(covariance).all() or not np.abs(coefficients).max() < _STEEPEST
    return None if endless else (coefficients, covariance)


def _ratios(
    columns: Sequence[str],
    others: Sequence[str],
    steps: FloatArray,
    fit: tuple[FloatArray, FloatArray] | None,
    n: float,
) -> tuple[OddsRatio, ...]:
    out = []
    for j, column in enumerate(columns):
        for k, label in enumerate(others):
            if fit is None:
                estimate = Estimate(None, None, None, n, "the classes are perfectly separated")
            else:
                coefficients, covariance = fit
                at = k * len(columns) + j
                b, reach = coefficients[k, j], _Z * np.sqrt(covariance[at, at])
                low, middle, high = (finite(float(np.exp(v))) for v in (b - reach, b, b + reach))
                estimate = Estimate(middle, low, high, n, "Wald interval of multinomial logistic regression")
            out.append(OddsRatio(column, label, float(steps[j]), estimate))
    return tuple(out)


def _wald(columns: Sequence[str], coefficients: FloatArray, covariance: FloatArray) -> dict[str, float]:
    """Test each column over all classes at once."""
    out: dict[str, float] = {}
    for j, column in enumerate(columns):
        at = np.arange(len(coefficients)) * len(columns) + j
        b = coefficients[:, j]
        statistic = b @ np.linalg.solve(covariance[np.ix_(at, at)], b)
        out[column] = float(chi2.sf(statistic, len(b)))
    return out


def _warnings(per_variable: float, left_out: int, *, separated: bool) -> tuple[str, ...]:
    out = []
    if separated:
        out.append("The classes are perfectly separated by these measurements, so that no odds ratio exists.")
    if per_variable < ENOUGH_EVENTS:
        out.append(
            f"{per_variable:.1f} patients of the smallest class per coefficient, fewer than {ENOUGH_EVENTS:g}: "
            "the ratios are likely too far from 1, and their intervals too narrow."
        )
    if left_out:
        out.append(f"{left_out} patients with an undefined measurement were left out.")
    return tuple(out)
