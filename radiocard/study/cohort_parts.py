"""A table to the parts of the cohort report: alerts, flow, data, features."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from radiocard.cardiac.map_dictionary import MAP_NAMES
from radiocard.cohort.table import describe, specification
from radiocard.errors import CODES, Issue
from radiocard.explain.words import class_name
from radiocard.report.schema_cohort import (
    Alert,
    CheckStrip,
    CorrelationCluster,
    CountRow,
    CountTable,
    DataPart,
    DuplicateGroup,
    Exclusion,
    FeaturePart,
    Flow,
    FlowStep,
    MissingFeature,
    StripDot,
    SummaryRow,
)
from radiocard.report.schema_patient import BullsEye
from radiocard.specs.maps import MAP_UNITS
from radiocard.study.evidence_parts import plain_name

CORRELATION_LIMIT = 0.95
CLUSTERS_SHOWN = 12
MISSING_SHOWN = 20
COUNTED = {"diagnosis": "Class", "sex": "Sex", "site": "Site", "vendor": "Vendor", "field_strength_t": "Field strength"}
COUNTED_UNITS = {"field_strength_t": " T"}
SUMMARISED = {"age_y": ("Age", "y"), "height_cm": ("Height", "cm"), "weight_kg": ("Weight", "kg")}
CHECKED = ("lvef_pct", "rvef_pct", "lvedv_ml", "rvedv_ml", "lvm_g")
MEASURED = ("t1_native_ms", "t1_post_ms", "t2_ms", "ecv_pct", "mwt_max_map_mm", "scar_pct")  # no limits are known
MAP_EYES = tuple(f"{sequence}_aha_{{:02d}}_{tag}" for sequence, tag in MAP_UNITS.items())
CLASS_EYES = ("wt_aha_{:02d}_ed_mm", *MAP_EYES, "scar_aha_{:02d}_pct")
EYE_TITLES = ("Wall thickness, end-diastole", *(MAP_NAMES[sequence] for sequence in MAP_UNITS), "Scar")
AGE_BANDS = (0, 18, 40, 60, 80, np.inf)


def table_issues(table: pd.DataFrame) -> list[Issue]:
    """Return the findings that the table carries."""
    return [Issue(**record) for record in specification(table).get("issues", [])]


def alerts(table: pd.DataFrame, issues: Sequence[Issue], *, target: str) -> list[Alert]:
    """List what to fix or to know, most pressing first."""
    found: list[Alert] = []
    by_code: dict[str, list[Issue]] = defaultdict(list)
    for issue in issues:
        by_code[issue.code].append(issue)
    for code, group in sorted(
        by_code.items(), key=lambda item: (item[1][0].severity != "refuse", -len(item[1]), item[0])
    ):
        cases = sorted({i.case for i in group if i.case})
        refused = group[0].severity == "refuse"
        found.append(
            Alert(
                severity="fix" if refused else "look",
                title=f"{CODES[code][1].rstrip('.')} ({code})",
                message=f"{len(cases) or len(group)} of {_n_cases(table)} cases. For example: {group[0].message}",
                action=group[0].hint or None,
                cases=cases,
            )
        )
    counts = table[target].value_counts()
    if counts.max() > 3 * counts.min():
        message = f"The largest class has {counts.max()} patients, the smallest {counts.min()}."
        found.append(Alert(severity="look", title="Classes are uneven", message=message))
    return found


def flow(table: pd.DataFrame, issues: Iterable[Issue], *, used: int, target: str) -> Flow:
    """Count the cases from the cohort to the evaluation."""
    refused: dict[str, set[str]] = defaultdict(set)
    for issue in issues:
        if issue.severity == "refuse" and issue.case:
            refused[issue.code].add(issue.case)
    steps = [
        FlowStep(name="Found in the cohort", n=_n_cases(table)),
        FlowStep(name="Passed the input checks", n=len(table)),
    ]
    if used != len(table):
        steps.append(FlowStep(name=f"With a known {target}", n=used))
    steps.append(FlowStep(name="Evaluated", n=used))
    excluded = [Exclusion(code=c, reason=CODES[c][1], cases=sorted(cases)) for c, cases in sorted(refused.items())]
    return Flow(steps=steps, excluded=excluded)


def data_part(table: pd.DataFrame, *, target: str, groups: Sequence[str], limits: Mapping[str, Any]) -> DataPart:
    """Describe the patients: classes, sex, age, site, body size, checks, identical images."""
    made = specification(table)
    classes = sorted(table[target].astype(str).unique())
    counts = [
        _count_table(table, column, title, target, classes) for column, title in COUNTED.items() if column != target
    ]
    counts.insert(0, _class_table(table, target))
    if table["age_y"].notna().any():
        bands = pd.cut(table["age_y"].astype(float), AGE_BANDS, right=False)
        named = bands.map(_band_name).astype(object)
        counts.append(_count_table(table.assign(age_band=named), "age_band", "Age", target, classes))
    sentence = f"{made.get('layout', 'unknown')} layout. {made.get('label_convention', '')}".strip()
    return DataPart(
        sentence=sentence,
        counts=[c for c in counts if c is not None],
        summaries=[row for row in (_summary(table, c, *words) for c, words in SUMMARISED.items()) if row],
        duplicates=_duplicates(table, groups),
        checks=[
            _strip(table, c, target, limits)
            for c in (*CHECKED, *MEASURED)
            if c in table and table[c].notna().any() and (c in limits or c in MEASURED)
        ],
        bulls_eyes=class_eyes(table, target=target),
    )


def feature_part(table: pd.DataFrame, columns: Sequence[str]) -> FeaturePart:
    """Describe the columns: families, missing and constant ones, clusters that say the same."""
    values = table[list(columns)].astype(float)
    families = Counter(info.family for c in columns if (info := describe(c)))
    missing = values.isna().sum().sort_values(ascending=False)
    rows = [
        MissingFeature(column=str(c), name=plain_name(str(c)), n_missing=int(n))
        for c, n in missing[missing > 0].head(MISSING_SHOWN).items()
    ]
    constant = [c for c in columns if values[c].nunique(dropna=True) <= 1]
    return FeaturePart(
        n_columns=len(columns),
        n_patients=len(table),
        families=dict(families.most_common()),
        missing=rows,
        constant=constant,
        correlation_limit=CORRELATION_LIMIT,
        clusters=_clusters(values.drop(columns=constant)),
    )


def _n_cases(table: pd.DataFrame) -> int:
    return int(specification(table).get("n_cases", len(table)))


def _band_name(band: pd.Interval) -> str:
    return f"{band.left:g} y and older" if np.isinf(band.right) else f"{band.left:g} to {band.right - 1:g} y"


def _class_table(table: pd.DataFrame, target: str) -> CountTable:
    rows = [CountRow(name=str(c), counts={"all": int(n)}) for c, n in table[target].value_counts().sort_index().items()]
    return CountTable(title="Class", columns=["all"], rows=rows)


def _count_table(table: pd.DataFrame, column: str, title: str, target: str, classes: list[str]) -> CountTable | None:
    if column not in table or table[column].isna().all():
        return None
    unit = COUNTED_UNITS.get(column, "")
    shown = table[column].map(lambda v: f"{v:g}{unit}" if isinstance(v, float) else str(v))
    values = shown.where(table[column].notna(), "unknown")
    cross = pd.crosstab(values, table[target].astype(str))
    rows = [
        CountRow(name=str(name), counts={c: int(row.get(c, 0)) for c in classes} | {"all": int(row.sum())})
        for name, row in cross.iterrows()
    ]
    return CountTable(title=title, columns=[*classes, "all"], rows=rows)


def _summary(table: pd.DataFrame, column: str, name: str, unit: str) -> SummaryRow | None:
    values = table[column].dropna().astype(float)
    if values.empty:
        return None
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    return SummaryRow(
        name=name,
        unit=unit,
        n=len(values),
        median=float(median),
        quartiles=(float(q1), float(q3)),
        range=(float(values.min()), float(values.max())),
    )


def _duplicates(table: pd.DataFrame, groups: Sequence[str]) -> list[DuplicateGroup]:
    members: dict[str, list[str]] = defaultdict(list)
    for patient, group in zip(table.index, groups, strict=True):
        members[group].append(str(patient))
    message = "Bit-identical images; kept in one fold, counted as one independent patient."
    return [DuplicateGroup(cases=cases, message=message) for cases in members.values() if len(cases) > 1]


def class_eyes(table: pd.DataFrame, *, target: str) -> list[BullsEye]:
    """Return the mean of each class in the AHA segments, one colour scale per quantity."""
    out: list[BullsEye] = []
    for title, pattern in zip(EYE_TITLES, CLASS_EYES, strict=True):
        columns = [pattern.format(n) for n in range(1, 17)]
        if not set(columns) <= set(table.columns) or table[columns].isna().all(axis=None):
            continue
        means = table.groupby(target, sort=True)[columns].mean()
        info = describe(columns[0])
        values = means.to_numpy(dtype=float)
        limits = (float(np.nanmin(values)), float(np.nanmax(values)))
        out += [
            BullsEye(
                title=f"{title}, {class_name(str(label))}",
                unit=info.unit if info else "",
                values=[None if np.isnan(v) else float(v) for v in row],
                limits=limits,
            )
            for label, row in zip(means.index, values, strict=True)
        ]
    return out


def _strip(table: pd.DataFrame, column: str, target: str, limits: Mapping[str, Any]) -> CheckStrip:
    info = describe(column)
    low, high = limits.get(column, (-np.inf, np.inf))
    dots: dict[str, list[StripDot]] = defaultdict(list)
    known = table[table[column].notna()].sort_values(target)
    for patient, value, label in zip(known.index, known[column], known[target], strict=True):
        dots[str(label)].append(StripDot(case=str(patient), value=float(value), flagged=not low <= value <= high))
    flagged = sum(dot.flagged for row in dots.values() for dot in row)
    return CheckStrip(
        title=info.name if info else column,
        unit=info.unit if info else "",
        groups=dict(dots),
        low=low if column in limits else None,
        high=high if column in limits else None,
        note=f"{flagged} of {len(known)} outside {low:g} to {high:g}." if column in limits else None,
    )


def _clusters(values: pd.DataFrame) -> list[CorrelationCluster]:
    complete = values.dropna(axis=1)
    if complete.shape[1] < 2 or len(complete) < 3:
        return []
    r = np.abs(np.corrcoef(complete.to_numpy().T))
    distance = np.clip(1 - r, 0, None)
    np.fill_diagonal(distance, 0)
    code = fcluster(linkage(squareform(distance, checks=False), "complete"), 1 - CORRELATION_LIMIT, "distance")
    found = []
    for cluster in np.unique(code):
        members = np.flatnonzero(code == cluster)
        if len(members) > 1:
            block = r[np.ix_(members, members)]
            names = [str(c) for c in complete.columns[members]]
            centre = names[int(block.sum(axis=0).argmax())]
            found.append(
                CorrelationCluster(columns=names, representative=centre, smallest_r=min(1.0, float(block.min())))
            )
    found.sort(key=lambda c: -len(c.columns))
    return found[:CLUSTERS_SHOWN]
