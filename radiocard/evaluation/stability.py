"""Which features, and which answers, stay the same when masks and images change a little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.intervals import Estimate, wilson
from radiocard.evaluation.reliability import Reliability, intraclass_correlation

FloatArray = NDArray[np.floating[Any]]

GOOD, EXCELLENT = 0.75, 0.9
_ENDS = ("", "_low", "_high")


@dataclass(frozen=True)
class StableShare:
    """How many columns of one family are reliable.

    Parameters
    ----------
    family : str
        In words; ``all`` for all columns.
    n : int
        Columns with a defined coefficient.
    good, excellent : float
        Share with ICC(A,1) of at least 0.75 and 0.9 [1]_.

    References
    ----------
    .. [1] Koo and Li, J Chiropr Med 15 (2016) 155, doi:10.1016/j.jcm.2016.02.012
    """

    family: str
    n: int
    good: float
    excellent: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"family": self.family, "n": self.n, "good": self.good, "excellent": self.excellent}


def feature_stability(columns: Sequence[str], values: ArrayLike) -> pd.DataFrame:
    """Compute both intraclass correlations of every column.

    Parameters
    ----------
    columns : sequence of str
    values : array-like of float, shape (n_patients, n_variants, n_columns)
        Measurements of each patient, first as drawn.

    Returns
    -------
    DataFrame, index ``column``
        ``icc_1_1``, ``icc_1_1_low``, ``icc_1_1_high``, the same of ``icc_a_1``, and ``n`` patients.

    Raises
    ------
    UsageError
        See :func:`radiocard.evaluation.reliability.intraclass_correlation`.
    """
    found: Reliability = intraclass_correlation(values)
    parts = {
        f"{kind}{end}": getattr(found, kind)[:, i] for kind in ("icc_1_1", "icc_a_1") for i, end in enumerate(_ENDS)
    }
    return pd.DataFrame(parts | {"n": found.n}, index=pd.Index(list(columns), name="column"))


def stable_shares(icc: pd.Series[float], families: Mapping[str, str]) -> list[StableShare]:
    """Count the reliable columns of each family, all columns first.

    Parameters
    ----------
    icc : Series, index column
        Coefficient; NaN where undefined, such columns are not counted.
    families : mapping of str to str
        Column to its family.

    Returns
    -------
    list of StableShare
    """
    defined = icc.dropna()
    names = pd.Series({c: families[str(c)] for c in defined.index}, dtype=object)
    groups = {"all": defined} | {str(f): defined[names == f] for f in sorted(set(names))}
    return [
        StableShare(family, len(v), float((v >= GOOD).mean()), float((v >= EXCELLENT).mean()))
        for family, v in groups.items()
        if len(v)
    ]


def probability_ranges(probabilities: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest probability of each class over all variants of one patient.

    Parameters
    ----------
    probabilities : mapping of str to mapping of str to float
        Variant to class to probability.

    Raises
    ------
    UsageError
        If there is no variant.

    Examples
    --------
    >>> probability_ranges({"as drawn": {"DCM": 0.8}, "noise": {"DCM": 0.6}})
    {'DCM': (0.6, 0.8)}
    """
    if not probabilities:
        msg = "There is no variant to take the range of."
        raise UsageError(msg)
    labels = next(iter(probabilities.values()))
    return {c: (min(p[c] for p in probabilities.values()), max(p[c] for p in probabilities.values())) for c in labels}


def unchanged_answers(answers: Sequence[Mapping[str, str]], *, reference: str) -> Estimate:
    """Share of patients whose answer is the same in every variant, with its interval.

    Parameters
    ----------
    answers : sequence of mapping of str to str
        Per patient: variant to answer.
    reference : str
        The variant that the others are held against.
    """
    same = [all(answer == patient[reference] for answer in patient.values()) for patient in answers]
    return wilson(float(np.mean(same)) if same else float("nan"), len(same))


def stack_variants(variants: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of all variants side by side, as :class:`StabilityFilter` takes them.

    Parameters
    ----------
    variants : sequence of DataFrame, shape (n_patients, p)
        As drawn, then perturbed; same patients and columns in the same order.

    Returns
    -------
    DataFrame, shape (n_patients, n_variants * p)
        Columns of the first under their own names, of the others with ``@1``, ``@2``, ...

    Raises
    ------
    CohortError
        If patients or columns differ (``E_TABLE``).
    """
    first = variants[0]
    if any(not v.index.equals(first.index) or not v.columns.equals(first.columns) for v in variants):
        msg = "The tables of the variants have other patients or columns, or another order."
        raise CohortError(msg, code="E_TABLE")
    return pd.concat([v if i == 0 else v.add_suffix(f"@{i}") for i, v in enumerate(variants)], axis=1)


class StabilityFilter(SelectorMixin, BaseEstimator):
    """Keep the columns whose ICC(A,1) over the variants of the training patients is high enough.

    The coefficients are computed in :meth:`fit`, from training patients only. What is kept are
    measurements as drawn; the perturbed ones are used for the coefficients alone, and may be undefined
    when new patients are transformed.

    Parameters
    ----------
    n_variants : int
        Number of tables that stand side by side in ``X``, see :func:`stack_variants`; with 1 nothing
        is known about stability, and every column is kept.
    threshold : float
        Least ICC(A,1).

    Attributes
    ----------
    icc_ : ndarray of float, shape (p,)
        NaN where undefined; such columns are dropped.
    """

    def __init__(self, n_variants: int = 1, threshold: float = GOOD) -> None:
        self.n_variants = n_variants
        self.threshold = threshold

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Compute the coefficients.

        Parameters
        ----------
        X : array-like of float, shape (n_samples, n_variants * p)
            NaN for undefined.
        y : object, optional
            Not used.

        Raises
        ------
        CohortError
            If the columns are not ``n_variants`` tables, or none is stable (``E_COLUMNS``).
        """
        values: FloatArray = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        n, width = values.shape
        if self.n_variants < 1 or width % self.n_variants:
            msg = f"There are {width} columns, expected a multiple of {self.n_variants} variants."
            raise CohortError(msg, code="E_COLUMNS")
        if self.n_variants == 1:
            self.icc_: FloatArray = np.ones(width)
            return self
        self.icc_ = intraclass_correlation(values.reshape(n, self.n_variants, -1)).icc_a_1[:, 0]
        if not (self.icc_ >= self.threshold).any():
            msg = f"None of {self.icc_.size} columns has an ICC(A,1) of at least {self.threshold:g}."
            raise CohortError(msg, code="E_COLUMNS", hint="Check the masks, and that the variants belong together.")
        return self

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self)
        kept = self.icc_ >= self.threshold
        return np.concatenate([kept, np.zeros(self.icc_.size * (self.n_variants - 1), dtype=bool)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
