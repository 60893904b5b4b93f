"""Compare what several models said of the same patients: ours, a deep network's, anybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from radiocard.checks.cohort import image_groups
from radiocard.errors import CohortError, UsageError
from radiocard.evaluation.comparison import compare_models
from radiocard.evaluation.comparison_result import CROSS_VALIDATED, Cost, Entrant, ModelComparison
from radiocard.evaluation.metrics import Predictions, encode, from_probabilities, group_codes
from radiocard.io.delimited import format_delimited
from radiocard.io.store import read_table, write_json, write_text
from radiocard.specs import EvaluationPlan
from radiocard.study.compare_files import Told, read_costs, read_told
from radiocard.study.compare_text import HEADER, markdown, rows
from radiocard.study.train import read_plan

FOLDS_NOTE = (
    "Some answers are out of fold: models of several folds gave them, so their intervals hold the patients drawn, "
    "not the variation from training."
)
GROUPS_NOTE = "Patients who share an image count once."


def compare(
    files: Sequence[str | Path],
    *,
    truth: str | Path,
    target: str = "diagnosis",
    reference: str | None = None,
    positive: str | None = None,
    margin: float | None = None,
    costs: str | Path | None = None,
    plan: str | EvaluationPlan = "evaluation",
) -> ModelComparison:
    """Compare the class probabilities of several models on the same patients.

    Parameters
    ----------
    files : sequence of str or Path
        One per model (``out_of_fold.json`` holds several); see :func:`radiocard.study.compare_files.read_told`.
        A model is named after its file, or as in ``out_of_fold.json``.
    truth : str or Path
        Table with ``patient_id`` and the diagnosis; with ``image_sha256``, patients with identical
        images count once.
    target : str
        Column that holds the diagnosis.
    reference : str or None
        Model that the others are compared with; the first when None.
    positive : str or None
        Class named beforehand for the DeLong test against the rest.
    margin : float or None
        Largest loss of accuracy that is accepted, stated beforehand.
    costs : str or Path or None
        CSV with ``model`` and any of ``seconds``, ``mb``, ``wh`` per case.
    plan : str or EvaluationPlan
        Size and seed of the bootstrap, bins of the calibration error.

    Returns
    -------
    ModelComparison

    Raises
    ------
    CohortError
        If a file cannot be read, or the models differ in patients or classes.
    LeakError
        If a file says that its model has seen a patient in training.
    UsageError
        If two models have one name, or the reference or the class is unknown.
    """
    told = [one for path in files for one in read_told(path)]
    names = [one.name for one in told]
    _check_names(names, reference)
    _check_same(told)
    labels, groups, left_out = _truth(truth, target, told)
    stated = read_costs(costs) if costs is not None else {}
    unknown = sorted(set(stated) - set(names))
    if unknown:
        msg = f"Costs are given for {', '.join(unknown)}, but the models are {', '.join(names)}."
        raise UsageError(msg)
    notes = [*([FOLDS_NOTE] if any(t.kind == CROSS_VALIDATED for t in told) else []), *left_out]
    if len(set(groups.values())) < len(groups):
        notes.append(GROUPS_NOTE)
    return compare_models(
        {one.name: _entrant(one, told[0], labels, groups, stated.get(one.name)) for one in told},
        reference=reference or names[0],
        plan=read_plan(plan),
        positive=positive,
        margin=margin,
        notes=notes,
    )


def write_comparison(comparison: ModelComparison, folder: str | Path) -> list[Path]:
    """Write ``comparison.md``, ``comparison.json`` and ``comparison.csv``.

    Returns
    -------
    list of Path
        Files written, the page first.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, twin, table = (folder / f"comparison.{kind}" for kind in ("md", "json", "csv"))
    write_text(markdown(comparison), page)
    write_json(comparison.to_dict(), twin)
    write_text(format_delimited(HEADER, rows(comparison)), table)
    return [page, twin, table]


def _check_names(names: Sequence[str], reference: str | None) -> None:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        msg = f"Two models are named {double[0]!r}."
        raise UsageError(msg, hint="A model is named after its file: rename one.")
    if len(names) < 2:
        msg = f"There is one model, {names[0]!r}; expected two or more." if names else "There is no model."
        raise UsageError(msg)
    if reference is not None and reference not in names:
        msg = f"There is no model {reference!r}; the models are {', '.join(names)}."
        raise UsageError(msg)


def _check_same(told: Sequence[Told]) -> None:
    base = told[0]
    for other in told[1:]:
        if set(other.classes) != set(base.classes):
            msg = (
                f"{other.name} knows the classes {', '.join(sorted(other.classes))}, "
                f"{base.name} {', '.join(sorted(base.classes))}."
            )
            raise CohortError(msg, code="E_COLUMNS", hint="Class labels are compared exactly.")
        apart = sorted(set(other.ids) ^ set(base.ids))
        if apart:
            holder = base.name if apart[0] in base.ids else other.name
            msg = f"{other.name} and {base.name} differ in {len(apart)} patients; {apart[0]!r} is in {holder} only."
            raise CohortError(msg, case=apart[0], hint="A paired comparison needs the same patients in every file.")


def _truth(path: str | Path, target: str, told: Sequence[Told]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return label and group of each patient, and what was left out."""
    table = read_table(path)
    if target not in table:
        msg = f"The table has no column {target!r}."
        raise CohortError(msg, code="E_COLUMNS", field=target, hint="Name the column that holds the diagnosis.")
    known = table[table[target].notna()]
    absent = [i for i in told[0].ids if i not in known.index]
    if absent:
        msg = f"{len(absent)} of {len(told[0].ids)} patients have no {target} in the table, for example {absent[0]!r}."
        raise CohortError(msg, case=absent[0], hint="Identifiers are compared exactly, as text.")
    rows = known.loc[list(told[0].ids)]
    labels = {str(i): _label(value) for i, value in rows[target].items()}
    for one in told:
        wrong = [i for i in one.ids if one.truth and one.truth[i] != labels[i]]
        if wrong:
            msg = f"{one.name} was evaluated with the class {one.truth[wrong[0]]}, the table says {labels[wrong[0]]}."
            raise CohortError(msg, case=wrong[0], hint="Give the table that the model was evaluated with.")
    more = len(known) - len(rows)
    left_out = (
        [f"{more} patients with a known {target} are in no file of predictions and are left out."] if more else []
    )
    return labels, _groups(rows, told), left_out


def _groups(rows: pd.DataFrame, told: Sequence[Told]) -> dict[str, str]:
    if "image_sha256" in rows:
        return image_groups({str(i): str(d) if isinstance(d, str) else "" for i, d in rows["image_sha256"].items()})
    stated = next((one.groups for one in told if one.groups), None)
    return dict(stated) if stated is not None else {str(i): str(i) for i in rows.index}


def _label(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _entrant(
    one: Told, first: Told, labels: Mapping[str, str], groups: Mapping[str, str], stated: Cost | None
) -> Entrant:
    """Put a model on the patients and classes of the first."""
    place = {i: k for k, i in enumerate(one.ids)}
    order = np.array([place[i] for i in first.ids], dtype=np.intp)
    columns = [one.classes.index(c) for c in first.classes]
    y, group = [labels[i] for i in first.ids], [groups[i] for i in first.ids]
    if one.probabilities is not None:
        p = one.probabilities[:, order][:, :, columns]
        predictions = from_probabilities(p, y, classes=first.classes, groups=group)
    else:
        code = np.array([*np.argsort(columns), -1], dtype=np.intp)
        said = np.asarray(one.predicted)[:, order]
        predictions = Predictions(first.classes, encode(y, first.classes), group_codes(group, len(y)), code[said], None)
    cost = one.cost
    if stated is not None:
        cost = replace(cost, **{k: v for k, v in stated.to_dict().items() if v is not None})
    return Entrant(predictions, one.kind, None if one.fold_of is None else one.fold_of[:, order], cost)
