"""One patient in several rows: shared images, rows far nearer than neighbours are, splits that part them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from radiocard.evaluation.leakage import Finding, listed

FloatArray = NDArray[np.floating[Any]]

FALSE_ALARMS = 0.01
FEWEST_ROWS = 20
NEIGHBOURS = 5
COPY = 1e-6
PERSONAL = ("sex", "age_y", "height_cm", "weight_kg")


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two rows of different groups that are nearer to each other than chance explains.

    Parameters
    ----------
    first, second : str
        Patients.
    distance : float
        Distance between their standardised columns.
    typical : float
        Median distance of a row to its nearest neighbour.
    copy : bool
        Whether the rows are the same up to rounding.
    """

    first: str
    second: str
    distance: float
    typical: float
    copy: bool


def near_duplicates(X: pd.DataFrame, groups: ArrayLike) -> list[NearPair]:
    """Find rows that are far nearer to each other than to their further neighbours.

    Columns are standardised, undefined values take the median. Where points lie evenly at the scale of
    their neighbourhood, the volumes of the spheres that reach the nearest and the fifth nearest neighbour
    have the ratio of the least of four uniform draws [1]_ (there for the first two neighbours); a volume is
    the distance to the power of the dimension in which the rows vary, which the median of all ratios gives.
    A pair is reported where a ratio so small would be expected in fewer than ``FALSE_ALARMS`` rows
    of the whole table, or where it is a copy (distance below ``COPY`` of that between any two rows).
    Up to four copies of a row are seen, of fewer than half the rows. In two columns nothing is near enough to tell.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        Measurements, indexed by patient.
    groups : array_like of str, shape (n,)
        Rows of one group are known to belong together and are not compared.

    Returns
    -------
    list of NearPair
        The nearest first; only copies if there are fewer than 20 rows.

    References
    ----------
    .. [1] Facco et al., Sci Rep 7 (2017) 12140, doi:10.1038/s41598-017-11873-y
    """
    values, names = _standardised(X), np.asarray(groups).astype(str)
    if len(values) < 2 or values.shape[1] == 0 or np.unique(names).size < 2:
        return []
    partner, distance, further = _nearest_strangers(values, names)
    apart = math.sqrt(2 * values.shape[1])  # root mean square distance of two standardised rows
    copies = distance < COPY * apart
    flagged = copies | _too_near(distance, further)
    typical = float(np.median(distance))
    pairs: dict[frozenset[int], NearPair] = {}
    for i in np.argsort(distance, kind="stable"):
        if flagged[i]:
            a, b = sorted((int(i), int(partner[i])))
            pair = NearPair(str(X.index[a]), str(X.index[b]), float(distance[i]), typical, bool(copies[i]))
            pairs.setdefault(frozenset((a, b)), pair)
    return list(pairs.values())


def row_findings(X: pd.DataFrame, groups: ArrayLike, table: pd.DataFrame, *, split: str | None = None) -> list[Finding]:
    """Report shared images, near-duplicate rows, equal covariates, and splits that part them.

    Parameters
    ----------
    X : DataFrame of float, shape (n, columns)
        What models learn from.
    groups : array_like of str, shape (n,)
        Patients with identical images share a group.
    table : DataFrame, shape (n, any)
        The same rows with covariates and, if there is one, the split.
    split : str, optional
        Column that says in which part of the data a patient is.

    Returns
    -------
    list of Finding
    """
    names = np.asarray(groups).astype(str)
    pairs = near_duplicates(X, names)
    personal = [c for c in PERSONAL if c in table]
    found = [*_twin_findings(X.index, names), *(_pair_finding(p, table, personal) for p in pairs)]
    found += _equal_persons(table, names, personal, known=pairs)
    if split is not None:
        found += split_findings(table[split], names, pairs, column=split)
    return found


def split_findings(side: pd.Series[Any], groups: ArrayLike, pairs: list[NearPair], *, column: str) -> list[Finding]:
    """Report groups, and near-duplicate rows, of which one part is on each side of a given split.

    Parameters
    ----------
    side : Series, shape (n,)
        Part of the data that each patient is in; patients without one are on no side.
    groups : array_like of str, shape (n,)
    pairs : list of NearPair
    column : str
        Name of the split, for the message.

    Returns
    -------
    list of Finding
        ``E_LEAK_PATIENT``, all to be fixed.
    """
    hint = "Draw the split by patient, with identical images kept together."
    known = side.notna().to_numpy()
    names = np.asarray(groups).astype(str)
    parts = side[known].astype(str).groupby(names[known]).agg(lambda s: sorted(set(s)))
    found = []
    for group, sides in parts.items():
        if len(sides) > 1:
            patients = tuple(str(p) for p in side.index[known & (names == group)])
            message = f"{listed(patients)} share an image and are on several sides of {column!r}: {', '.join(sides)}."
            found.append(Finding("fix", "patients", message, hint, patients, (column,), "E_LEAK_PATIENT"))
    for p in pairs:
        a, b = side.loc[p.first], side.loc[p.second]
        if pd.notna(a) and pd.notna(b) and a != b:
            message = f"{p.first} and {p.second} have nearly the same row and are on sides {a} and {b} of {column!r}."
            patients = (p.first, p.second)
            found.append(Finding("fix", "patients", message, hint, patients, (column,), "E_LEAK_PATIENT"))
    return found


def _standardised(X: pd.DataFrame) -> FloatArray:
    values = X.to_numpy(dtype=float)
    values = values[:, np.isfinite(values).any(axis=0)]
    values = np.where(np.isfinite(values), values, np.nanmedian(values, axis=0)) if values.size else values
    spread = values.std(axis=0)
    varies = spread > 0
    scaled: FloatArray = (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies]
    return scaled


def _nearest_strangers(values: FloatArray, groups: NDArray[Any]) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Return the nearest row of another group, how far it is, and how far the fifth nearest is (or the last)."""
    largest = int(np.unique(groups, return_counts=True)[1].max())
    k = min(largest + NEIGHBOURS, len(values))
    near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(values).kneighbors(values, return_distance=False)
    stranger = groups[near] != groups[:, None]
    rows = np.arange(len(values))
    fifth = np.argmax(np.cumsum(stranger, axis=1) == np.minimum(stranger.sum(axis=1), NEIGHBOURS)[:, None], axis=1)
    partner, last = near[rows, stranger.argmax(axis=1)], near[rows, fifth]
    distance: FloatArray = np.linalg.norm(values - values[partner], axis=1)  # the search itself rounds off
    return partner, distance, np.linalg.norm(values - values[last], axis=1)


def _too_near(distance: FloatArray, further: FloatArray) -> NDArray[np.bool_]:
    n = len(distance)
    if n < FEWEST_ROWS:
        return np.zeros(n, dtype=bool)
    tiny = np.finfo(float).tiny
    log = np.log(np.maximum(distance, tiny) / np.maximum(further, tiny))
    middle = float(np.median(log))
    if middle >= 0:
        return np.zeros(n, dtype=bool)
    others = NEIGHBOURS - 1
    dimension = math.log(1 - 0.5 ** (1 / others)) / middle
    chance = -np.expm1(others * np.log1p(-np.exp(np.minimum(log * dimension, -tiny))))
    small: NDArray[np.bool_] = chance * n < FALSE_ALARMS
    return small


def _twin_findings(ids: pd.Index[Any], groups: NDArray[Any]) -> list[Finding]:
    sizes = pd.Series(groups, index=ids).groupby(groups).size()
    shared = sizes[sizes > 1].index.tolist()
    if not shared:
        return []
    patients = tuple(str(i) for i in ids[np.isin(groups, shared)])
    message = f"{len(patients)} patients share their images with another ({len(shared)} groups): {listed(patients)}."
    hint = "They are kept together in every fold here; other programs must be told."
    return [Finding("note", "patients", message, hint, patients)]


def _pair_finding(pair: NearPair, table: pd.DataFrame, personal: list[str]) -> Finding:
    same = [c for c in personal if _equal(table.loc[pair.first, c], table.loc[pair.second, c])]
    persons = len(same) >= 3
    how = "the same row" if pair.copy else "nearly the same row"
    shared = f", and the same {', '.join(same)}" if same else ""
    message = (
        f"{pair.first} and {pair.second} have {how} under different images: distance {pair.distance:.3g}, "
        f"where {pair.typical:.3g} is typical{shared}."
    )
    hint = "Look whether this is one patient; then keep one row, or keep both in one group."
    return Finding("fix" if pair.copy or persons else "look", "patients", message, hint, (pair.first, pair.second))


def _equal_persons(
    table: pd.DataFrame, groups: NDArray[Any], personal: list[str], *, known: list[NearPair]
) -> list[Finding]:
    """Report patients of different groups whose sex, age, height and weight are all the same."""
    if len(personal) < len(PERSONAL):
        return []
    told = {frozenset((p.first, p.second)) for p in known}
    full = table[personal].notna().all(axis=1)
    place = dict(zip(table.index, groups, strict=True))
    found = []
    for _, rows in table[full].groupby(personal, sort=False):
        patients = tuple(str(i) for i in rows.index)
        if len({place[i] for i in rows.index}) > 1 and frozenset(patients) not in told:
            message = f"{listed(patients)} have the same sex, age, height and weight."
            found.append(Finding("note", "patients", message, "Look whether this is one patient.", patients))
    return found


def _equal(a: Any, b: Any) -> bool:
    return bool(pd.notna(a) and pd.notna(b) and a == b)
