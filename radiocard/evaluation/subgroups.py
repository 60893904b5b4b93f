"""Is the model as good for women as for men, at each age, size, site and scanner? With how much one could have seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep

from radiocard.cardiac.function import body_surface_area_m2
from radiocard.errors import UsageError
from radiocard.evaluation import metrics
from radiocard.evaluation.evidence import accuracy_by
from radiocard.evaluation.intervals import LEVEL, Estimate, mean_of_proportions, wilson
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.scores import Sample
from radiocard.specs import EvaluationPlan

Labels = NDArray[np.str_]

SMALLEST = 10
POWER = 0.8
UNKNOWN = "unknown"
COVARIATES: Mapping[str, str] = MappingProxyType(
    {
        "sex": "Sex",
        "age": "Age",
        "bsa": "Body surface area",
        "site": "Site",
        "vendor": "Vendor",
        "field_strength_t": "Field strength",
    }
)
AGE_CUTS_Y = (45.0, 65.0)
BSA_CUTS_M2 = (1.7, 2.0)


@dataclass(frozen=True, slots=True)
class SubgroupRow:
    """One group of patients.

    Parameters
    ----------
    covariate, group : str
        For example 'Sex', 'F'.
    n : int
        Independent patients.
    metrics : dict of str to Estimate
        ``accuracy``, ``balanced_accuracy``, ``macro_auc``; empty below 10 patients.
    sensitivity : dict of str to Estimate
        By class, where the group has patients of it.
    """

    covariate: str
    group: str
    n: int
    metrics: dict[str, Estimate]
    sensitivity: dict[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "covariate": self.covariate,
            "group": self.group,
            "n": self.n,
            "metrics": {k: e.to_dict() for k, e in self.metrics.items()},
            "sensitivity": {k: e.to_dict() for k, e in self.sensitivity.items()},
        }


@dataclass(frozen=True, slots=True)
class SubgroupDifference:
    """The largest difference in accuracy between two groups of one covariate.

    Parameters
    ----------
    covariate : str
    better, worse : str
        Groups.
    difference : Estimate
        Accuracy of the better less that of the worse; the interval holds for all pairs of the table at once.
    detectable : float or None
        Least difference that would be seen with 80 % power at these numbers; None where none would.
    sentence : str
    """

    covariate: str
    better: str
    worse: str
    difference: Estimate
    detectable: float | None
    sentence: str

    @property
    def shown(self) -> bool:
        """Whether the interval excludes no difference."""
        return self.difference.low is not None and self.difference.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "covariate": self.covariate,
            "better": self.better,
            "worse": self.worse,
            "difference": self.difference.to_dict(),
            "detectable": self.detectable,
            "shown": self.shown,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, eq=False)
class SubgroupTable:
    """All groups, the largest difference of each covariate, and what a reader must know.

    Parameters
    ----------
    rows : tuple of SubgroupRow
    differences : tuple of SubgroupDifference
    notes : tuple of str
    """

    rows: tuple[SubgroupRow, ...]
    differences: tuple[SubgroupDifference, ...]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The differences in words, then the notes."""
        return (*(d.sentence for d in self.differences), *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "rows": [r.to_dict() for r in self.rows],
            "differences": [d.to_dict() for d in self.differences],
            "notes": list(self.notes),
        }


def subgroup_labels(table: pd.DataFrame) -> dict[str, Labels]:
    """Name the group of each patient: sex, age and body size in bands, site, vendor, field strength.

    The bands (45 and 65 years, 1.7 and 2.0 m2) are fixed beforehand, so that they do not follow the result.

    Parameters
    ----------
    table : DataFrame, shape (n, columns)
        Covariates of :func:`radiocard.extract`; absent ones are left out. Without ``bsa_m2`` the
        body surface area is Mosteller's.

    Returns
    -------
    dict of str to ndarray of str, shape (n,)
        Covariates with at least two known groups; ``unknown`` where a patient has no value.
    """
    found: dict[str, Labels] = {}
    for column in ("sex", "site", "vendor", "field_strength_t"):
        if column in table:
            unit = " T" if column == "field_strength_t" else ""
            found[column] = np.array([UNKNOWN if pd.isna(v) else f"{v}{unit}" for v in table[column]])
    if "age_y" in table:
        found["age"] = _bands(table["age_y"], AGE_CUTS_Y, "y")
    size = _body_size(table)
    if size is not None:
        found["bsa"] = _bands(size, BSA_CUTS_M2, "m²")
    return {c: found[c] for c in COVARIATES if c in found and len(set(found[c].tolist()) - {UNKNOWN}) > 1}


def subgroup_table(predictions: Predictions, labels: Mapping[str, ArrayLike], *, plan: EvaluationPlan) -> SubgroupTable:
    """Score a model in groups of patients, and say which difference could have been seen.

    Parameters
    ----------
    predictions : Predictions
        Out of fold, or on other patients.
    labels : mapping of str to array_like of str, shape (n,)
        Covariate to the group of each patient, for example from :func:`subgroup_labels`.
    plan : EvaluationPlan
        Size and seed of the bootstrap.

    Returns
    -------
    SubgroupTable
        Groups of fewer than 10 independent patients are listed without figures.

    Raises
    ------
    UsageError
        If there is not one label per patient.
    """
    rows, by_covariate = [], {}
    for covariate, given in labels.items():
        names = np.asarray(given).astype(str)
        if names.shape != predictions.y.shape:
            msg = f"There are {names.size} labels of {covariate!r} and {predictions.y.size} patients; expected as many."
            raise UsageError(msg)
        title, accuracy = COVARIATES.get(covariate, covariate), accuracy_by(predictions, names)
        upwards = sorted(accuracy.items(), key=lambda item: not item[0].startswith("below"))
        part = [_row(title, g, _subset(predictions, names == g), e, plan) for g, e in upwards]
        rows += part
        by_covariate[title] = [r for r in part if r.metrics and r.group != UNKNOWN]
    pairs = sum(math.comb(len(part), 2) for part in by_covariate.values())
    differences = [_largest(part, pairs) for part in by_covariate.values() if len(part) > 1]
    return SubgroupTable(tuple(rows), tuple(differences), _notes(rows, pairs))


def smallest_detectable(proportion: float, n_first: int, n_second: int, *, alpha: float) -> float | None:
    """Return the least loss from a proportion that two groups of this size would show with 80 % power [1]_.

    Parameters
    ----------
    proportion : float
        Of the better group.
    n_first, n_second : int
        Independent patients.
    alpha : float
        Two-sided level.

    Returns
    -------
    float or None
        None where even a loss to zero would be missed.

    References
    ----------
    .. [1] Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 6

    Examples
    --------
    >>> round(smallest_detectable(0.9, 50, 50, alpha=0.05), 2)
    0.22
    """
    h = float(NormalIndPower().solve_power(nobs1=n_first, alpha=alpha, power=POWER, ratio=n_second / n_first))
    angle = math.asin(math.sqrt(proportion)) - h / 2
    return None if angle < 0 else proportion - math.sin(angle) ** 2


def _row(covariate: str, group: str, part: Predictions, accuracy: Estimate, plan: EvaluationPlan) -> SubgroupRow:
    n = part.n_groups
    if n < SMALLEST:
        return SubgroupRow(covariate, group, n, {}, {})
    rates = metrics.sensitivity(part, np.ones((1, part.y.size)))[0]
    present = np.unique(part.y)
    sensitivity = {part.classes[c]: wilson(float(rates[c]), part.class_groups(c)) for c in present}
    found = {"accuracy": accuracy, "balanced_accuracy": mean_of_proportions(list(sensitivity.values()))}
    if part.probabilities is not None and present.size > 1:
        p = part.probabilities
        area = Sample(part, plan).estimate(lambda w: metrics.auc(p, part.y, w)[:, present].mean(axis=1))
        found["macro_auc"] = area
    return SubgroupRow(covariate, group, n, found, sensitivity)


def _subset(predictions: Predictions, rows: NDArray[np.bool_]) -> Predictions:
    p = predictions.probabilities
    return replace(
        predictions,
        y=predictions.y[rows],
        groups=predictions.groups[rows],
        predicted=predictions.predicted[:, rows],
        probabilities=None if p is None else p[:, rows],
    )


def _largest(rows: Sequence[SubgroupRow], pairs: int) -> SubgroupDifference:
    def accuracy(row: SubgroupRow) -> float:
        return row.metrics["accuracy"].value or 0.0

    first, second = max(combinations(rows, 2), key=lambda pair: abs(accuracy(pair[0]) - accuracy(pair[1])))
    better, worse = (first, second) if accuracy(first) >= accuracy(second) else (second, first)
    a, b = accuracy(better), accuracy(worse)
    alpha = (1 - LEVEL) / pairs
    low, high = confint_proportions_2indep(
        a * better.n, better.n, b * worse.n, worse.n, method="newcomb", compare="diff", alpha=alpha
    )
    method = f"Newcombe interval, Bonferroni for {pairs} pairs of groups"
    difference = Estimate(a - b, max(float(low), -1.0), min(float(high), 1.0), better.n + worse.n, method)
    least = smallest_detectable(a, better.n, worse.n, alpha=alpha)
    text = _difference_sentence(better, worse, difference, least)
    return SubgroupDifference(better.covariate, better.group, worse.group, difference, least, text)


def _difference_sentence(better: SubgroupRow, worse: SubgroupRow, d: Estimate, least: float | None) -> str:
    head = (
        f"{better.covariate}: largest difference in accuracy {100 * (d.value or 0):.0f} % "
        f"({better.group} {100 * (better.metrics['accuracy'].value or 0):.0f} %, n = {better.n}; "
        f"{worse.group} {100 * (worse.metrics['accuracy'].value or 0):.0f} %, n = {worse.n}; "
        f"95 % interval {100 * (d.low or 0):.0f} % to {100 * (d.high or 0):.0f} %, for all pairs of the table at once)"
    )
    if d.low is not None and d.low > 0:
        return f"{head}. The difference is more than chance."
    power = "no difference at all" if least is None else f"differences from {100 * least:.0f} % on"
    return (
        f"{head}. No difference is shown; these numbers would show {power} with 80 % power, so equality is not shown."
    )


def _notes(rows: Sequence[SubgroupRow], pairs: int) -> tuple[str, ...]:
    notes = ["Groups can differ in their classes and in their disease; a difference here is not yet unfairness."]
    if not pairs:
        notes.append(f"No covariate has two groups of at least {SMALLEST} patients: nothing can be compared.")
    small = [f"{r.covariate} {r.group} ({r.n})" for r in rows if not r.metrics]
    if small:
        notes.append(f"Fewer than {SMALLEST} independent patients, no figure: {', '.join(small)}.")
    return tuple(notes)


def _bands(values: pd.Series[Any], cuts: Sequence[float], unit: str) -> Labels:
    low, high = cuts
    names = (f"below {low:g} {unit}", f"{low:g} to {high:g} {unit}", f"{high:g} {unit} and above")
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.array([UNKNOWN if np.isnan(v) else names[int(np.searchsorted(cuts, v, side="right"))] for v in numbers])


def _body_size(table: pd.DataFrame) -> pd.Series[Any] | None:
    if "bsa_m2" in table:
        return table["bsa_m2"]
    if not {"height_cm", "weight_kg"} <= set(table):
        return None
    rows = zip(table["height_cm"].astype(float), table["weight_kg"].astype(float), strict=True)
    sizes = [body_surface_area_m2(h, w, formula="mosteller") for h, w in rows]
    return pd.Series(sizes, index=table.index, dtype=float)
