"""The published class definitions as a classifier that needs no training."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiocard.errors import UsageError
from radiocard.specs import Criterion, CriterionGroup, RuleClass, RuleSpec, read_as

Sex = Literal["F", "M"]
SEXES: tuple[Sex, ...] = ("F", "M")
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
)


@dataclass(frozen=True)
class CriterionCheck:
    """One criterion held against one patient.

    Parameters
    ----------
    label : str
        Class of the cohort that the criterion belongs to.
    sex : {'F', 'M'}
        Whose cut-off it is.
    group : int
        Position of the group within the class; of a group at least ``at_least`` must hold.
    at_least : int
        How many criteria of the group must hold.
    column : str
        What is compared.
    op : {'lt', 'le', 'gt', 'ge'}
        How it is compared.
    cut_off : float
        With what, in the unit of the column.
    value : float or None
        The patient's value; None where it is undefined.
    met : bool or None
        None where the value is undefined.
    sex_specific : bool
        Whether the cut-off depends on sex.
    """

    label: str
    sex: Sex
    group: int
    at_least: int
    column: str
    op: str
    cut_off: float
    value: float | None
    met: bool | None
    sex_specific: bool


@dataclass(frozen=True)
class RuleDecision:
    """What the definitions say of one patient.

    Parameters
    ----------
    answer : str or None
        Class whose definition holds; None when none does, or the two cut-offs disagree.
    nearest : str
        Class of the smallest share of unmet requirements (the answer, if there is one).
    by_sex : mapping of sex to (answer or None, nearest)
        One entry, or two where the sex is unknown.
    unmet : mapping of str to float
        Class to the share of its requirements that do not hold; mean over the cut-offs used.
    """

    answer: str | None
    nearest: str
    by_sex: Mapping[Sex, tuple[str | None, str]]
    unmet: Mapping[str, float]

    @property
    def abstained(self) -> bool:
        """Whether no definition holds (borderline), or the answer depends on the unknown sex."""
        return self.answer is None


class RuleClassifier:
    """Published class definitions; the first class whose requirements all hold is the answer.

    Where none holds, :meth:`predict` names the class with the smallest share of unmet requirements
    (ties in the order of the specification), and :meth:`decide` says that it abstained.

    Parameters
    ----------
    spec : RuleSpec
        Definitions.
    labels : mapping of str to str
        Class of the cohort to class of the specification; see :func:`make_rule`.

    Attributes
    ----------
    classes_ : ndarray of str
        Labels of the cohort, sorted; the order of :meth:`predict_proba`.
    """

    def __init__(self, spec: RuleSpec, labels: Mapping[str, str]) -> None:
        self.spec = spec
        self.classes_ = np.array(sorted(labels))
        by_rule = {rule: label for label, rule in labels.items()}
        self._definitions = [(by_rule[c.label], c) for c in spec.classes if c.label in by_rule]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the definitions compare."""
        return tuple(sorted({c.column for _, rule in self._definitions for g in rule.criteria for c in g.of}))

    def decide(self, X: pd.DataFrame, sex: ArrayLike | None = None) -> list[RuleDecision]:
        """Hold every definition against every patient.

        Parameters
        ----------
        X : DataFrame
            Missing columns and NaN count as undefined: the criterion is not met.
        sex : array-like, shape (n_patients,), optional
            'F' or 'M'; anything else is unknown, and both cut-offs are tried.

        Returns
        -------
        list of RuleDecision

        Raises
        ------
        UsageError
            If ``sex`` has another length than ``X``.
        """
        known = _sexes(sex, len(X))
        unmet = {s: np.column_stack([_unmet(rule, X, s) for _, rule in self._definitions]) for s in SEXES}
        return [self._decision({s: unmet[s][i] for s in SEXES if known[i] in (s, None)}) for i in range(len(X))]

    def predict(self, X: pd.DataFrame, sex: ArrayLike | None = None) -> NDArray[np.str_]:
        """Return the nearest class of each patient; :meth:`decide` says where a definition holds."""
        return np.array([d.nearest for d in self.decide(X, sex)], dtype=self.classes_.dtype)

    def predict_proba(self, X: pd.DataFrame, sex: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return shares of votes, shape (n_patients, n_classes): no probability was estimated.

        The nearest class has 1; where the sex is unknown each cut-off has half a vote.
        """
        votes = np.zeros((len(X), len(self.classes_)))
        for i, decision in enumerate(self.decide(X, sex)):
            for _, nearest in decision.by_sex.values():
                votes[i, np.searchsorted(self.classes_, nearest)] += 1 / len(decision.by_sex)
        return votes

    def explain(self, row: Mapping[str, Any] | pd.Series, sex: str | None = None) -> list[CriterionCheck]:
        """List every criterion with the patient's value, the cut-off, and whether it is met.

        Parameters
        ----------
        row : mapping or Series
            Column to value.
        sex : str, optional
            'F' or 'M'; otherwise criteria that depend on sex stand twice.
        """
        checks = []
        for label, rule in self._definitions:
            for number, group in enumerate(rule.criteria):
                for criterion in group.of:
                    either = sex not in SEXES and isinstance(criterion.value, Mapping)
                    used: tuple[Sex, ...] = SEXES if either else (sex if sex in SEXES else "F",)
                    checks += [_check(label, number, group, criterion, row, s) for s in used]
        return checks

    def _decision(self, unmet: Mapping[Sex, NDArray[np.float64]]) -> RuleDecision:
        labels = [label for label, _ in self._definitions]
        by_sex: dict[Sex, tuple[str | None, str]] = {}
        for s, counts in unmet.items():
            first = int(np.argmin(counts))
            by_sex[s] = (labels[first] if counts[first] == 0 else None, labels[first])
        answers = {answer for answer, _ in by_sex.values()}
        mean = np.mean(list(unmet.values()), axis=0)
        nearest = next(iter(by_sex.values()))[1] if len(by_sex) == 1 else labels[int(np.argmin(mean))]
        return RuleDecision(
            answer=answers.pop() if len(answers) == 1 else None,
            nearest=nearest,
            by_sex=by_sex,
            unmet=dict(zip(labels, mean.tolist(), strict=True)),
        )


def read_rule(source: str) -> RuleSpec:
    """Read a rule by shipped name or path."""
    return read_as(RuleSpec, source, "models")


def why_not_applicable(spec: RuleSpec, classes: Sequence[str], columns: Sequence[str]) -> str | None:
    """Say why a rule cannot be used on a cohort; None if it can.

    Parameters
    ----------
    spec : RuleSpec
        Definitions.
    classes : sequence of str
        Labels of the cohort.
    columns : sequence of str
        Columns of the table.
    """
    mapped = {label: _rule_class(spec, label) for label in sorted(set(classes))}
    unknown = [label for label, rule in mapped.items() if rule is None]
    if unknown:
        return f"The rule does not define {', '.join(map(repr, unknown))}."
    twice = [label for label, rule in mapped.items() if list(mapped.values()).count(rule) > 1]
    if twice:
        return f"The rule has one definition for several of the classes: {', '.join(twice)}."
    for rule in mapped.values():
        for group in rule.criteria if rule else ():
            missing = [c.column for c in group.of if c.column not in set(columns)]
            if len(group.of) - len(missing) < group.at_least:
                return f"The table lacks columns that the rule compares: {', '.join(missing[:8])}."
    return None


def make_rule(spec: RuleSpec, classes: Sequence[str], columns: Sequence[str]) -> RuleClassifier | None:
    """Return the rule for a cohort, or None where it is not applicable.

    Class labels are matched by label or alias, whatever their case. Definitions of classes
    that the cohort does not have are left out.

    Examples
    --------
    >>> make_rule(read_rule("rule_cine"), ["sepsis", "normal"], ["lvef_pct"]) is None
    True
    """
    if not len(classes) or why_not_applicable(spec, classes, columns) is not None:
        return None
    matched = {label: rule.label for label in classes if (rule := _rule_class(spec, label))}
    return RuleClassifier(spec, matched)


def _rule_class(spec: RuleSpec, label: str) -> RuleClass | None:
    key = " ".join(label.replace("_", " ").replace("-", " ").casefold().split())
    return next((c for c in spec.classes if key in {n.casefold() for n in (c.label, *c.aliases)}), None)


def _sexes(sex: ArrayLike | None, n: int) -> list[str | None]:
    if sex is None:
        return [None] * n
    given = list(np.asarray(sex, dtype=object).ravel())
    if len(given) != n:
        msg = f"There are {n} patients and {len(given)} entries of sex."
        raise UsageError(msg)
    return [s if isinstance(s, str) and s in SEXES else None for s in given]


def _cut_off(criterion: Criterion, sex: Sex) -> float:
    return criterion.value[sex] if isinstance(criterion.value, Mapping) else criterion.value


def _unmet(rule: RuleClass, X: pd.DataFrame, sex: Sex) -> NDArray[np.float64]:
    """Return the share of the requirements of a definition that each patient does not meet, shape (n,)."""
    unmet = np.zeros(len(X), dtype=int)
    for group in rule.criteria:
        met = np.zeros(len(X), dtype=int)
        for c in group.of:
            if c.column in X.columns:
                met += _OPERATORS[c.op](X[c.column].to_numpy(dtype=float, na_value=np.nan), _cut_off(c, sex))
        unmet += met < group.at_least
    return unmet / len(rule.criteria)


def _check(
    label: str, number: int, group: CriterionGroup, criterion: Criterion, row: Mapping[str, Any] | pd.Series, sex: Sex
) -> CriterionCheck:
    raw = row.get(criterion.column)
    value = None if raw is None or pd.isna(raw) else float(raw)
    cut_off = _cut_off(criterion, sex)
    return CriterionCheck(
        label=label,
        sex=sex,
        group=number,
        at_least=group.at_least,
        column=criterion.column,
        op=criterion.op,
        cut_off=cut_off,
        value=value,
        met=None if value is None else bool(_OPERATORS[criterion.op](value, cut_off)),
        sex_specific=isinstance(criterion.value, Mapping),
    )
