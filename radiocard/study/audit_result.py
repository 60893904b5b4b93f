"""What an audit of the explanations found, and its sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from radiocard.evaluation.intervals import Estimate

SCHEMA = "radiocard/explanation-audit/1"


@dataclass(frozen=True, slots=True)
class Stability:
    """How alike the explanations of models trained again are.

    Parameters
    ----------
    rank, overlap : Estimate
        Mean over all pairs of the rank correlation of mean |SHAP|, and of the share of leading columns in common.
    lowest : float or None
        Lowest rank correlation of a pair.
    chance : float
        Overlap that random columns would have.
    refits : int
        Models.
    """

    rank: Estimate
    overlap: Estimate
    lowest: float | None
    chance: float
    refits: int


@dataclass(frozen=True, slots=True)
class Planted:
    """Whether the explanation names the columns that were made to matter.

    Parameters
    ----------
    recovered : Estimate
        Mean share of the planted columns among the leading ones; n counts tables.
    chance : float
        The same for random columns.
    columns, informative : int
        Columns of each table, and those that matter.
    effect_sd : float
        Shift of one class in each [SD].
    """

    recovered: Estimate
    chance: float
    columns: int
    informative: int
    effect_sd: float


@dataclass(frozen=True, slots=True)
class Deletion:
    """Whether the model does worse without the columns that the explanation names.

    Parameters
    ----------
    leading, random, difference : Estimate
        Growth of the log-loss of held-out patients [nat] where the leading columns, as many random columns, are
        replaced by training medians; difference per patient.
    """

    leading: Estimate
    random: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class GroupShare:
    """A group of correlated columns and its importance.

    Parameters
    ----------
    columns : tuple of str
    importance : Estimate
        Mean absolute sum of their SHAP values.
    """

    columns: tuple[str, ...]
    importance: Estimate


@dataclass(frozen=True, eq=False)
class ExplanationAudit:
    """What is known about the explanations of one model.

    Parameters
    ----------
    model, title, method : str
        Name, name for readers, how SHAP values were computed.
    top : int
        How many leading columns are compared.
    stability : dict of str to Stability
        ``folds``, ``seeds``; ``groups`` for the importance of correlated groups over the folds.
    planted : Planted
    deletion : Deletion
    groups : tuple of GroupShare
        Most important first.
    agreement : dict of str to Estimate
        Rank correlation of mean |SHAP| with ``permutation`` importance, and with ``ebm`` where it could be fitted.
    notes : tuple of str
    """

    model: str
    title: str
    method: str
    top: int
    stability: dict[str, Stability]
    planted: Planted
    deletion: Deletion
    groups: tuple[GroupShare, ...]
    agreement: dict[str, Estimate]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings in words."""
        return (
            *_stability_sentences(self.stability, self.top),
            _planted_sentence(self.planted),
            _deletion_sentence(self.deletion, self.top),
            _group_sentence(self.groups),
            *_agreement_sentences(self.agreement),
            *self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "title": self.title,
            "method": self.method,
            "top": self.top,
            "stability": {k: asdict(v) for k, v in self.stability.items()},
            "planted": asdict(self.planted),
            "deletion": asdict(self.deletion),
            "groups": [asdict(g) for g in self.groups],
            "agreement": {k: e.to_dict() for k, e in self.agreement.items()},
            "sentences": list(self.sentences),
        }


def _stability_sentences(found: dict[str, Stability], top: int) -> list[str]:
    what = {
        "folds": "Trained on other folds",
        "seeds": "Trained on all patients with other seeds",
        "groups": "Correlated columns taken together, on other folds",
    }
    out = []
    for name, s in found.items():
        lowest = "" if s.lowest is None else f", lowest {s.lowest:.2f}"
        out.append(
            f"{what[name]} ({s.refits} models), the order by mean |SHAP| is repeated with rank correlation "
            f"{_text(s.rank)}{lowest}; {_text(s.overlap)} of the first {top} are the same (by chance {s.chance:.2f})."
        )
    return out


def _planted_sentence(p: Planted) -> str:
    return (
        f"On simulated tables where {p.informative} of {p.columns} columns were made to matter ({p.effect_sd:g} SD), "
        f"the explanation named {_text(p.recovered)} of them first "
        f"(by chance {p.chance:.2f}; {p.recovered.n:g} tables)."
    )


def _deletion_sentence(d: Deletion, top: int) -> str:
    head = (
        f"Without the first {top} columns the log-loss of held-out patients grows by {_text(d.leading)} nat, without "
        f"{top} random ones by {_text(d.random)}; difference {_text(d.difference)}"
    )
    shown = d.difference.low is not None and d.difference.low > 0
    return f"{head}. {'They matter' if shown else 'It is not shown that they matter'} more than chance."


def _group_sentence(groups: Sequence[GroupShare]) -> str:
    n = sum(len(g.columns) for g in groups)
    if len(groups) == n:
        return f"No two of the {n} columns are closely correlated."
    first = groups[0]
    more = " and more" if len(first.columns) > 4 else ""
    return (
        f"The {n} columns form {len(groups)} groups of correlated ones; which column of a group leads is partly "
        f"chance. First: {', '.join(first.columns[:4])}{more}, {_text(first.importance)}."
    )


def _agreement_sentences(found: dict[str, Estimate]) -> list[str]:
    what = {"permutation": "permutation importance", "ebm": "the explainable boosting machine's own curves"}
    return [f"Rank correlation of mean |SHAP| with {what[name]}: {_text(e)}." for name, e in found.items()]


def _text(e: Estimate) -> str:
    if e.value is None:
        return "not defined"
    return f"{e.value:.2f}" if e.low is None or e.high is None else f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"
