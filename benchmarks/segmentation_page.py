"""The page that ``segmentation.py`` writes."""

from __future__ import annotations

from typing import Any

from radiocard.segmentation.card import NetworkCard

NAMES = {"rv_cavity": "RV cavity", "lv_myocardium": "LV myocardium", "lv_cavity": "LV cavity"}
WINNERS = {"lv_cavity": 0.950, "rv_cavity": 0.923, "lv_myocardium": 0.911}  # both phases, 50 test patients
AIM = 0.9
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
    test, training = q["test"], q["training"]
    return [
        "## Does the quality estimate find poor masks?",
        "",
        "A mask is poor where the Dice of its worst region is below 0.8, clearly poor where it is below 0.7. The "
        f"quality model learned from {training['n']} masks ({training['n_poor']} poor) of images as they are and with "
        f"noise, blur, coarse pixels and motion. It was tested on {test['n']} masks ({test['n_poor']} poor): "
        f"{test['kinds']['none']['n_poor']} poor ones by networks of few epochs on images as they are, others from "
        f"images with uneven coils, ghosts and less contrast, of {test['n_patients']} patients. No patient and no kind "
        "of failure is in both. Features, severities and model were chosen on the training masks alone, with each kind "
        "of image and each patient left out in turn; the test was scored once, after that choice. An earlier model, of "
        "more features and learned from worse images, had been scored on these patients and kinds of failure before: "
        "AUROC 0.852, 58 % caught.",
        "",
        "| | training, kind and patient left out | test |",
        "|---|---|---|",
        *(f"| {words} | {_with(training[key], 3)} | {_with(test[key], 3)} |" for key, words in QUALITY.items()),
        f"| masks within 0.02 of the limit | {_of(training, 'n_near', 'n')} | {_of(test, 'n_near', 'n')} |",
        "",
        "95 % intervals over patients. Masks near the limit are found or missed by chance. What else is missed are "
        "masks that the network draws with certainty and alike in every mirrored view, and yet not as the reader did.",
        "",
        f"The aim, {100 * AIM:.0f} % of the poor masks at 10 % false alarms, is {_reached(test)}. Caught there, by "
        "the Dice of the worst region:",
        "",
        "| Dice | training, kind and patient left out | test |",
        "|---|---|---|",
        *(f"| {name} | {_caught(training, name)} | {_caught(test, name)} |" for name in test["ranges"]),
        "",
        "| kind of test | masks | poor | AUROC | poor above the model's limit | good above it |",
        "|---|---|---|---|---|---|",
        *(_kind(words, test["kinds"][name]) for name, words in KINDS.items()),
        "",
        "Networks of few epochs are less certain of good masks, too: a quality model holds for the network that it was "
        "fitted to.",
        "",
    ]


QUALITY = {
    "auroc": "AUROC",
    "catch": "poor masks caught where 10 % of the good ones are false alarms",
    "catch_clear": "clearly poor masks caught there",
    "catch_not_near": "poor masks caught, those within 0.02 of the limit left out",
    "flagged_poor": "at the limit that the model sets itself for 10 %: of the poor",
    "flagged_clear": "of the clearly poor",
    "flagged_good": "of the good (false alarms)",
}

KINDS = {
    "bias": "uneven coils",
    "ghosts": "ghosts",
    "contrast": "less contrast",
    "none": "networks of few epochs, images as they are",
}


def _kind(words: str, found: dict[str, Any]) -> str:
    flagged = f"{found['flagged_poor']:.0%} | {found['flagged_good']:.0%}"
    return f"| {words} | {found['n']} | {found['n_poor']} | {found['auroc']:.3f} | {flagged} |"


def _caught(found: dict[str, Any], name: str) -> str:
    part = found["ranges"][name]
    return f"{part['caught']:.0%} of {part['n']}"


def _reached(found: dict[str, Any]) -> str:
    return "reached" if found["catch"]["value"] >= AIM else "not reached"


def _of(found: dict[str, Any], part: str, whole: str) -> str:
    return f"{found[part]} of {found[whole]}"


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
        f"Dice of {cost['least_dice']:.4f}, to four digits, in the worst region. A GPU was not at hand and was not "
        "timed.",
        "",
    ]


def _with(estimate: dict[str, Any], decimals: int) -> str:
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"
