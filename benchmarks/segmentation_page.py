"""The page that ``segmentation.py`` writes."""

from __future__ import annotations

from typing import Any

from radiocard.segmentation.card import NetworkCard

NAMES = {"rv_cavity": "RV cavity", "lv_myocardium": "LV myocardium", "lv_cavity": "LV cavity"}
WINNERS = {"lv_cavity": 0.950, "rv_cavity": 0.923, "lv_myocardium": 0.911}  # both phases, 50 test patients
UNITS = {"ml": "mL", "pct": "percentage points", "g": "g"}


def page(
    agreement: dict[str, Any],
    diagnosis: dict[str, Any],
    quality: dict[str, Any],
    cost: dict[str, Any],
    card: NetworkCard,
) -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [*_head(agreement, card), *_agreement(agreement), *_diagnosis(diagnosis), *_quality(quality), *_cost(cost)]
    )


def _head(agreement: dict[str, Any], card: NetworkCard) -> list[str]:
    minutes = sum(e.seconds for m in card.members for e in m.history) / 60
    return [
        "# Masks of a network on ACDC",
        "",
        f"{agreement['n_patients']} patients of the ACDC training set ({agreement['n_independent']} with different "
        f"images), each segmented by a network of another fold: recipe `{card.recipe.name}`, {len(card.members)} "
        f"folds, trained on {card.device}, {minutes:.0f} minutes in all beside other work, mirrored slices "
        "averaged. Patients with identical images are in one fold. The weights are not part of radiocard. Made by "
        "`benchmarks/segmentation.py`.",
        "",
    ]


def _agreement(agreement: dict[str, Any]) -> list[str]:
    lines = [
        "## Agreement with the reader",
        "",
        "| phase, region | Dice | HD95 [mm] | challenge winners, both phases |",
        "|---|---|---|---|",
    ]
    for key, spread in agreement["dice"].items():
        phase, region = key.split("/")
        score, far = _with(spread["mean"], 3), _with(agreement["hd95_mm"][key]["mean"], 1)
        lines.append(f"| {phase.upper()}, {NAMES[region]} | {score} | {far} | {WINNERS[region]:.3f} |")
    lines += [
        "",
        "Means over patients with 95 % intervals; three-dimensional Dice. The winners' figures hold for the "
        "challenge's 50 test patients, after training on 100 (Bernard et al. 2018): for orientation only.",
        "",
        "| measurement | bias | limits of agreement | mean absolute error |",
        "|---|---|---|---|",
    ]
    for column, found in agreement["measures"].items():
        unit = UNITS[column.rsplit("_", 1)[1]]
        limits = f"{found['lower']['value']:.1f} to {found['upper']['value']:.1f}"
        lines.append(f"| `{column}` [{unit}] | {_with(found['bias'], 1)} | {limits} | {_with(found['mae'], 1)} |")
    verdicts = ", ".join(f"{n} {name}" for name, n in agreement["verdicts"].items())
    return [*lines, "", f"Verdicts of the rule that decides without a quality model: {verdicts}.", ""]


def _diagnosis(diagnosis: dict[str, Any]) -> list[str]:
    return [
        "## What the diagnosis loses",
        "",
        f"Random forest on the pool `physiology`, five classes, {diagnosis['n']} patients, the same nested folds for "
        "both: measured from masks of the reader, and from the masks above.",
        "",
        *diagnosis["page"].split("\n## Agreement")[0].replace("\n## ", "\n### ").splitlines()[2:],
        "",
    ]


def _quality(q: dict[str, Any]) -> list[str]:
    return [
        "## Does the quality estimate find poor masks?",
        "",
        "A mask is poor where the Dice of its worst region is below 0.8. The quality model learned from "
        f"{q['n_learned']} masks ({q['n_learned_poor']} poor) of images as they are and with noise, blur, coarse "
        f"pixels and motion. It was tested on {q['n']} masks ({q['n_poor']} poor): {q['n_poor_weak']} poor ones by "
        "networks of few epochs on images as they are, others from images with uneven coils, ghosts and less contrast, "
        f"of {q['n_patients']} patients. No patient and no kind of failure is in both.",
        "",
        f"* AUROC {_with(q['auroc'], 3)}",
        f"* poor masks caught where 10 % of the good ones are false alarms: {_with(q['catch'], 3)}",
        f"* at the limit that the model sets itself for 10 %: {q['flagged_poor']:.0%} of the poor and "
        f"{q['flagged_good']:.0%} of the good masks",
        "",
    ]


def _cost(cost: dict[str, Any]) -> list[str]:
    rows = [
        f"| {name} (CPU) | {cost[name]['fast']:.1f} | {cost[name]['full']:.1f} | {cost[name]['peak_mb']:.0f} MB |"
        for name in ("torch", "onnx")
    ]
    return [
        "## Cost",
        "",
        "| run by | seconds per case | with mirrored slices | peak memory |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Median of {cost['torch']['n']} cases (two phases), one network, one thread. Masks of both ways agree to a "
        f"Dice of {cost['least_dice']:.4f} or better in every region. A GPU was not at hand and was not timed.",
        "",
    ]


def _with(estimate: dict[str, Any], decimals: int) -> str:
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"
