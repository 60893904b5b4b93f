"""What each step of the ladder adds: the result, its page and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiocard.evaluation.increment import PRIMARY, SCALES
from radiocard.evaluation.intervals import Estimate, finite
from radiocard.evaluation.likelihood import LikelihoodRatio
from radiocard.io.delimited import format_delimited
from radiocard.io.store import write_json, write_text

SCHEMA: Final = "radiocard/increment/1"
NO_TEST: Final = (
    "Likelihood-ratio test: not given. The steps above are penalised and choose their columns inside the folds, where "
    "it has no known distribution; it is given for a few columns named beforehand (--test-base, --test-added)."
)


@dataclass(frozen=True)
class PlannedTest:
    """Likelihood-ratio test of columns that were named beforehand.

    Parameters
    ----------
    base, added : tuple of str
        Columns of the smaller model, and those that the larger has besides.
    found : LikelihoodRatio or None
        None where it is not valid.
    reason : str
        Why it is not.
    """

    base: tuple[str, ...]
    added: tuple[str, ...]
    found: LikelihoodRatio | None
    reason: str

    @property
    def sentence(self) -> str:
        """The result, or why there is none."""
        what = f"{', '.join(self.added)} added to {', '.join(self.base) or 'no column'}"
        if self.found is None:
            return f"Likelihood-ratio test of {what}: not given. {self.reason}"
        r = self.found
        p = f"p = {r.p:.3f}" if r.p >= 0.001 else "p < 0.001"
        return (
            f"Likelihood-ratio test of {what}, named beforehand, in unpenalised multinomial regression: chi-squared "
            f"{r.statistic:.2f}, {r.df} degrees of freedom, {p}, n = {r.n} independent patients. It is on the same "
            "patients as the fit, unlike the gains above."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found = None if self.found is None else self.found.to_dict()
        return {"base": list(self.base), "added": list(self.added), "found": found, "reason": self.reason}


@dataclass(frozen=True)
class Step:
    """One rung of the ladder.

    Parameters
    ----------
    name, title : str
        Short name; name for readers.
    n_columns : int
        Columns that the models of this step may use.
    scores : dict of str to Estimate
        Out of fold, see :func:`radiocard.evaluation.increment.step_scores`.
    against : str or None
        Step that it is compared with.
    gains : dict of str to Estimate
        Over that step; above 0 is better.
    net_benefit : dict of float to Estimate
        Threshold to the rise of net benefit over that step; empty where one gives no probabilities.
    """

    name: str
    title: str
    n_columns: int
    scores: dict[str, Estimate]
    against: str | None
    gains: dict[str, Estimate]
    net_benefit: dict[float, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "n_columns": self.n_columns,
            "scores": {k: v.to_dict() for k, v in self.scores.items()},
            "against": self.against,
            "gains": {k: v.to_dict() for k, v in self.gains.items()},
            "net_benefit": {f"{t:g}": v.to_dict() for t, v in self.net_benefit.items()},
        }


@dataclass(frozen=True, eq=False)
class IncrementResult:
    """What each step adds to the one before.

    Parameters
    ----------
    sentence : str
        The answer.
    steps : tuple of Step
        Rule (where applicable), single index, physiology, texture, maps (where there are any); then the
        controls, compared with physiology.
    over_controls : dict of str to dict of str to Estimate
        Control to the gains of true texture over it.
    volume_correlation : Series, index column
        Spearman's coefficient of each texture column with the volume of its region; empty without controls.
    design : str
        The resampling in words.
    n_patients : int
        Independent patients.
    table : DataFrame
        What was measured.
    planned : PlannedTest or None
        Test of columns named beforehand, where some were named.
    """

    sentence: str
    steps: tuple[Step, ...]
    over_controls: dict[str, dict[str, Estimate]]
    volume_correlation: pd.Series[float]
    design: str
    n_patients: int
    table: pd.DataFrame
    planned: PlannedTest | None = None

    @property
    def test_sentence(self) -> str:
        """The likelihood-ratio test in words, or why it is not given."""
        return self.planned.sentence if self.planned else NO_TEST

    def step(self, name: str) -> Step:
        """Return one step.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        return {s.name: s for s in self.steps}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "n_patients": self.n_patients,
            "design": self.design,
            "steps": [s.to_dict() for s in self.steps],
            "over_controls": {c: {k: v.to_dict() for k, v in g.items()} for c, g in self.over_controls.items()},
            "likelihood_ratio": self.planned.to_dict() if self.planned else {"found": None, "reason": NO_TEST},
            "volume_correlation": {str(c): finite(float(r)) for c, r in self.volume_correlation.items()},
        }

    @property
    def rows(self) -> list[list[str]]:
        """The ladder as a table: header, then one row per step."""
        head = ["step", "columns", *SCALES.values(), "compared with", "log-loss falls by"]
        out = [head]
        for s in self.steps:
            cells = [_cell(s.scores.get(name)) for name in SCALES]
            out.append([s.title, str(s.n_columns), *cells, s.against or "–", _cell(s.gains.get(PRIMARY))])
        return out


def write_increment(result: IncrementResult, folder: str | Path) -> list[Path]:
    """Write the answer as ``increment.md`` and ``increment.json``, and ``volume_correlation.csv`` with controls.

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    paths = [folder / "increment.md", folder / "increment.json"]
    write_text(page(result), paths[0])
    write_json(result.to_dict(), paths[1])
    if not result.volume_correlation.empty:
        paths.append(folder / "volume_correlation.csv")
        rows = [[str(c), "" if pd.isna(r) else repr(float(r))] for c, r in result.volume_correlation.items()]
        write_text(format_delimited(["column", "spearman_with_volume"], rows), paths[2])
    return paths


def page(result: IncrementResult) -> str:
    """Write the result as Markdown."""
    head, *body = result.rows
    lines = ["# Does texture add anything?", "", result.sentence, "", _line(head), _line(["---"] * len(head))]
    lines += [_line(row) for row in body]
    lines += [
        "",
        "Value (95 % interval over patients). A control is physiology with the same texture columns, described",
    ]
    lines += ["from regions whose voxels were shuffled, or filled with noise."]
    lines += ["", result.test_sentence]
    lines += ["", "## Rise of net benefit, mean over the classes", ""]
    curves = [s for s in result.steps if s.net_benefit]
    if curves:
        lines += [_line(["step", *(f"threshold {t:g}" for t in curves[0].net_benefit)])]
        lines += [_line(["---"] * (1 + len(curves[0].net_benefit)))]
        lines += [_line([s.title, *(_cell(e) for e in s.net_benefit.values())]) for s in curves]
    strong = result.volume_correlation.abs()
    if len(strong):
        lines += ["", "## Correlation of texture with region volume", ""]
        lines += [
            f"Of {len(strong)} columns {(strong >= 0.5).mean():.0%} have a Spearman coefficient of 0.5 or more in"
        ]
        lines += [f"magnitude with the volume of their region, and {(strong >= 0.8).mean():.0%} one of 0.8 or more."]
    return "\n".join([*lines, "", result.design, ""])


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
