"""The least change of what a heart can change that makes the model answer otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiocard.errors import UsageError
from radiocard.explain.levers import Levers, consistency, make_levers, movable
from radiocard.explain.words import class_name, format_value
from radiocard.features.registry import ColumnInfo
from radiocard.models.fitted import FittedModel

Floats = NDArray[np.float64]
Describe = Callable[[str], ColumnInfo | None]

STEPS_SD = (0.1, 0.25, 0.5, 1.0, 2.0)
SCAN_SD = 0.1
MAX_ROUNDS = 60
BISECTIONS = 12
ABOUT = "This is about the model, not about the patient: it is no aim of treatment and no cause."


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity that is changed.

    Parameters
    ----------
    column, name, unit : str
        Column, plain name, unit.
    before, after : float
        In the unit of the column.
    sd : float
        Change in standard deviations of training, signed.
    """

    column: str
    name: str
    unit: str
    before: float
    after: float
    sd: float


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A change of the measurements that makes the model answer otherwise.

    Parameters
    ----------
    answer, other : str
        Class that the model names, and the one it would name.
    before, after : dict of str to float
        Probabilities.
    changes : tuple of Change
        Changed quantities, largest first; what follows from them (ejection fraction, ratios) is not among them.
    row : dict of str to float
        All columns after the change.
    distance_sd : float
        Root of the summed squares of the changes [SD].
    held : tuple of str
        Columns that the model uses and that were kept as they are.
    sentence : str
        For the reader of a patient's report.
    """

    answer: str
    other: str
    before: dict[str, float]
    after: dict[str, float]
    changes: tuple[Change, ...]
    row: dict[str, float]
    distance_sd: float
    held: tuple[str, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        row = {c: None if np.isnan(v) else v for c, v in self.row.items()}
        return asdict(self) | {"row": row}


@dataclass(frozen=True, eq=False)
class _Problem:
    """The patient, the model and the bounds; every question is asked for many step vectors at once."""

    model: FittedModel
    levers: Levers
    low: Floats
    high: Floats
    ties: Mapping[str, tuple[float, float]]
    start: int
    target: int | None

    def margin(self, steps: Floats) -> Floats:
        """Lead of the wanted class over the best other one, shape (m,); minus infinity where not allowed."""
        rows = self.levers.apply(steps)
        out = np.full(len(steps), -np.inf)
        fit = self.allowed(rows)
        if fit.any():
            p = self.model.predict_aligned(rows[fit])
            wanted = [self.target] if self.target is not None else [c for c in range(p.shape[1]) if c != self.start]
            rest = [c for c in range(p.shape[1]) if c not in wanted]
            out[fit] = p[:, wanted].max(axis=1) - p[:, rest].max(axis=1)
        return out

    def allowed(self, rows: Floats) -> NDArray[np.bool_]:
        """Tell which rows a heart of the training cohort could show, shape (m,)."""
        with np.errstate(invalid="ignore"):
            fit = ~((rows < self.low) | (rows > self.high)).any(axis=1)
            fit &= ~(np.isnan(rows) & ~np.isnan(self.levers.row)).any(axis=1)
            for name, value in consistency(dict(zip(self.levers.columns, rows.T, strict=True))).items():
                low, high = self.ties[name]
                fit &= ~((value < low) | (value > high))
        return np.asarray(fit)


def counterfactual(
    model: FittedModel,
    row: pd.DataFrame,
    *,
    training: pd.DataFrame,
    describe: Describe,
    target: str | None = None,
) -> Counterfactual | None:
    """Find a small change that makes the model name another class.

    Only volumes, mass, wall thickness, T1, T2 and ECV are changed, never age, sex, size or texture.
    Ejection fraction, stroke volume, ratios and thickening follow from them; a wall thickens as a whole.
    No value leaves the training range (nor moves farther out), and the same holds for what ties values
    of one heart together, see :func:`radiocard.explain.levers.consistency`. The search is greedy, shrinks its result
    by bisection and prefers a single change where that is no farther: it finds a small change, not provably the
    smallest.

    Parameters
    ----------
    model : FittedModel
        Trained model; for a patient of training, one trained without this patient.
    row : DataFrame, shape (1, columns)
        The patient.
    training : DataFrame, shape (m, columns)
        Training patients, without this one.
    describe : callable
        Column to its dictionary entry, or None.
    target : str, optional
        Class to reach; any other class when None.

    Returns
    -------
    Counterfactual or None
        None where no change within the bounds does it.

    Raises
    ------
    UsageError
        If there is not exactly one patient, or the class is unknown or the one that the model names anyway.
    """
    if len(row) != 1 or len(training) < 2:
        msg = f"There are {len(row)} patients and {len(training)} of training, expected 1 and at least 2."
        raise UsageError(msg)
    values, background = model.align(row)[0][0], model.align(training)[0]
    p = model.predict_aligned(values[None])[0]
    start = int(p.argmax())
    wanted = _target(model, target, start)
    problem = _problem(model, values, background, start, wanted)
    steps = _search(problem)
    return None if steps is None else _result(problem, steps, p, describe)


def _target(model: FittedModel, target: str | None, start: int) -> int | None:
    if target is None:
        return None
    if target not in model.classes or model.classes.index(target) == start:
        others = [c for i, c in enumerate(model.classes) if i != start]
        msg = f"The class to reach is {target!r}, expected one of {', '.join(others)}."
        raise UsageError(msg)
    return model.classes.index(target)


def _problem(model: FittedModel, row: Floats, background: Floats, start: int, target: int | None) -> _Problem:
    known = ~np.isnan(background).all(axis=0)
    low, high, sd = (np.full(len(row), np.nan) for _ in range(3))
    part = background[:, known]
    low[known], high[known] = np.nanmin(part, axis=0), np.nanmax(part, axis=0)
    counts = (~np.isnan(part)).sum(axis=0)
    centred = part - np.nanmean(part, axis=0)
    sd[known] = np.sqrt(np.nansum(centred**2, axis=0) / np.maximum(counts - 1, 1))
    levers = make_levers(model.columns, row, sd)
    own = consistency(dict(zip(model.columns, row[:, None], strict=True)))
    ties = {}
    for name, value in consistency(dict(zip(model.columns, background.T, strict=True))).items():
        seen = np.r_[value[np.isfinite(value)], own[name]]
        ties[name] = (float(np.nanmin(seen)), float(np.nanmax(seen))) if np.isfinite(seen).any() else (-np.inf, np.inf)
    return _Problem(model, levers, np.fmin(low, row), np.fmax(high, row), ties, start, target)


def _search(problem: _Problem) -> Floats | None:
    """Return the steps [SD] of the nearest change found, shape (levers,)."""
    n = len(problem.levers.names)
    if n == 0:
        return None
    found = [s for s in (_single(problem, n), _greedy(problem, n)) if s is not None]
    if not found:
        return None
    return min((_shrink(problem, s) for s in found), key=lambda s: float(np.linalg.norm(s)))


def _single(problem: _Problem, n: int) -> Floats | None:
    """Return the nearest change of one quantity alone."""
    sizes = np.arange(SCAN_SD, _widest(problem) + SCAN_SD, SCAN_SD)
    steps = np.concatenate([sign * np.eye(n)[i] * sizes[:, None] for i in range(n) for sign in (1.0, -1.0)])
    hits = np.flatnonzero(problem.margin(steps) > 0)
    if not hits.size:
        return None
    best: Floats = steps[hits[np.linalg.norm(steps[hits], axis=1).argmin()]]
    return best


def _greedy(problem: _Problem, n: int) -> Floats | None:
    """Take, again and again, the step that gains most per standard deviation."""
    moves = np.concatenate([sign * size * np.eye(n) for size in STEPS_SD for sign in (1.0, -1.0)])
    length = np.linalg.norm(moves, axis=1)
    here = np.zeros(n)
    value = float(problem.margin(here[None])[0])
    for _ in range(MAX_ROUNDS):
        if value > 0:
            return here
        margins = problem.margin(here + moves)
        gain = (margins - value) / length
        best = int(gain.argmax())
        if not gain[best] > 0:
            return None
        here, value = here + moves[best], float(margins[best])
    return None


def _shrink(problem: _Problem, steps: Floats) -> Floats:
    """Take back each change as far as the answer stays flipped, the smallest change first; then all together."""
    out = steps.copy()
    for i in np.argsort(np.abs(steps)):
        if out[i] != 0:
            without = out.copy()
            without[i] = 0.0
            out = _bisect(problem, without, out)
    return _bisect(problem, np.zeros_like(out), out)


def _bisect(problem: _Problem, near: Floats, far: Floats) -> Floats:
    """Return the point nearest to ``near`` found on the way from ``far`` that still flips the answer."""
    if problem.margin(near[None])[0] > 0:
        return near
    for _ in range(BISECTIONS):
        middle = (near + far) / 2
        if problem.margin(middle[None])[0] > 0:
            far = middle
        else:
            near = middle
    return far


def _widest(problem: _Problem) -> float:
    """Return the longest way from the patient to an end of the training range [SD]."""
    levers = problem.levers
    places = [levers.columns.index(c) for c in levers.leads.values()]
    ways = np.fmax(problem.high - levers.row, levers.row - problem.low)[places] / levers.sd[places]
    return float(ways.max())


def _result(problem: _Problem, steps: Floats, p: Floats, describe: Describe) -> Counterfactual:
    levers, model = problem.levers, problem.model
    after = levers.apply(steps[None])[0]
    q = model.predict_aligned(after[None])[0]
    changes = []
    for i in np.argsort(-np.abs(steps)):
        if steps[i] != 0:
            column = levers.leads[levers.names[i]]
            j, info = levers.columns.index(column), describe(column)
            name, unit = (info.name, info.unit) if info else (column, "")
            changes.append(Change(column, name, unit, float(levers.row[j]), float(after[j]), float(steps[i])))
    free = movable(levers.columns, levers.names)
    held = tuple(c for c in model.final_columns if c not in free)
    answer, other = model.classes[problem.start], model.classes[int(q.argmax())]
    before, then = (dict(zip(model.classes, map(float, v), strict=True)) for v in (p, q))
    return Counterfactual(
        answer=answer,
        other=other,
        before=before,
        after=then,
        changes=tuple(changes),
        row=dict(zip(levers.columns, map(float, after), strict=True)),
        distance_sd=float(np.linalg.norm(steps)),
        held=held,
        sentence=_sentence(answer, other, changes, before, then, n_held=len(held)),
    )


def _sentence(
    answer: str,
    other: str,
    changes: Sequence[Change],
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    n_held: int,
) -> str:
    told = " and ".join(
        f"{c.name} were {format_value(c.after, c.unit)} instead of {format_value(c.before, c.unit)}" for c in changes
    )
    kept = f", with {n_held} measurements that it uses kept as they are" if n_held else ""
    return (
        f"The model would say {class_name(other)} ({100 * after[other]:.0f} %, now {100 * before[other]:.0f} %) "
        f"instead of {class_name(answer)} if {told}{kept}. {ABOUT}"
    )
