"""Read what models said: CSV of class probabilities, ``predictions.json`` or ``.csv``, ``out_of_fold.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import CohortError, LeakError, UsageError
from radiocard.evaluation.comparison_result import CROSS_VALIDATED, HELD_OUT, Cost
from radiocard.io.delimited import is_number, read_delimited
from radiocard.io.store import read_table

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.intp]

PREFIX = "prob_"
SEEN = "in_training"
COSTS = ("seconds", "mb", "wh")
LEAK, OUT_OF_FOLD = "W_KNOWN_IDENTIFIER", "W_OUT_OF_FOLD"
_SUM = 1e-5


@dataclass(frozen=True, eq=False)
class Told:
    """What one model said of some patients.

    Parameters
    ----------
    name : str
    ids : tuple of str, length n
    classes : tuple of str
        Labels, in the order of the columns.
    probabilities : ndarray of float, shape (repeats, n, classes), or None
    predicted : ndarray of int, shape (1, n), or None
        Class codes of a rule, which gives no probabilities; -1 where it abstained.
    kind : {'held out', 'cross-validated'}
    fold_of : ndarray of int, shape (repeats, n), or None
    truth, groups : dict of str to str
        What the file itself says of the patients; empty where it says nothing.
    cost : Cost
        Measured per case.
    """

    name: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: FloatArray | None
    predicted: IntArray | None = None
    kind: str = HELD_OUT
    fold_of: IntArray | None = None
    truth: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)


def read_told(path: str | Path) -> list[Told]:
    """Read one file of predictions; ``out_of_fold.json`` holds several models.

    Parameters
    ----------
    path : str or Path
        Ends in ``.csv``, ``.parquet`` or ``.json``. A table has ``patient_id`` and ``prob_<class>``
        columns; optional are ``seconds``, ``mb`` and ``wh`` per case, ``in_training`` (true where
        the model has seen the patient) and ``flags``.

    Returns
    -------
    list of Told

    Raises
    ------
    CohortError
        If the file cannot be read, an identifier occurs twice, or probabilities are missing or do
        not sum to 1.
    LeakError
        If the file says that the model has seen a patient in training.
    UsageError
        If the name ends otherwise.
    """
    path = Path(path)
    if path.suffix != ".json":
        return [_from_table(path)]
    data = _json(path)
    try:
        if "fold_of" in data:
            return _from_folds(path, data)
        return [_from_predictions(path, data)]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, CohortError):
            raise
        msg = f"{path.name} is not a predictions.json or out_of_fold.json that can be read."
        raise CohortError(msg, code="E_TABLE", hint="Give it as it was written by radiocard.") from None


def read_costs(path: str | Path) -> dict[str, Cost]:
    """Read a table of costs per case: ``model``, and any of ``seconds``, ``mb``, ``wh``.

    Raises
    ------
    CohortError
        If it cannot be read, a model occurs twice, or a cost is negative or not a number.
    """
    raw = read_delimited(Path(path), code="E_TABLE")
    known = [c for c in COSTS if c in raw.header]
    if "model" not in raw.header or not known:
        msg = f"{raw.name} has the columns {', '.join(raw.header)}; expected model and any of {', '.join(COSTS)}."
        raise CohortError(msg, code="E_COLUMNS")
    found: dict[str, Cost] = {}
    for row, line in zip(raw.records(), raw.lines, strict=True):
        filled = {c: row[c] for c in known if row[c] not in ("", "NA")}
        wrong = [c for c, cell in filled.items() if not is_number(cell) or float(cell) < 0]
        if wrong or row["model"] in found:
            what = f"{wrong[0]} is {row[wrong[0]]!r}" if wrong else f"model {row['model']!r} stands twice"
            msg = f"{raw.name}: line {line}: {what}; expected one row per model and numbers from 0 on."
            raise CohortError(msg, code="E_TABLE")
        found[row["model"]] = Cost(**{c: float(cell) for c, cell in filled.items()})
    return found


def _from_table(path: Path) -> Told:
    table = read_table(path)
    columns = [str(c) for c in table.columns if str(c).startswith(PREFIX)]
    if len(columns) < 2:
        msg = (
            f"{path.name} has {len(columns)} columns that begin with {PREFIX!r}; expected one per class, at least two."
        )
        raise CohortError(msg, code="E_COLUMNS", hint="Of two classes give both: prob_A and prob_B sum to 1.")
    ids = tuple(map(str, table.index))
    flags = [str(f or "").split() for f in table["flags"]] if "flags" in table else [[]] * len(ids)
    if SEEN in table:
        if not set(table[SEEN]) <= {True, False}:
            msg = f"{path.name}: {SEEN} is not true or false in every row."
            raise CohortError(msg, code="E_TABLE", field=SEEN)
        flags = [[*f, LEAK] if seen else f for f, seen in zip(flags, table[SEEN], strict=True)]
    beside = _flags_beside(path)
    flags = [[*f, *beside.get(i, ())] for i, f in zip(ids, flags, strict=True)]
    kind = _kind(path.name, ids, flags)
    text = [c for c in columns if not pd.api.types.is_numeric_dtype(table[c])]
    if text:
        msg = f"{path.name}: {text[0]} holds text, expected probabilities."
        raise CohortError(msg, code="E_TABLE", field=text[0])
    p = checked(table[columns].to_numpy(dtype=float), ids, path.name)
    classes = tuple(c.removeprefix(PREFIX) for c in columns)
    return Told(path.stem, ids, classes, p[None], kind=kind, cost=_measured(table, path.name))


def _from_predictions(path: Path, data: Mapping[str, Any]) -> Told:
    classes, rows = tuple(map(str, data["classes"])), data["predictions"]
    ids = tuple(str(row["patient_id"]) for row in rows)
    _no_twins(ids, path.name)
    kind = _kind(path.name, ids, [list(row.get("flags", ())) for row in rows])
    p = np.array([[float(row["probabilities"][c]) for c in classes] for row in rows]).reshape(len(ids), len(classes))
    return Told(path.stem, ids, classes, checked(p, ids, path.name)[None], kind=kind)


def _from_folds(path: Path, data: Mapping[str, Any]) -> list[Told]:
    ids, classes = tuple(map(str, data["ids"])), tuple(map(str, data["classes"]))
    _no_twins(ids, path.name)
    folds = np.array(data["fold_of"], dtype=np.intp).reshape(-1, len(ids))
    truth = dict(zip(ids, map(str, data["truth"]), strict=True))
    first = {g: i for i, g in reversed(list(zip(ids, data["groups"], strict=True)))}
    groups = {i: first[g] for i, g in zip(ids, data["groups"], strict=True)}
    out = []
    for name, values in data["probabilities"].items():
        p = np.array(values, dtype=float).reshape(folds.shape[0], len(ids), len(classes))
        p = np.stack([checked(part, ids, path.name) for part in p])
        out.append(Told(name, ids, classes, p, None, CROSS_VALIDATED, folds, truth, groups))
    for name, codes in data["rule_answers"].items():
        said = np.array(codes, dtype=np.intp).reshape(1, len(ids))
        if said.min() < -1 or said.max() >= len(classes):
            msg = f"{path.name}: an answer of {name} is none of the {len(classes)} classes."
            raise CohortError(msg, code="E_TABLE")
        out.append(Told(name, ids, classes, None, said, HELD_OUT, folds, truth, groups))
    return out


def checked(p: FloatArray, ids: Sequence[str], name: str) -> FloatArray:
    """Return probabilities that sum to 1 in every row.

    Raises
    ------
    CohortError
        If one is missing, negative or above 1, or a row does not sum to 1 (``E_TABLE``), or there is no row.
    """
    if not len(ids):
        msg = f"{name} holds no patient."
        raise CohortError(msg, code="E_TABLE")
    fine = np.isfinite(p).all(axis=1) & (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) <= _SUM)
    if not fine.all():
        i = int(np.flatnonzero(~fine)[0])
        total = f"they sum to {p[i].sum():.6g}" if np.isfinite(p[i]).all() else "one is missing"
        wrong = int((~fine).sum())
        msg = (
            f"{name}: the probabilities of {wrong} patients are not usable: {total}, expected 0 or more that sum to 1."
        )
        hint = "Write one column per class, with at least six decimals; scores and logits are no probabilities."
        raise CohortError(msg, code="E_TABLE", case=str(ids[i]), hint=hint)
    return p


def _kind(name: str, ids: Sequence[str], flags: Sequence[Sequence[str]]) -> str:
    seen = [i for i, found in zip(ids, flags, strict=True) if LEAK in found]
    if seen:
        msg = f"{name}: the model has seen {len(seen)} of {len(ids)} patients in training, for example {seen[0]!r}."
        raise LeakError(msg, case=seen[0], hint="Compare on patients whom none of the models was trained on.")
    return CROSS_VALIDATED if any(OUT_OF_FOLD in found for found in flags) else HELD_OUT


def _flags_beside(path: Path) -> dict[str, list[str]]:
    """Return the findings that ``radiocard predict`` writes beside a CSV, by patient."""
    beside = path.with_name(f"{path.stem}.issues.jsonl")
    if not beside.is_file():
        return {}
    found: dict[str, list[str]] = {}
    try:
        for line in beside.read_text(encoding="utf-8").splitlines():
            issue = json.loads(line)
            found.setdefault(str(issue["case"]), []).append(str(issue["code"]))
    except (OSError, ValueError, KeyError, TypeError):
        msg = f"{beside.name} cannot be read."
        raise CohortError(
            msg, code="E_TABLE", hint="It says which patients were in training: write it again."
        ) from None
    return found


def _measured(table: pd.DataFrame, name: str) -> Cost:
    known = [c for c in COSTS if c in table]
    for c in known:
        if not pd.api.types.is_numeric_dtype(table[c]) or not (table[c].dropna() >= 0).all():
            msg = f"{name}: {c} holds negative numbers or text, expected a cost per case."
            raise CohortError(msg, code="E_TABLE", field=c)
    per_case = {c: table[c].max() if c == "mb" else table[c].mean() for c in known if table[c].notna().any()}
    return Cost(**{c: float(v) for c, v in per_case.items()})


def _no_twins(ids: Sequence[str], name: str) -> None:
    seen: set[str] = set()
    for i in ids:
        if i in seen:
            msg = f"{name}: patient {i!r} occurs more than once."
            raise CohortError(msg, code="E_DUPLICATE_ID", case=i, hint="One row per patient.")
        seen.add(i)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        msg = f"There is no file {path.name!r}."
        raise CohortError(msg, code="E_TABLE")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        msg = f"{path.name} is not readable as JSON."
        raise CohortError(msg, code="E_TABLE") from None
    if not isinstance(data, dict):
        msg = f"{path.name} is not a predictions.json or out_of_fold.json."
        raise UsageError(msg)
    return data
