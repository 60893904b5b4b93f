"""What a nested cross-validation found: out-of-fold predictions and how they came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.evaluation.metrics import Predictions
from radiocard.models.recipes import Value

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

SELECTED = "selected"
MAJORITY = "majority"
RULE = "rule"
RULE_NEAREST = "rule_nearest"
BASELINES = (MAJORITY, RULE, RULE_NEAREST)


@dataclass(frozen=True)
class Fold:
    """What happened in one outer fold.

    Parameters
    ----------
    repeat, fold : int
        Counted from 0.
    chosen : str
        Recipe of the lowest inner log-loss.
    params : mapping of str to mapping
        Recipe to the candidate that its inner folds chose.
    inner_log_loss : mapping of str to float
        Recipe to its inner log-loss [nat].
    features : mapping of str to tuple of str
        Recipe to the columns that reached the classifier.
    """

    repeat: int
    fold: int
    chosen: str
    params: Mapping[str, Mapping[str, Value]]
    inner_log_loss: Mapping[str, float]
    features: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "repeat": self.repeat,
            "fold": self.fold,
            "chosen": self.chosen,
            "params": {k: dict(v) for k, v in self.params.items()},
            "inner_log_loss": dict(self.inner_log_loss),
            "features": {k: list(v) for k, v in self.features.items()},
        }


@dataclass(frozen=True, eq=False)
class NestedResult:
    """Out-of-fold predictions of every model, and how they came about.

    Parameters
    ----------
    ids : tuple of str, length n
        Patients, in the order of all arrays.
    classes : tuple of str
        Sorted labels.
    y, groups : ndarray of int, shape (n,)
        Class codes; group codes.
    fold_of : ndarray of int, shape (repeats, n)
        Outer fold in which each patient was tested.
    titles : dict of str to str
        Models and their names for readers: ``selected``, the recipes, ``majority``, ``rule``, ``rule_nearest``.
    probabilities : dict of str to ndarray of float, shape (repeats, n, classes)
        Without the rule, which gives none.
    rule_answers : dict of str to ndarray of int, shape (n,)
        ``rule``: class codes, -1 where no definition holds; ``rule_nearest``: there, the class of the smallest
        share of unmet requirements. Empty where there is no rule.
    rule_note : str or None
        Why the rule could not be used.
    folds : tuple of Fold
        Ordered by repeat and fold.
    outer_folds, inner_folds : int
        Sizes of the two loops.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    y: IntArray
    groups: IntArray
    fold_of: IntArray
    titles: dict[str, str]
    probabilities: dict[str, FloatArray]
    rule_answers: dict[str, IntArray]
    rule_note: str | None
    folds: tuple[Fold, ...]
    outer_folds: int
    inner_folds: int

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models and baselines."""
        return tuple(self.titles)

    def trained(self, name: str) -> bool:
        """Tell whether a name is one of the recipes."""
        return name != SELECTED and name not in BASELINES

    def predictions(self, name: str) -> Predictions:
        """Return what one model said about every patient while it was held out.

        Raises
        ------
        UsageError
            If there is no such model.
        """
        if name not in self.titles:
            msg = f"There is no model {name!r} in this result, which holds: {', '.join(self.titles)}."
            raise UsageError(msg)
        if name in self.rule_answers:
            return Predictions(self.classes, self.y, self.groups, self.rule_answers[name][None], None)
        p = self.probabilities[name]
        return Predictions(self.classes, self.y, self.groups, p.argmax(axis=2), p)

    def out_of_fold(self, name: str) -> pd.DataFrame:
        """Return the mean probabilities over repeats, one row per patient, one column per class."""
        p = self.probabilities[name].mean(axis=0)
        return pd.DataFrame(p, index=pd.Index(self.ids, name="patient_id"), columns=list(self.classes))

    def chosen_counts(self) -> dict[str, int]:
        """Count in how many outer folds each recipe was chosen."""
        counts = Counter(fold.chosen for fold in self.folds)
        return {name: counts[name] for name in self.titles if self.trained(name)}

    def selection_counts(self, name: str) -> dict[str, int]:
        """Count in how many outer folds each column reached the classifier, most frequent first."""
        counts = Counter(column for fold in self.folds for column in fold.features[name])
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def design(self) -> str:
        """Describe the resampling in one sentence."""
        repeats = self.fold_of.shape[0]
        return (
            f"{self.outer_folds}-fold cross-validation, stratified by class, patients with identical images kept "
            f"together, repeated {repeats} time{'s' if repeats > 1 else ''} with other folds; imputation, scaling, "
            f"filtering, selection, settings and the choice of the model were made anew inside each training part, "
            f"by {self.inner_folds} inner folds."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "ids": list(self.ids),
            "classes": list(self.classes),
            "truth": [self.classes[c] for c in self.y],
            "groups": self.groups.tolist(),
            "fold_of": self.fold_of.tolist(),
            "titles": self.titles,
            "probabilities": {k: v.tolist() for k, v in self.probabilities.items()},
            "rule_answers": {k: v.tolist() for k, v in self.rule_answers.items()},
            "rule_note": self.rule_note,
            "folds": [f.to_dict() for f in self.folds],
            "outer_folds": self.outer_folds,
            "inner_folds": self.inner_folds,
        }
