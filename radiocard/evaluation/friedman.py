"""Models ranked over independent sites or data sets, never over folds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from radiocard.errors import UsageError
from radiocard.evaluation.intervals import LEVEL

FloatArray = NDArray[np.floating[Any]]

SCHEMA = "radiocard/ranking/1"
INDEPENDENT_ROWS = ("sites", "data sets")


@dataclass(frozen=True, eq=False)
class FriedmanNemenyi:
    """Models ranked over independent sites or data sets.

    Parameters
    ----------
    models : tuple of str
        Column names.
    n : int
        Sites or data sets.
    mean_ranks : ndarray of float, shape (k,)
        1 is best; ties share their ranks.
    chi2, p : float
        Friedman statistic, corrected for ties, with k - 1 degrees of freedom.
    critical_difference : float
        Two mean ranks that lie further apart differ (Nemenyi, 5 % over all pairs).
    p_pairs : ndarray of float, shape (k, k)
        Nemenyi p-values.
    note : str
        Empty, or why the p-values are rough.
    rows : str
        What the rows are.
    """

    models: tuple[str, ...]
    n: int
    mean_ranks: FloatArray
    chi2: float
    p: float
    critical_difference: float
    p_pairs: FloatArray
    note: str
    rows: str

    @property
    def sentence(self) -> str:
        """The result in words."""
        best = self.models[int(np.argmin(self.mean_ranks))]
        apart = [
            m
            for m, r in zip(self.models, self.mean_ranks, strict=True)
            if r - self.mean_ranks.min() > self.critical_difference
        ]
        worse = f"worse than it beyond chance: {', '.join(apart)}" if apart else "no other is shown to be worse"
        return (
            f"Over {self.n} {self.rows}, {best} ranks first on average (Friedman p = {self.p:.3f}); {worse} (Nemenyi, "
            f"critical difference {self.critical_difference:.2f} ranks). {self.note}".strip()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "models": list(self.models),
            "n": self.n,
            "mean_ranks": self.mean_ranks.tolist(),
            "chi2": self.chi2,
            "p": self.p,
            "critical_difference": self.critical_difference,
            "p_pairs": self.p_pairs.tolist(),
            "note": self.note,
        }


def friedman_nemenyi(table: pd.DataFrame, *, rows: str, higher_is_better: bool = True) -> FriedmanNemenyi:
    """Rank models over independent sites or data sets and compare all pairs [1]_.

    Parameters
    ----------
    table : DataFrame of float, shape (n, k)
        One row per site or data set, one column per model.
    rows : {'sites', 'data sets'}
        What the rows are. Folds and repeats share patients and are refused.
    higher_is_better : bool
        Whether a larger value is better.

    Returns
    -------
    FriedmanNemenyi

    Raises
    ------
    UsageError
        If the rows are not independent, a value is not finite, or there are fewer than two rows or
        three models.

    References
    ----------
    .. [1] Demšar, J Mach Learn Res 7 (2006), 1-30
    """
    if rows not in INDEPENDENT_ROWS:
        msg = f"The rows are {rows!r}, expected {' or '.join(map(repr, INDEPENDENT_ROWS))}."
        raise UsageError(msg, hint="Folds share their patients; use the corrected resampled t test over folds.")
    values = table.to_numpy(dtype=float)
    n, k = values.shape
    if n < 2 or k < 3 or not np.isfinite(values).all():
        msg = f"The table has {n} rows and {k} models; expected two or more, three or more, and finite values."
        raise UsageError(msg)
    ranks = rankdata(-values if higher_is_better else values, axis=1).mean(axis=0)
    spread = math.sqrt(k * (k + 1) / (6 * n))
    apart = np.abs(ranks[:, None] - ranks[None]) / spread * math.sqrt(2)
    chi2, p = friedmanchisquare(*values.T) if np.ptp(values, axis=1).any() else (0.0, 1.0)
    rough = f"With {n} {rows} and {k} models the p-values are rough." if n <= 10 or k <= 5 else ""
    return FriedmanNemenyi(
        models=tuple(map(str, table.columns)),
        n=n,
        mean_ranks=ranks,
        chi2=float(chi2),
        p=float(p),
        critical_difference=float(studentized_range.ppf(LEVEL, k, np.inf)) / math.sqrt(2) * spread,
        p_pairs=np.minimum(studentized_range.sf(apart, k, np.inf), 1.0),
        note=rough,
        rows=rows,
    )
