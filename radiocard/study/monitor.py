"""Hold incoming patients against the training cohort that a model file keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiocard.checks.cohort import image_groups
from radiocard.cohort.table import specification
from radiocard.errors import CohortError
from radiocard.evaluation.drift import ColumnDrift, DriftReport, drift_report
from radiocard.io.store import write_json
from radiocard.models.bundle import ModelBundle
from radiocard.models.table import align
from radiocard.study.predict import refuse_simulated

SCHEMA = "radiocard/monitor/1"
ROWS = 20


@dataclass(frozen=True, eq=False)
class Monitoring:
    """What became of the patients since training.

    Parameters
    ----------
    model_id : str
        Identity of the model.
    drift : DriftReport
    used : frozenset of str
        Columns that reach the answering classifier.
    left_out : dict of str to int
        Rows that were not compared, by reason.
    """

    model_id: str
    drift: DriftReport
    used: frozenset[str]
    left_out: dict[str, int]

    @property
    def moved(self) -> bool:
        """Whether anything is amber or red."""
        return self.drift.light != "green"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        columns = [c | {"used_by_model": c["column"] in self.used} for c in self.drift.to_dict()["columns"]]
        head = {"schema": SCHEMA, "model_id": self.model_id, "left_out": self.left_out}
        return head | self.drift.to_dict() | {"columns": columns}

    def lines(self) -> list[str]:
        """Return the result for the terminal."""
        told = [f"Overall: {self.drift.light}. {self.drift.sentences[0]}"]
        told += [f"Left out: {n} {why}." for why, n in self.left_out.items() if n]
        told.append(f"  {'light':<7}{'column':<32}{'PSI':>6}{'KS':>6}{'q':>8}{'outside':>9}{'missing':>9}  why")
        told += [_row(c, used=c.column in self.used) for c in self.drift.columns[:ROWS]]
        hidden = len(self.drift.columns) - ROWS
        if hidden > 0:
            told.append(f"  and {hidden} more columns; in full with -o monitor.json")
        told.append("  * reaches the classifier that answers")
        return [*told, *self.drift.sentences[1:]]


def monitor(model: ModelBundle, table: pd.DataFrame) -> Monitoring:
    """Compare a table of incoming patients with the training table of a model.

    Parameters
    ----------
    model : ModelBundle
        Trained model.
    table : DataFrame
        Made by :func:`radiocard.extract` with the specification of the model; needs no diagnosis.

    Returns
    -------
    Monitoring
        Training patients in the table, and all but the first of patients who share an image, are left out.

    Raises
    ------
    SpecError
        If the table was made with another specification.
    ModelError
        If columns are missing (``E_COLUMNS``), or a simulated model would judge real patients (``E_SIMULATED``).
    CohortError
        If the table lacks the digests of the images (``E_COLUMNS``), or holds only patients of the training
        (``E_TABLE``).
    UsageError
        If there are fewer than 20 patients on a side.
    """
    absent = [c for c in ("image_sha256", "simulated") if c not in table]
    if absent:
        msg = f"The table lacks {', '.join(absent)}, by which training patients are recognised."
        raise CohortError(msg, code="E_COLUMNS", hint="Use a table written by 'radiocard extract' as it is.")
    model.check_spec(specification(table)["spec"])
    for simulated in table["simulated"]:
        refuse_simulated(model, simulated_case=bool(simulated), allowed=False)
    align(table, model.columns)
    digests = {str(i): str(d) for i, d in zip(table.index, table["image_sha256"], strict=True)}
    known = np.array([model.holds_patient(i, d) for i, d in digests.items()], dtype=bool)
    fresh = table[~known]
    groups = image_groups({i: digests[i] for i in map(str, fresh.index)})
    twice = pd.Series([groups[i] for i in map(str, fresh.index)], dtype=object).duplicated().to_numpy(dtype=bool)
    _require_newcomers(fresh, n_rows=len(table))
    incoming = fresh[~twice][list(model.columns)].astype(float)
    first = np.unique(model.groups, return_index=True)[1]
    classes = np.array(model.classes)
    held_out = model.out_of_fold[model.answers][:, first].mean(axis=0)
    drift = drift_report(
        model.training_table.iloc[first],
        incoming,
        training_answers=classes[held_out.argmax(axis=1)],
        incoming_answers=model.predict(incoming).answers,
        classes=model.classes,
        random_state=model.seed,
    )
    left_out = {"patients of training": int(known.sum()), "patients who share an image": int(twice.sum())}
    return Monitoring(model.model_id, drift, frozenset(model.answering.final_columns), left_out)


def write_monitoring(found: Monitoring, path: str | Path) -> None:
    """Write the result as JSON.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_json(found.to_dict(), Path(path))


def _require_newcomers(fresh: pd.DataFrame, *, n_rows: int) -> None:
    if fresh.empty:
        known = f"{n_rows} patients, all of them from the training of this model" if n_rows else "no patient"
        msg = f"The table holds {known}: nobody new is there to compare with the training cohort."
        raise CohortError(msg, code="E_TABLE", hint="Extract a table of patients who were examined since the training.")


def _row(c: ColumnDrift, *, used: bool) -> str:
    name = f"{c.column}{' *' if used else ''}"
    outside = "-" if c.outside.value is None else f"{c.outside.value:.0%}"
    q = "-" if c.ks_q is None else f"{c.ks_q:.3f}"
    numbers = f"{_number(c.psi):>6}{_number(c.ks):>6}{q:>8}{outside:>9}{c.missing_incoming:>9.0%}"
    return f"  {c.light:<7}{name:<32}{numbers}  {c.why}".rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
