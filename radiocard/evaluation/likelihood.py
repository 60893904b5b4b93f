"""Likelihood-ratio test of a few columns that were named beforehand."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from statsmodels.discrete.discrete_model import MNLogit
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationError, PerfectSeparationWarning

from radiocard.errors import CohortError, UsageError

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

PATIENTS_PER_COLUMN = 10


@dataclass(frozen=True)
class LikelihoodRatio:
    """Likelihood-ratio test between two nested multinomial models.

    Parameters
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Parameters that the larger model has more.
    p : float
        Upper tail of the chi-squared distribution.
    n : int
        Independent patients.
    """

    statistic: float
    df: int
    p: float
    n: int

    def to_dict(self) -> dict[str, float]:
        """Return plain data for JSON."""
        return {"statistic": self.statistic, "df": self.df, "p": self.p, "n": self.n}


def likelihood_ratio_test(
    X: pd.DataFrame, y: ArrayLike, groups: ArrayLike, *, base: Sequence[str], added: Sequence[str]
) -> LikelihoodRatio:
    """Test whether columns named beforehand add to others, in unpenalised multinomial regression.

    Only for columns that were named before anybody saw the data: where columns were selected, or the
    model is penalised, the statistic does not follow a chi-squared distribution.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
    y : array-like of str, shape (n,)
    groups : array-like, shape (n,)
        Of each group the first patient counts.
    base, added : sequence of str
        Columns of the smaller model, and those that the larger has besides.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    UsageError
        If nothing is added, a column is named twice, the smallest class has fewer than 10 patients per
        column of the larger model [1]_, or columns tell the classes apart completely.
    CohortError
        If a column is missing (``E_COLUMNS``) or a value undefined (``E_TABLE``).

    References
    ----------
    .. [1] Peduzzi et al., J Clin Epidemiol 49 (1996) 1373, doi:10.1016/S0895-4356(96)00236-3
    """
    larger = [*base, *added]
    if not added or len(set(larger)) < len(larger):
        msg = f"Columns are to be added, each named once; found base {list(base)}, added {list(added)}."
        raise UsageError(msg)
    absent = [c for c in larger if c not in X]
    if absent:
        msg = f"The table lacks {', '.join(absent)}."
        raise CohortError(msg, code="E_COLUMNS")
    first = np.sort(np.unique(np.asarray(groups).astype(str), return_index=True)[1])
    values = X[larger].to_numpy(dtype=float)[first]
    codes = np.unique(np.asarray(y).astype(str)[first], return_inverse=True)[1]
    if not np.isfinite(values).all():
        msg = "A likelihood-ratio test needs every value; some are undefined."
        raise CohortError(msg, code="E_TABLE")
    fewest = int(np.bincount(codes).min())
    if fewest < PATIENTS_PER_COLUMN * len(larger):
        msg = (
            f"The larger model has {len(larger)} columns and the smallest class {fewest} patients, expected at least "
            f"{PATIENTS_PER_COLUMN} per column."
        )
        raise UsageError(msg, hint="Compare by gains out of fold.")
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    small, large = _log_likelihood(values[:, : len(base)], codes), _log_likelihood(values, codes)
    statistic, df = max(2 * (large - small), 0.0), len(added) * int(codes.max())
    return LikelihoodRatio(statistic, df, float(chi2.sf(statistic, df)), first.size)


def _log_likelihood(values: FloatArray, codes: IntArray) -> float:
    design = np.column_stack([np.ones(len(codes)), values])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PerfectSeparationWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below
            fitted = MNLogit(codes, design).fit(disp=0, maxiter=200)
    except (PerfectSeparationError, PerfectSeparationWarning, np.linalg.LinAlgError):
        fitted = None
    if fitted is None or not fitted.mle_retvals["converged"] or not np.abs(fitted.params).max() < 30:
        msg = "The columns tell the classes apart completely, or repeat each other: the model has no finite estimate."
        raise UsageError(msg, hint="Compare by gains out of fold.")
    return float(fitted.llf)
