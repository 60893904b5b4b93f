"""The published rule, read on one patient for the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

import numpy as np
import pandas as pd

from radiocard.cardiac.map_reference import SAME_FIELD_T
from radiocard.cohort.table import describe
from radiocard.explain.words import class_name, format_value
from radiocard.models.rule import CriterionCheck, make_rule
from radiocard.report.schema_why import Rule, RuleCriterion, RuleGroup, RuleReading
from radiocard.specs import RuleSpec

MOST_CRITERIA = 4
_SEX_WORDS = {"F": "women", "M": "men"}
OPERATORS = {"lt": "below", "le": "at most", "gt": "above", "ge": "at least"}


def published_rule(
    spec: RuleSpec,
    values: Mapping[str, Any],
    classes: Sequence[str],
    *,
    sex: str | None,
    prediction: str,
    field_strength_t: float | None = None,
) -> Rule | None:
    """Read the published class definitions on one patient; None where they do not fit the classes."""
    row = pd.DataFrame([dict(values)])
    rule = make_rule(spec, classes, list(row.columns))
    if rule is None:
        return None
    decision = rule.decide(row, np.array([sex], dtype=object))[0]
    checks = rule.explain(values, sex)
    notes = []
    if sex not in {"F", "M"} and any(check.sex_specific for check in checks):
        said = {s: answer or "no class" for s, (answer, _) in decision.by_sex.items()}
        notes.append(f"Sex unknown, both cut-offs tried: for women {said['F']}, for men {said['M']}.")
    wanted = spec.field_strength_t
    if wanted is not None and (field_strength_t is None or abs(field_strength_t - wanted) > SAME_FIELD_T):
        found = "unknown" if field_strength_t is None else f"{field_strength_t:g} T"
        notes.append(f"The cut-offs hold at {wanted:g} T; the field strength of this study is {found}.")
    return Rule(
        title=spec.title,
        answer=decision.answer,
        agrees=None if decision.answer is None else decision.answer == prediction,
        classes=[_reading(label, checks, decision.unmet[label]) for label in dict.fromkeys(c.label for c in checks)],
        citations=list(spec.citations),
        note=" ".join(notes) or None,
    )


def _reading(label: str, checks: Sequence[CriterionCheck], unmet: float) -> RuleReading:
    groups: dict[int, list[CriterionCheck]] = defaultdict(list)
    for check in checks:
        if check.label == label:
            groups[check.group].append(check)
    return RuleReading(
        label=label,
        name=class_name(label),
        holds=unmet == 0,
        groups=[_group(part) for group in groups.values() for part in _by_sex(group)],
    )


def _by_sex(checks: list[CriterionCheck]) -> list[list[CriterionCheck]]:
    """Part the two cut-offs of one criterion, which stand side by side where the sex is unknown."""
    return [[c] for c in checks] if len({c.column for c in checks}) == 1 else [checks]


def _group(checks: Sequence[CriterionCheck]) -> RuleGroup:
    """Show a few criteria one by one, and a comparison of all segments as one line."""
    if len(checks) <= MOST_CRITERIA:
        return RuleGroup(at_least=checks[0].at_least, criteria=[_criterion(c) for c in checks])
    met = sum(bool(c.met) for c in checks)
    info = describe(checks[0].column)
    names = [i.name for c in checks if (i := describe(c.column))]
    stem = commonprefix(names).rstrip(" ,") or checks[0].column
    cut_off = format_value(checks[0].cut_off, info.unit if info else "")
    needed = checks[0].at_least
    line = RuleCriterion(
        text=f"{stem}: {OPERATORS[checks[0].op]} {cut_off} in at least {needed} of {len(checks)} segments",
        column=checks[0].column,
        value=met,
        unit="segments",
        holds=met >= needed,
    )
    return RuleGroup(at_least=1, criteria=[line])


def _criterion(check: CriterionCheck) -> RuleCriterion:
    info = describe(check.column)
    name, unit = (info.name, info.unit) if info else (check.column, "")
    sexed = f" ({_SEX_WORDS[check.sex]})" if check.sex_specific else ""
    text = f"{name}: {OPERATORS[check.op]} {format_value(check.cut_off, unit)}{sexed}"
    return RuleCriterion(text=text, column=check.column, value=check.value, unit=unit, holds=check.met)
