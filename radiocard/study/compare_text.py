"""A comparison of models as lines for a terminal, a page in Markdown and rows for a CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from radiocard.evaluation.comparison_result import ModelComparison, Pair
from radiocard.evaluation.decision import DecisionCurve
from radiocard.evaluation.intervals import Estimate
from radiocard.evaluation.scores import INTERVAL_NOTE, METRIC_NAMES
from radiocard.io.delimited import neutralise

HEADER = ("model", "against", "quantity", "value", "low", "high", "n", "p", "p_holm", "method")
_TEXT = ("model", "against", "quantity", "method")
SHOWN = ("accuracy", "balanced_accuracy", "macro_auc", "brier", "log_loss", "calibration_slope", "ece")
SHORT = ("accuracy", "balanced acc.", "macro AUC", "Brier", "log-loss", "cal. slope", "ECE")
BRIEF = ("accuracy", "macro_auc", "log_loss")
AT = (0.1, 0.2, 0.3, 0.4, 0.5)
COST_NAMES = ("time [s]", "memory [MB]", "energy [Wh]")
_DASH = "-"


def lines(comparison: ModelComparison) -> list[str]:
    """Return the metrics, the paired differences and the verdicts for a terminal."""
    out = [f"{comparison.n_groups} independent patients, {len(comparison.classes)} classes; * reference"]
    for part in (slice(0, 3), slice(3, None)):
        table = [["value (95 % interval)", *SHORT[part]]]
        for name, scores in comparison.scores.items():
            mark = " *" if name == comparison.reference else ""
            table.append([name + mark, *(_short(scores.metrics.get(key)) for key in SHOWN[part])])
        out += [*_aligned(table), ""]
    brief = [SHORT[SHOWN.index(key)] for key in BRIEF]
    table = [["less reference", *brief, "right alone", "McNemar p (Holm)", "kappa"]]
    for name, pair in comparison.pairs.items():
        test, found = pair.mcnemar, pair.differences
        cells = [_short(found[key].value) if key in found else _DASH for key in BRIEF]
        alone = f"{test.only_model} against {test.only_reference}"
        table.append([name, *cells, alone, f"{_p(test.p)} ({_p(test.p_holm)})", _number(pair.agreement.kappa.value)])
    out += _aligned(table)
    out += [line for name, pair in comparison.pairs.items() for line in _verdicts(name, pair, comparison.reference)]
    return [*out, *(f"Note: {note}" for note in comparison.notes)]


def markdown(comparison: ModelComparison) -> str:
    """Return the comparison as one page."""
    c = comparison
    more = "" if c.n_patients == c.n_groups else f" ({c.n_patients} in all)"
    intro = (
        f"{c.n_groups} independent patients{more}, classes {', '.join(c.classes)}. "
        f"All models answered for the same patients; reference: **{c.reference}**."
    )
    parts = ["# Comparison of models", "", intro, "", *(f"* {note}" for note in c.notes), ""]
    parts += ["## Each model", "", *_table(["model", "answers", *SHORT], _score_rows(c)), "", INTERVAL_NOTE, ""]
    parts += ["## Differences to the reference", "", *_table(_DIFFERENCE_HEADER, _difference_rows(c)), "", _TESTED, ""]
    parts += [f"* {line}" for name, pair in c.pairs.items() for line in _verdicts(name, pair, c.reference)]
    parts += ["", "## Agreement and reclassification", "", *_table(_AGREEMENT_HEADER, _agreement_rows(c)), ""]
    parts += [_DESCRIPTIVE, ""]
    if c.decision:
        parts += ["## Decision curves", "", _NET_BENEFIT, ""]
        for curve in c.decision.values():
            parts += _decision(curve)
    costs = [[k, *(_number(v, 4) for v in cost.to_dict().values())] for k, cost in c.costs.items()]
    if any(cell != _DASH for row in costs for cell in row[1:]):
        parts += ["## Cost per case", "", *_table(["model", *COST_NAMES], costs), ""]
    return "\n".join(parts)


def rows(comparison: ModelComparison) -> list[list[str]]:
    """Return every estimate and p-value as one row under :data:`HEADER`; no cell runs as a formula."""
    found = _rows(comparison)
    return [[neutralise(cell) if k in _TEXT else cell for k, cell in zip(HEADER, row, strict=True)] for row in found]


def _rows(comparison: ModelComparison) -> list[list[str]]:
    out = []
    for name, scores in comparison.scores.items():
        out += [_row(name, "", key, e) for key, e in scores.metrics.items()]
        cost = comparison.costs[name].to_dict()
        out += [[name, "", f"cost_{k}", repr(v), *[""] * 6] for k, v in cost.items() if v is not None]
    for name, pair in comparison.pairs.items():
        out += list(_pair_rows(name, comparison.reference, pair))
    for label, curve in comparison.decision.items():
        for name, values in curve.models.items():
            for t, value in zip(curve.thresholds, values, strict=True):
                out.append([name, "", f"net_benefit_{label}_{t:.2f}", repr(float(value)), *[""] * 6])
    return out


_DIFFERENCE_HEADER = [
    "model",
    *SHORT[:5],
    "only model / only reference",
    "McNemar p (Holm)",
]
_AGREEMENT_HEADER = ["model", "same answer", "kappa", "corrected", "spoilt", "wrong in another way"]
_TESTED = (
    "Differences are model less reference (Brier and log-loss: below 0 is better), with paired bootstrap intervals "
    "over patients. In brackets: two-sided bootstrap p, adjusted by Holm over all models and metrics of this table; no "
    "smaller p is shown than the number of resamples allows. "
    "McNemar: exact, one vote per independent patient, adjusted over the models."
)
_DESCRIPTIVE = (
    "Corrected and spoilt count patients who become right and wrong when the model replaces the reference. This is "
    "descriptive: net reclassification is not tested, since it rewards miscalibrated models."
)
_NET_BENEFIT = (
    "Net benefit per patient of acting on a class when its probability reaches the threshold, at the class mix of "
    "these patients. Acting on nobody has net benefit 0."
)


def _score_rows(c: ModelComparison) -> Iterator[list[str]]:
    for name, scores in c.scores.items():
        yield [name, c.kinds[name], *(_short(scores.metrics.get(key)) for key in SHOWN)]


def _difference_rows(c: ModelComparison) -> Iterator[list[str]]:
    for name, pair in c.pairs.items():
        cells = []
        for key in SHOWN[:5]:
            d = pair.differences.get(key)
            p = f" [{_p(d.p_holm)}]" if d is not None and d.p_holm is not None else ""
            cells.append(_short(None if d is None else d.value) + p)
        test = pair.mcnemar
        yield [name, *cells, f"{test.only_model} / {test.only_reference}", f"{_p(test.p)} ({_p(test.p_holm)})"]


def _agreement_rows(c: ModelComparison) -> Iterator[list[str]]:
    for name, pair in c.pairs.items():
        moved = pair.reclassification
        counts = [str(v) for v in (moved.corrected, moved.spoilt, moved.still_wrong)]
        yield [name, _short(pair.agreement.share), _short(pair.agreement.kappa), *counts]


def _verdicts(name: str, pair: Pair, reference: str) -> list[str]:
    out = []
    test = pair.delong
    if test is not None:
        out.append(
            f"{name} - {reference}: AUC of {pair.delong_note}, DeLong: {_short(test.difference, 3)}, "
            f"p {_p(test.p)} (Holm {_p(test.p_holm)})."
        )
    for key, over in pair.over_folds.items():
        out.append(
            f"{name} - {reference}: {METRIC_NAMES[key]} over {over.folds} folds, corrected resampled t: "
            f"{_short(over.difference, 3)}, p {_p(over.p)}."
        )
    margin = pair.non_inferiority
    if margin is not None:
        verdict = "not inferior" if margin.shown else "non-inferiority not shown"
        out.append(
            f"{name} - {reference}: {verdict} at a margin of {margin.margin:g} in accuracy: "
            f"{_short(margin.difference, 3)}, {margin.difference.method}, one-sided p {_p(margin.p)}."
        )
    return out


def _decision(curve: DecisionCurve) -> list[str]:
    at = [int(abs(curve.thresholds - t).argmin()) for t in AT]
    header = [f"{curve.label} ({curve.prevalence:.0%})", *(f"at {curve.thresholds[j]:.2f}" for j in at), "beats both"]
    body = [["act on all", *(_number(float(curve.treat_all[j])) for j in at), _DASH]]
    for name, values in curve.models.items():
        spans = ", ".join(f"{a:.2f} to {b:.2f}" for a, b in curve.useful(name)) or "nowhere"
        body.append([name, *(_number(float(values[j])) for j in at), spans])
    return [*_table(header, body), ""]


def _pair_rows(name: str, reference: str, pair: Pair) -> Iterator[list[str]]:
    for key, d in pair.differences.items():
        yield _row(name, reference, f"{key}_difference", d.value, d.p, d.p_holm)
    m = pair.mcnemar
    counts = f"exact McNemar, {m.only_model} only right by the model, {m.only_reference} only by the reference"
    yield [name, reference, "mcnemar", "", "", "", str(m.n), repr(m.p), repr(m.p_holm), counts]
    if (test := pair.delong) is not None:
        yield _row(name, reference, f"auc_difference ({pair.delong_note})", test.difference, test.p, test.p_holm)
    for key, over in pair.over_folds.items():
        yield _row(name, reference, f"{key}_difference_over_folds", over.difference, over.p)
    if pair.non_inferiority is not None:
        found = pair.non_inferiority
        yield _row(name, reference, f"non_inferiority_{found.margin:g}", found.difference, found.p)
    yield _row(name, reference, "agreement_share", pair.agreement.share)
    yield _row(name, reference, "agreement_kappa", pair.agreement.kappa)


def _row(
    name: str, against: str, key: str, e: Estimate, p: float | None = None, p_holm: float | None = None
) -> list[str]:
    numbers = ["" if v is None else repr(v) for v in (e.value, e.low, e.high)]
    return [name, against, key, *numbers, f"{e.n:g}", *("" if v is None else repr(v) for v in (p, p_holm)), e.method]


def _table(header: Sequence[str], body: Iterator[list[str]] | Sequence[Sequence[str]]) -> list[str]:
    cells = [header, ["---"] * len(header), *body]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[j]) for row in table) for j in range(len(table[0]))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]


def _short(e: Estimate | None, decimals: int = 2) -> str:
    if e is None or e.value is None:
        return _DASH
    if e.low is None and e.high is None:
        return f"{e.value:.{decimals}f}"
    low = "" if e.low is None else f"{e.low:.{decimals}f}"
    high = "" if e.high is None else f"{e.high:.{decimals}f}"
    return f"{e.value:.{decimals}f} ({low} to {high})"


def _number(value: float | None, digits: int = 3) -> str:
    return _DASH if value is None else f"{value:.{digits}g}"


def _p(value: float | None) -> str:
    if value is None:
        return _DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
