"""What describes a cohort without a model: odds ratios, groups of patients; and models ranked over sites."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from radiocard.cohort.table import feature_columns
from radiocard.errors import ReadError, UsageError
from radiocard.evaluation.friedman import FriedmanNemenyi, friedman_nemenyi
from radiocard.evaluation.odds import OddsRatios, odds_ratios
from radiocard.evaluation.phenotypes import Phenotypes, phenotypes
from radiocard.models.pools import pool_columns
from radiocard.study.train import learning_data

KS = (2, 3, 4, 5)


def describe_odds(
    table: pd.DataFrame, columns: Sequence[str], *, reference: str, target: str = "diagnosis"
) -> OddsRatios:
    """Describe how the odds of the classes change with a few measurements that were named beforehand.

    Parameters
    ----------
    table : DataFrame
        Written by :func:`radiocard.extract`.
    columns : sequence of str
        Measurements.
    reference : str
        Class to compare with.
    target : str
        Column that holds the classes.

    Returns
    -------
    OddsRatios

    Raises
    ------
    CohortError, UsageError
        See :func:`radiocard.evaluation.odds.odds_ratios`.
    """
    data = learning_data(table, target=target, columns=columns)
    return odds_ratios(data.X, data.y, data.groups, reference=reference)


def describe_phenotypes(
    table: pd.DataFrame, *, pool: str = "physiology", target: str = "diagnosis", random_state: int = 0
) -> Phenotypes:
    """Look for groups of patients in the measurements of a pool; the diagnosis is not used.

    Parameters
    ----------
    table : DataFrame
        Written by :func:`radiocard.extract`.
    pool : str
        Pool of columns.
    target : str
        Column whose patients are taken, where it is known.
    random_state : int
        Seed.

    Returns
    -------
    Phenotypes
        Two groups up to five, as far as there are ten patients for each.

    Raises
    ------
    CohortError, UsageError
        See :func:`radiocard.evaluation.phenotypes.phenotypes`.
    """
    data = learning_data(table, target=target, columns=pool_columns(pool, feature_columns(table)))
    patients = len(set(data.groups.tolist()))
    ks = [k for k in KS if 10 * k <= patients] or [KS[0]]
    return phenotypes(data.X, data.groups, ks=ks, random_state=random_state)


def rank_models(path: str | Path, *, rows: str, higher_is_better: bool = True) -> FriedmanNemenyi:
    """Rank models by a table of scores: one row per site or data set, one column per model.

    Parameters
    ----------
    path : str or Path
        CSV; the first column names the row.
    rows : {'sites', 'data sets'}
        What the rows are.
    higher_is_better : bool
        Whether a larger score is better.

    Returns
    -------
    FriedmanNemenyi

    Raises
    ------
    UsageError
        If there is no such file, or the rows are not independent.
    ReadError
        If the file is no table of numbers.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no table {path.name!r}."
        raise UsageError(msg)
    try:
        scores = pd.read_csv(path, index_col=0).astype(float)
    except (ValueError, UnicodeDecodeError) as error:
        msg = f"The scores cannot be read: {type(error).__name__}."
        raise ReadError(msg, hint="One row per site, one column per model, numbers with a decimal point.") from None
    return friedman_nemenyi(scores, rows=rows, higher_is_better=higher_is_better)
