"""The JSON of another command as a part of the cohort report: its sentences, and a small table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from radiocard.cohort.table import describe
from radiocard.errors import ReadError, UsageError
from radiocard.evaluation.increment import PRIMARY
from radiocard.report.schema_further import Further, TextTable

Data = Mapping[str, Any]
COLUMNS_SHOWN = 12
SHOWN = (PRIMARY, "macro_auc")


def further_of(data: Data) -> Further:
    """Turn the JSON of a command into a part of the report.

    Parameters
    ----------
    data : dict
        With a ``schema`` of :data:`PARTS`.

    Raises
    ------
    UsageError
        If the schema is none of them.
    ReadError
        If the content is not what the schema says.
    """
    schema = str(data.get("schema"))
    if schema not in PARTS:
        msg = f"The schema {schema[:60]!r} is no evidence that a cohort report shows; known: {', '.join(PARTS)}."
        raise UsageError(msg)
    try:
        return PARTS[schema](data)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        msg = f"The content does not fit its schema {schema!r}: {type(error).__name__}."
        raise ReadError(msg) from None


def _increment(data: Data) -> Further:
    head = ["Step", "Columns", "Log-loss [nat]", "Macro AUC", "Log-loss falls by"]
    rows = [
        [s["title"], str(s["n_columns"]), *(_text(s["scores"].get(k), 2) for k in SHOWN),
         _text(s["gains"].get(PRIMARY), 2)]
        for s in data["steps"]
    ]  # fmt: skip
    return Further(
        key="increment",
        section="trust",
        title="Does texture add anything?",
        sentences=[data["sentence"], data["design"]],
        table=TextTable(head=head, rows=rows),
    )


def _stability(data: Data) -> Further:
    rows = [[s["family"], str(s["n"]), f"{s['good']:.0%}", f"{s['excellent']:.0%}"] for s in data["shares"]]
    return Further(
        key="stability",
        section="features",
        title="Stability under small changes",
        sentences=[data["sentence"], *data["notes"]],
        table=TextTable(head=["Family", "Columns", "ICC(A,1) at least 0.75", "at least 0.9"], rows=rows),
    )


def _audit(data: Data) -> Further:
    return Further(
        key="audit",
        section="reasons",
        title=f"Audit of the explanations ({data['title']})",
        sentences=list(data["sentences"]),
    )


def _odds(data: Data) -> Further:
    labels = list(dict.fromkeys(r["label"] for r in data["ratios"]))
    columns = list(dict.fromkeys(r["column"] for r in data["ratios"]))
    of = {(r["column"], r["label"]): r for r in data["ratios"]}
    rows = []
    for c in columns:
        p = data["p_holm"][c]
        told = "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"
        ratios = [_text(of[c, k]["ratio"], 2) for k in labels]
        rows.append([_name(c), f"{of[c, labels[0]]['step']:.3g}", *ratios, told])
    events = ", ".join(f"{k} {n}" for k, n in data["events"].items())
    first = (
        f"Odds of each class against {data['reference']}, for one step of each measurement, the others unchanged "
        f"(unpenalised multinomial logistic regression; {events})."
    )
    return Further(
        key="odds",
        section="reasons",
        title="Odds ratios of measurements named beforehand",
        sentences=[first, *data["warnings"]],
        table=TextTable(head=["Measurement", "Step", *labels, "p (Holm)"], rows=rows),
    )


def _phenotypes(data: Data) -> Further:
    rows = [
        [str(t["k"]), ", ".join(map(str, t["sizes"])), f"{min(t['jaccard']):.2f}", f"{t['p_holm']:.3f}",
         "yes" if t["holds"] else "no"]
        for t in data["tried"]
    ]  # fmt: skip
    return Further(
        key="phenotypes",
        section="features",
        title="Groups of patients, without the diagnosis",
        sentences=[data["sentence"], "The groups describe this cohort; no model learns from them."],
        table=TextTable(head=["Groups", "Patients", "Smallest Jaccard", "p (Holm)", "Holds"], rows=rows),
    )


def _ranking(data: Data) -> Further:
    order = sorted(range(len(data["models"])), key=lambda i: float(data["mean_ranks"][i]))
    best = order[0]
    rows = [
        [data["models"][i], f"{data['mean_ranks'][i]:.2f}", "–" if i == best else f"{data['p_pairs'][best][i]:.3f}"]
        for i in order
    ]
    return Further(
        key="ranking",
        section="performance",
        title="Models ranked over sites or data sets",
        sentences=[data["sentence"]],
        table=TextTable(head=["Model", "Mean rank", "p against the first (Nemenyi)"], rows=rows),
    )


def _drift(data: Data) -> Further:
    shown = data["columns"][:COLUMNS_SHOWN]
    rows = [[_name(c["column"]), c["light"], c["why"]] for c in shown]
    more = len(data["columns"]) - len(shown)
    return Further(
        key="drift",
        section="performance",
        title="Measurements beside those of the training",
        sentences=[*data["sentences"], *([f"{more} more columns are in the file."] if more > 0 else [])],
        table=TextTable(head=["Measurement", "Light", "Why"], rows=rows),
    )


PARTS: Mapping[str, Callable[[Data], Further]] = MappingProxyType(
    {
        "radiocard/increment/1": _increment,
        "radiocard/stability/1": _stability,
        "radiocard/explanation-audit/1": _audit,
        "radiocard/odds-ratios/1": _odds,
        "radiocard/phenotypes/1": _phenotypes,
        "radiocard/ranking/1": _ranking,
        "radiocard/monitor/1": _drift,
    }
)


def _name(column: str) -> str:
    info = describe(column)
    return info.name if info else column


def _text(estimate: Any, digits: int) -> str:
    if estimate is None or estimate["value"] is None:
        return "–"
    value, low, high = (estimate[k] for k in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
