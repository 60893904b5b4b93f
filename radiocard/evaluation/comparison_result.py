"""What a comparison of models on the same patients holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiocard.evaluation.agreement import Agreement, Reclassification
from radiocard.evaluation.decision import DecisionCurve
from radiocard.evaluation.delong import DeLongTest
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.metrics import Predictions
from radiocard.evaluation.paired_tests import NonInferiority, ResampledT
from radiocard.evaluation.scores import Scores

IntArray = NDArray[np.intp]

SCHEMA = "radiocard/comparison/1"
HELD_OUT, CROSS_VALIDATED = "held out", "cross-validated"


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer costs, per case.

    Parameters
    ----------
    seconds, mb, wh : float or None
        Time [s], largest memory [MB] and energy [Wh]; None where not stated.
    """

    seconds: float | None = None
    mb: float | None = None
    wh: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data for JSON."""
        return {"seconds": self.seconds, "mb": self.mb, "wh": self.wh}


@dataclass(frozen=True, eq=False)
class Entrant:
    """One model that takes part.

    Parameters
    ----------
    predictions : Predictions
    kind : {'held out', 'cross-validated'}
        Whether one frozen model answered for all patients, or those of several folds.
    fold_of : ndarray of int, shape (repeats, n), or None
        Outer fold in which each patient was tested, where known.
    cost : Cost
    """

    predictions: Predictions
    kind: str = HELD_OUT
    fold_of: IntArray | None = None
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired difference of a metric: model less reference.

    Parameters
    ----------
    value : Estimate
    p, p_holm : float or None
        Two-sided bootstrap p-value, alone and adjusted for all differences beside it; None for accuracy,
        which McNemar's test covers.
    """

    value: Estimate
    p: float | None
    p_holm: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"difference": self.value.to_dict(), "p": self.p, "p_holm": self.p_holm}


@dataclass(frozen=True, slots=True)
class McNemar:
    """Exact McNemar test, one vote per independent patient.

    Parameters
    ----------
    only_model, only_reference, n : int
        Patients whom only one of the two got right; all patients.
    p, p_holm : float
    """

    only_model: int
    only_reference: int
    n: int
    p: float
    p_holm: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "only_model": self.only_model,
            "only_reference": self.only_reference,
            "n": self.n,
            "p": self.p,
            "p_holm": self.p_holm,
        }


@dataclass(frozen=True, eq=False)
class Pair:
    """A model against the reference.

    Parameters
    ----------
    differences : dict of str to Difference
        By metric.
    mcnemar : McNemar
    delong : DeLongTest or None
    delong_note : str
        Which class against the rest, or why there is no DeLong test.
    non_inferiority : NonInferiority or None
        Where a margin was stated.
    over_folds : dict of str to ResampledT
        Corrected resampled t of accuracy and log-loss, where both models were tested in the same folds.
    agreement : Agreement
    reclassification : Reclassification
    """

    differences: dict[str, Difference]
    mcnemar: McNemar
    delong: DeLongTest | None
    delong_note: str
    non_inferiority: NonInferiority | None
    over_folds: dict[str, ResampledT]
    agreement: Agreement
    reclassification: Reclassification

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "differences": {k: v.to_dict() for k, v in self.differences.items()},
            "mcnemar": self.mcnemar.to_dict(),
            "delong": None if self.delong is None else self.delong.to_dict(),
            "delong_note": self.delong_note,
            "non_inferiority": None if self.non_inferiority is None else self.non_inferiority.to_dict(),
            "over_folds": {k: v.to_dict() for k, v in self.over_folds.items()},
            "agreement": self.agreement.to_dict(),
            "reclassification": self.reclassification.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Everything that a comparison of models found.

    Parameters
    ----------
    reference : str
        Name of the model that the others are compared with.
    classes : tuple of str
    n_patients, n_groups : int
        Patients, and independent ones.
    scores : dict of str to Scores
        By model, each metric with its interval.
    kinds : dict of str to str
        ``held out`` or ``cross-validated``.
    pairs : dict of str to Pair
        By model, without the reference.
    decision : dict of str to DecisionCurve
        By class; of two classes, the second or the one that was named.
    costs : dict of str to Cost
    notes : tuple of str
        What a reader must know.
    """

    reference: str
    classes: tuple[str, ...]
    n_patients: int
    n_groups: int
    scores: dict[str, Scores]
    kinds: dict[str, str]
    pairs: dict[str, Pair]
    decision: dict[str, DecisionCurve]
    costs: dict[str, Cost]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "reference": self.reference,
            "classes": list(self.classes),
            "n_patients": self.n_patients,
            "n_groups": self.n_groups,
            "models": {
                k: {
                    "kind": self.kinds[k],
                    "metrics": {m: e.to_dict() for m, e in s.metrics.items()},
                    "per_class": {c: {m: e.to_dict() for m, e in row.items()} for c, row in s.per_class.items()},
                    "expected": {m: {"mean": e.mean, "high": e.high, "p": e.p} for m, e in s.expected.items()},
                    "cost_per_case": self.costs[k].to_dict(),
                }
                for k, s in self.scores.items()
            },
            "pairs": {k: v.to_dict() for k, v in self.pairs.items()},
            "decision": {k: v.to_dict() for k, v in self.decision.items()},
            "notes": list(self.notes),
        }
