"""What a leakage audit found: permuted labels, selection outside the folds, and findings about rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from radiocard.evaluation.intervals import Estimate

Severity = Literal["fix", "look", "note"]
Topic = Literal["labels", "selection", "patients", "columns", "score"]

CHANCE = 0.5
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of an audit.

    Parameters
    ----------
    severity : {'fix', 'look', 'note'}
        ``fix``: no score may be reported before it is put right; ``look``: a person must decide;
        ``note``: harmless here, but worth knowing.
    topic : {'labels', 'selection', 'patients', 'columns', 'score'}
        What it is about.
    message : str
        What was found, with the numbers that were compared.
    hint : str
        What to do.
    patients, columns : tuple of str
        Whom and what it concerns.
    code : str or None
        Issue code where the same thing would stop another command.
    """

    severity: Severity
    topic: Topic
    message: str
    hint: str = ""
    patients: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    code: str | None = None

    def __str__(self) -> str:
        code = f"{self.code}: " if self.code else ""
        return f"{self.severity:<5} {code}{self.message}{f' {self.hint}' if self.hint else ''}"


@dataclass(frozen=True, slots=True)
class PermutedScore:
    """Macro AUC of one model with its own labels, and with labels that were dealt out anew.

    Parameters
    ----------
    model, title : str
        Short name and name for readers.
    observed : Estimate
        With the labels as they are; interval over patients.
    permuted : Estimate
        Mean over the permutations; t interval over them, for all models at once (Bonferroni).
    p : float
        Share of the permutations, the labels as they are counted among them, that score at least as high.
    draws : tuple of float
        One per permutation.
    """

    model: str
    title: str
    observed: Estimate
    permuted: Estimate
    p: float
    draws: tuple[float, ...]

    @property
    def verdict(self) -> Literal["at chance", "above chance", "below chance"]:
        """Where chance, 0.5, lies against the interval of the mean."""
        if self.permuted.low is not None and self.permuted.low > CHANCE:
            return "above chance"
        if self.permuted.high is not None and self.permuted.high < CHANCE:
            return "below chance"
        return "at chance"


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Macro AUC of one recipe that chooses its columns inside the folds, and once on all rows before them.

    Parameters
    ----------
    model, title : str
        Short name and name for readers.
    n_chosen : int
        Columns that were chosen on all rows.
    inside, outside : Estimate
        The honest figure and the other one, on the same folds; intervals over patients.
    optimism : Estimate
        Outside less inside; paired interval over patients.
    permuted_inside, permuted_outside, permuted_optimism : Estimate
        The same on permuted labels: means with t intervals over the permutations.
    """

    model: str
    title: str
    n_chosen: int
    inside: Estimate
    outside: Estimate
    optimism: Estimate
    permuted_inside: Estimate
    permuted_outside: Estimate
    permuted_optimism: Estimate


@dataclass(frozen=True)
class LeakageAudit:
    """Everything that a leakage audit found.

    Parameters
    ----------
    n_patients, n_groups : int
        Patients; independent patients.
    classes : dict of str to int
        Patients of each class.
    n_columns : int
        Columns that the models may learn from.
    design : str
        The resampling in words.
    permuted : tuple of PermutedScore
        One per model, the choice between them first.
    counterfactuals : tuple of Counterfactual
        One per recipe that chooses columns.
    findings : tuple of Finding
        The gravest first.
    """

    n_patients: int
    n_groups: int
    classes: dict[str, int]
    n_columns: int
    design: str
    permuted: tuple[PermutedScore, ...]
    counterfactuals: tuple[Counterfactual, ...]
    findings: tuple[Finding, ...] = field(default=())

    @property
    def must_fix(self) -> bool:
        """Whether something must be put right before a score is reported."""
        return any(f.severity == "fix" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self) | {
            "schema": "radiocard/leakage/1",
            "must_fix": self.must_fix,
            "permuted": [asdict(p) | {"verdict": p.verdict} for p in self.permuted],
        }

    def lines(self) -> list[str]:
        """Write the audit for a terminal."""
        counts = ", ".join(f"{c} {n}" for c, n in self.classes.items())
        out = [f"{self.n_patients} patients ({self.n_groups} independent): {counts}; {self.n_columns} columns."]
        return [*out, self.design, "", *self._permuted_lines(), *self._selection_lines(), *self._finding_lines()]

    def _permuted_lines(self) -> list[str]:
        if not self.permuted:
            return []
        n = len(self.permuted[0].draws)
        rows = [(p.title, _span(p.observed), _span(p.permuted), p.verdict, f"p = {p.p:.3f}") for p in self.permuted]
        title = f"Permuted labels through the whole pipeline ({n} permutations, macro AUC, chance 0.50)"
        return [title, *_grid(("model", "labels as they are", "permuted, mean", "", ""), rows), ""]

    def _selection_lines(self) -> list[str]:
        if not self.counterfactuals:
            return []
        rows: list[tuple[str, ...]] = []
        for c in self.counterfactuals:
            rows.append((c.title, "as they are", _span(c.inside), _span(c.outside), _span(c.optimism, sign=True)))
            told = (c.permuted_inside, c.permuted_outside)
            rows.append(("", "permuted", *map(_span, told), _span(c.permuted_optimism, sign=True)))
        head = ("model", "labels", "inside the folds", "outside", "optimism")
        return ["Columns chosen inside the folds, or once on all rows before them (macro AUC)", *_grid(head, rows), ""]

    def _finding_lines(self) -> list[str]:
        fixes = sum(f.severity == "fix" for f in self.findings)
        verdict = "Nothing has to be fixed." if not fixes else f"To be fixed: {fixes}."
        return [*map(str, self.findings), verdict]


def listed(names: Sequence[str]) -> str:
    """Name a few of many.

    Examples
    --------
    >>> listed(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _span(estimate: Estimate, *, sign: bool = False) -> str:
    if estimate.value is None:
        return "-"
    value = f"{estimate.value:+.2f}" if sign else f"{estimate.value:.2f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({estimate.low:.2f} to {estimate.high:.2f})"


def _grid(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return ["  " + "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
